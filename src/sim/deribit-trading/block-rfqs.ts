import type { RpcAnswer } from "../protocol/json-rpc.ts";
import type { SimAccount } from "./account.ts";
import { BlockMmp } from "./block-mmp.ts";
import { BLOCK_ERROR, type BlockQuote, type BlockRfq, priceOfLegs, quoteJson, rfqJson } from "./block-rfq.ts";
import { readStructure, readTerms } from "./block-rfq-params.ts";
import type { Exchange } from "./exchange.ts";
import { amountOf, readAmount } from "./orders.ts";
import { invalid, type Params, refuse } from "./rpc.ts";
import { type Side, TRADING_ERROR } from "./trading-error.ts";

const RFQ_LIFE_MS = 300_000;
/** The taker sees and trades nothing for so long. Source: Deribit, "Block RFQ API Walkthrough". */
const GRACE_MS = 5_000;
const QUOTES_PER_SIDE = 2;
const QUOTES_PER_RFQ = 4;
const REMEMBERED = 1_024;
const CURRENCY = "BTC";

export interface BlockRfqEvents {
  /** Tells an account what happened, on a channel. */
  tell(account: SimAccount, channel: string, data: unknown): void;
  /** Tells everybody. */
  publish(channel: string, data: unknown): void;
}

/**
 * Block RFQs of the simulated venue: accounts ask, others quote with a price for each leg, and the asker takes by a crossing
 * price, from several makers if need be. Whether cancel-on-disconnect reaches these quotes is not documented: here it does not,
 * so that a maker has to see to it.
 */
export class BlockRfqs {
  readonly mmp: BlockMmp;
  /** For rehearsals: no taker has to wait. */
  graceMs = GRACE_MS;
  readonly #exchange: Exchange;
  readonly #accounts: ReadonlyMap<string, SimAccount>;
  readonly #events: BlockRfqEvents;
  readonly #rfqs = new Map<number, BlockRfq>();
  readonly #quotes = new Map<number, BlockQuote>();
  #nextRfq = 501;
  #nextQuote = 9_001;
  #nextBlock = 1;

  constructor(exchange: Exchange, accounts: ReadonlyMap<string, SimAccount>, events: BlockRfqEvents) {
    this.#exchange = exchange;
    this.#accounts = accounts;
    this.#events = events;
    this.mmp = new BlockMmp(exchange, events);
  }

