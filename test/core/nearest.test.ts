import { expect, test } from "bun:test";
import { editDistance, nearest } from "../../src/core/nearest.ts";

test.each([
  ["", "", 0],
  ["abc", "abc", 0],
  ["abc", "ab", 1],
  ["abc", "acb", 1],
  ["kitten", "sitting", 3],
  ["", "four", 4],
])("from %p to %p it takes %p edits", (a, b, edits) => {
  expect(editDistance(a, b)).toBe(edits);
  expect(editDistance(b, a)).toBe(edits);
});

test("the nearest name is found", () => {
  expect(nearest("KEEL_FEED", ["KEEL_SEED", "KEEL_FEEDS", "KEEL_LOG"])).toBe("KEEL_FEEDS");
  expect(nearest("replya", ["run", "replay", "record"])).toBe("replay");
});

test("a name that is far from all has no nearest", () => {
  expect(nearest("zebra", ["run", "replay"])).toBeUndefined();
});
