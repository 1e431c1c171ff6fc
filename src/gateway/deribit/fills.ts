import { numberToSteps } from "../../core/decimal.ts";
import { RecentTexts } from "../../core/recent-texts.ts";
import { nearestSteps } from "../../feed/decoder.ts";
import type { InstrumentTable } from "../../market/instrument.ts";
import type { BookedTrades, ExecutionDetail, GatewayEvents } from "../gateway.ts";
import type { BlockRfqs } from "./block-rfqs.ts";
import { type JsonRecord, numberOf, textOf } from "./json.ts";
import type { QuoteWriter } from "./quote-writer.ts";

export interface FillsOptions {
  readonly instruments: InstrumentTable;
  readonly orderIdOf: (label: unknown) => number;
  /** Begins the labels of orders that are quotes. */
  readonly quoteLabelPrefix: string;
  readonly counters: { executions: number; duplicateExecutions: number; foreignTrades: number };
  readonly writer: QuoteWriter;
  readonly events: () => GatewayEvents;
  readonly onProblem: (text: string, timeUs: number) => void;
  /** What trades of block RFQs are booked with; null = there are none. */
  readonly blockRfqs: BlockRfqs | null;
}

const SEEN = 65_536;
/** Trades of the last moments, which may be told twice, that the next leader of a pair is told of. */
const RECENT = 4_096;

/**
 * Trades of the account, from notifications, from answers and from what is asked after a break; each counts once. A trade of
 * ours in an instrument that the desk does not know goes to the desk as of instrument −1, which trips its kill switch.
 */
export class Fills {
  readonly #options: FillsOptions;
  #seen = new RecentTexts(SEEN);
  /** Trades before were booked by another process. */
  #fromMs = Number.NEGATIVE_INFINITY;
  #follows = false;
  /** Trades may have happened since {@link sinceMs} that nobody has told of. */
  mayHaveMissed = false;
  /** Time of the newest trade seen, or from which on trades count, by the venue's clock; NaN before the first logon. */
  sinceMs = Number.NaN;

  constructor(options: FillsOptions) {
    this.#options = options;
  }

  /** Trades before the first call were those of an earlier process, whose positions the desk takes over as they are. */
  listenFrom(venueMs: number): void {
    if (!Number.isNaN(this.sinceMs)) {
      this.mayHaveMissed = true;
      return;
    }
    this.sinceMs = venueMs;
    this.#fromMs = venueMs;
    this.mayHaveMissed = this.#follows;
  }

  /** Of a pair, the other one leads: it tells of the trades it books. */
  set follows(follows: boolean) {
    this.#follows = follows;
    if (follows && !Number.isNaN(this.sinceMs)) this.mayHaveMissed = true;
  }

  /** For a process that goes on with this one's books. */
  get booked(): BookedTrades {
    return { sinceMs: Number.isNaN(this.sinceMs) ? null : this.sinceMs, keys: this.#seen.latest(RECENT) };
  }

  /** The books are another process's from here on. */
  adopt({ sinceMs, keys }: BookedTrades): void {
    this.#seen = new RecentTexts(SEEN);
    for (const key of keys) this.#seen.add(key);
    if (sinceMs === null) return;
    this.sinceMs = sinceMs;
    this.#fromMs = Number.NEGATIVE_INFINITY;
    this.mayHaveMissed = true;
  }

  /** The leader has booked a trade, and this process does so by its word. */
  onFollowed(symbol: string, tradeId: string): void {
    this.#seen.add(`${symbol} ${tradeId}`);
  }

  /** A trade that the venue was asked for. */
  onMissed(trade: JsonRecord, timeUs: number): void {
    if (!(numberOf(trade.timestamp) < this.#fromMs)) this.onTrade(trade, timeUs);
  }

  onTrade(trade: JsonRecord, timeUs: number): void {
    const { instruments, counters, writer, onProblem, blockRfqs } = this.#options;
    const tradeId = textOf(trade.trade_id);
    const symbol = textOf(trade.instrument_name);
    const price = numberOf(trade.price);
    const amount = numberOf(trade.amount);
    const { direction } = trade;
    if (
      tradeId === "" ||
      !(amount > 0) ||
      Number.isNaN(price) ||
      (direction !== "buy" && direction !== "sell")
    ) {
      onProblem(
        `found a trade ${JSON.stringify(trade).slice(0, 200)}, expected its id, price, amount and direction`,
        timeUs,
      );
      this.#options.events().onExecution("", -1, 0, 0, 0, timeUs);
      return;
    }
    const orderId = this.#options.orderIdOf(trade.label);
    const isQuote =
      textOf(trade.quote_id) !== "" || textOf(trade.label).startsWith(this.#options.quoteLabelPrefix);
    const block = blockRfqs?.detailOf(trade) ?? null;
    const key = `${symbol} ${tradeId}`;
    if (this.#follows) {
      // What the leader has not told of yet is asked for when this process is to lead.
      if (this.#seen.has(key)) this.#reached(trade);
      return;
    }
    if (!this.#seen.add(key)) {
      counters.duplicateExecutions += 1;
      return;
    }
    this.#reached(trade);
    if (orderId === 0 && !isQuote && block === null) {
      counters.foreignTrades += 1;
      onProblem(`trade ${tradeId} on ${symbol} is of no order of this desk`, timeUs);
      return;
    }
    counters.executions += 1;
    const side = direction === "buy" ? 0 : 1;
    const instrument = instruments.find("deribit", symbol);
    if (instrument === undefined) {
      onProblem(`trade ${tradeId} is on ${symbol}, which the desk does not know`, timeUs);
      this.#options.events().onExecution(tradeId, -1, side, 0, 0, timeUs);
      return;
    }
    const exact = numberToSteps(price, instrument.tick);
    const ticks = Number.isNaN(exact) ? nearestSteps(price, instrument.tick) : exact;
    const lots = nearestSteps(amount, instrument.lot);
    if (isQuote) writer.onFill(instrument.id, side, lots, trade);
    const fee = numberOf(trade.fee);
    const detail: ExecutionDetail = {
      ...(orderId > 0 ? { orderId } : {}),
      ...(trade.liquidity === "M" ? { liquidity: "maker" as const } : {}),
      ...(trade.liquidity === "T" ? { liquidity: "taker" as const } : {}),
      ...(Number.isNaN(fee) ? {} : { fee }),
      ...block,
    };
    this.#options.events().onExecution(tradeId, instrument.id, side, ticks, lots, timeUs, detail);
    if (block !== null) blockRfqs?.onBooked(trade);
  }

  #reached(trade: JsonRecord): void {
    this.sinceMs = Math.max(this.sinceMs, numberOf(trade.timestamp) || 0);
  }
}
