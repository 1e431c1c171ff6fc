/**
 * Splits of rows in time that no label and no feature looks across.
 *
 * A row at t says what happens within (t, t + horizon]; so rows of a training part whose horizon reaches into the part that is tested
 * are left out (purged), and rows after it are used only when the features' windows no longer hold its events (embargo). After
 * M. López de Prado, "Advances in Financial Machine Learning", 2018, chapter 7.
 *
 * @module
 */
import { invariant } from "../../core/invariant.ts";

/** Both ends belong to it. */
export interface TimeRange {
  readonly fromUs: number;
  readonly toUs: number;
}

export interface Fold {
  readonly train: readonly TimeRange[];
  readonly test: TimeRange;
}

export interface SplitRule {
  /** How far after a row its label looks, µs. */
  readonly horizonUs: number;
  /** How long after what is tested nothing is trained on, and after what is trained on nothing is tested, µs. */
  readonly embargoUs: number;
}

/** Consecutive parts of the time between `cuts` (ascending): after each cut the embargo, before it the horizon is left out. */
export function consecutive(
  range: TimeRange,
  cuts: readonly number[],
  { horizonUs, embargoUs }: SplitRule,
): TimeRange[] {
  const edges = [...cuts];
  invariant(
    edges.every((cut, at) => cut >= (edges[at - 1] ?? range.fromUs) && cut <= range.toUs),
    "cuts ascend within the range",
  );
  return [...edges, Number.NaN].map((cut, at) => {
    const before = edges[at - 1];
    return {
      fromUs: before === undefined ? range.fromUs : before + embargoUs,
      toUs: Number.isNaN(cut) ? range.toUs : cut - horizonUs - 1,
    };
  });
}

/** Each part is tested once, on a model of all others: `parts` ranges in the order of time, not overlapping. */
export function purgedFolds(parts: readonly TimeRange[], rule: SplitRule): Fold[] {
  return parts.map((test) => ({
    test,
    train: parts.flatMap((part) => (part === test ? [] : outside(part, test, rule))),
  }));
}

/** Each part but the first is tested on a model of the parts before it: all of them, or the last `window`. */
export function walkForward(
  parts: readonly TimeRange[],
  rule: SplitRule,
  window = Number.POSITIVE_INFINITY,
): Fold[] {
  return parts.slice(1).map((test, at) => ({
    test,
    train: parts.slice(Math.max(0, at + 1 - window), at + 1).flatMap((part) => outside(part, test, rule)),
  }));
}

/** What of a part may be trained on when `test` is tested. */
function outside(part: TimeRange, test: TimeRange, { horizonUs, embargoUs }: SplitRule): TimeRange[] {
  const before = {
    fromUs: part.fromUs,
    toUs: Math.min(part.toUs, test.fromUs - Math.max(horizonUs, embargoUs) - 1),
  };
  const after = { fromUs: Math.max(part.fromUs, test.toUs + horizonUs + embargoUs + 1), toUs: part.toUs };
  return [before, after].filter(({ fromUs, toUs }) => fromUs <= toUs);
}

/** Rows by second of time: where to cut, in bounded memory for years of rows. */
export class RowTimes {
  readonly #rows = new Map<number, number>();
  total = 0;
  fromUs = Number.POSITIVE_INFINITY;
  toUs = Number.NEGATIVE_INFINITY;

  add(timeUs: number, rows = 1): void {
    const second = Math.floor(timeUs / 1e6);
    this.#rows.set(second, (this.#rows.get(second) ?? 0) + rows);
    this.total += rows;
    this.fromUs = Math.min(this.fromUs, timeUs);
    this.toUs = Math.max(this.toUs, timeUs);
  }

  /** Begin of the second before which a share of the rows lies, for each share (ascending, within 0 … 1). */
  cuts(shares: readonly number[]): number[] {
    const seconds = [...this.#rows].sort(([a], [b]) => a - b);
    let at = 0;
    let before = 0;
    return shares.map((share) => {
      while (at < seconds.length && before + (seconds[at]?.[1] ?? 0) <= share * this.total) {
        before += seconds[at]?.[1] ?? 0;
        at += 1;
      }
      const second = seconds[Math.min(at, seconds.length - 1)]?.[0] ?? 0;
      return Math.min(Math.max(second * 1e6, this.fromUs), this.toUs);
    });
  }

  /** By second: for keeping them with a part that was built already. */
  entries(): readonly (readonly [second: number, rows: number])[] {
    return [...this.#rows];
  }
}
