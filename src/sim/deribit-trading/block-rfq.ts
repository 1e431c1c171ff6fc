import type { SimAccount } from "./account.ts";
import type { BlockTerms } from "./block-rfq-params.ts";
import { amountOf, priceOf, type TradedInstrument } from "./orders.ts";
import type { Side } from "./trading-error.ts";

export interface BlockLeg {
  readonly instrument: TradedInstrument;
  /** Of the leg when the structure is bought. */
  readonly side: Side;
  readonly ratio: number;
}

export interface BlockHedge {
  readonly instrument: TradedInstrument;
  readonly side: Side;
  readonly lots: number;
  readonly ticks: number;
}

/** A request as the venue keeps it. Amounts are counts of the first leg's lots. */
export interface BlockRfq {
  readonly id: number;
  readonly taker: SimAccount;
  readonly legs: readonly BlockLeg[];
  readonly hedge: BlockHedge | null;
  readonly lots: number;
  readonly minLots: number;
  /** The taker's name is shown. */
  readonly disclosed: boolean;
  /** Names of the makers that are asked; empty = all. */
  readonly makers: readonly string[];
  readonly createdMs: number;
  readonly expiresMs: number;
  readonly quotes: BlockQuote[];
  readonly trades: object[];
  state: "open" | "filled" | "cancelled" | "expired";
}

export interface BlockQuote {
  readonly id: number;
  readonly rfq: BlockRfq;
  readonly maker: SimAccount;
  /** 0 = the maker buys the structure. */
  readonly side: Side;
  readonly label: string;
  readonly createdMs: number;
  /** Infinity = as long as the request. */
  readonly expiresMs: number;
  terms: BlockTerms;
  state: "open" | "filled" | "cancelled" | "expired";
  reason: string;
  filledLots: number;
  replaced: boolean;
  updatedMs: number;
}

/** What the venue calls its errors of block RFQs. Source: Deribit API, "RPC Error Codes". */
export const BLOCK_ERROR = {
  otherReject: 11_030,
  tooManyQuotes: 13_905,
  tooManyQuotesOfSide: 13_906,
  notFullyFilled: 13_907,
  quoteCrossed: 13_910,
} as const;

/** Price of the structure in the finest ticks of its legs' prices, as a number. */
export function priceOfLegs(legs: readonly BlockLeg[], ticks: readonly number[]): number {
  let sum = 0;
  for (const [at, { instrument, side, ratio }] of legs.entries()) {
    sum += (side === 0 ? ratio : -ratio) * priceOf(instrument, ticks[at]);
  }
  return Number(sum.toFixed(8));
}

/** A request as its makers see it. Source: Deribit API, `block_rfq.maker.{currency}`. */
export function rfqJson(rfq: BlockRfq, role: "maker" | "taker"): Record<string, unknown> {
  const [{ instrument: first }] = rfq.legs;
  return {
    block_rfq_id: rfq.id,
    state: rfq.state,
    role,
    amount: amountOf(first, rfq.lots),
    min_trade_amount: amountOf(first, rfq.minLots),
    legs: rfq.legs.map(({ instrument, side, ratio }) => ({
      instrument_name: instrument.symbol,
      direction: side === 0 ? "buy" : "sell",
      ratio,
    })),
    ...(rfq.hedge === null ? {} : { hedge: hedgeJson(rfq.hedge) }),
    combo_id: null,
    creation_timestamp: rfq.createdMs,
    expiration_timestamp: rfq.expiresMs,
    taker_rating: "1-2",
    disclosed: rfq.disclosed,
    ...(rfq.disclosed || role === "taker" ? { taker: rfq.taker.clientId.toUpperCase() } : {}),
    ...(rfq.trades.length === 0 ? {} : { trades: rfq.trades }),
    ...(rfq.state === "open" ? {} : { included_in_taker_rating: true }),
  };
}

function hedgeJson({ instrument, side, lots, ticks }: BlockHedge): Record<string, unknown> {
  return {
    instrument_name: instrument.symbol,
    direction: side === 0 ? "buy" : "sell",
    amount: amountOf(instrument, lots),
    price: priceOf(instrument, ticks),
  };
}

/** A quote as its maker sees it. Source: Deribit API, `block_rfq.maker.quotes.{currency}`. */
export function quoteJson(quote: BlockQuote): Record<string, unknown> {
  const { rfq, terms } = quote;
  const [{ instrument: first }] = rfq.legs;
  return {
    block_rfq_quote_id: quote.id,
    block_rfq_id: rfq.id,
    label: quote.label,
    direction: quote.side === 0 ? "buy" : "sell",
    amount: amountOf(first, terms.lots),
    filled_amount: amountOf(first, quote.filledLots),
    price: priceOfLegs(rfq.legs, terms.ticks),
    legs: rfq.legs.map(({ instrument, side, ratio }, at) => ({
      instrument_name: instrument.symbol,
      direction: side === 0 ? "buy" : "sell",
      ratio,
      price: priceOf(instrument, terms.ticks[at]),
    })),
    ...(rfq.hedge === null ? {} : { hedge: hedgeJson(rfq.hedge) }),
    execution_instruction: terms.allOrNone ? "all_or_none" : "any_part_of",
    quote_state: quote.state,
    ...(quote.reason === "" ? {} : { quote_state_reason: quote.reason }),
    creation_timestamp: quote.createdMs,
    last_update_timestamp: quote.updatedMs,
    replaced: quote.replaced,
    ...(Number.isFinite(quote.expiresMs) ? { expires_at: quote.expiresMs } : {}),
  };
}
