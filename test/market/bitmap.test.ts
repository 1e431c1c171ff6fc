import { expect, test } from "bun:test";
import fc from "fast-check";
import { HierarchicalBitmap, NO_BIT } from "../../src/market/bitmap.ts";

for (const bits of [32, 512, 4_096, 65_536]) {
  test(`finds the next of ${bits} bits as a sorted list does`, () => {
    const bit = fc.integer({ min: 0, max: bits - 1 });
    fc.assert(
      fc.property(
        fc.array(bit, { maxLength: 40 }),
        fc.array(bit, { maxLength: 20 }),
        bit,
        (added, deleted, from) => {
          const bitmap = new HierarchicalBitmap(bits);
          const members = new Set(added);
          for (const member of added) bitmap.add(member);
          for (const member of deleted) {
            bitmap.delete(member);
            members.delete(member);
          }
          const later = [...members].filter((member) => member >= from);
          expect(bitmap.next(from)).toBe(later.length === 0 ? NO_BIT : Math.min(...later));
          for (const member of members) expect(bitmap.has(member)).toBe(true);
          bitmap.clear();
          expect(bitmap.next(0)).toBe(NO_BIT);
        },
      ),
      { numRuns: 60, seed: 3 },
    );
  });
}

test("past the end there is nothing", () => {
  const bitmap = new HierarchicalBitmap(64);
  bitmap.add(63);
  expect([bitmap.next(63), bitmap.next(64)]).toEqual([63, NO_BIT]);
});
