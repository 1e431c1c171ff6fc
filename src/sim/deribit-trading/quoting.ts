import { type RpcAnswer, type RpcError, rpcError } from "../protocol/json-rpc.ts";
import type { SimAccount } from "./account.ts";
import { type Exchange, groupKey } from "./exchange.ts";
import {
  amountOf,
  orderJson,
  readAmount,
  readPrice,
  type SimOrder,
  type TradedInstrument,
} from "./orders.ts";
import { invalid, type Params } from "./rpc.ts";
import { type Side, TRADING_ERROR } from "./trading-error.ts";

const MAX_QUOTES = 100;

interface Outcome {
  readonly errors: object[];
  readonly orders: SimOrder[];
  readonly trades: Readonly<Record<string, unknown>>[];
}

/** `private/mass_quote` as "Mass Quotes Specifications" describes it. The connection has cancel-on-disconnect. */
export function massQuote(
  exchange: Exchange,
  account: SimAccount,
  owner: object,
  params: Params,
  timeUs: number,
): RpcAnswer {
  const { quotes, mmp_group: groupName, quote_id: quoteId, detailed } = params;
  if (typeof quoteId !== "string") return invalid("quote_id", "must be a string");
  if (
    !Array.isArray(quotes) ||
    quotes.length === 0 ||
    quotes.length > MAX_QUOTES ||
    !quotes.every(isParams)
  ) {
    return invalid("quotes", `must be 1 to ${MAX_QUOTES} quotes`);
  }
  const group = account.groups.get(groupKey(exchange.index, String(groupName)));
  if (group?.name == null)
    return { error: rpcError(TRADING_ERROR.invalidArguments, "invalid_arguments", "mmp_group") };
  if (exchange.timeUs < account.quotesFrozenUntilUs) {
    return { error: rpcError(TRADING_ERROR.quotesFrozen, "quotes_frozen") };
  }
  const sides = quotes.reduce(
    (sum: number, { bid, ask }) => sum + (bid === undefined ? 0 : 1) + (ask === undefined ? 0 : 1),
    0,
  );
  if (!account.limiter.allowsQuotes(sides, timeUs)) {
    return { error: rpcError(TRADING_ERROR.tooManyRequests, "too_many_requests") };
  }
  const outcome: Outcome = { errors: [], orders: [], trades: [] };
  for (const quote of quotes) {
    const symbol = String(quote.instrument_name);
    const instrument = exchange.instruments.get(symbol);
    for (const side of order(account, quote, symbol, group.name)) {
      const wanted = side === 0 ? quote.bid : quote.ask;
      const frozen = exchange.timeUs < group.frozenUntilUs;
      const error =
        instrument === undefined
          ? rpcError(TRADING_ERROR.unknownInstrument, "invalid_or_unsupported_instrument")
          : frozen && isParams(wanted) && wanted.amount !== 0
            ? rpcError(TRADING_ERROR.mmpTrigger, "mmp_trigger")
            : quoteSide(exchange, account, owner, instrument, side, wanted, {
                group: group.name,
                limit: group.quantityLimit,
                quoteId,
                quoteSetId: String(quote.quote_set_id ?? ""),
                outcome,
              });
      if (error === null) continue;
      const { code, message } = error;
      outcome.errors.push({
        instrument_name: symbol,
        side: side === 0 ? "bid" : "ask",
        error: { code, message },
      });
      const standing = account.quote(symbol, side, group.name);
      if (standing !== undefined) exchange.cancel(account, standing, "edit_error");
    }
  }
  const { errors, orders, trades } = outcome;
  if (detailed !== true) return { result: { errors_count: errors.length, orders_count: orders.length } };
  return { result: { errors, orders: orders.map(orderJson), trades } };
}

interface QuoteOf {
  readonly group: string;
  /** In coins. */
  readonly limit: number;
  readonly quoteId: string;
  readonly quoteSetId: string;
  readonly outcome: Outcome;
}

/** Both sides up: the ask first, so that the quote does not cross itself on the way; otherwise the bid. */
function order(account: SimAccount, quote: Params, symbol: string, group: string): Side[] {
  const sides: Side[] = [];
  if (quote.bid !== undefined) sides.push(0);
  if (quote.ask !== undefined) sides.push(1);
  const bid = account.quote(symbol, 0, group);
  const price = isParams(quote.bid) ? quote.bid.price : undefined;
  const up = bid !== undefined && typeof price === "number" && readPriceOr(bid.instrument, price) > bid.ticks;
  return up ? sides.reverse() : sides;
}

