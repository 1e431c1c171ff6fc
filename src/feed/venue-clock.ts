/** Buckets of the sliding window, and how long each one is. */
const BUCKETS = 12;
const BUCKET_US = 5_000_000;
/** With fewer filled buckets a drift is not told. */
const DRIFT_BUCKETS = 6;
/** Two buckets in a row whose fastest messages lie further than this from all before them: a clock was stepped, or the way is another. */
const STEP_US = 250_000;

/**
 * How a venue's clock stands to this host's, from the times that its messages carry: local receipt minus exchange time, of which the
 * smallest in a window is the clocks' offset plus the shortest way that a message took. Delay only ever adds, so the minimum
 * is what the network and the venue's own batching disturb least (minimum filter, D. Mills, "Internet time synchronization",
 * 1991); a line through the minima of 5 s each, over a minute, gives the drift.
 *
 * A step of either clock by more than a quarter of a second is known after two full buckets, 5 to 15 s: what was measured before is then
 * forgotten. A smaller one that makes messages seem slower is in the minimum for a minute.
 *
 * One-way times cannot tell an offset from a delay: `delayUs` is their sum, negative where this host's clock is behind the venue's.
 * Deterministic: times are parameters.
 */
export class VenueClock {
  readonly #minima = new Float64Array(BUCKETS).fill(Number.NaN);
  readonly #sums = new Float64Array(BUCKETS);
  readonly #counts = new Float64Array(BUCKETS);
  /** Number of the newest bucket since the epoch. */
  #newest = Number.NEGATIVE_INFINITY;
  #recentUs = Number.POSITIVE_INFINITY;
  #recentCount = 0;

  /** @param exchangeUs NaN when the message has no time @param localUs when it was received */
  observe(exchangeUs: number, localUs: number): void {
    if (!(exchangeUs > 0)) return;
    const bucket = Math.floor(localUs / BUCKET_US);
    // A clock that is slewed may step back by a little.
    if (bucket !== this.#newest && bucket !== this.#newest - 1) {
      this.#turnTo(bucket);
      this.#findStep();
    }
    const at = slot(bucket);
    const delayUs = localUs - exchangeUs;
    if (!(delayUs >= this.#minima[at])) this.#minima[at] = delayUs;
    this.#sums[at] += delayUs;
    this.#counts[at] += 1;
    if (delayUs < this.#recentUs) this.#recentUs = delayUs;
    this.#recentCount += 1;
  }

  /**
   * Local minus exchange time of the message that was fastest since the last call, µs.
   *
   * @returns NaN when there were fewer than `countMin`: one late message is no late feed
   */
  takeRecentUs(countMin: number): number {
    const delayUs = this.#recentCount < countMin ? Number.NaN : this.#recentUs;
    this.#recentUs = Number.POSITIVE_INFINITY;
    this.#recentCount = 0;
    return delayUs;
  }

  /** Local minus exchange time of the message that was fastest within the window, µs; NaN before the first. */
  get delayUs(): number {
    let least = Number.NaN;
    for (const minimum of this.#minima) if (!(least <= minimum) && !Number.isNaN(minimum)) least = minimum;
    return least;
  }

  /** How much later than the fastest a message is on average, µs: the network's jitter and the venue's batching. */
  get jitterUs(): number {
    let sum = 0;
    let count = 0;
    for (let at = 0; at < BUCKETS; at += 1) {
      sum += this.#sums[at];
      count += this.#counts[at];
    }
    return count === 0 ? Number.NaN : sum / count - this.delayUs;
  }

  /** How fast this host's clock runs ahead of the venue's, parts per million; NaN until half of the window is filled. */
  get driftPpm(): number {
    let n = 0;
    let sumX = 0;
    let sumY = 0;
    let sumXX = 0;
    let sumXY = 0;
    // The newest bucket is not full: its fastest message may still come.
    for (let age = 1; age < BUCKETS; age += 1) {
      const minimum = this.#minimumAt(age);
      if (Number.isNaN(minimum)) continue;
      const x = -age * (BUCKET_US / 1e6);
      n += 1;
      sumX += x;
      sumY += minimum;
      sumXX += x * x;
      sumXY += x * minimum;
    }
    if (n < DRIFT_BUCKETS) return Number.NaN;
    return (n * sumXY - sumX * sumY) / (n * sumXX - sumX * sumX);
  }

  /** Local time of something that happened at the venue at `exchangeUs` and reached us the fastest way, µs. */
  toLocalUs(exchangeUs: number): number {
    return exchangeUs + this.delayUs;
  }

  /** Empties the buckets between; a clock that was stepped, either way, begins anew. */
  #turnTo(bucket: number): void {
    const passed = bucket - this.#newest;
    const stale = passed > 0 && passed < BUCKETS ? passed : BUCKETS;
    for (let age = 0; age < stale; age += 1) {
      this.#empty(bucket - age);
    }
    this.#newest = bucket;
  }

  /** Forgets what was measured before a step. To be called when a bucket begins. */
  #findStep(): void {
    const [last, before] = [this.#minimumAt(1), this.#minimumAt(2)];
    if (Number.isNaN(last) || Number.isNaN(before)) return;
    const [least, most] = [Math.min(last, before), Math.max(last, before)];
    let isStep = false;
    for (let age = 3; age < BUCKETS; age += 1) {
      const minimum = this.#minimumAt(age);
      if (Number.isNaN(minimum)) continue;
      if (minimum + STEP_US > least && minimum - STEP_US < most) return;
      isStep = true;
    }
    if (!isStep) return;
    for (let age = 3; age < BUCKETS; age += 1) this.#empty(this.#newest - age);
  }

  #minimumAt(age: number): number {
    return this.#minima[slot(this.#newest - age)];
  }

  #empty(bucket: number): void {
    const at = slot(bucket);
    this.#minima[at] = Number.NaN;
    this.#sums[at] = 0;
    this.#counts[at] = 0;
  }
}

function slot(bucket: number): number {
  return ((bucket % BUCKETS) + BUCKETS) % BUCKETS;
}
