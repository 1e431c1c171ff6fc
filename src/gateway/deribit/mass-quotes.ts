import type { InstrumentTable } from "../../market/instrument.ts";
import type { QuoteBatch } from "../../quote/quote-batch.ts";
import type { RequestBudget } from "./credits.ts";
import { isRecord, type JsonRecord, recordsOf, textOf } from "./json.ts";
import { ASK, BID, MassQuoteText } from "./mass-quote-text.ts";
import type { QuoteWriter, QuoteWriterHost } from "./quote-writer.ts";
import type { RpcClient } from "./rpc-client.ts";
import { actionOf } from "./rpc-error.ts";
import { MESSAGE, QuoteLedger, type SentQuotes } from "./sent-quotes.ts";
import type { Term } from "./term.ts";
import { indexOf, MAX_QUOTES } from "./venue.ts";
import { WaitingQuotes } from "./waiting-quotes.ts";

export interface MassQuotesOptions {
  readonly instruments: InstrumentTable;
  /** Rows have levels below this. */
  readonly levels: number;
  readonly client: RpcClient;
  readonly budget: RequestBudget;
  /** Name of the MMP group of an index and level; null = the desk does not quote the index. */
  readonly groupOf: (index: string, level: number) => string | null;
  readonly term: Term;
  readonly host: QuoteWriterHost;
}

const METHOD = "private/mass_quote";
/** Messages under way; more than a round trip needs at the venue's rate. */
const MAX_IN_FLIGHT = 16;
const MAX_ATTEMPTS = 4;
const NO_PARAMS = {};
/** The venue may rest something on this side, or nothing: what is wanted must be said. */
const UNKNOWN = -1;

/**
 * Quotes by `private/mass_quote`. What the venue's rate does not let out waits, the newest quote of each instrument only. A side
 * that would be told again as it stands is left out of the message, because the venue takes its priority away for it.
 */
export class MassQuotes implements QuoteWriter {
  readonly #options: MassQuotesOptions;
  readonly #text: MassQuoteText;
  readonly #deferred: WaitingQuotes;
  readonly #ledger = new QuoteLedger();
  readonly #index: (string | undefined)[] = [];
  readonly #capacity: number;
  /** What each side was last told, `2 × (level × capacity + instrument) + side`. */
  readonly #ticks: Int32Array;
  readonly #lots: Float64Array;
  readonly #lastSent: Float64Array;
  readonly #frozenUntilUs = new Map<string, number>();
  #lastId = 0;

  constructor(options: MassQuotesOptions) {
    this.#options = options;
    const { capacity } = options.instruments;
    const slots = capacity * options.levels;
    this.#capacity = capacity;
    this.#text = new MassQuoteText(options.instruments, MAX_QUOTES);
    this.#deferred = new WaitingQuotes(capacity, options.levels);
    this.#ticks = new Int32Array(2 * slots);
    this.#lots = new Float64Array(2 * slots);
    this.#lastSent = new Float64Array(slots);
  }

  get lastId(): number {
    return this.#lastId;
  }

  get deferred(): number {
    return this.#deferred.count;
  }

  get conflated(): number {
    return this.#deferred.conflated;
  }

  publish(batch: QuoteBatch, timeUs: number): void {
    for (let row = 0; row < batch.count; row += 1) this.#deferred.add(batch, row);
    if (batch.count > 0) this.#lastId = Math.max(this.#lastId, batch.quoteId[batch.count - 1]);
    this.#sendDue(timeUs);
  }

