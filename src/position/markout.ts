/** After a fill, the mark is looked at again at these times, ms. */
export const MARKOUT_HORIZONS_MS = [100, 1_000, 10_000] as const;
const HORIZONS = MARKOUT_HORIZONS_MS.length;
/** Fills that wait for their markouts; beyond it the oldest are given up, and counted. */
const PENDING = 4_096;

/** A fill whose horizon has come. */
export interface DueMarkout {
  readonly instrument: number;
  readonly horizon: number;
  /** + = bought. */
  readonly signedLots: number;
  readonly price: number;
  /** Mark at the time of the fill. */
  readonly mark: number;
  /** As it was given with the fill. */
  readonly key: number;
}

/** Fills that wait until their markouts are due, in a ring; each horizon has its own place in it. */
export class Markouts {
  readonly #instrument = new Int32Array(PENDING);
  readonly #lots = new Float64Array(PENDING);
  readonly #price = new Float64Array(PENDING);
  readonly #mark = new Float64Array(PENDING);
  readonly #key = new Int32Array(PENDING);
  readonly #timeUs = new Float64Array(PENDING);
  readonly #next = new Float64Array(HORIZONS);
  #end = 0;
  /** Markouts given up because too many fills waited. */
  dropped = 0;

  onFill(
    instrument: number,
    signedLots: number,
    price: number,
    mark: number,
    key: number,
    timeUs: number,
  ): void {
    const slot = this.#end % PENDING;
    this.#end += 1;
    for (let horizon = 0; horizon < HORIZONS; horizon += 1) {
      if (this.#end - this.#next[horizon] <= PENDING) continue;
      this.#next[horizon] += 1;
      this.dropped += 1;
    }
    this.#instrument[slot] = instrument;
    this.#lots[slot] = signedLots;
    this.#price[slot] = price;
    this.#mark[slot] = mark;
    this.#key[slot] = key;
    this.#timeUs[slot] = timeUs;
  }

  /** Hands over everything that is due, oldest first. */
  onTimer(timeUs: number, take: (due: DueMarkout) => void): void {
    for (let horizon = 0; horizon < HORIZONS; horizon += 1) {
      const waitUs = (MARKOUT_HORIZONS_MS[horizon] ?? 0) * 1_000;
      while (this.#next[horizon] < this.#end) {
        const slot = this.#next[horizon] % PENDING;
        if (timeUs - this.#timeUs[slot] < waitUs) break;
        this.#next[horizon] += 1;
        take({
          instrument: this.#instrument[slot],
          horizon,
          signedLots: this.#lots[slot],
          price: this.#price[slot],
          mark: this.#mark[slot],
          key: this.#key[slot],
        });
      }
    }
  }
}
