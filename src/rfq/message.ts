import type { VenueName } from "../market/instrument.ts";

/** A plain decimal, kept as text so that it goes through no binary fraction. */
export type DecimalText = string;

/** Always the client's side: who buys pays our offer. */
export type ClientSide = "buy" | "sell";

/** Where a request came in and where its answers go. */
const RFQ_CHANNELS = ["fix", "json", "deribit"] as const;
export type RfqChannel = (typeof RFQ_CHANNELS)[number];

/** Who asks. A client's statistics are kept by name, whatever the channel. */
export interface RfqClient {
  readonly channel: RfqChannel;
  readonly client: string;
}

export interface RequestedLeg {
  readonly symbol: string;
  /** Null = whichever venue has it; refused where several do. */
  readonly venue: string | null;
  /** Of the leg when the structure is bought. */
  readonly side: ClientSide;
  /** Units of the leg for one unit of the structure; whole for legs that the price is made of. */
  readonly ratio: DecimalText;
}

/** Somebody asks for a price. */
export interface RfqRequest extends RfqClient {
  readonly on: "request";
  /** The client's own id; unique among its requests that are alive. */
  readonly requestId: string;
  /** Null = both. */
  readonly side: ClientSide | null;
  /** Units of the structure, in the venue's unit of size. */
  readonly quantity: DecimalText;
  /** Null = as long as we quote. */
  readonly validUntilUs: number | null;
  /** Price at which a leg in the underlying is traded beside options; null = at its fair value when the quote is made. */
  readonly tiedPrice: DecimalText | null;
  readonly legs: readonly RequestedLeg[];
  /** Asked before and quoted: it counts once in the client's statistics. Left out = asked for the first time. */
  readonly again?: boolean;
}

/** What a client makes of a quote: FIX QuoteRespType (694) in words. `hit` is a hit or a lift. */
export const RFQ_RESPONSES = ["hit", "counter", "expired", "cover", "done-away", "pass"] as const;
export type RfqResponseKind = (typeof RFQ_RESPONSES)[number];

export interface RfqResponse extends RfqClient {
  readonly on: "response";
  /** Empty where an order took the quote. */
  readonly responseId: string;
  readonly quoteId: string;
  readonly kind: RfqResponseKind;
  /** Of a hit or counter; null = the only side there is. */
  readonly side: ClientSide | null;
  /** Null = all that is quoted. */
  readonly quantity: DecimalText | null;
  /** Of a hit, null = as quoted; of a counter, the price wanted; of cover and done-away, where it was traded. */
  readonly price: DecimalText | null;
  readonly orderId: string | null;
}

/** An order of an in-house client: trades at once against the price that we would quote it, or not at all. */
export interface RfqOrder extends RfqClient {
  readonly on: "order";
  readonly orderId: string;
  readonly symbol: string;
  readonly venue: string | null;
  readonly side: ClientSide;
  readonly quantity: DecimalText;
  /** Worst price that the client accepts. */
  readonly limit: DecimalText;
}

/**
 * A venue has traded with a quote of ours, without a last look: done, whatever we think of it now. Its legs are executions of the
 * gateway, and are not booked again.
 */
export interface RfqVenueFill extends RfqClient {
  readonly on: "fill";
  readonly requestId: string;
  /** The quote in force when it was told; empty where there was none any more. */
  readonly quoteId: string;
  readonly tradeId: string;
  readonly side: ClientSide;
  readonly price: DecimalText;
  readonly quantity: DecimalText;
  /** In the order of the request, with the sides of the client's trade. */
  readonly legs: readonly TradedLeg[];
}

/** The client withdraws a request, or with null all of them; its session is gone. */
export interface RfqWithdrawal extends RfqClient {
  readonly on: "withdraw";
  readonly requestId: string | null;
  readonly reason: string;
}

/** What the RFQ desk is told. Each is an input of the desk and stands in the journal as it is. */
export type RfqInput = RfqRequest | RfqResponse | RfqOrder | RfqVenueFill | RfqWithdrawal;

