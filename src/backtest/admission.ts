import { SIDE } from "../market/event-batch.ts";
import { gridMultiple } from "../quote/grid.ts";
import type { VenueMarket } from "./venue-market.ts";

/** Why the venue refuses quotes and orders, and how many it has refused for it. */
export type Rejects = Record<"rate" | "post-only" | "grid" | "size" | "no-market", number>;

/** What a venue holds quotes and orders against before it takes them. Answers are why it refuses; empty when it does not. */
export class Admission {
  readonly rejects: Rejects = { rate: 0, "post-only": 0, grid: 0, size: 0, "no-market": 0 };
  readonly #rate: { readonly perSecond: number; readonly burst: number } | null;
  #tokens: number;
  #tokensUs = Number.NEGATIVE_INFINITY;

  /** @param rate messages that the venue takes; null = as many as come */
  constructor(rate: { readonly perSecond: number; readonly burst: number } | null) {
    this.#rate = rate;
    this.#tokens = rate?.burst ?? 0;
  }

  /** Draws on the budget of messages. Cancellations draw on it too, but are never refused by it. */
  message(refusable: boolean, timeUs: number): string {
    const rate = this.#rate;
    if (rate === null) return "";
    const elapsed = Math.max(0, timeUs - this.#tokensUs);
    this.#tokens = Math.min(rate.burst, this.#tokens + (elapsed * rate.perSecond) / 1e6);
    this.#tokensUs = timeUs;
    if (this.#tokens < 1 && refusable) return this.#count("rate", "too many requests");
    this.#tokens -= 1;
    return "";
  }

  /** A price off the grid, a size that is none, a market that is not there. */
  form({ instrument, live }: VenueMarket, priceTicks: number, lots: number): string {
    if (!live) return this.#count("no-market", "the instrument has no live book");
    if (!(priceTicks > 0) || priceTicks % gridMultiple(instrument, priceTicks) !== 0)
      return this.#count("grid", `price of ${priceTicks} ticks is not on the grid`);
    if (!(lots >= instrument.minSizeLots) || !Number.isInteger(lots))
      return this.#count("size", `${lots} lots, at least ${instrument.minSizeLots} whole ones are taken`);
    return "";
  }

  /** A price at which what may only rest would trade at once. */
  crossing(market: VenueMarket, side: number, priceTicks: number): string {
    const opposite = market.bestTicks(1 - side);
    const crosses = opposite >= 0 && (side === SIDE.bid ? priceTicks >= opposite : priceTicks <= opposite);
    return crosses ? this.#count("post-only", "post-only: it would trade at once") : "";
  }

  #count(kind: keyof Rejects, text: string): string {
    this.rejects[kind] += 1;
    return text;
  }
}