  /** Quotes of an account that may be taken. */
  open(account: SimAccount): BlockQuote[] {
    return [...this.#quotes.values()].filter(({ maker, state }) => maker === account && state === "open");
  }

  rfq(id: number): BlockRfq | undefined {
    return this.#rfqs.get(id);
  }

  /** Ends what has run out by the venue's clock. */
  expire(): void {
    const nowMs = this.#exchange.timeMs;
    for (const quote of this.#quotes.values()) {
      if (quote.state === "open" && nowMs >= quote.expiresMs) this.#endQuote(quote, "expired", "expired");
    }
    for (const rfq of this.#rfqs.values()) {
      if (rfq.state === "open" && nowMs >= rfq.expiresMs) this.#endRfq(rfq, "expired");
    }
  }

  /** @returns null for a method that is none of block RFQs */
  call(account: SimAccount, method: string, params: Params): RpcAnswer | null {
    if (!method.includes("block_rfq")) return null;
    this.expire();
    switch (method.slice("private/".length)) {
      case "create_block_rfq":
        return this.#create(account, params);
      case "cancel_block_rfq": {
        const rfq = this.#rfqs.get(Number(params.block_rfq_id));
        if (rfq?.taker !== account || rfq.state !== "open") return notFound("block_rfq");
        this.#endRfq(rfq, "cancelled");
        return { result: rfqJson(rfq, "taker") };
      }
      case "accept_block_rfq":
        return this.#accept(account, params);
      case "add_block_rfq_quote":
        return this.#add(account, params);
      case "edit_block_rfq_quote":
        return this.#edit(account, params);
      case "cancel_block_rfq_quote": {
        const quote = this.#find(account, params);
        if (quote === undefined) return notFound("block_rfq_quote");
        this.#endQuote(quote, "cancelled", "user_request");
        return { result: quoteJson(quote) };
      }
      case "cancel_all_block_rfq_quotes": {
        const only = params.block_rfq_id;
        const quotes = this.open(account).filter(({ rfq }) => only === undefined || rfq.id === only);
        for (const quote of quotes) this.#endQuote(quote, "cancelled", "user_request");
        return { result: quotes.length };
      }
      case "get_block_rfq_quotes": {
        const { block_rfq_id: id, label, block_rfq_quote_id: quoteId } = params;
        const quotes = [...this.#quotes.values()].filter((quote) => {
          if (quote.maker !== account) return false;
          if (quoteId !== undefined) return quote.id === quoteId;
          if (label !== undefined) return quote.label === label;
          return quote.state === "open" && (id === undefined || quote.rfq.id === id);
        });
        return { result: quotes.map(quoteJson) };
      }
      case "get_block_rfqs": {
        const { state, role, block_rfq_id: id } = params;
        const rfqs = [...this.#rfqs.values()].filter((rfq) => {
          const own = rfq.taker === account ? "taker" : "maker";
          return (
            (role === undefined || role === "any" || role === own) &&
            (state === undefined || state === rfq.state) &&
            (id === undefined || id === rfq.id) &&
            (own === "taker" || isAsked(rfq, account))
          );
        });
        const block_rfqs = rfqs.map((rfq) => rfqJson(rfq, rfq.taker === account ? "taker" : "maker"));
        return { result: { block_rfqs, continuation: null } };
      }
      case "get_block_rfq_makers":
        return { result: [...this.#accounts.keys()].map((name) => name.toUpperCase()) };
      default:
        return null;
    }
  }

  #create(taker: SimAccount, params: Params): RpcAnswer {
    const structure = readStructure(params, this.#exchange.instruments);
    if ("code" in structure) return { error: structure };
    const createdMs = this.#exchange.timeMs;
    const rfq: BlockRfq = {
      ...structure,
      id: this.#nextRfq,
      taker,
      minLots: 1,
      disclosed: params.disclosed !== false,
      makers: Array.isArray(params.makers) ? params.makers.map(String) : [],
      createdMs,
      expiresMs: createdMs + RFQ_LIFE_MS,
      quotes: [],
      trades: [],
      state: "open",
    };
    this.#nextRfq += 1;
    this.#rfqs.set(rfq.id, rfq);
    if (this.#rfqs.size > REMEMBERED) {
      for (const [id, { state, quotes }] of this.#rfqs) {
        if (state === "open") continue;
        this.#rfqs.delete(id);
        for (const quote of quotes) this.#quotes.delete(quote.id);
        break;
      }
    }
    this.#tellRfq(rfq);
    return { result: rfqJson(rfq, "taker") };
  }

  #add(maker: SimAccount, params: Params): RpcAnswer {
    const rfq = this.#rfqs.get(Number(params.block_rfq_id));
    if (rfq === undefined || rfq.taker === maker || !isAsked(rfq, maker)) return notFound("block_rfq");
    if (rfq.state !== "open") return refuse(BLOCK_ERROR.otherReject, "other_reject", `rfq is ${rfq.state}`);
    if (this.mmp.frozen(maker)) return refuse(TRADING_ERROR.mmpTrigger, "mmp_trigger");
    const side = params.direction === "buy" ? 0 : params.direction === "sell" ? 1 : null;
    if (side === null) return invalid("direction", "buy or sell");
    const own = rfq.quotes.filter((quote) => quote.maker === maker && quote.state === "open");
    if (own.length >= QUOTES_PER_RFQ)
      return refuse(BLOCK_ERROR.tooManyQuotes, "too_many_quotes_per_block_rfq");
    if (own.filter((quote) => quote.side === side).length >= QUOTES_PER_SIDE)
      return refuse(BLOCK_ERROR.tooManyQuotesOfSide, "too_many_quotes_per_block_rfq_side");
    const terms = readTerms(params, rfq);
    if ("code" in terms) return { error: terms };
    const nowMs = this.#exchange.timeMs;
    const expiresMs = params.expires_at === undefined ? Number.POSITIVE_INFINITY : Number(params.expires_at);
    if (!(expiresMs > nowMs)) return invalid("expires_at", "must be in the future");
    if (crosses(own, side, priceOfLegs(rfq.legs, terms.ticks), null))
      return refuse(BLOCK_ERROR.quoteCrossed, "quote_crossed");
    const quote: BlockQuote = {
      id: this.#nextQuote,
      ...{ rfq, maker, side, terms, expiresMs },
      label: typeof params.label === "string" ? params.label.slice(0, 64) : "",
      ...{ createdMs: nowMs, updatedMs: nowMs, state: "open", reason: "", filledLots: 0, replaced: false },
    };
    this.#nextQuote += 1;
    rfq.quotes.push(quote);
    this.#quotes.set(quote.id, quote);
    this.#tellQuote(quote);
    return { result: quoteJson(quote) };
  }

