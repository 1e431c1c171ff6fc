import { expect, test } from "bun:test";
import fc from "fast-check";
import { TokenBucket, WindowSum } from "../../src/risk/rate.ts";

test("a bucket never gives more than its burst and its rate", () => {
  fc.assert(
    fc.property(fc.array(fc.nat({ max: 400_000 }), { minLength: 1, maxLength: 200 }), (gaps) => {
      const bucket = new TokenBucket(10, 5);
      let timeUs = 1e15;
      let given = 0;
      const from = timeUs;
      for (const gap of gaps) {
        timeUs += gap;
        if (bucket.take(timeUs)) given += 1;
      }
      expect(given).toBeLessThanOrEqual(5 + (timeUs - from) * 1e-5 + 1e-6);
    }),
    { seed: 10 },
  );
});

test("time that runs backwards fills no bucket", () => {
  const bucket = new TokenBucket(1, 1);
  expect(bucket.take(5_000_000)).toBe(true);
  expect(bucket.take(1_000_000)).toBe(false);
  expect(bucket.take(5_500_000)).toBe(false);
  expect(bucket.take(6_000_001)).toBe(true);
});

test("a window holds all of the window and nothing older than it by more than a slot", () => {
  fc.assert(
    fc.property(
      fc.array(fc.tuple(fc.nat({ max: 500 }), fc.integer({ min: -5, max: 5 })), {
        minLength: 1,
        maxLength: 60,
      }),
      (events) => {
        const windowMs = 1_000;
        const window = new WindowSum(windowMs);
        const past: { timeMs: number; amount: number }[] = [];
        let timeMs = 1_700_000_000_000;
        for (const [gapMs, size] of events) {
          const amount = Math.abs(size);
          timeMs += gapMs;
          past.push({ timeMs, amount });
          const since = (ageMs: number): number =>
            past
              .filter((event) => timeMs - event.timeMs < ageMs)
              .reduce((sum, event) => sum + event.amount, 0);
          const sum = window.add(amount, timeMs * 1_000);
          expect(sum).toBeGreaterThanOrEqual(since(windowMs));
          expect(sum).toBeLessThanOrEqual(since(windowMs * 1.07 + 1));
        }
      },
    ),
    { seed: 11 },
  );
});
