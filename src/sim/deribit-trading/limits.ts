/** A leaky bucket as the venue keeps it. */
interface Bucket {
  readonly burst: number;
  readonly perSecond: number;
  left: number;
  atUs: number;
}

export interface VenueRate {
  readonly burst: number;
  readonly rate: number;
}

/** Rates of one account, in requests (sides, for `quotes`), as `limits` of the account summary tells them. */
export interface VenueLimits {
  readonly nonMatching: VenueRate;
  readonly trading: VenueRate;
  readonly cancelAll: VenueRate;
  readonly quotes: VenueRate;
  readonly massQuotes: VenueRate;
  readonly subscribe: VenueRate;
}

/** The lowest tier, and the quotes that are granted to whoever quotes at all. Source: Deribit, "Rate Limits". */
export const VENUE_LIMITS: VenueLimits = {
  nonMatching: { burst: 100, rate: 20 },
  trading: { burst: 20, rate: 5 },
  cancelAll: { burst: 250, rate: 200 },
  quotes: { burst: 500, rate: 500 },
  massQuotes: { burst: 10, rate: 10 },
  subscribe: { burst: 10, rate: 10 / 3 },
};

const TRADING =
  /^private\/(buy|sell|edit|cancel|cancel_by_label|cancel_quotes|cancel_all_by_(currency|instrument|kind_or_type)|(add|edit|cancel)_block_rfq_quote|cancel_all_block_rfq_quotes)$/;

/** Counts what an account asks for. */
export class RateLimiter {
  readonly #buckets: Record<keyof VenueLimits, Bucket>;

  constructor(limits: VenueLimits) {
    this.#buckets = Object.fromEntries(
      Object.entries(limits).map(([name, { burst, rate }]: [string, VenueRate]) => [
        name,
        { burst, perSecond: rate, left: burst, atUs: 0 },
      ]),
    ) as Record<keyof VenueLimits, Bucket>;
  }

  /** @returns false when the method's bucket is empty */
  allows(method: string, timeUs: number): boolean {
    if (method === "private/mass_quote") return this.#take("massQuotes", 1, timeUs);
    if (method === "private/cancel_all") return this.#take("cancelAll", 1, timeUs);
    if (/^(public|private)\/(un)?subscribe$/.test(method)) return this.#take("subscribe", 1, timeUs);
    return this.#take(TRADING.test(method) ? "trading" : "nonMatching", 1, timeUs);
  }

  /** @returns false when so many sides are too many now */
  allowsQuotes(sides: number, timeUs: number): boolean {
    return this.#take("quotes", sides, timeUs);
  }

  #take(name: keyof VenueLimits, cost: number, timeUs: number): boolean {
    const bucket = this.#buckets[name];
    const gained = Math.max(0, timeUs - bucket.atUs) * 1e-6 * bucket.perSecond;
    bucket.left = Math.min(bucket.burst, bucket.left + gained);
    bucket.atUs = Math.max(bucket.atUs, timeUs);
    if (bucket.left < cost) return false;
    bucket.left -= cost;
    return true;
  }
}
