import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { Rng } from "../../src/core/rng.ts";
import { HEADS } from "../../src/inference/card.ts";
import { LABEL_OPTIONS, Labeller, type LabelOptions } from "../../src/learn/labels.ts";

const MS = 1_000;
/** A mid of which half a basis point is 5 ticks. */
const MID = 100_000;

interface Row {
  readonly timeUs: number;
  readonly mid: number;
  readonly bid: number;
  readonly ask: number;
}

const row = (ms: number, mid = MID, bid = 100, ask = 100): Row => ({ timeUs: ms * MS, mid, bid, ask });

/** Labels by row number; a row without one is absent. */
function label(
  rows: readonly Row[],
  endMs: number,
  options: Partial<LabelOptions> = {},
): Map<number, string[]> {
  const found = new Map<number, string[]>();
  const labeller = new Labeller(
    (at, labels) =>
      found.set(
        at,
        HEADS.filter((_, head) => labels[head] === 1),
      ),
    { ...LABEL_OPTIONS, capacity: 64, ...options },
  );
  for (const { timeUs, mid, bid, ask } of rows) labeller.push(timeUs, mid, bid, ask);
  labeller.settle(endMs * MS);
  return found;
}

describe("labels", () => {
  test("a fall of θ within 50 ms is down50 and down100", () => {
    expect(label([row(0), row(49, MID - 5)], 200).get(0)).toEqual(["down50", "down100"]);
  });

  test("a fall just short of θ is none", () => {
    expect(label([row(0), row(49, MID - 4.9)], 200).get(0)).toEqual([]);
  });

  test("the horizon's end belongs to it, what comes after does not", () => {
    expect(label([row(0), row(50, MID + 5)], 200).get(0)).toEqual(["up50", "up100"]);
    expect(label([row(0), row(50.001, MID + 5)], 200).get(0)).toEqual(["up100"]);
    expect(label([row(0), row(100.001, MID + 5)], 300).get(0)).toEqual([]);
  });

  test("a move that is taken back within the horizon counts", () => {
    expect(label([row(0), row(10, MID - 6), row(20)], 200).get(0)).toEqual(["down50", "down100"]);
  });

  test("what stood before the row does not count", () => {
    expect(label([row(0, MID - 8), row(1), row(2)], 200).get(1)).toEqual([]);
  });

  test("a fifth of the depth gone at the horizon's end is a withdrawal", () => {
    expect(label([row(0), row(10, MID, 80), row(49, MID, 80, 79)], 200).get(0)).toEqual([
      "bidWithdraw50",
      "askWithdraw50",
    ]);
    expect(label([row(0), row(10, MID, 80.1)], 200).get(0)).toEqual([]);
  });

  test("depth that is back at the horizon's end was not withdrawn", () => {
    expect(label([row(0), row(10, MID, 10), row(40, MID, 100)], 200).get(0)).toEqual([]);
    expect(label([row(0), row(10, MID, 10), row(51, MID, 100)], 200).get(0)).toEqual(["bidWithdraw50"]);
  });

  test("a range of five times its mean and a basis point is a spike", () => {
    // Two ticks (0.2 bp) of range are the rule; 11 from the last mid are more than 5 times that.
    const calm = Array.from({ length: 60 }, (_, at) => row(at * 100, MID + (at & 1) * 2));
    const last = calm.length - 1;
    const after = [row(last * 100 + 90, MID + 13), row(last * 100 + 300, MID)];
    expect(label([...calm, ...after], 9_000).get(last)).toContain("volatilitySpike");
    const smaller = [row(last * 100 + 90, MID + 11), row(last * 100 + 300, MID)];
    expect(label([...calm, ...smaller], 9_000).get(last)).not.toContain("volatilitySpike");
  });

  test("nothing is a spike while no range is known", () => {
    expect(label([row(0), row(10, MID + 500)], 200).get(0)).toEqual(["up50", "up100"]);
  });

  test("a row gets its label once its horizon has passed, in order", () => {
    const found = label([row(0), row(60), row(120)], 160);
    expect([...found.keys()]).toEqual([0]);
  });

  test("rows waiting at a break of the stream stay without a label", () => {
    const found: number[] = [];
    const labeller = new Labeller((at) => found.push(at), { ...LABEL_OPTIONS, capacity: 64 });
    labeller.push(0, MID, 1, 1);
    labeller.push(150 * MS, MID, 1, 1);
    labeller.reset();
    labeller.push(160 * MS, MID - 50, 1, 1);
    labeller.settle(1_000 * MS);
    expect(found).toEqual([0, 2]);
    expect(labeller.unlabelled).toBe(1);
  });

  test("more rows than fit in a horizon give up the oldest and say so", () => {
    const found: number[] = [];
    const labeller = new Labeller((at) => found.push(at), { ...LABEL_OPTIONS, capacity: 4 });
    for (let at = 0; at < 10; at += 1) labeller.push(at, MID, 1, 1);
    labeller.settle(1_000 * MS);
    expect(found).toEqual([6, 7, 8, 9]);
    expect(labeller.unlabelled).toBe(6);
  });

  test("a clock that steps back stands still", () => {
    expect(label([row(100), row(40, MID - 5), row(149, MID)], 400).get(0)).toEqual(["down50", "down100"]);
  });

  test("agree with a search over all later rows", () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 1 << 30 }), (seed) => {
        const rng = new Rng(seed);
        let timeUs = 1e15;
        let mid = MID;
        const rows: Row[] = [];
        for (let at = 0; at < 200; at += 1) {
          timeUs += rng.next() < 0.3 ? 0 : rng.exponential(12 * MS);
          mid += rng.int(7) - 3;
          rows.push({ timeUs, mid, bid: 50 + rng.int(50), ask: 50 + rng.int(50) });
        }
        const found = label(rows, timeUs / MS + 1_000, { capacity: 1_024 });
        expect(found.size).toBe(rows.length);
        rows.forEach((now, at) => {
          const within = (ms: number): Row[] =>
            rows.slice(at + 1).filter((then) => then.timeUs <= now.timeUs + ms * MS);
          const bp = (then: Row): number => ((then.mid - now.mid) / now.mid) * 10_000;
          const end = within(50).at(-1) ?? now;
          const expected = [
            within(50).some((then) => bp(then) <= -0.5),
            within(100).some((then) => bp(then) <= -0.5),
            within(50).some((then) => bp(then) >= 0.5),
            within(100).some((then) => bp(then) >= 0.5),
            end.bid <= 0.8 * now.bid,
            end.ask <= 0.8 * now.ask,
          ];
          const names = found.get(at)?.filter((name) => name !== "volatilitySpike");
          expect(names).toEqual(HEADS.filter((_, head) => expected[head] === true));
        });
      }),
      { numRuns: 25, seed: 1 },
    );
  });
});
