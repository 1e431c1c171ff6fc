import { describe, expect, test } from "bun:test";
import { sharedPath, skipUnless, skipUnlessShared } from "../support/shared-data.ts";
import { type Parameters, rowsOf, runHftBacktest, runKeel } from "./interop/compare.ts";
import { whyNoHftBacktest } from "./interop/hftbacktest.ts";

const FILE = "data/binance/usdm-btcusdt-20240808.gz";
const missing = whyNoHftBacktest();
const skip = skipUnlessShared(FILE) || skipUnless(missing === null, missing ?? "");
const SECONDS = 60;

const base: Parameters = {
  queue: "power",
  exponent: 3,
  offsetTicks: 5,
  lots: 1,
  everyUs: 100_000,
  orderUs: 5_000,
  responseUs: 5_000,
  rounds: 1,
};

describe("hftbacktest on the same rows, with the same strategy, latencies and queue model", () => {
  test.skipIf(skip)(
    "fills the same orders at the same times and prices, but for what happens within one message",
    async () => {
      const rows = await rowsOf(sharedPath(FILE), SECONDS);
      const runs = [
        { ...base, queue: "conservative", offsetTicks: 0.5 },
        { ...base, queue: "power", offsetTicks: 0.5 },
      ] as const;
      for (const [at, theirs] of runHftBacktest(rows, runs).entries()) {
        const ours = runKeel(rows, runs[at] ?? base);
        const key = ({ timeUs, side, priceTicks, lots }: (typeof ours.fills)[number]) =>
          `${timeUs} ${side} ${priceTicks} ${lots}`;
        const known = new Set(theirs.fills.map(key));
        const same = ours.fills.filter((fill) => known.has(key(fill))).length;
        const most = Math.max(ours.fills.length, theirs.fills.length);
        expect(most).toBeGreaterThan(40);
        expect(same).toBeGreaterThanOrEqual(0.98 * most);
        // What a fill that only one of them has can come to: its lots, at the largest move of the recording.
        const different = most - same;
        expect(Math.abs(ours.position - theirs.position)).toBeLessThanOrEqual(different + 2);
        expect(Math.abs(ours.profit - theirs.profit)).toBeLessThanOrEqual(0.25 * (different + 2));
      }
    },
  );
});
