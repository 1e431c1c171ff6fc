import { expect, test } from "bun:test";
import fc from "fast-check";
import { contrast, DECAY_MS, decayFactors, signedLog, soft, writeAges } from "../../src/feature/window.ts";

test("decay factors are the exponentials of their windows", () => {
  const factors = new Float64Array(DECAY_MS.length);
  fc.assert(
    fc.property(fc.double({ min: 0, max: 1e8, noNaN: true }), (deltaUs) => {
      decayFactors(deltaUs, factors);
      DECAY_MS.forEach((ms, at) => {
        const expected = Math.exp(-deltaUs / (ms * 1_000));
        expect(Math.abs(factors[at] - expected)).toBeLessThanOrEqual(1e-12 * expected + 1e-300);
      });
    }),
    { seed: 1 },
  );
});

test("decay factors of no time are one and of any long time zero", () => {
  const factors = new Float64Array(DECAY_MS.length);
  decayFactors(0, factors);
  expect([...factors]).toEqual(DECAY_MS.map(() => 1));
  decayFactors(1e18, factors);
  expect([...factors]).toEqual(DECAY_MS.map(() => 0));
});

test("ages are exponentials of 5, 20, 60 and 200 ms", () => {
  const out = new Float32Array(5);
  writeAges(20_000, out, 1);
  [5, 20, 60, 200].forEach((ms, at) => {
    expect(out[at + 1]).toBeCloseTo(Math.exp(-20 / ms), 6);
  });
  writeAges(-7, out, 1);
  expect([...out]).toEqual([0, 1, 1, 1, 1]);
  writeAges(Infinity, out, 1);
  expect([...out]).toEqual([0, 0, 0, 0, 0]);
});

test("contrast is odd, bounded and zero for nothing", () => {
  expect(contrast(3, 1)).toBe(0.5);
  expect(contrast(1, 3)).toBe(-0.5);
  expect(contrast(0, 0)).toBe(0);
  expect(contrast(5, 0)).toBe(1);
});

test("soft and signedLog are odd", () => {
  expect(soft(3)).toBe(0.75);
  expect(soft(-3)).toBe(-0.75);
  expect(signedLog(Math.E - 1)).toBeCloseTo(1, 12);
  expect(signedLog(1 - Math.E)).toBeCloseTo(-1, 12);
});
