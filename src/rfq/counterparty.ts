import { TokenBucket } from "../risk/rate.ts";
import type { SavedCounterparty } from "./counterparty-store.ts";
import type { RfqParameters } from "./parameters.ts";
import type { TierTerms } from "./pricing.ts";

/** Weight that older trades and quotes keep with each new one. */
const TRADE_DECAY = 0.98;
const QUOTE_DECAY = 0.995;
/** What one markout may weigh, in half-spreads: a single jump makes no tier. */
const MARKOUT_MIN = -2;
const MARKOUT_MAX = 4;
/** Hit ratio of a counterparty that nothing is known of, and the quotes that it weighs. */
const PRIOR_HIT_RATIO = 0.2;
const PRIOR_QUOTES = 10;
const FISHING_HIT_RATIO = 0.03;
const FISHING_QUOTES = 50;
const TOXIC = 0.5;
const VERY_TOXIC = 1;

const TIERS = 4;
/** Share of `maxNotional` by tier, from 1. */
const TIER_SIZE = [1, 1, 0.5, 0.25];

/** Why the last look refused, in words that the statistics are kept under. */
export const LAST_LOOK_REASONS = [
  "moved-against-us",
  "moved-for-us",
  "no-market",
  "limit",
  "session",
] as const;
export type LastLookReason = (typeof LAST_LOOK_REASONS)[number];

/** What the last look did, for those who ask whether it is fair. */
export interface LastLookStatistics {
  accepted: number;
  readonly rejected: Record<LastLookReason, number>;
  heldUsTotal: number;
  heldUsMax: number;
  /** Sums of the value's move against us since the quote, in half-spreads, over those accepted and those rejected. */
  acceptedMove: number;
  rejectedMove: number;
}

/** A counterparty as it is reported. */
export interface CounterpartyState {
  readonly name: string;
  readonly tier: number;
  readonly factor: number;
  readonly hitRatio: number;
  /** Mean loss at the markout time over the half-spread earned, shrunk towards 0. */
  readonly markout: number;
  readonly requests: number;
  readonly refused: number;
  readonly quotes: number;
  readonly trades: number;
  readonly counters: number;
  readonly doneAway: number;
  readonly expired: number;
  readonly notional: number;
  readonly lastLook: LastLookStatistics;
}

/**
 * What is known of one counterparty, and the tier that follows from it.
 *
 * Markout m: mean over its trades of (move of the value against us within `markoutMs`) / (half-spread earned), each cut to
 * [−2, 4], older trades fading by 2 % with each new one, shrunk towards 0 by `tierLeastTrades` trades of an average counterparty.
 * Hit ratio h: trades over quotes, fading by 0.5 % a quote, shrunk towards 20 % by ten quotes.
 *
 * | tier | when | half-spread × | size × |
 * |---|---|---|---|
 * | 1 | m ≤ 0, h ≥ 20 %, and at least `tierLeastTrades` trades weigh | 1 − step / 3 | 1 |
 * | 2 | otherwise; who is new | 1 | 1 |
 * | 3 | m > 0.5 | 1 + step | 0.5 |
 * | 4 | m > 1 | 1 + 2 step | 0.25 |
 *
 * Who asks often and hardly ever trades (50 quotes, h < 3 %) is one tier lower. Nothing goes beyond these bounds.
 */
export class Counterparty {
  readonly name: string;
  open = 0;
  requests = 0;
  refused = 0;
  quotes = 0;
  trades = 0;
  counters = 0;
  doneAway = 0;
  expired = 0;
  notional = 0;
  readonly lastLook: LastLookStatistics = {
    accepted: 0,
    rejected: { "moved-against-us": 0, "moved-for-us": 0, "no-market": 0, limit: 0, session: 0 },
    heldUsTotal: 0,
    heldUsMax: 0,
    acceptedMove: 0,
    rejectedMove: 0,
  };
  readonly #parameters: RfqParameters;
  readonly #rate: TokenBucket;
  #markoutSum = 0;
  #tradeWeight = 0;
  #hitSum = 0;
  #quoteWeight = 0;

