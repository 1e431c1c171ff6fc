import { expect, test } from "bun:test";
import { Rng } from "../../src/core/rng.ts";
import { skipUnlessNative } from "../support/native.ts";
import { CLOCK_FIXED } from "../support/put-clock.ts";
import { redisMissing } from "../support/services.ts";
import { drill } from "./failover/drill.ts";
import { Pair } from "./failover/pair.ts";

const missing = redisMissing();
if (missing !== null) console.log(`skipped: ${missing}`);
else if (CLOCK_FIXED !== null) console.log(`skipped: ${CLOCK_FIXED}`);

/** A lease as long as a busy machine that is shared may need; the drill itself measures with the default. */
const ENVIRONMENT = { KEEL_LEASE_TTL_MS: "2000" };

test.skipIf(missing !== null || (await skipUnlessNative("a pair with the cpu engine")))(
  "a leader that freezes, gives way, is cut off or dies is followed by the other one, and nothing is sent, lost or used twice",
  async () => {
    const pair = new Pair({ environment: ENVIRONMENT, putsClocks: CLOCK_FIXED === null });
    const rng = new Rng(1);
    try {
      await pair.start();
      for (const fault of ["freeze", "redis-clock", "switch", "cut-all", "kill"] as const) {
        if (fault === "redis-clock" && CLOCK_FIXED !== null) continue;
        const { problems, toQuoteMs } = await drill(pair, fault, rng);
        expect({ fault, problems }).toEqual({ fault, problems: [] });
        expect(toQuoteMs).toBeGreaterThan(0);
      }
      expect(pair.wire.changes).toBeGreaterThanOrEqual(5);
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
