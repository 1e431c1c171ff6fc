import { expect, test } from "bun:test";
import fc from "fast-check";
import { EVERY_NAME, Outbox } from "../../src/distribution/outbox.ts";

function message(value: string) {
  return { topic: "t", key: "k", value };
}

const values = (outbox: Outbox) => outbox.take(1_000).map(({ value }) => value);

test("messages leave in the order they came", () => {
  const outbox = new Outbox(10, 10);
  for (const value of ["a", "b", "c"]) outbox.add(message(value), null);
  expect(outbox.take(2).map(({ value }) => value)).toEqual(["a", "b"]);
  expect(values(outbox)).toEqual(["c"]);
  expect(outbox.size).toBe(0);
});

test("a full outbox loses the oldest and counts it", () => {
  const outbox = new Outbox(3, 3);
  for (const value of ["a", "b", "c", "d", "e"]) outbox.add(message(value), null);
  expect(outbox.dropped).toBe(2);
  expect(values(outbox)).toEqual(["c", "d", "e"]);
});

test("with a backlog the latest of a name takes the earlier one's place; without one each leaves", () => {
  const outbox = new Outbox(10, 2);
  outbox.add(message("top 1"), "top");
  outbox.add(message("top 2"), "top");
  outbox.add(message("trade"), null);
  outbox.add(message("top 3"), "top");
  expect(outbox.conflated).toBe(1);
  expect(values(outbox)).toEqual(["top 1", "top 3", "trade"]);
  outbox.add(message("top 4"), "top");
  expect(values(outbox)).toEqual(["top 4"]);
});

test("nothing of a name comes before a message that undoes what was said before it", () => {
  const outbox = new Outbox(10, 1);
  for (const name of ["quote A", "quote B", "top A"]) outbox.add(message(`${name} 1`), name);
  outbox.fence("quote A");
  outbox.add(message("status of A"), null);
  for (const name of ["quote A", "quote B"]) outbox.add(message(`${name} 2`), name);
  expect(values(outbox)).toEqual(["quote A 1", "quote B 2", "top A 1", "status of A", "quote A 2"]);
  outbox.add(message("quote A 3"), "quote A");
  outbox.fence(EVERY_NAME);
  outbox.add(message("cancelAll"), null);
  outbox.add(message("quote A 4"), "quote A");
  outbox.add(message("quote A 5"), "quote A");
  expect(values(outbox)).toEqual(["quote A 3", "cancelAll", "quote A 5"]);
});

test("whatever comes and goes, nothing is lost uncounted and the last of every name is delivered", () => {
  const step = fc.oneof(
    fc.record({ add: fc.constantFrom("a", "b", "c", null) }),
    fc.record({ take: fc.integer({ min: 0, max: 5 }) }),
  );
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 8 }), fc.array(step, { maxLength: 200 }), (capacity, steps) => {
      const outbox = new Outbox(capacity, Math.min(2, capacity));
      const last = new Map<string, string>();
      const got: string[] = [];
      let added = 0;
      for (const [i, one] of steps.entries()) {
        if ("take" in one) got.push(...outbox.take(one.take).map(({ value }) => value));
        else {
          outbox.add(message(`${one.add}:${i}`), one.add);
          if (one.add !== null) last.set(one.add, `${one.add}:${i}`);
          added += 1;
        }
        expect(outbox.size).toBeLessThanOrEqual(capacity);
      }
      got.push(...values(outbox));
      expect(got.length + outbox.dropped + outbox.conflated).toBe(added);
      if (outbox.dropped === 0) for (const value of last.values()) expect(got).toContain(value);
    }),
    { seed: 1, numRuns: 300 },
  );
});
