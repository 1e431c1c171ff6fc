import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { Histogram } from "../../src/core/histogram.ts";

describe("Histogram", () => {
  test("is exact below 256", () => {
    const histogram = new Histogram();
    for (let value = 0; value < 256; value += 1) histogram.record(value);
    expect(histogram.quantile(0.5)).toBe(127);
    expect(histogram.min).toBe(0);
    expect(histogram.max).toBe(255);
    expect(histogram.countAtMost(99)).toBe(100);
  });

  test("counts what is at most each of ascending bounds, as counting does", () => {
    const small = fc.integer({ min: 0, max: 255 });
    fc.assert(
      fc.property(fc.array(small), fc.array(fc.integer({ min: -5, max: 255 })), (values, some) => {
        const histogram = new Histogram();
        for (const value of values) histogram.record(value);
        const bounds = [...some.sort((a, b) => a - b), 4e9, 1e12];
        expect(histogram.countsAtMost(bounds)).toEqual(
          bounds.map((bound) => values.filter((value) => value <= Math.max(bound, 0)).length),
        );
      }),
    );
  });

  test("quantiles stay within 0.8 % of the sorted values", () => {
    fc.assert(
      fc.property(
        fc.array(fc.integer({ min: 0, max: 4_000_000_000 }), { minLength: 1, maxLength: 200 }),
        fc.constantFrom(0, 0.1, 0.5, 0.9, 0.99, 1),
        (values, q) => {
          const histogram = new Histogram();
          for (const value of values) histogram.record(value);
          const sorted = values.toSorted((a, b) => a - b);
          const exact = sorted[Math.max(0, Math.ceil(q * values.length) - 1)] ?? Number.NaN;
          expect(Math.abs(histogram.quantile(q) - exact)).toBeLessThanOrEqual(exact * 0.008 + 1);
        },
      ),
    );
  });

  test("clamps what is above its range and keeps the true maximum", () => {
    const histogram = new Histogram();
    histogram.record(1e12);
    histogram.record(-5);
    expect(histogram.max).toBe(1e12);
    expect(histogram.quantile(0.5)).toBe(0);
    expect(histogram.count).toBe(2);
  });

  test("is empty after reset", () => {
    const histogram = new Histogram();
    histogram.record(7);
    histogram.reset();
    expect(histogram.count).toBe(0);
    expect(histogram.quantile(0.5)).toBeNaN();
  });
});
