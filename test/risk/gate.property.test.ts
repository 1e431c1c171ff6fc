import { expect, test } from "bun:test";
import fc from "fast-check";
import { NOT_TRIPPED } from "../../src/risk/kill-switch.ts";
import { DEFAULT_RISK_LIMITS, type RiskLimits } from "../../src/risk/limits.ts";
import { GateBed, LOT_NOTIONAL } from "./gate-bed.ts";

const anyRow = fc.record({
  instrument: fc.constantFrom(0, 1, 7),
  bidTicks: fc.integer({ min: -1, max: 400 }),
  bidLots: fc.oneof(fc.integer({ min: 0, max: 60 }), fc.constantFrom(-1, 0.5, Number.NaN)),
  askTicks: fc.integer({ min: -1, max: 400 }),
  askLots: fc.oneof(fc.integer({ min: 0, max: 60 }), fc.constantFrom(-1, 0.5, Number.NaN)),
  fair: fc.oneof(fc.constant(0.03), fc.constantFrom(Number.NaN, -1, 0.02, 0.04)),
  delta: fc.oneof(fc.double({ min: -1, max: 1, noNaN: true }), fc.constant(2)),
  standing: fc.boolean(),
});
const anyState = fc.record({
  positions: fc.tuple(fc.integer({ min: -60, max: 60 }), fc.integer({ min: -60, max: 60 })),
  bests: fc.tuple(fc.integer({ min: -1, max: 310 }), fc.integer({ min: -1, max: 320 })),
  live: fc.boolean(),
  killed: fc.boolean(),
  reduceOnly: fc.boolean(),
  ageMs: fc.nat({ max: 7_000 }),
  rows: fc.array(anyRow, { minLength: 1, maxLength: 12 }),
});

test("no path leads around a limit: whatever the rows and the state, what leaves keeps every limit, and pulls pass", () => {
  const limits: RiskLimits = {
    ...DEFAULT_RISK_LIMITS,
    maxPositionNotional: 40 * LOT_NOTIONAL,
    maxGrossNotional: 80 * LOT_NOTIONAL,
    maxDeltaNotional: 30 * LOT_NOTIONAL,
    maxQuoteNotional: 50 * LOT_NOTIONAL,
    hardLimitMultiple: 100,
  };
  fc.assert(
    fc.property(anyState, ({ positions, bests, live, killed, reduceOnly, ageMs, rows }) => {
      const bed = new GateBed(limits, killed ? { tripped: true, reason: "test", timeUs: 1 } : NOT_TRIPPED);
      const { gate, batch } = bed;
      gate.positions.set(0, positions[0]);
      gate.positions.set(1, positions[1]);
      gate.onFeedState(1, live);
      gate.onBook(0, bests[0], bests[1]);
      if (reduceOnly) gate.reduce("reduceOnly", "operator", bed.timeUs);
      bed.timeUs += ageMs * 1_000;
      for (const { instrument, ...row } of rows) bed.row(instrument, row);
      const pulls = rows.filter((row) => row.bidLots === 0 && row.askLots === 0).length;
      gate.check(batch, bed.timeUs);

      let pulled = 0;
      const seen = new Set<number>();
      const gross = (Math.abs(positions[0]) + Math.abs(positions[1])) * LOT_NOTIONAL;
      for (let row = 0; row < batch.count; row += 1) {
        const id = batch.instrument[row];
        const bidLots = batch.bidLots[row];
        const askLots = batch.askLots[row];
        if (bidLots === 0 && askLots === 0) {
          expect([batch.bidTicks[row], batch.askTicks[row]]).toEqual([-1, -1]);
          pulled += 1;
          continue;
        }
        expect([killed, seen.has(id), id === 7, id === 1 && !live, ageMs > 5_000]).toEqual(
          Array(5).fill(false),
        );
        seen.add(id);
        const fair = batch.fair[row] / 1e-4;
        const delta = batch.delta[row];
        const collar = Math.abs(delta) * limits.collarFairBp + limits.collarFairTicks + 1e-6;
        const sides: readonly (readonly [number, number, number, number])[] = [
          [1, batch.bidTicks[row], bidLots, id === 0 ? bests[1] : -1],
          [-1, batch.askTicks[row], askLots, id === 0 ? bests[0] : -1],
        ];
        if (bidLots > 0 && askLots > 0) expect(batch.bidTicks[row]).toBeLessThan(batch.askTicks[row]);
        for (const [sign, ticks, lots, opposite] of sides) {
          if (lots === 0) continue;
          expect(Number.isInteger(lots) && lots > 0 && ticks > 0).toBe(true);
          expect(sign * (ticks - fair)).toBeLessThanOrEqual(collar);
          if (opposite >= 0)
            expect(sign * (opposite - ticks)).toBeGreaterThanOrEqual(limits.collarMarketTicks);
          expect(lots * LOT_NOTIONAL).toBeLessThanOrEqual(limits.maxQuoteNotional);
          const position = positions[id];
          const after = Math.abs(position + sign * lots);
          const reduces = lots <= Math.max(-sign * position, 0);
          if (reduceOnly) expect(reduces).toBe(true);
          if (reduces) continue;
          expect(after * LOT_NOTIONAL).toBeLessThanOrEqual(limits.maxPositionNotional);
          const adding = lots - Math.max(-sign * position, 0);
          expect(gross + adding * LOT_NOTIONAL).toBeLessThanOrEqual(limits.maxGrossNotional);
        }
      }
      expect(pulled).toBeGreaterThanOrEqual(pulls);
    }),
    { seed: 9, numRuns: 1_000 },
  );
});
