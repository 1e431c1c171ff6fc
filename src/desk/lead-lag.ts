/** Mid changes kept for each instrument. */
const CHANGES = 512;
/** Lags that are tried, either way. */
const LAG_STEP_US = 5_000;
const LAG_STEPS = 40;
/** Half the width of the triangle that weighs two returns by how far apart in time they are. */
const KERNEL_US = 10_000;
/** With fewer changes of either nothing is told. */
const CHANGES_MIN = 64;

/** Who moves first. */
export interface LeadLagEstimate {
  /** By how much the first instrument's moves come before the second's, µs; negative when they follow. */
  readonly leadUs: number;
  /** How much of their returns comes together at that lag, −1 … 1; below 0.1 the lag means little. */
  readonly correlation: number;
}

/** One instrument's last mid changes. */
class MidChanges {
  count = 0;
  readonly timeUs = new Float64Array(CHANGES);
  readonly logMid = new Float64Array(CHANGES);
  #mid = Number.NaN;

  add(timeUs: number, mid: number): void {
    if (mid === this.#mid) return;
    this.#mid = mid;
    const at = this.count % CHANGES;
    this.timeUs[at] = timeUs;
    this.logMid[at] = Math.log(mid);
    this.count += 1;
  }

  /** Returns in their order: times and sizes. */
  returns(): { readonly times: Float64Array; readonly sizes: Float64Array } {
    const kept = Math.min(this.count, CHANGES);
    const times = new Float64Array(kept);
    const sizes = new Float64Array(kept);
    for (let i = 0; i < kept; i += 1) {
      const at = (this.count - kept + i) % CHANGES;
      times[i] = this.timeUs[at];
      sizes[i] = i === 0 ? 0 : this.logMid[at] - this.logMid[(this.count - kept + i - 1) % CHANGES];
    }
    return { times, sizes };
  }
}

/**
 * Which of several books of one underlying moves first, as this host sees it: the lag at which the correlation of their returns is
 * largest, over the last 512 changes of each mid. Returns are taken at the times at which they come, without a grid, and weighed by
 * a kernel (K. Rehfeld, N. Marwan, J. Heitzig and J. Kurths, "Comparison of correlation analysis techniques for irregularly sampled
 * time series", 2011).
 *
 * Times are local, so a venue's way to this host is part of its lag: that is what a desk can act on. Noting a mid is constant work; an
 * estimate takes about a tenth of a millisecond and is made when it is asked for.
 */
export class LeadLag {
  readonly #changes: (MidChanges | undefined)[] = [];

  /** Notes an instrument's mid, in any unit of its own. Not positive = none. */
  onMid(instrument: number, timeUs: number, mid: number): void {
    if (!(mid > 0)) return;
    let changes = this.#changes[instrument];
    if (changes === undefined) {
      changes = new MidChanges();
      this.#changes[instrument] = changes;
    }
    changes.add(timeUs, mid);
  }

  /** Null while there are too few changes of either. */
  estimate(first: number, second: number): LeadLagEstimate | null {
    const a = this.#changes[first];
    const b = this.#changes[second];
    if (a === undefined || b === undefined || Math.min(a.count, b.count) < CHANGES_MIN) return null;
    const ours = a.returns();
    const theirs = b.returns();
    const scale = Math.sqrt(sumOfSquares(ours.sizes) * sumOfSquares(theirs.sizes));
    if (!(scale > 0)) return null;
    let best: LeadLagEstimate = { leadUs: 0, correlation: 0 };
    for (let step = -LAG_STEPS; step <= LAG_STEPS; step += 1) {
      const leadUs = step * LAG_STEP_US;
      const correlation = covariance(ours.times, ours.sizes, theirs.times, theirs.sizes, leadUs) / scale;
      const isBetter = Math.abs(correlation) > Math.abs(best.correlation);
      if (isBetter) best = { leadUs, correlation };
    }
    return best;
  }
}

/** Sum of products of returns that come within the kernel's width of each other when the first ones are moved later by `leadUs`. */
function covariance(
  aTimes: Float64Array,
  aSizes: Float64Array,
  bTimes: Float64Array,
  bSizes: Float64Array,
  leadUs: number,
): number {
  let sum = 0;
  let from = 0;
  for (let i = 0; i < aTimes.length; i += 1) {
    const atUs = aTimes[i] + leadUs;
    while (from < bTimes.length && bTimes[from] <= atUs - KERNEL_US) from += 1;
    for (let j = from; j < bTimes.length && bTimes[j] < atUs + KERNEL_US; j += 1) {
      sum += aSizes[i] * bSizes[j] * (1 - Math.abs(bTimes[j] - atUs) / KERNEL_US);
    }
  }
  return sum;
}

function sumOfSquares(values: Float64Array): number {
  let sum = 0;
  for (const value of values) sum += value * value;
  return sum;
}
