import { expect, test } from "bun:test";
import { join } from "node:path";
import { Rng } from "../../src/core/rng.ts";
import { etcdMissing } from "../support/etcd-server.ts";
import { skipUnlessNative } from "../support/native.ts";
import { drill } from "./failover/drill.ts";
import { Pair } from "./failover/pair.ts";

const missing = etcdMissing();
if (missing !== null) console.log(`skipped: ${missing}`);

/** etcd counts leases in whole seconds. */
const ENVIRONMENT = { KEEL_LEASE_TTL_MS: "4000" };

test.skipIf(missing !== null || (await skipUnlessNative("a pair with the cpu engine")))(
  "with a lease in etcd the lead is given away without waiting, the one that stands by is replaced by another process, and that one takes over",
  async () => {
    const pair = new Pair({ environment: ENVIRONMENT, service: "etcd" });
    const rng = new Rng(4);
    try {
      await pair.start();
      const given = await drill(pair, "switch", rng);
      expect(given.problems).toEqual([]);
      const leader = await pair.untilReady();
      const term = await leader.report();
      const passive = pair.other(leader.name);
      expect((await passive.report())?.since).toBe("an operator gave the lead to the other one");
      const kept = Bun.file(join(pair.folder, passive.name, "lease-token.json"));
      const isKept = async () => (await kept.json()).token === term?.token;
      await pair.until("the passive one has kept the leader's token", isKept);

      const followed = async () => (await leader.report())?.followers.length === 1;
      expect(await passive.handOver()).toBe(0);
      await pair.until("another process follows", followed);
      expect(await pair.untilReady()).toBe(leader);
      expect(await leader.report()).toMatchObject({ role: "leader", token: term?.token });
      expect(await passive.report()).toMatchObject({ role: "passive", following: { synced: true } });

      const killed = await drill(pair, "kill", rng);
      expect(killed.problems).toEqual([]);
      expect(pair.wire.leader).toBe(passive.name);
      const { exitCode, output } = await pair.replay(passive);
      expect(output).toContain("identical: true");
      expect(exitCode).toBe(0);
    } finally {
      await pair.stop();
    }
  },
  240_000,
);
