/** A pool of credits that refills with time; each request takes some of it. Times are passed in. */
export class Credits {
  #max: number;
  #perSecond: number;
  #left: number;
  #atUs = Number.NaN;

  constructor(max: number, perSecond: number) {
    this.#max = max;
    this.#perSecond = perSecond;
    this.#left = max;
  }

  /** Narrows the pool to what the venue grants; it is never made wider than it was configured. */
  narrow(max: number, perSecond: number): void {
    this.#max = Math.min(this.#max, max);
    this.#perSecond = Math.min(this.#perSecond, perSecond);
    this.#left = Math.min(this.#left, this.#max);
  }

  /** Credits there are now. */
  left(timeUs: number): number {
    if (timeUs > this.#atUs) {
      this.#left = Math.min(this.#max, this.#left + (timeUs - this.#atUs) * 1e-6 * this.#perSecond);
    }
    if (!(timeUs <= this.#atUs)) this.#atUs = timeUs;
    return this.#left;
  }

  /** @returns false, and takes nothing, when there are fewer. */
  take(cost: number, timeUs: number): boolean {
    if (this.left(timeUs) < cost) return false;
    this.#left -= cost;
    return true;
  }

  /** The venue says that none are left. */
  drain(timeUs: number): void {
    this.left(timeUs);
    this.#left = 0;
  }
}

/** Pools that the venue counts apart. Source: Deribit API, "Rate Limits". */
export const POOL = { trading: 0, massQuotes: 1, cancelAll: 2, subscribe: 3, other: 4 } as const;
export type Pool = (typeof POOL)[keyof typeof POOL];

/** What a request of the pool costs. */
const COST = [1, 1, 1, 3_000, 500] as const;

/** Allowance of one kind of request. */
export interface Allowance {
  readonly burst: number;
  readonly perSecond: number;
}

export interface BudgetOptions {
  /** Orders, edits, cancels, and the cancels by currency and instrument. */
  readonly trading: Allowance;
  readonly massQuotes: Allowance;
  /** Sides within mass quotes. */
  readonly quotes: Allowance;
}

/** The venue's lowest tier, and what it grants to whoever has mass quotes at all. */
export const DEFAULT_BUDGET: BudgetOptions = {
  trading: { burst: 20, perSecond: 5 },
  massQuotes: { burst: 10, perSecond: 10 },
  quotes: { burst: 500, perSecond: 500 },
};

const FIRST_PAUSE_US = 50_000;
const LONGEST_PAUSE_US = 5_000_000;

/**
 * What may still be asked of the venue. A pool whose requests the venue could not take is empty and rests: 50 ms after the first
 * refusal (the time in which one cancellation's worth of credit comes back), twice as long after each further one, until a
 * request of the pool succeeds.
 */
export class RequestBudget {
  readonly #pools: readonly Credits[];
  readonly quotes: Credits;
  readonly #restUntilUs = new Float64Array(COST.length).fill(Number.NEGATIVE_INFINITY);
  readonly #refusals = new Int32Array(COST.length);

  constructor({ trading, massQuotes, quotes }: BudgetOptions) {
    this.#pools = [
      new Credits(trading.burst, trading.perSecond),
      new Credits(massQuotes.burst, massQuotes.perSecond),
      new Credits(20, 5),
      new Credits(30_000, 10_000),
      new Credits(50_000, 10_000),
    ];
    this.quotes = new Credits(quotes.burst, quotes.perSecond);
  }

  pool(pool: Pool): Credits {
    return this.#pools[pool];
  }

  /** The pool does not rest and has the credit of one request. */
  has(pool: Pool, timeUs: number): boolean {
    return timeUs >= this.#restUntilUs[pool] && this.#pools[pool].left(timeUs) >= COST[pool];
  }

  take(pool: Pool, timeUs: number): boolean {
    return timeUs >= this.#restUntilUs[pool] && this.#pools[pool].take(COST[pool], timeUs);
  }

  succeeded(pool: Pool): void {
    this.#refusals[pool] = 0;
  }

  /** @returns until when the pool rests */
  refused(pool: Pool, timeUs: number): number {
    this.#pools[pool].drain(timeUs);
    const pauseUs = Math.min(LONGEST_PAUSE_US, FIRST_PAUSE_US * 2 ** Math.min(this.#refusals[pool], 20));
    this.#refusals[pool] += 1;
    this.#restUntilUs[pool] = Math.max(this.#restUntilUs[pool], timeUs + pauseUs);
    return this.#restUntilUs[pool];
  }
}

const MATCHING = new Set([
  ...["buy", "sell", "edit", "cancel", "cancel_by_label", "cancel_quotes"],
  ...["cancel_all_by_currency", "cancel_all_by_instrument", "cancel_all_by_kind_or_type"],
  ...["add_block_rfq_quote", "edit_block_rfq_quote", "cancel_block_rfq_quote"],
  "cancel_all_block_rfq_quotes",
]);

/** The pool that a method's requests are counted in. */
export function poolOf(method: string): Pool {
  const name = method.slice(method.indexOf("/") + 1);
  if (name === "mass_quote") return POOL.massQuotes;
  if (name === "cancel_all") return POOL.cancelAll;
  if (name === "subscribe" || name === "unsubscribe") return POOL.subscribe;
  return MATCHING.has(name) ? POOL.trading : POOL.other;
}
