import { expect, test } from "bun:test";
import fc from "fast-check";
import { erfc, normalCdf } from "../../src/option/normal.ts";

test("erfc has its published values in all three ranges", () => {
  // From the C library's erfc.
  const known: readonly (readonly [number, number])[] = [
    [0, 1],
    [0.25, 0.7236736098317631],
    [0.46875, 0.5073865267820618],
    [0.5, 0.4795001221869535],
    [1, 0.15729920705028513],
    [2, 0.004677734981047266],
    [4, 1.541725790028002e-8],
    [4.5, 1.9661604415428873e-10],
    [10, 2.088487583762545e-45],
    [25, 8.300172571196522e-274],
  ];
  for (const [x, expected] of known) {
    expect(Math.abs(erfc(x) / expected - 1)).toBeLessThan(1e-15 * 4);
    expect(Math.abs(erfc(-x) - (2 - expected))).toBeLessThan(1e-15);
  }
});

test("the limits of erfc are 0, 2 and NaN", () => {
  expect(erfc(40)).toBe(0);
  expect(erfc(-40)).toBe(2);
  expect(erfc(Number.POSITIVE_INFINITY)).toBe(0);
  expect(erfc(Number.NEGATIVE_INFINITY)).toBe(2);
  expect(erfc(Number.NaN)).toBeNaN();
});

test("the deep tail of the distribution keeps its digits", () => {
  expect(normalCdf(-30) / 4.906713927148764e-198).toBeCloseTo(1, 12);
});

test("the distribution function rises from 0 to 1 and is symmetric", () => {
  fc.assert(
    fc.property(
      fc.double({ min: -38, max: 38, noNaN: true }),
      fc.double({ min: 1e-9, max: 1, noNaN: true }),
      (x, step) => {
        expect(normalCdf(x)).toBeLessThanOrEqual(normalCdf(x + step));
        expect(Math.abs(normalCdf(x) + normalCdf(-x) - 1)).toBeLessThan(1e-15);
      },
    ),
    { seed: 1 },
  );
});
