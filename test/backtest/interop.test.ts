import { describe, expect, test } from "bun:test";
import { queueModel } from "../../src/backtest/queue.ts";
import { sharedPath, skipUnless, skipUnlessShared } from "../support/shared-data.ts";
import { type Parameters, rowsOf, runHftBacktest, runKeel, sameFills } from "./interop/compare.ts";
import { whyNoHftBacktest } from "./interop/hftbacktest.ts";
import { PeerLogQueue } from "./interop/peer-log-queue.ts";

const FILE = "data/binance/usdm-btcusdt-20240808.gz";
const missing = whyNoHftBacktest();
const skip = skipUnlessShared(FILE) || skipUnless(missing === null, missing ?? "");
const SECONDS = 60;

const base = {
  ...{ exponent: 3, offsetTicks: 0.5, lots: 1, everyUs: 100_000, orderUs: 5_000, responseUs: 5_000 },
  ...{ rounds: 1, partial: false },
};
/** 50 lots and a half. */
const inParts = { ...base, lots: 101, partial: true };

/** Share of the orders that trade in either which must trade in both, alike. */
const cases: readonly (readonly [Parameters, number])[] = [
  [{ ...base, queue: "conservative" }, 0.98],
  [{ ...base, queue: "power" }, 0.98],
  [{ ...base, queue: "log-as-peer" }, 0.97],
  [{ ...inParts, queue: "conservative" }, 0.98],
  [{ ...inParts, queue: "power" }, 0.95],
];

describe("hftbacktest on the same rows, with the same strategy, latencies and queue model", () => {
  test.skipIf(skip)(
    "fills the same orders at the same times and prices, whole and in parts, but for what happens within one message",
    async () => {
      const rows = await rowsOf(sharedPath(FILE), SECONDS);
      const runs = cases.map(([run]) => run);
      const found = runHftBacktest(rows, runs);
      for (const [at, [run, share]] of cases.entries()) {
        const ours = runKeel(rows, run);
        const { [at]: theirs } = found;
        if (theirs === undefined) throw new Error(`no result of run ${at}`);
        const { same, most } = sameFills(ours, theirs, run.partial);
        expect(most).toBeGreaterThan(40);
        expect(same / most).toBeGreaterThanOrEqual(share);
        // What an order that only one of them filled can come to: its lots, at the largest move of the recording.
        const different = (most - same + 2) * run.lots;
        expect(Math.abs(ours.position - theirs.position)).toBeLessThanOrEqual(different);
        expect(Math.abs(ours.profit - theirs.profit)).toBeLessThanOrEqual(
          0.25 * (run.partial ? different / 2 : different),
        );
      }
    },
  );

  test.skipIf(skip)(
    "its logarithmic queue puts orders that had come to the front behind the level",
    async () => {
      const rows = await rowsOf(sharedPath(FILE), SECONDS);
      const [ours, asPeer] = (["log", "log-as-peer"] as const).map((queue) =>
        runKeel(rows, { ...base, queue }),
      );
      expect(ours?.fills.length ?? 0).toBeGreaterThan(asPeer?.fills.length ?? 0);
    },
  );
});

test("of orders ahead keel never makes less than none", () => {
  const place = { ahead: 1, traded: 0 };
  const peer = { ahead: 1, traded: 0 };
  const [log, asPeer] = [queueModel("log"), new PeerLogQueue()];
  for (const [before, after] of [
    [100, 20],
    [20, 19],
  ] as const) {
    log.resize(place, before, after);
    asPeer.resize(peer, before, after);
  }
  expect(place.ahead).toBe(0);
  expect([peer.ahead, asPeer.lost]).toEqual([19, 1]);
});