function readPriceOr(instrument: TradedInstrument, price: number): number {
  const ticks = readPrice(instrument, price);
  return typeof ticks === "number" ? ticks : Number.NaN;
}

function quoteSide(
  exchange: Exchange,
  account: SimAccount,
  owner: object,
  instrument: TradedInstrument,
  side: Side,
  wanted: unknown,
  quote: QuoteOf,
): RpcError | null {
  if (!isParams(wanted)) return rpcError(TRADING_ERROR.invalidArguments, "invalid_arguments");
  const standing = account.quote(instrument.symbol, side, quote.group);
  if (wanted.amount === 0) {
    if (standing === undefined) return rpcError(TRADING_ERROR.orderNotFound, "order_not_found");
    exchange.cancel(account, standing, "user_request");
    quote.outcome.orders.push(standing);
    return null;
  }
  if (exchange.timeMs >= instrument.expiryMs) return rpcError(TRADING_ERROR.bookClosed, "book_closed");
  const ticks = wanted.price === undefined ? standing?.ticks : readPrice(instrument, wanted.price);
  const lots =
    wanted.amount === undefined
      ? standing === undefined
        ? undefined
        : standing.lots - standing.filled
      : readAmount(instrument, wanted.amount);
  if (ticks === undefined || lots === undefined)
    return rpcError(TRADING_ERROR.orderNotFound, "order_not_found");
  if (typeof ticks !== "number") return ticks;
  if (typeof lots !== "number") return lots;
  const refusal =
    checkPrice(exchange, instrument, side, ticks) ?? checkSize(instrument, ticks, lots, quote.limit);
  if (refusal !== null) return refusal;
  const other = account.quote(instrument.symbol, side === 0 ? 1 : 0, quote.group);
  if (other !== undefined && (side === 0 ? ticks >= other.ticks : ticks <= other.ticks)) {
    return rpcError(TRADING_ERROR.overlap, "order_overlap");
  }
  const nowMs = exchange.timeMs;
  const keeps = standing !== undefined && standing.ticks === ticks && lots < standing.lots - standing.filled;
  const placed: SimOrder = standing ?? {
    id: exchange.nextOrderId(),
    instrument,
    side,
    ticks,
    lots,
    filled: 0,
    traded: 0,
    state: "open",
    cancelReason: "",
    label: "",
    timeInForce: "good_til_cancelled",
    mmp: true,
    mmpGroup: quote.group,
    quoteId: quote.quoteId,
    quoteSetId: quote.quoteSetId,
    createdMs: nowMs,
    updatedMs: nowMs,
    replaced: false,
    ahead: 0,
    owner,
  };
  if (standing !== undefined) {
    standing.ticks = ticks;
    standing.lots = standing.filled + lots;
    standing.quoteId = quote.quoteId;
    standing.replaced = true;
    standing.updatedMs = nowMs;
  }
  quote.outcome.trades.push(...exchange.place(account, placed, keeps));
  quote.outcome.orders.push(placed);
  return null;
}

/** Prices far from the mark are refused: 5 % for the perpetual, 0.2 coins for options. */
export function checkPrice(
  exchange: Exchange,
  instrument: TradedInstrument,
  side: Side,
  ticks: number,
): RpcError | null {
  const mark = exchange.markTicks(instrument);
  const reach = instrument.kind === "future" ? mark * 0.05 : 2_000;
  if (side === 0 && ticks > mark + reach) return rpcError(TRADING_ERROR.priceTooHigh, "price_too_high");
  return side === 1 && ticks < mark - reach ? rpcError(TRADING_ERROR.priceTooLow, "price_too_low") : null;
}

/** A quote must be smaller than its group's quantity limit. */
function checkSize(
  instrument: TradedInstrument,
  ticks: number,
  lots: number,
  limit: number,
): RpcError | null {
  const amount = amountOf(instrument, lots);
  const coins = instrument.kind === "future" ? amount / (ticks / 2) : amount;
  return coins < limit
    ? null
    : rpcError(TRADING_ERROR.otherReject, "other_reject", "amount", "above the quantity limit");
}

export function isParams(value: unknown): value is Params {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