  flush(timeUs: number): void {
    this.#sendDue(timeUs);
    if (!this.#options.host.held) this.#ledger.release(this.#options.host.events, timeUs);
  }

  #sendDue(timeUs: number): void {
    const { client, host } = this.#options;
    if (host.held) return;
    for (const message of this.#ledger.messages) {
      if (message.state !== MESSAGE.waiting) continue;
      if (timeUs < message.retryUs || !this.#send(message, timeUs)) return;
    }
    while (this.#deferred.count > 0 && this.#ledger.count < MAX_IN_FLIGHT && client.allows(METHOD, timeUs)) {
      const message = this.#take();
      if (!this.#send(message, timeUs)) break;
    }
  }

  onFill(instrument: number, side: number): void {
    for (let level = 0; level < this.#options.levels; level += 1) {
      const at = 2 * this.#slot(level, instrument) + side;
      if (this.#lots[at] > 0) this.#lots[at] = UNKNOWN;
    }
  }

  onGone(instrument: number, side: number, order: JsonRecord): void {
    this.#lots[2 * this.#slot(this.#levelOf(order), instrument) + side] = 0;
  }

  expects(instrument: number, side: number, order: JsonRecord): boolean {
    const level = this.#levelOf(order);
    if (!(this.#lots[2 * this.#slot(level, instrument) + side] > 0)) return false;
    return !this.#ledger.messages.some(
      (message) => message.level === level && message.rowOf(instrument) >= 0,
    );
  }

  isOurs(order: JsonRecord): boolean {
    return order.quote === true && this.#levelOf(order) >= 0;
  }

  isStale(order: JsonRecord): boolean {
    return this.#options.term.isStale(order.quote_id);
  }

  /** The venue has taken away what stood: what is wanted afterwards must be said. */
  freeze(index: string, untilUs: number): void {
    this.#frozenUntilUs.set(index, untilUs);
    for (const { id } of this.#options.instruments.all()) {
      if (this.#indexOf(id) !== index) continue;
      for (let level = 0; level < this.#options.levels; level += 1) {
        this.#lots.fill(UNKNOWN, 2 * this.#slot(level, id), 2 * this.#slot(level, id) + 2);
      }
    }
  }

  drop(): void {
    this.#deferred.clear();
  }

  withdrawn(quoteId: number, why: string, timeUs: number): void {
    this.#lots.fill(0);
    this.#ledger.withdrawn(quoteId, why, this.#options.host.events, timeUs);
  }

  reset(): void {
    this.#deferred.clear();
    this.#ledger.forget();
    this.#lots.fill(0);
    this.#frozenUntilUs.clear();
  }

  /** Takes the oldest rows of one index and level out of the queue. */
  #take(): SentQuotes {
    const { batch } = this.#deferred;
    const message = this.#ledger.open();
    let row = this.#deferred.first;
    for (; row < batch.count && message.count < MAX_QUOTES; row += 1) {
      const id = batch.instrument[row];
      if (id < 0) continue;
      if (message.count === 0) {
        message.index = this.#indexOf(id);
        message.level = batch.level[row];
      } else if (batch.level[row] !== message.level || this.#indexOf(id) !== message.index) break;
      message.add(batch, row);
    }
    this.#deferred.takenTo(row);
    return message;
  }

  /** @returns false when it has to wait */
  #send(message: SentQuotes, timeUs: number): boolean {
    const { client, budget, groupOf } = this.#options;
    const group = groupOf(message.index, message.level);
    if (group === null) return this.#refuse(message, `${message.index} is not an index that is quoted`);
    if (timeUs < (this.#frozenUntilUs.get(message.index) ?? 0)) {
      return this.#refuse(message, `quotes on ${message.index} are frozen`);
    }
    let sides = 0;
    for (let row = 0; row < message.count; row += 1) sides += this.#choose(message, row);
    if (sides === 0) {
      message.state = MESSAGE.answered;
      return true;
    }
    if (!client.allows(METHOD, timeUs) || !budget.quotes.take(sides, timeUs)) return false;
    const text = this.#text;
    text.open(client.nextId, group, message.lastId, this.#options.term.prefix);
    for (let row = 0; row < message.count; row += 1) {
      if (message.sides[row] === 0) continue;
      const id = message.instrument[row];
      text.add(
        id,
        message.sides[row],
        message.bidTicks[row],
        message.bidLots[row],
        message.askTicks[row],
        message.askLots[row],
      );
      const slot = this.#slot(message.level, id);
      this.#lastSent[slot] = message.quoteId[row];
      if ((message.sides[row] & BID) !== 0) this.#told(2 * slot, message.bidTicks[row], message.bidLots[row]);
      if ((message.sides[row] & ASK) !== 0)
        this.#told(2 * slot + 1, message.askTicks[row], message.askLots[row]);
    }
    message.state = MESSAGE.sent;
    message.attempts += 1;
    client.send(METHOD, text.finish(), NO_PARAMS, this.#handler(message), timeUs);
    this.#options.host.counters.quoteMessages += 1;
    this.#options.host.counters.quoteSides += sides;
    return true;
  }

  /**
   * Decides which sides of the row are news to the venue. None of a row that had to be tried again is, where a newer quote was
   * sent or waits by now. @returns how many
   */
  #choose(message: SentQuotes, row: number): number {
    const instrument = message.instrument[row];
    const slot = this.#slot(message.level, instrument);
    let sides = 0;
    if (this.#lastSent[slot] <= message.quoteId[row] && !this.#deferred.has(instrument, message.level)) {
      if (this.#isNews(2 * slot, message.bidTicks[row], message.bidLots[row])) sides |= BID;
      if (this.#isNews(2 * slot + 1, message.askTicks[row], message.askLots[row])) sides |= ASK;
    }
    message.sides[row] = sides;
    return (sides & 1) + (sides >> 1);
  }

  #isNews(at: number, ticks: number, lots: number): boolean {
    if (this.#lots[at] !== lots) return true;
    return lots > 0 && this.#ticks[at] !== ticks;
  }

  #told(at: number, ticks: number, lots: number): void {
    this.#ticks[at] = ticks;
    this.#lots[at] = lots;
  }

  #refuse(message: SentQuotes, why: string): true {
    message.refuseAll(why);
    message.state = MESSAGE.answered;
    return true;
  }

  #handler(message: SentQuotes): {
    onResult(result: unknown, timeUs: number): void;
    onError(code: number, text: string, timeUs: number): void;
    onUnknown(reason: string, timeUs: number): void;
  } {
    const { host } = this.#options;
    const epoch = host.epoch;
    return {
      onResult: (result, timeUs) => {
        if (host.epoch !== epoch) return;
        if (!isRecord(result) || !Array.isArray(result.errors)) {
          host.unknown(`${METHOD} was answered with ${JSON.stringify(result).slice(0, 100)}`, timeUs);
          return;
        }
        for (const trade of recordsOf(result.trades)) host.onTrade(trade, timeUs);
        for (const error of recordsOf(result.errors)) this.#onEntryError(message, error, timeUs);
        message.state = MESSAGE.answered;
        this.#ledger.release(host.events, timeUs);
        this.flush(timeUs);
      },
      onError: (code, text, timeUs) => {
        if (host.epoch !== epoch) return;
        this.#onError(message, code, text, timeUs);
        this.#ledger.release(host.events, timeUs);
      },
      onUnknown: (reason, timeUs) => {
        if (host.epoch === epoch) host.unknown(`what became of ${METHOD} is unknown: ${reason}`, timeUs);
      },
    };
  }

  /** The whole message was refused: what stood before it still stands. */
  #onError(message: SentQuotes, code: number, text: string, timeUs: number): void {
    for (let row = 0; row < message.count; row += 1) {
      const at = 2 * this.#slot(message.level, message.instrument[row]);
      if ((message.sides[row] & BID) !== 0) this.#lots[at] = UNKNOWN;
      if ((message.sides[row] & ASK) !== 0) this.#lots[at + 1] = UNKNOWN;
    }
    const action = actionOf(code);
    if ((action === "retry" || action === "login") && message.attempts < MAX_ATTEMPTS) {
      message.state = MESSAGE.waiting;
      message.retryUs = timeUs + (action === "login" ? 100_000 : 10_000);
      this.#options.host.counters.quoteRetries += 1;
      return;
    }
    this.#options.host.onRefusedMessage(METHOD, code, text, message.index, timeUs);
    this.#refuse(message, `${code} ${text}`);
  }

  /** One side was refused; the venue takes away what rested there. A refused cancellation has done what it was for. */
  #onEntryError(message: SentQuotes, entry: JsonRecord, timeUs: number): void {
    const instrument = this.#options.instruments.find("deribit", textOf(entry.instrument_name));
    const row = instrument === undefined ? -1 : message.rowOf(instrument.id);
    const error = isRecord(entry.error) ? entry.error : entry;
    const code = typeof error.code === "number" ? error.code : 0;
    const why = `${code} ${textOf(error.message)}`.slice(0, 100);
    if (instrument === undefined || row < 0) {
      message.refuseAll(why);
      return;
    }
    const side = entry.side === "ask" || entry.side === "sell" ? 1 : 0;
    const wanted = side === 0 ? message.bidLots[row] : message.askLots[row];
    this.#lots[2 * this.#slot(message.level, instrument.id) + side] = UNKNOWN;
    if (wanted > 0) {
      message.refusals[row] = `${side === 0 ? "bid" : "ask"}: ${why}`;
      this.#options.host.counters.sidesRefused += 1;
    }
    if (actionOf(code) === "frozen")
      this.#options.host.onRefusedMessage(METHOD, code, why, message.index, timeUs);
  }

  #slot(level: number, instrument: number): number {
    return level * this.#capacity + instrument;
  }

  /** Level of a quote at the venue, by its MMP group; −1 when the group is not ours. */
  #levelOf(order: JsonRecord): number {
    const instrument = this.#options.instruments.find("deribit", textOf(order.instrument_name));
    if (instrument === undefined) return -1;
    const index = this.#indexOf(instrument.id);
    for (let level = 0; level < this.#options.levels; level += 1) {
      if (this.#options.groupOf(index, level) === order.mmp_group) return level;
    }
    return -1;
  }

  #indexOf(id: number): string {
    const known = this.#index[id];
    if (known !== undefined) return known;
    const index = indexOf(this.#options.instruments.get(id));
    this.#index[id] = index;
    return index;
  }
}