  /** @param saved what an earlier run has learnt; null = nothing is known */
  constructor(name: string, parameters: RfqParameters, saved: SavedCounterparty | null = null) {
    this.name = name;
    this.#parameters = parameters;
    if (saved !== null) {
      this.requests = saved.requests;
      this.quotes = saved.quotes;
      this.trades = saved.trades;
      this.notional = saved.notional;
      this.#markoutSum = saved.markoutSum;
      this.#tradeWeight = saved.tradeWeight;
      this.#hitSum = saved.hitSum;
      this.#quoteWeight = saved.quoteWeight;
    }
    this.#rate = new TokenBucket(parameters.maxInputsPerSecond, parameters.maxInputsPerSecond);
  }

  /** @returns false when it has sent too much. */
  admit(timeUs: number): boolean {
    return this.#rate.take(timeUs);
  }

  onQuote(): void {
    this.quotes += 1;
    this.#quoteWeight = this.#quoteWeight * QUOTE_DECAY + 1;
    this.#hitSum *= QUOTE_DECAY;
  }

  onTrade(notional: number): void {
    this.trades += 1;
    this.notional += notional;
    this.#hitSum += 1;
  }

  /** @param halfSpreads move of the value against us since the trade, over the half-spread earned */
  onMarkout(halfSpreads: number): void {
    const bounded = Math.max(MARKOUT_MIN, Math.min(halfSpreads, MARKOUT_MAX));
    this.#markoutSum = this.#markoutSum * TRADE_DECAY + bounded;
    this.#tradeWeight = this.#tradeWeight * TRADE_DECAY + 1;
  }

  onLastLook(reason: LastLookReason | null, heldUs: number, move: number): void {
    const statistics = this.lastLook;
    statistics.heldUsTotal += heldUs;
    statistics.heldUsMax = Math.max(statistics.heldUsMax, heldUs);
    const known = Number.isFinite(move) ? move : 0;
    if (reason === null) {
      statistics.accepted += 1;
      statistics.acceptedMove += known;
      return;
    }
    statistics.rejected[reason] += 1;
    statistics.rejectedMove += known;
  }

  get markout(): number {
    return this.#markoutSum / (this.#tradeWeight + this.#parameters.tierLeastTrades);
  }

  get hitRatio(): number {
    return (this.#hitSum + PRIOR_HIT_RATIO * PRIOR_QUOTES) / (this.#quoteWeight + PRIOR_QUOTES);
  }

  get tier(): number {
    const { markout, hitRatio } = this;
    let tier = 2;
    if (markout > VERY_TOXIC) tier = 4;
    else if (markout > TOXIC) tier = 3;
    else if (
      markout <= 0 &&
      hitRatio >= PRIOR_HIT_RATIO &&
      this.#tradeWeight >= this.#parameters.tierLeastTrades
    )
      tier = 1;
    const fishing = this.#quoteWeight >= FISHING_QUOTES && hitRatio < FISHING_HIT_RATIO;
    return fishing ? Math.min(tier + 1, TIERS) : tier;
  }

  get terms(): TierTerms {
    const { tier } = this;
    const step = this.#parameters.tierStep;
    return { tier, factor: tier === 1 ? 1 - step / 3 : 1 + (tier - 2) * step };
  }

  /** Largest notional that it is quoted. */
  get maxNotional(): number {
    return this.#parameters.maxNotional * (TIER_SIZE[this.tier - 1] ?? 0);
  }

  /** What the next run is to know. */
  saved(): SavedCounterparty {
    const { name, requests, quotes, trades, notional } = this;
    return {
      ...{ name, requests, quotes, trades, notional },
      markoutSum: this.#markoutSum,
      tradeWeight: this.#tradeWeight,
      hitSum: this.#hitSum,
      quoteWeight: this.#quoteWeight,
    };
  }

  describe(): CounterpartyState {
    const { name, markout, hitRatio, requests, refused, quotes, trades, counters, doneAway, expired } = this;
    const lastLook = { ...this.lastLook, rejected: { ...this.lastLook.rejected } };
    return {
      name,
      ...this.terms,
      hitRatio,
      markout,
      requests,
      refused,
      quotes,
      trades,
      counters,
      doneAway,
      expired,
      notional: this.notional,
      lastLook,
    };
  }
}
