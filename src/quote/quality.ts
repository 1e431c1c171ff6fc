import type { MarketState } from "./market-state.ts";
import type { Stability } from "./stability.ts";
import type { Universe } from "./universe.ts";

const SECOND_US = 1_000_000;
/** A gap between two samples counts at most this long: nobody looked in between. */
const SAMPLE_US_MAX = SECOND_US;

/**
 * How steady and how good the standing quotes are, by event time. Counted where quotes change is in `StabilityCounters`; here is
 * what takes time to see: sampled every 100 ms over every side of the first level that stands.
 */
export class QuoteQuality {
  /** Side-seconds that stood, those at the venue's best price or better, and those whose venue showed a best price. */
  standingSeconds = 0;
  atBestSeconds = 0;
  comparedSeconds = 0;
  /** Integral over side-seconds of the distance to fair, in bp of the underlying. */
  distanceBpSeconds = 0;
  /** Most rows sent within one second of event time, and those of the second that runs. */
  peakPerSecond = 0;
  /** First and last time at which a row was sent, epoch µs; NaN before. */
  firstSentUs = Number.NaN;
  lastSentUs = Number.NaN;
  readonly #sampledUs: Float64Array;
  #second = Number.NEGATIVE_INFINITY;
  #inSecond = 0;

  constructor(underlyings: number) {
    this.#sampledUs = new Float64Array(underlyings).fill(Number.NEGATIVE_INFINITY);
  }

  onSent(rows: number, timeUs: number): void {
    if (rows === 0) return;
    if (Number.isNaN(this.firstSentUs)) this.firstSentUs = timeUs;
    this.lastSentUs = timeUs;
    const second = Math.floor(timeUs / SECOND_US);
    if (second !== this.#second) {
      this.#second = second;
      this.#inSecond = 0;
    }
    this.#inSecond += rows;
    if (this.#inSecond > this.peakPerSecond) this.peakPerSecond = this.#inSecond;
  }

  /** Looks at the standing quotes of an underlying. */
  sample(
    underlying: number,
    universe: Universe,
    markets: MarketState,
    stability: Stability,
    fair: Float64Array,
    forward: Float64Array,
    timeUs: number,
  ): void {
    const seconds = Math.min(Math.max(timeUs - this.#sampledUs[underlying], 0), SAMPLE_US_MAX) * 1e-6;
    this.#sampledUs[underlying] = timeUs;
    const members = universe.members(underlying);
    for (let i = 0; i < universe.count(underlying); i += 1) {
      const id = members[i];
      const tick = universe.tick[id];
      const bid = stability.ticks[2 * id];
      const ask = stability.ticks[2 * id + 1];
      const bp = universe.inCoin[id] === 1 ? 1e4 : 1e4 / forward[id];
      if (bid >= 0) {
        const best = markets.bestBidTicks[id];
        this.#side((fair[id] - bid * tick) * bp, best >= 0, bid >= best, seconds);
      }
      if (ask >= 0) {
        const best = markets.bestAskTicks[id];
        this.#side((ask * tick - fair[id]) * bp, best >= 0, ask <= best, seconds);
      }
    }
  }

  #side(distanceBp: number, compared: boolean, atBest: boolean, seconds: number): void {
    this.standingSeconds += seconds;
    if (!Number.isNaN(distanceBp)) this.distanceBpSeconds += distanceBp * seconds;
    if (!compared) return;
    this.comparedSeconds += seconds;
    if (atBest) this.atBestSeconds += seconds;
  }
}
