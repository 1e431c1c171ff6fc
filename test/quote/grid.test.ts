import { expect, test } from "bun:test";
import fc from "fast-check";
import { ceilToGrid, floorToGrid, gridMultiple, MAX_TICKS } from "../../src/quote/grid.ts";
import { Scenario } from "./harness.ts";

const uniform = new Scenario().perpetual;
const stepped = new Scenario().option();

test("a price on the grid stays, in spite of rounding error", () => {
  expect(floorToGrid(uniform, 0.3 / 0.1)).toBe(3);
  expect(ceilToGrid(uniform, (0.1 + 0.2) / 0.1)).toBe(3);
});

test("the coarse grid holds from its first price on", () => {
  expect([49, 50, 1_000].map((ticks) => gridMultiple(stepped, ticks))).toEqual([1, 5, 5]);
  expect(floorToGrid(stepped, 49.9)).toBe(49);
  expect(ceilToGrid(stepped, 49.1)).toBe(50);
  expect(floorToGrid(stepped, 54.9)).toBe(50);
  expect(ceilToGrid(stepped, 50.1)).toBe(55);
});

test("there is no bid below one tick, and the least ask is one tick", () => {
  expect(floorToGrid(uniform, 0.9)).toBe(-1);
  expect(floorToGrid(uniform, -3)).toBe(-1);
  expect(ceilToGrid(uniform, -3)).toBe(1);
});

test("a price that no book can hold is none", () => {
  expect(floorToGrid(uniform, Number.NaN)).toBe(-1);
  expect(ceilToGrid(uniform, Number.NaN)).toBe(-1);
  expect(floorToGrid(uniform, 3e9)).toBe(-1);
  expect(ceilToGrid(uniform, Number.POSITIVE_INFINITY)).toBe(-1);
  expect(ceilToGrid(stepped, MAX_TICKS)).toBe(-1);
});

test("rounding goes away from the market, by less than a step, onto the grid", () => {
  fc.assert(
    fc.property(fc.double({ min: 1, max: 5_000, noNaN: true }), (price) => {
      const down = floorToGrid(stepped, price);
      const up = ceilToGrid(stepped, price);
      const slack = price * 2e-9;
      expect(down).toBeLessThanOrEqual(price + slack);
      expect(up).toBeGreaterThanOrEqual(price - slack);
      expect(price - down).toBeLessThan(gridMultiple(stepped, down) + slack);
      expect(up - price).toBeLessThan(gridMultiple(stepped, up) + slack);
      expect(down % gridMultiple(stepped, down)).toBe(0);
      expect(up % gridMultiple(stepped, up)).toBe(0);
    }),
    { seed: 6 },
  );
});
