import type { Clock } from "../core/clock.ts";
import { Rng } from "../core/rng.ts";
import { FixAcceptor } from "../gateway/fix/acceptor.ts";
import type { FixMessage } from "../gateway/fix/message.ts";
import type { FixSession } from "../gateway/fix/session.ts";
import { SESSION_DEFAULTS, type SessionApplication } from "../gateway/fix/session-options.ts";
import { MemoryStore } from "../gateway/fix/store.ts";
import { type FixVersion, MSG, TAG } from "../gateway/fix/tags.ts";

import { CounterpartyBooks } from "./counterparty-books.ts";
import { CounterpartyOrders } from "./counterparty-orders.ts";

/** Random trading against the live quotes. */
export interface CounterpartyFlow {
  /** Mean time between two trades while quotes are live; the times are exponential. */
  readonly meanIntervalMs: number;
}

export interface FixCounterpartyOptions {
  readonly host: string;
  /** 0 = the host chooses. */
  readonly port: number;
  readonly version: FixVersion;
  /** The counterparty's own comp id, and the quoter's. */
  readonly senderCompId: string;
  readonly targetCompId: string;
  readonly clock: Clock;
  readonly seed: number;
  readonly flow: CounterpartyFlow | null;
  /** Charged for each trade, an amount in the settlement currency; left out = nothing is charged and nothing said of it. */
  readonly commission?: string;
  /** How long an order rests before it is filled; left out = at once. */
  readonly orderRestMs?: number;
  /** A later connection of the quoter takes the place of an earlier one. */
  readonly replaces?: boolean;
  /** Symbols it trades; quotes on others are refused. Absent = any. */
  readonly symbols?: ReadonlySet<string>;
  /** A MassQuote has arrived: monotonic time at which its bytes were read, its QuoteID and number of entries. */
  readonly onMassQuote?: (receivedNs: number, quoteId: number, entries: number) => void;
}

/** A quote as the counterparty holds it. A side that is not quoted has size `"0"` and an empty price. */
export interface LiveQuote {
  readonly venue: string;
  readonly symbol: string;
  quoteId: number;
  bidPx: string;
  bidSize: string;
  offerPx: string;
  offerSize: string;
  timeUs: number;
}

export interface CounterpartyCounters {
  massQuotes: number;
  entries: number;
  cancels: number;
  executions: number;
  acks: number;
  rejectedEntries: number;
  logons: number;
  logouts: number;
  sessionRejects: number;
}

/** QuoteEntryRejectReason (368) values. */
const UNKNOWN_SYMBOL = 1;
const INVALID_SPREAD = 7;
const INVALID_PRICE = 8;

const PLAIN_DECIMAL = /^\d+(\.\d+)?$/;

/**
 * The other end of the wire for the demo and for tests: a FIX acceptor on a real socket that keeps the quotes it is sent,
 * acknowledges them, trades against them at random, and fails on command. Quotes die with the connection
 * (cancel on disconnect), as they do at the venues.
 */
export class FixCounterparty implements SessionApplication {
  readonly counters: CounterpartyCounters = {
    massQuotes: 0,
    entries: 0,
    cancels: 0,
    executions: 0,
    acks: 0,
    rejectedEntries: 0,
    logons: 0,
    logouts: 0,
    sessionRejects: 0,
  };
  /** Live quotes by `venue:symbol`, further levels by `venue:symbol#n`; one without a size on either side is not live. */
  readonly liveQuotes = new Map<string, LiveQuote>();
  /** What it has traded, as it reckons itself. */
  readonly books = new CounterpartyBooks();
  readonly orders: CounterpartyOrders;
  readonly session: FixSession;
  readonly acceptor: FixAcceptor;
  readonly #options: FixCounterpartyOptions;
  readonly #rng: Rng;
  #nextTradeUs = Number.NaN;
  #nextExecution = 1;
  #frozen = false;

  constructor(options: FixCounterpartyOptions) {
    this.#options = options;
    this.#rng = new Rng(options.seed);
    const { host, port, clock, replaces = false } = options;
    this.acceptor = new FixAcceptor({ host, port, clock, replaces });
    this.session = this.acceptor.add(
      {
        ...SESSION_DEFAULTS,
        role: "acceptor",
        version: options.version,
        senderCompId: options.senderCompId,
        targetCompId: options.targetCompId,
      },
      new MemoryStore(),
      this,
    );
    this.orders = new CounterpartyOrders(this.session, {
      version: options.version,
      books: this.books,
      commission: options.commission ?? "0",
      nextExecutionId: () => this.#executionId(),
      restMs: options.orderRestMs ?? 0,
    });
  }

