import { expect, test } from "bun:test";
import { LeaseFence } from "../../../src/failover/fence.ts";
import { Term } from "../../../src/gateway/deribit/term.ts";

function led(token: number): Term {
  const fence = new LeaseFence(() => 0);
  fence.open(token, 1, 1);
  return new Term(fence, 1_764_000_000_000_000);
}

test("whatever is not this term's own is another's, with a lower token, a higher one or of another process", () => {
  const term = led(41);
  expect(term.isStale(term.mark(1))).toBe(false);
  for (const id of [
    "57-x-1",
    "40-x-1",
    "41-x-1",
    `410${term.prefix.slice(2)}1`,
    term.mark(1).replace("41-", "57-"),
  ]) {
    expect({ id, stale: term.isStale(id) }).toEqual({ id, stale: true });
  }
});

test("what carries no term at all is nobody's of the pair", () => {
  for (const id of ["", "4711", "41-", "41-x", "-x-1", null, 41]) expect(led(41).isStale(id)).toBe(false);
});

test("an own id of an earlier term of the same process is another term's", () => {
  const fence = new LeaseFence(() => 0);
  fence.open(41, 1, 1);
  const term = new Term(fence, 1_764_000_000_000_000);
  const earlier = term.mark(1);
  fence.open(43, 1, 1);
  term.begin();
  expect(term.isStale(earlier)).toBe(true);
});

test("a process that is alone knows no terms", () => {
  expect(new Term(null, 1_764_000_000_000_000).isStale("57-x-1")).toBe(false);
});