/** Why a request is refused; FIX QuoteRequestRejectReason (658) in words. */
export const RFQ_REFUSALS = [
  "unknown-symbol",
  "exceeds-limit",
  "too-late",
  "invalid-price",
  "not-authorised",
  "no-market",
  "pass",
  "other",
] as const;
export type RfqRefusal = (typeof RFQ_REFUSALS)[number];

/** One leg as it is quoted or was traded. */
export interface StatedLeg {
  readonly symbol: string;
  readonly venue: VenueName;
  readonly side: ClientSide;
  readonly ratio: DecimalText;
  /** Traded at its own price, which the structure's does not hold; null = part of the structure's price. */
  readonly tiedPrice: DecimalText | null;
}

/** What a price was made of, in the structure's price unit; shown by `keel rfq show`. */
export interface RfqTerms {
  readonly fair: number;
  /** Per unit of the structure: ∂ price in quote currency / ∂ forward, and price for 1.00 of volatility. */
  readonly delta: number;
  readonly vega: number;
  readonly base: number;
  readonly moveBid: number;
  readonly moveAsk: number;
  readonly volatility: number;
  readonly impactBid: number;
  readonly impactAsk: number;
  readonly inventoryBid: number;
  readonly inventoryAsk: number;
  /** Tier of the counterparty and the factor on the half-spread that it brings. */
  readonly tier: number;
  readonly tierFactor: number;
  /** `REASON` bits of the prediction in force. */
  readonly reasons: number;
}

interface Answer extends RfqClient {
  readonly requestId: string;
}

/** A firm quote, subject to last look. A side that is not quoted is null. */
export interface RfqQuote extends Answer {
  readonly do: "quote";
  readonly quoteId: string;
  /** The counter that it answers; null = the request. */
  readonly responseId: string | null;
  readonly legs: readonly StatedLeg[];
  readonly bid: DecimalText | null;
  readonly offer: DecimalText | null;
  readonly quantity: DecimalText;
  readonly validUntilUs: number;
  readonly terms: RfqTerms;
  /** Prices of the legs, by side of the quote, for a venue that wants each; null where the side is not quoted. */
  readonly legPrices?: {
    readonly bid: readonly DecimalText[] | null;
    readonly offer: readonly DecimalText[] | null;
  };
}

export interface RfqReject extends Answer {
  readonly do: "reject";
  readonly reason: RfqRefusal;
  /** For the client. */
  readonly text: string;
  /** For us alone, and not sent: the limit or the states of the market that refused; empty when the text says all. */
  readonly cause: string;
}

/** What became of a quote. `pending` = a hit is looked at; `removed` = we took it back before its time. */
export const RFQ_STATUSES = [
  "accepted",
  "rejected",
  "removed",
  "expired",
  "pending",
  "pass",
  "unknown",
] as const;
export type RfqStatusName = (typeof RFQ_STATUSES)[number];

export interface RfqStatus extends Answer {
  readonly do: "status";
  readonly quoteId: string;
  /** The response that it answers, and its order's id; null = none. */
  readonly responseId: string | null;
  readonly orderId: string | null;
  readonly status: RfqStatusName;
  readonly text: string;
  /** As for {@link RfqReject}. */
  readonly cause: string;
}

export interface TradedLeg extends StatedLeg {
  readonly price: DecimalText;
  readonly quantity: DecimalText;
}

export interface RfqTrade extends Answer {
  readonly do: "trade";
  readonly quoteId: string;
  readonly responseId: string | null;
  readonly orderId: string | null;
  readonly tradeId: string;
  readonly side: ClientSide;
  readonly price: DecimalText;
  readonly quantity: DecimalText;
  readonly legs: readonly TradedLeg[];
  /** From the hit to the decision, µs. */
  readonly heldUs: number;
}

/** An order was not filled. */
export interface RfqOrderReject extends RfqClient {
  readonly do: "order-reject";
  readonly orderId: string;
  readonly reason: RfqRefusal;
  readonly text: string;
  /** As for {@link RfqReject}. */
  readonly cause: string;
}

/** What the RFQ desk answers. Each stands in the journal as a decision, and a replay must make it again byte for byte. */
export type RfqAction = RfqQuote | RfqReject | RfqStatus | RfqTrade | RfqOrderReject;