  /** @returns the port listened on. */
  start(): number {
    return this.acceptor.start();
  }

  onTimer(timeUs: number): void {
    if (this.#frozen) return;
    this.acceptor.onTimer(timeUs);
    this.orders.onTimer(timeUs);
    this.#trade(timeUs);
  }

  stop(): void {
    this.acceptor.stop();
  }

  /** Stops reading and answering, with the connection open: a dead peer. */
  freeze(): void {
    this.#frozen = true;
    this.acceptor.setFrozen(true);
  }

  thaw(): void {
    this.#frozen = false;
    this.acceptor.setFrozen(false);
  }

  /** Closes the connection without logout; the quoter may come back at once. */
  disconnect(): void {
    this.acceptor.disconnectAll();
  }

  /** Cuts the connection and stops listening, as when the process dies. {@link start} brings it back. */
  kill(): void {
    this.acceptor.stop();
  }

  /**
   * Trades the whole size of one side of a live quote. `side` 0 = the quoter's bid is hit: the quoter buys.
   *
   * @returns false when there is no such quote or no session.
   */
  execute(key: string, side: 0 | 1, timeUs: number): boolean {
    const quote = this.liveQuotes.get(key);
    if (quote === undefined || !this.session.established) return false;
    const price = side === 0 ? quote.bidPx : quote.offerPx;
    const size = side === 0 ? quote.bidSize : quote.offerSize;
    if (!(Number(size) > 0)) return false;
    const id = this.#executionId();
    const { commission } = this.#options;
    const is42 = this.#options.version === "4.2";
    const report = this.session.begin(MSG.executionReport, timeUs);
    report.text(TAG.orderId, `Q${quote.quoteId}`).text(TAG.execId, id);
    if (is42) report.uint(TAG.execTransType, 0);
    report.text(TAG.execType, is42 ? "2" : "F").text(TAG.ordStatus, "2");
    report.text(TAG.symbol, quote.symbol).text(TAG.securityExchange, quote.venue);
    report
      .text(TAG.side, side === 0 ? "1" : "2")
      .text(TAG.lastQty, size)
      .text(TAG.lastPx, price);
    report
      .uint(TAG.leavesQty, 0)
      .text(TAG.cumQty, size)
      .text(TAG.avgPx, price)
      .time(TAG.transactTime, timeUs);
    if (commission !== undefined) report.text(TAG.commission, commission).text(TAG.commType, "3");
    this.session.send(true);
    this.books.onTrade(key, side, size, price, commission ?? "0");
    if (side === 0) clearBid(quote);
    else clearOffer(quote);
    if (!isLive(quote)) this.liveQuotes.delete(key);
    this.counters.executions += 1;
    return true;
  }

  onLogon(): void {
    this.counters.logons += 1;
  }

  onLogout(): void {
    this.counters.logouts += 1;
    this.liveQuotes.clear();
    this.orders.onLogout();
    this.#nextTradeUs = Number.NaN;
  }

  onResend(): void {}

  onReject(): void {
    this.counters.sessionRejects += 1;
  }

  onMessage(message: FixMessage, timeUs: number): boolean {
    switch (message.msgType) {
      case MSG.massQuote:
        this.#onMassQuote(message, timeUs);
        return true;
      case MSG.quoteCancel:
        this.#onCancel(message, timeUs);
        return true;
      default:
        return this.orders.onMessage(message, timeUs);
    }
  }

  #executionId(): string {
    const id = `${this.#options.senderCompId}-${this.#options.seed}-${this.#nextExecution}`;
    this.#nextExecution += 1;
    return id;
  }

