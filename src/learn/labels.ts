/**
 * What then happened: labels of feature rows, computed as a stream. Training export and live capture use this same code, so a
 * model is judged by what it was trained for.
 *
 * Of a row at local time t with mid m (overlay of the top stream included) and document depths d:
 * - `down50`, `down100`: the lowest mid of the rows in (t, t + 50 ms] resp. 100 ms is ≤ m·(1 − θ). The move counts when it
 *   happens at any time within the horizon: a quote can be hit at any time. `up…` likewise with the highest.
 * - `bidWithdraw50`: the ten best bid levels of the document hold, at the end of the horizon, ≤ (1 − fraction)·d. The end and
 *   not the lowest value, so that a level that is cancelled and put back within the horizon does not count. `ask…` likewise.
 * - `volatilitySpike`: the range of the mid over [t, t + 100 ms] is ≥ k times its own mean as known at t (time-weighted
 *   exponential mean over 10 s of the ranges of rows whose horizon had ended), and ≥ a floor in bp.
 *
 * "In (t, t + H]" means rows that came after this one, up to and including t + H.
 *
 * @module
 */
import { invariant } from "../core/invariant.ts";
import { HEADS } from "../inference/card.ts";

export interface LabelOptions {
  /** The move that counts, bp of the mid. */
  readonly thetaBp: number;
  /** Part of the depth whose loss counts. */
  readonly depthFraction: number;
  /** Range over its own mean that counts as a spike. */
  readonly spikeMultiple: number;
  /** Smallest range that can be a spike, bp. */
  readonly spikeFloorBp: number;
  /** Rows that may be waiting for their horizon to end; a power of two. Beyond it the oldest is given up and counted. */
  readonly capacity: number;
}

export const LABEL_OPTIONS: LabelOptions = {
  thetaBp: 0.5,
  depthFraction: 0.2,
  spikeMultiple: 5,
  spikeFloorBp: 1,
  capacity: 65_536,
};

export const SHORT_HORIZON_MS = 50;
export const LONG_HORIZON_MS = 100;
const SPIKE_MEAN_MS = 10_000;
export const LABEL_COUNT = HEADS.length;

/**
 * Takes a row's labels: `labels[k]` is 0 or 1 in the order of {@link HEADS}; `movesBp` the largest fall within 50 and 100 ms
 * and the largest rise within 50 and 100 ms, ≥ 0. Both arrays are reused.
 */
export type LabelSink = (row: number, labels: Uint8Array, movesBp: Float64Array) => void;

/** Labels of one instrument's rows. O(1) amortised per row; memory fixed by `capacity`. */
export class Labeller {
  /** Rows that never got a label: given up for want of room, or dropped by {@link Labeller.reset}. */
  unlabelled = 0;

  readonly #options: LabelOptions;
  readonly #sink: LabelSink;
  readonly #mask: number;
  readonly #timeUs: Float64Array;
  readonly #midTicks: Float64Array;
  readonly #depth: readonly [Float64Array, Float64Array];
  readonly #spikeAt: Float64Array;
  /** Labels and moves that the short horizon has settled, kept until the long one ends. */
  readonly #settled: Uint8Array;
  readonly #settledMoves: Float64Array;
  readonly #short: Extremes;
  readonly #long: Extremes;
  readonly #labels = new Uint8Array(LABEL_COUNT);
  readonly #movesBp = new Float64Array(4);
  #rows = 0;
  #nextShort = 0;
  #nextLong = 0;
  #meanRangeBp = Number.NaN;
  #meanTimeUs = Number.NaN;

  constructor(sink: LabelSink, options: LabelOptions = LABEL_OPTIONS) {
    const capacity = options.capacity;
    invariant(capacity >= 2 && (capacity & (capacity - 1)) === 0, "label capacity is a power of two");
    this.#options = options;
    this.#sink = sink;
    this.#mask = capacity - 1;
    this.#timeUs = new Float64Array(capacity);
    this.#midTicks = new Float64Array(capacity);
    this.#depth = [new Float64Array(capacity), new Float64Array(capacity)];
    this.#spikeAt = new Float64Array(capacity);
    this.#settled = new Uint8Array(capacity * 4);
    this.#settledMoves = new Float64Array(capacity * 2);
    this.#short = new Extremes(this.#midTicks);
    this.#long = new Extremes(this.#midTicks);
  }

