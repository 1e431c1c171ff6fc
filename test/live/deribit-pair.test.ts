import { expect, test } from "bun:test";
import { Rng } from "../../src/core/rng.ts";
import { skipUnlessNative } from "../support/native.ts";
import { redisMissing } from "../support/services.ts";
import { DeribitPeer } from "./failover/counterparty.ts";
import { drill } from "./failover/drill.ts";
import { Pair } from "./failover/pair.ts";

const missing = redisMissing();
if (missing !== null) console.log(`skipped: ${missing}`);

/** A lease as long as a busy machine that is shared may need. */
const ENVIRONMENT = { KEEL_LEASE_TTL_MS: "4000", KEEL_DERIBIT_BLOCK_RFQ: "on" };

test.skipIf(missing !== null || (await skipUnlessNative("a pair with the cpu engine")))(
  "at Deribit a leader that dies, gives way, is cut off or freezes is followed by one that was logged in before, blocks are quoted on, and a process takes the place of another",
  async () => {
    const pair = new Pair({ environment: ENVIRONMENT, by: "deribit" });
    const rng = new Rng(2);
    try {
      await pair.start();
      const peer = pair.counterparty;
      if (!(peer instanceof DeribitPeer)) throw new Error("the counterparty is Deribit");
      for (const fault of ["switch", "cut-all", "freeze"] as const) {
        const { problems, toQuoteMs } = await drill(pair, fault, rng);
        expect({ fault, problems }).toEqual({ fault, problems: [] });
        expect(toQuoteMs).toBeGreaterThan(0);
      }
      expect(pair.wire.changes).toBeGreaterThanOrEqual(3);

      // A block that was asked for before the leader died is quoted by the next one, and by nobody else.
      await pair.untilReady();
      const block = peer.askBlock();
      await pair.until("both sides of the block", async () => peer.blockQuotes(block).length === 2);
      const before = peer.blockQuotes(block);
      expect((await drill(pair, "kill", rng)).problems).toEqual([]);
      const quoted = () => peer.blockQuotes(block);
      await pair.until("the next one quotes the block", async () =>
        quoted().some((id) => !before.includes(id)),
      );
      expect(quoted().filter((id) => before.includes(id))).toEqual([]);
      await pair.until("the block is taken", async () => peer.takeBlock(block));

      const leader = await pair.untilReady();
      const term = await leader.report();
      const taken = leader.handOver();
      for (let trade = 0; trade < 5; trade += 1) {
        await pair.trade();
        await Bun.sleep(100);
      }
      expect(await taken).toBe(0);
      expect(await pair.untilReady()).toBe(leader);
      expect(await leader.report()).toMatchObject({ role: "leader", token: term?.token });
      await pair.trade();
      const agreed = async () => (await pair.differences(leader)).length === 0;
      await pair.until("its positions are the venue's", agreed);
      const { late, reused } = pair.wire;
      expect({ late, reused, orphans: (await pair.peer()).orphans }).toEqual({
        late: [],
        reused: [],
        orphans: 0,
      });
      const last = pair.node(pair.wire.leader);
      const { exitCode, output } = await pair.replay(last);
      expect(output).toContain("identical: true");
      expect(exitCode).toBe(0);
    } finally {
      await pair.stop();
    }
  },
  240_000,
);