  #onMassQuote(message: FixMessage, timeUs: number): void {
    const quoteId = message.uint(TAG.quoteId);
    const refused: { set: string; entry: string; reason: number }[] = [];
    let set = "";
    let entries = 0;
    for (let i = 0; i < message.count; i += 1) {
      if (message.tags[i] === TAG.quoteSetId) set = message.textAt(i);
      if (message.tags[i] !== TAG.quoteEntryId) continue;
      entries += 1;
      const reason = this.#take(message, i, levelOf(set), timeUs);
      if (reason > 0) refused.push({ set, entry: message.textAt(i), reason });
    }
    this.counters.massQuotes += 1;
    this.counters.entries += entries;
    this.counters.rejectedEntries += refused.length;
    this.#options.onMassQuote?.(this.acceptor.receivedNs, quoteId, entries);
    if (!this.session.established) return;
    const ack = this.session.begin(MSG.massQuoteAck, timeUs);
    ack.uint(TAG.quoteId, Number.isNaN(quoteId) ? 0 : quoteId).uint(TAG.quoteStatus, 0);
    this.#refusals(ack, refused);
    this.session.send(false);
    this.counters.acks += 1;
  }

  #refusals(
    ack: ReturnType<FixSession["begin"]>,
    refused: readonly { set: string; entry: string; reason: number }[],
  ): void {
    const sets = [...new Set(refused.map((entry) => entry.set))];
    if (sets.length === 0) return;
    ack.uint(TAG.noQuoteSets, sets.length);
    for (const set of sets) {
      const ofSet = refused.filter((entry) => entry.set === set);
      ack.text(TAG.quoteSetId, set).text(TAG.underlyingSymbol, set);
      ack.uint(TAG.totNoQuoteEntries, ofSet.length).uint(TAG.noQuoteEntries, ofSet.length);
      for (const { entry, reason } of ofSet) {
        ack.text(TAG.quoteEntryId, entry).uint(TAG.quoteEntryRejectReason, reason);
      }
    }
  }

  /** Takes the entry that begins at field `at`. @param level `#n`, empty for the first @returns QuoteEntryRejectReason (368), 0 when the entry is good. */
  #take(message: FixMessage, at: number, level: string, timeUs: number): number {
    const fields: Record<number, string> = {};
    for (let i = at + 1; i < message.count; i += 1) {
      const tag = message.tags[i];
      if (tag === TAG.quoteEntryId || tag === TAG.quoteSetId) break;
      fields[tag] = message.textAt(i);
    }
    const symbol = fields[TAG.symbol] ?? "";
    if (symbol === "" || this.#options.symbols?.has(symbol) === false) return UNKNOWN_SYMBOL;
    const bid = Number(fields[TAG.bidSize]) > 0;
    const offer = Number(fields[TAG.offerSize]) > 0;
    const quote: LiveQuote = {
      venue: fields[TAG.securityExchange] ?? "",
      symbol,
      quoteId: message.uintAt(at),
      bidPx: bid ? (fields[TAG.bidPx] ?? "") : "",
      bidSize: bid ? fields[TAG.bidSize] : "0",
      offerPx: offer ? (fields[TAG.offerPx] ?? "") : "",
      offerSize: offer ? fields[TAG.offerSize] : "0",
      timeUs,
    };
    const key = `${quote.venue}:${symbol}${level}`;
    this.liveQuotes.delete(key);
    if (bid && !PLAIN_DECIMAL.test(quote.bidPx)) return INVALID_PRICE;
    if (offer && !PLAIN_DECIMAL.test(quote.offerPx)) return INVALID_PRICE;
    if (bid && offer && Number(quote.bidPx) >= Number(quote.offerPx)) return INVALID_SPREAD;
    if (bid || offer) this.liveQuotes.set(key, quote);
    return 0;
  }

  #onCancel(message: FixMessage, timeUs: number): void {
    this.counters.cancels += 1;
    this.liveQuotes.clear();
    if (!this.session.established) return;
    const quoteId = message.uint(TAG.quoteId);
    const ack = this.session.begin(MSG.massQuoteAck, timeUs);
    ack.uint(TAG.quoteId, Number.isNaN(quoteId) ? 0 : quoteId).uint(TAG.quoteStatus, 4);
    this.session.send(false);
  }

  #trade(timeUs: number): void {
    const flow = this.#options.flow;
    if (flow === null || this.liveQuotes.size === 0 || !this.session.established) {
      this.#nextTradeUs = Number.NaN;
      return;
    }
    if (Number.isNaN(this.#nextTradeUs)) {
      this.#nextTradeUs = timeUs + this.#rng.exponential(flow.meanIntervalMs) * 1_000;
    }
    while (timeUs >= this.#nextTradeUs && this.liveQuotes.size > 0) {
      const keys = [...this.liveQuotes.keys()];
      const side = this.#rng.int(2) === 0 ? 0 : 1;
      const key = keys[this.#rng.int(keys.length)];
      if (!this.execute(key, side, timeUs)) this.execute(key, side === 0 ? 1 : 0, timeUs);
      this.#nextTradeUs += this.#rng.exponential(flow.meanIntervalMs) * 1_000;
    }
  }
}

/** Levels behind the first come in quote sets of their own, named `BASE.n`. */
function levelOf(set: string): string {
  const level = /\.(\d)$/.exec(set)?.[1];
  return level === undefined ? "" : `#${level}`;
}

function isLive(quote: LiveQuote): boolean {
  return Number(quote.bidSize) > 0 || Number(quote.offerSize) > 0;
}

function clearBid(quote: LiveQuote): void {
  quote.bidPx = "";
  quote.bidSize = "0";
}

function clearOffer(quote: LiveQuote): void {
  quote.offerPx = "";
  quote.offerSize = "0";
}
