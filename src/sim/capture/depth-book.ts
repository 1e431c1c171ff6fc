/** Depth events kept for a snapshot that is still to come. */
const EARLY_MAX = 4_096;

type Levels = readonly (readonly [string, string])[];

/** A `depthUpdate`, as far as a book needs it. */
export interface DepthUpdate {
  readonly U: number;
  readonly u: number;
  /** Futures only. */
  readonly pu?: number;
  readonly b: Levels;
  readonly a: Levels;
}

/** A REST depth answer, as far as a book needs it. */
export interface DepthSnapshot {
  readonly lastUpdateId: number;
  readonly bids: Levels;
  readonly asks: Levels;
}

/**
 * The venue's own book of one symbol while its capture plays: what a REST depth request is answered from. Prices and sizes stay
 * the venue's texts. Without a snapshot in the capture it holds what the differences have shown so far.
 */
export class DepthBook {
  /** Last update id that was streamed (or the snapshot's, while that is ahead). */
  lastUpdateId = 0;
  /** A snapshot has been joined and the differences after it are without a gap. */
  joined = false;
  readonly #bids = new Map<string, string>();
  readonly #asks = new Map<string, string>();
  #early: DepthUpdate[] = [];

  applyUpdate(update: DepthUpdate): void {
    if (!this.joined) {
      if (this.#early.length === EARLY_MAX) this.#early.shift();
      this.#early.push(update);
    } else if (update.u <= this.lastUpdateId) {
      return;
    } else if (update.pu === undefined ? update.U > this.lastUpdateId + 1 : update.pu > this.lastUpdateId) {
      this.joined = false;
      this.#early = [update];
    }
    applyLevels(this.#bids, update.b);
    applyLevels(this.#asks, update.a);
    this.lastUpdateId = update.u;
  }

  /** A snapshot that the capture holds. Changes nothing while the book is whole: it is the deeper one then. */
  join(snapshot: DepthSnapshot): void {
    if (this.joined) return;
    this.#bids.clear();
    this.#asks.clear();
    applyLevels(this.#bids, snapshot.bids);
    applyLevels(this.#asks, snapshot.asks);
    this.lastUpdateId = snapshot.lastUpdateId;
    this.joined = true;
    const early = this.#early;
    this.#early = [];
    for (const update of early) this.applyUpdate(update);
  }

  /** The best `limit` levels of a side, best first. */
  levels(side: "bids" | "asks", limit: number): [string, string][] {
    const sign = side === "bids" ? -1 : 1;
    const all = [...(side === "bids" ? this.#bids : this.#asks)];
    return all.sort(([a], [b]) => sign * (Number(a) - Number(b))).slice(0, limit);
  }
}

function applyLevels(side: Map<string, string>, levels: Levels): void {
  for (const [price, size] of levels) {
    if (Number(size) === 0) side.delete(price);
    else side.set(price, size);
  }
}

/** @returns null when the value is no depth event. */
export function asDepthUpdate(value: unknown): DepthUpdate | null {
  if (typeof value !== "object" || value === null) return null;
  const { U, u, pu, b, a } = value as Partial<Record<keyof DepthUpdate, unknown>>;
  if (typeof U !== "number" || typeof u !== "number" || !isLevels(b) || !isLevels(a)) return null;
  return typeof pu === "number" ? { U, u, pu, b, a } : { U, u, b, a };
}

/** @returns null when the value is no depth snapshot. */
export function asDepthSnapshot(value: unknown): DepthSnapshot | null {
  if (typeof value !== "object" || value === null) return null;
  const { lastUpdateId, bids, asks } = value as Partial<Record<keyof DepthSnapshot, unknown>>;
  if (typeof lastUpdateId !== "number" || !isLevels(bids) || !isLevels(asks)) return null;
  return { lastUpdateId, bids, asks };
}

/** Looks at the first level only: the rest was written by the same hand. */
function isLevels(value: unknown): value is Levels {
  if (!Array.isArray(value)) return false;
  const [first] = value;
  return (
    first === undefined ||
    (Array.isArray(first) && typeof first[0] === "string" && typeof first[1] === "string")
  );
}