  /** Rows pushed so far, and the number that the next row gets. */
  get rows(): number {
    return this.#rows;
  }

  /** Rows that still wait for their horizon to end. */
  get waiting(): number {
    return this.#rows - this.#nextLong;
  }

  /** Adds a row and settles those whose horizon it ends. Time that steps back stands still. @returns the row's number. */
  push(timeUs: number, midTicks: number, bidDepth: number, askDepth: number): number {
    const row = this.#rows;
    const last = row > this.#nextLong ? this.#timeUs[(row - 1) & this.#mask] : -Infinity;
    const now = Math.max(timeUs, last);
    this.settle(now);
    if (row - this.#nextLong > this.#mask) this.#giveUpOldest();

    const at = row & this.#mask;
    this.#timeUs[at] = now;
    this.#midTicks[at] = midTicks;
    this.#depth[0][at] = bidDepth;
    this.#depth[1][at] = askDepth;
    this.#spikeAt[at] = Math.max(this.#options.spikeFloorBp, this.#options.spikeMultiple * this.#meanRangeBp);
    this.#short.add(row);
    this.#long.add(row);
    this.#rows = row + 1;
    return row;
  }

  /** Settles every row whose horizon has ended before `timeUs`; for the end of a stream. */
  settle(timeUs: number): void {
    while (
      this.#nextShort < this.#rows &&
      this.#timeUs[this.#nextShort & this.#mask] + SHORT_HORIZON_MS * 1_000 < timeUs
    ) {
      this.#settleShort(this.#nextShort);
      this.#nextShort += 1;
    }
    while (
      this.#nextLong < this.#rows &&
      this.#timeUs[this.#nextLong & this.#mask] + LONG_HORIZON_MS * 1_000 < timeUs
    ) {
      this.#settleLong(this.#nextLong);
      this.#nextLong += 1;
    }
  }

  /** The stream broke (the book was unsound): rows still waiting stay without a label. */
  reset(): void {
    this.unlabelled += this.#rows - this.#nextLong;
    this.#nextShort = this.#rows;
    this.#nextLong = this.#rows;
    this.#short.clear();
    this.#long.clear();
  }

  #settleShort(row: number): void {
    const at = row & this.#mask;
    const mid = this.#midTicks[at];
    this.#short.dropThrough(row);
    const fallBp = ((mid - this.#short.lowest(mid)) / mid) * 10_000;
    const riseBp = ((this.#short.highest(mid) - mid) / mid) * 10_000;
    const last = (this.#rows - 1) & this.#mask;
    const kept = 1 - this.#options.depthFraction;
    const settled = at * 4;
    this.#settled[settled] = fallBp >= this.#options.thetaBp ? 1 : 0;
    this.#settled[settled + 1] = riseBp >= this.#options.thetaBp ? 1 : 0;
    for (let side = 0; side < 2; side += 1) {
      const depth = this.#depth[side];
      this.#settled[settled + 2 + side] = depth[at] > 0 && depth[last] <= kept * depth[at] ? 1 : 0;
    }
    this.#settledMoves[at * 2] = fallBp;
    this.#settledMoves[at * 2 + 1] = riseBp;
  }

  #settleLong(row: number): void {
    const at = row & this.#mask;
    const mid = this.#midTicks[at];
    this.#long.dropThrough(row);
    const fallBp = ((mid - this.#long.lowest(mid)) / mid) * 10_000;
    const riseBp = ((this.#long.highest(mid) - mid) / mid) * 10_000;
    const rangeBp = fallBp + riseBp;
    const threshold = this.#spikeAt[at];
    const settled = at * 4;
    const labels = this.#labels;
    labels[0] = this.#settled[settled];
    labels[1] = fallBp >= this.#options.thetaBp ? 1 : 0;
    labels[2] = this.#settled[settled + 1];
    labels[3] = riseBp >= this.#options.thetaBp ? 1 : 0;
    labels[4] = this.#settled[settled + 2];
    labels[5] = this.#settled[settled + 3];
    labels[6] = rangeBp >= threshold ? 1 : 0;
    this.#movesBp[0] = this.#settledMoves[at * 2];
    this.#movesBp[1] = fallBp;
    this.#movesBp[2] = this.#settledMoves[at * 2 + 1];
    this.#movesBp[3] = riseBp;
    this.#learnRange(this.#timeUs[at], rangeBp);
    this.#sink(row, labels, this.#movesBp);
  }

  /** The range stood from its row's time until the next row's, as far as the mean is concerned. */
  #learnRange(timeUs: number, rangeBp: number): void {
    if (Number.isNaN(this.#meanRangeBp)) {
      this.#meanRangeBp = rangeBp;
    } else {
      const decay = Math.exp(-(timeUs - this.#meanTimeUs) / (SPIKE_MEAN_MS * 1_000));
      this.#meanRangeBp = rangeBp + (this.#meanRangeBp - rangeBp) * decay;
    }
    this.#meanTimeUs = timeUs;
  }

  #giveUpOldest(): void {
    this.unlabelled += 1;
    if (this.#nextShort === this.#nextLong) {
      this.#short.dropThrough(this.#nextShort);
      this.#nextShort += 1;
    }
    this.#long.dropThrough(this.#nextLong);
    this.#nextLong += 1;
  }
}

/** Lowest and highest value of a sliding range of rows: two monotonic deques over a ring of values. */
class Extremes {
  readonly #values: Float64Array;
  readonly #mask: number;
  readonly #low: Float64Array;
  readonly #high: Float64Array;
  #lowStart = 0;
  #lowEnd = 0;
  #highStart = 0;
  #highEnd = 0;

  constructor(values: Float64Array) {
    this.#values = values;
    this.#mask = values.length - 1;
    this.#low = new Float64Array(values.length);
    this.#high = new Float64Array(values.length);
  }

  /** Adds a row at the newer end; its value is in the ring already. */
  add(row: number): void {
    const mask = this.#mask;
    const value = this.#values[row & mask];
    while (
      this.#lowEnd > this.#lowStart &&
      this.#values[this.#low[(this.#lowEnd - 1) & mask] & mask] >= value
    ) {
      this.#lowEnd -= 1;
    }
    this.#low[this.#lowEnd & mask] = row;
    this.#lowEnd += 1;
    while (
      this.#highEnd > this.#highStart &&
      this.#values[this.#high[(this.#highEnd - 1) & mask] & mask] <= value
    ) {
      this.#highEnd -= 1;
    }
    this.#high[this.#highEnd & mask] = row;
    this.#highEnd += 1;
  }

  /** Drops rows up to and including `row` from the older end. */
  dropThrough(row: number): void {
    const mask = this.#mask;
    while (this.#lowStart < this.#lowEnd && this.#low[this.#lowStart & mask] <= row) this.#lowStart += 1;
    while (this.#highStart < this.#highEnd && this.#high[this.#highStart & mask] <= row) this.#highStart += 1;
  }

  /** The lowest value, or `none` if that is lower or the range is empty. */
  lowest(none: number): number {
    if (this.#lowStart === this.#lowEnd) return none;
    return Math.min(none, this.#values[this.#low[this.#lowStart & this.#mask] & this.#mask]);
  }

  highest(none: number): number {
    if (this.#highStart === this.#highEnd) return none;
    return Math.max(none, this.#values[this.#high[this.#highStart & this.#mask] & this.#mask]);
  }

  clear(): void {
    this.#lowStart = this.#lowEnd;
    this.#highStart = this.#highEnd;
  }
}
