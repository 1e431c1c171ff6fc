import { expect, test } from "bun:test";
import fc from "fast-check";
import { RecentEvents } from "../../src/feed/recent-events.ts";

test("a line is as late as the time since the book included what it brings", () => {
  const recent = new RecentEvents();
  for (const [at, number] of [10, 20, 30].entries()) recent.note(3, number, 0, 1_000 + at * 100);
  expect(recent.lagUs(3, 20, 1, 1_350)).toBe(250);
  // Bundled otherwise on this line: 15 was there with 20.
  expect(recent.lagUs(3, 15, 1, 1_350)).toBe(250);
  expect(recent.lagUs(3, 30, 1, 1_350)).toBe(150);
});

test("nothing is told of what the line itself had brought, what is not yet there, and other instruments", () => {
  const recent = new RecentEvents();
  recent.note(3, 10, 0, 1_000);
  expect(recent.lagUs(3, 10, 0, 2_000)).toBeNaN();
  expect(recent.lagUs(3, 11, 1, 2_000)).toBeNaN();
  expect(recent.lagUs(4, 10, 1, 2_000)).toBeNaN();
  recent.forget(3);
  expect(recent.lagUs(3, 10, 1, 2_000)).toBeNaN();
});

test("what is no longer remembered is at least as late as the oldest that is", () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 2_000 }), fc.integer({ min: 0, max: 1_999 }), (count, asked) => {
      const recent = new RecentEvents();
      for (let number = 0; number < count; number += 1) recent.note(0, number, 0, number);
      const lagUs = recent.lagUs(0, asked, 1, count);
      if (asked >= count) expect(lagUs).toBeNaN();
      else expect(lagUs).toBe(count - Math.max(asked, count - 256));
    }),
  );
});
