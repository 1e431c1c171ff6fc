import { expect, test } from "bun:test";
import { InvariantError } from "../../src/core/invariant.ts";
import { FRESH_ROW, IDLE_ROW, SlotRows } from "../../src/inference/slot-rows.ts";

const take = (rows: SlotRows, ...slots: number[]): number[] => {
  rows.take(Int32Array.from(slots), slots.length);
  return [...rows.rows];
};

test("a slot starts fresh once after each reset", () => {
  const rows = new SlotRows(4, new Uint32Array(3));
  expect(take(rows, 2, 0)).toEqual([FRESH_ROW + 2, FRESH_ROW, IDLE_ROW]);
  expect(take(rows, 2, 1)).toEqual([2, FRESH_ROW + 1, IDLE_ROW]);
  rows.reset(2);
  expect(take(rows, 0, 2, 1)).toEqual([0, FRESH_ROW + 2, 1]);
  rows.resetAll();
  expect(take(rows, 0)).toEqual([FRESH_ROW, IDLE_ROW, IDLE_ROW]);
});

test("a batch that is out of range changes nothing", () => {
  const rows = new SlotRows(2, new Uint32Array(2));
  take(rows, 0);
  for (const slots of [
    [1, 2],
    [1, -1],
  ])
    expect(() => take(rows, ...slots)).toThrow(InvariantError);
  expect(() => rows.take(new Int32Array(4), 3)).toThrow(InvariantError);
  expect(() => rows.take(new Int32Array(4), 0)).toThrow(InvariantError);
  for (const slot of [-1, 2, 0.5]) expect(() => rows.reset(slot)).toThrow(InvariantError);
  expect(take(rows, 1)).toEqual([FRESH_ROW + 1, IDLE_ROW]);
});