  #edit(maker: SimAccount, params: Params): RpcAnswer {
    const quote = this.#find(maker, params);
    if (quote === undefined) return notFound("block_rfq_quote");
    const terms = readTerms(params, quote.rfq);
    if ("code" in terms) return { error: terms };
    const own = quote.rfq.quotes.filter((other) => other.maker === maker && other.state === "open");
    if (crosses(own, quote.side, priceOfLegs(quote.rfq.legs, terms.ticks), quote))
      return refuse(BLOCK_ERROR.quoteCrossed, "quote_crossed");
    quote.terms = terms;
    quote.replaced = true;
    quote.updatedMs = this.#exchange.timeMs;
    this.#tellQuote(quote);
    return { result: quoteJson(quote) };
  }

  /** An open quote, by its id or by request and label. */
  #find(maker: SimAccount, params: Params): BlockQuote | undefined {
    const { block_rfq_quote_id: id, block_rfq_id: rfqId, label } = params;
    return this.open(maker).find((quote) =>
      id === undefined ? quote.rfq.id === rfqId && quote.label === label : quote.id === id,
    );
  }

  /** The taker sells to bids or buys from offers, at its price or better, the whole amount or nothing. */
  #accept(taker: SimAccount, params: Params): RpcAnswer {
    const rfq = this.#rfqs.get(Number(params.block_rfq_id));
    if (rfq?.taker !== taker || rfq.state !== "open") return notFound("block_rfq");
    const nowMs = this.#exchange.timeMs;
    if (nowMs < rfq.createdMs + this.graceMs)
      return refuse(BLOCK_ERROR.otherReject, "other_reject", "grace period");
    const { price, direction } = params;
    const side = direction === "sell" ? 0 : 1;
    const lots = readAmount(rfq.legs[0].instrument, params.amount);
    if (typeof lots !== "number") return { error: lots };
    if (typeof price !== "number" || lots !== rfq.lots)
      return invalid("amount", "the amount of the Block RFQ");
    const sign = side === 0 ? -1 : 1;
    const at = (quote: BlockQuote): number => sign * priceOfLegs(rfq.legs, quote.terms.ticks);
    const good = rfq.quotes
      .filter((quote) => quote.state === "open" && quote.side === side && at(quote) <= sign * price + 1e-12)
      .sort((a, b) => at(a) - at(b) || Number(b.terms.allOrNone) - Number(a.terms.allOrNone) || a.id - b.id);
    const matched: { quote: BlockQuote; lots: number }[] = [];
    let left = lots;
    for (const quote of good) {
      if (left === 0 || (quote.terms.allOrNone && quote.terms.lots !== left)) continue;
      const taken = Math.min(left, quote.terms.lots);
      matched.push({ quote, lots: taken });
      left -= taken;
    }
    if (left > 0) return refuse(BLOCK_ERROR.notFullyFilled, "not_fully_filled");
    for (const match of matched) this.#trade(rfq, match.quote, match.lots);
    this.#endRfq(rfq, "filled");
    this.#events.publish(`block_rfq.trades.${CURRENCY}`, {
      ...rfqJson(rfq, "maker"),
      timestamp: nowMs,
      id: rfq.id,
    });
    return { result: { block_trades: rfq.trades } };
  }

  #trade(rfq: BlockRfq, quote: BlockQuote, lots: number): void {
    const blockTradeId = `BLOCK-${this.#nextBlock}`;
    this.#nextBlock += 1;
    const hedgeLots = rfq.hedge === null ? 0 : Math.round((rfq.hedge.lots * lots) / rfq.lots);
    const parts = rfq.legs.map(({ instrument, side, ratio }, at) => ({
      ...{ instrument, side, lots: lots * ratio, ticks: quote.terms.ticks[at] },
    }));
    if (rfq.hedge !== null && hedgeLots > 0) parts.push({ ...rfq.hedge, lots: hedgeLots });
    const extra = {
      block_trade_id: blockTradeId,
      block_trade_leg_count: parts.length,
      block_rfq_id: rfq.id,
    };
    for (const part of parts) {
      const makerSide: Side = quote.side === 0 ? part.side : part.side === 0 ? 1 : 0;
      const takerSide: Side = makerSide === 0 ? 1 : 0;
      const id = this.#exchange.nextTradeId();
      const { instrument, lots: size, ticks } = part;
      const base = { id, instrument, lots: size, ticks };
      const makerExtra = { ...extra, block_rfq_quote_id: quote.id };
      this.#exchange.block(quote.maker, { ...base, side: makerSide, liquidity: "M", extra: makerExtra });
      this.#exchange.block(rfq.taker, { ...base, side: takerSide, liquidity: "T", extra });
      this.mmp.onTrade(quote.maker, instrument, size, ticks);
    }
    quote.filledLots += lots;
    rfq.trades.push({
      price: priceOfLegs(rfq.legs, quote.terms.ticks),
      amount: amountOf(rfq.legs[0].instrument, lots),
      direction: quote.side === 0 ? "sell" : "buy",
      maker: quote.maker.clientId.toUpperCase(),
      ...(rfq.hedge === null ? {} : { hedge_amount: amountOf(rfq.hedge.instrument, hedgeLots) }),
    });
    this.#endQuote(quote, "filled", "");
    if (!this.mmp.tripped(quote.maker)) return;
    for (const other of this.open(quote.maker)) this.#endQuote(other, "cancelled", "mmp_trigger");
  }

  #endQuote(quote: BlockQuote, state: "filled" | "cancelled" | "expired", reason: string): void {
    quote.state = state;
    quote.reason = reason;
    quote.updatedMs = this.#exchange.timeMs;
    this.#tellQuote(quote);
  }

  #endRfq(rfq: BlockRfq, state: "filled" | "cancelled" | "expired"): void {
    rfq.state = state;
    for (const quote of rfq.quotes)
      if (quote.state === "open") this.#endQuote(quote, "cancelled", `rfq_${state}`);
    this.#tellRfq(rfq);
  }

  #tellRfq(rfq: BlockRfq): void {
    for (const account of this.#accounts.values()) {
      if (account === rfq.taker) this.#tell(account, "taker", rfqJson(rfq, "taker"));
      else if (isAsked(rfq, account)) this.#tell(account, "maker", rfqJson(rfq, "maker"));
    }
  }

  #tellQuote(quote: BlockQuote): void {
    this.#tell(quote.maker, "maker.quotes", [quoteJson(quote)]);
  }

  #tell(account: SimAccount, topic: string, data: unknown): void {
    for (const currency of [CURRENCY, "any"])
      this.#events.tell(account, `block_rfq.${topic}.${currency}`, data);
  }
}

function isAsked({ makers }: BlockRfq, account: SimAccount): boolean {
  return makers.length === 0 || makers.includes(account.clientId.toUpperCase());
}

/** A maker's bid at or above its own offer, or the other way round. */
function crosses(own: readonly BlockQuote[], side: Side, price: number, except: BlockQuote | null): boolean {
  return own.some((quote) => {
    if (quote.side === side || quote === except) return false;
    const other = priceOfLegs(quote.rfq.legs, quote.terms.ticks);
    return side === 0 ? price >= other : price <= other;
  });
}

function notFound(what: string): RpcAnswer {
  return refuse(BLOCK_ERROR.otherReject, "other_reject", `${what} not found`);
}
