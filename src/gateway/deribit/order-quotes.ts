import { numberToSteps, stepsToDecimal } from "../../core/decimal.ts";
import { nearestSteps } from "../../feed/decoder.ts";
import type { Instrument, InstrumentTable } from "../../market/instrument.ts";
import type { QuoteBatch } from "../../quote/quote-batch.ts";
import { QUOTE_STATUS } from "../gateway.ts";
import { isRecord, type JsonRecord, numberOf, recordsOf, textOf } from "./json.ts";
import type { QuoteWriter, QuoteWriterHost } from "./quote-writer.ts";
import type { AnswerHandler, RpcClient } from "./rpc-client.ts";
import { actionOf } from "./rpc-error.ts";
import type { Term } from "./term.ts";
import { indexOf } from "./venue.ts";

export interface OrderQuotesOptions {
  readonly instruments: InstrumentTable;
  readonly client: RpcClient;
  readonly labelPrefix: string;
  /** Orders carry the mmp flag. */
  readonly mmp: boolean;
  readonly term: Term;
  readonly host: QuoteWriterHost;
}

/** One side of one instrument: what the desk wants there and the order that rests for it. */
interface Side {
  readonly instrument: Instrument;
  readonly side: 0 | 1;
  wantId: number;
  wantTicks: number;
  wantLots: number;
  /** Empty while no order rests. */
  orderId: string;
  restTicks: number;
  restLots: number;
  filledLots: number;
  busy: boolean;
  notBeforeUs: number;
}

/** A quote whose sides have not all been answered. */
interface Unanswered {
  readonly quoteId: number;
  sides: number;
  refusal: string;
}

const RETRY_US = 50_000;

/**
 * Quotes as an order for each side, for accounts without mass quotes: entered, edited in place, cancelled. One command at a time
 * for each side; what the desk wants meanwhile waits, the newest only. An edit that is refused leaves an order that nobody wants
 * any more: it is cancelled.
 */
export class OrderQuotes implements QuoteWriter {
  readonly #options: OrderQuotesOptions;
  readonly #sides = new Map<number, Side>();
  readonly #due = new Set<Side>();
  #unanswered: Unanswered[] = [];
  readonly #byId = new Map<number, Unanswered>();
  readonly #frozenUntilUs = new Map<string, number>();
  lastId = 0;
  conflated = 0;
  #toldId = 0;

  constructor(options: OrderQuotesOptions) {
    this.#options = options;
  }

  get deferred(): number {
    return this.#due.size;
  }

  publish(batch: QuoteBatch, timeUs: number): void {
    for (let row = 0; row < batch.count; row += 1) {
      const quoteId = batch.quoteId[row];
      const id = batch.instrument[row];
      const unanswered = { quoteId, sides: 2, refusal: "" };
      this.#unanswered.push(unanswered);
      this.#byId.set(quoteId, unanswered);
      const level = batch.level[row];
      this.#want(this.#side(id, 0, level), quoteId, batch.bidTicks[row], batch.bidLots[row]);
      this.#want(this.#side(id, 1, level), quoteId, batch.askTicks[row], batch.askLots[row]);
      this.lastId = Math.max(this.lastId, quoteId);
    }
    this.#sendDue(timeUs);
  }

  flush(timeUs: number): void {
    this.#sendDue(timeUs);
    if (!this.#options.host.held) this.#release(timeUs);
  }

  #sendDue(timeUs: number): void {
    if (this.#options.host.held) return;
    for (const side of this.#due) {
      if (side.busy || timeUs < side.notBeforeUs) continue;
      if (this.#act(side, timeUs)) this.#due.delete(side);
    }
  }

  onFill(_instrument: number, _side: number, lots: number, trade: JsonRecord): void {
    const known = this.#byOrder(textOf(trade.order_id));
    if (known === undefined) return;
    known.filledLots += lots;
    known.restLots = Math.max(0, known.restLots - lots);
    if (known.restLots === 0) known.orderId = "";
  }

  onGone(_instrument: number, _side: number, order: JsonRecord): void {
    const known = this.#byOrder(textOf(order.order_id));
    if (known !== undefined) this.#clear(known);
  }

  expects(_instrument: number, _side: number, order: JsonRecord): boolean {
    const known = this.#byOrder(textOf(order.order_id));
    return known !== undefined && !known.busy && known.wantLots > 0;
  }

  isOurs(order: JsonRecord): boolean {
    return textOf(order.label).startsWith(this.#options.labelPrefix);
  }

  isStale(order: JsonRecord): boolean {
    const { labelPrefix, term } = this.#options;
    return term.isStale(textOf(order.label).slice(labelPrefix.length));
  }

  freeze(index: string, untilUs: number): void {
    this.#frozenUntilUs.set(index, untilUs);
  }

  drop(): void {
    for (const side of this.#due) this.#answered(side.wantId, "");
    this.#due.clear();
  }

  withdrawn(quoteId: number, why: string, timeUs: number): void {
    for (const side of this.#sides.values()) this.#clear(side);
    this.#due.clear();
    this.#unanswered = [];
    this.#byId.clear();
    this.#toldId = Math.max(this.#toldId, quoteId);
    this.#options.host.events.onQuoteAck(quoteId, QUOTE_STATUS.cancelled, why, timeUs);
  }

  reset(): void {
    this.#sides.clear();
    this.#due.clear();
    this.#unanswered = [];
    this.#byId.clear();
    this.#frozenUntilUs.clear();
  }

  #want(known: Side, quoteId: number, ticks: number, lots: number): void {
    if (this.#due.has(known)) {
      this.conflated += 1;
      this.#answered(known.wantId, "");
    }
    known.wantId = quoteId;
    known.wantTicks = ticks;
    known.wantLots = lots;
    this.#due.add(known);
  }

  /** @returns false when it has to wait */
  #act(side: Side, timeUs: number): boolean {
    const { client, labelPrefix, mmp, term, host } = this.#options;
    const { instrument, wantId, wantLots, wantTicks } = side;
    const rests = side.orderId !== "";
    if (rests ? side.restLots === wantLots && side.restTicks === wantTicks : wantLots === 0) {
      this.#answered(wantId, "");
      return true;
    }
    const index = indexOf(instrument);
    if (wantLots > 0 && timeUs < (this.#frozenUntilUs.get(index) ?? 0)) {
      this.#answered(wantId, `quotes on ${index} are frozen`);
      return true;
    }
    const price = Number(stepsToDecimal(wantTicks, instrument.tick));
    const handler = this.#handler(side, wantId, rests);
    let sent: boolean;
    if (wantLots === 0) {
      sent = client.send("private/cancel", null, { order_id: side.orderId }, handler, timeUs);
    } else if (rests) {
      const amount = Number(stepsToDecimal(wantLots + side.filledLots, instrument.lot));
      sent = client.send(
        "private/edit",
        null,
        { order_id: side.orderId, amount, price, ...term.limit },
        handler,
        timeUs,
      );
    } else {
      const params = {
        instrument_name: instrument.symbol,
        amount: Number(stepsToDecimal(wantLots, instrument.lot)),
        type: "limit",
        price,
        label: `${labelPrefix}${term.mark(wantId)}`,
        ...(mmp ? { mmp: true } : {}),
        ...term.limit,
      };
      sent = client.send(side.side === 0 ? "private/buy" : "private/sell", null, params, handler, timeUs);
    }
    if (!sent) return false;
    side.busy = true;
    host.counters.quoteMessages += 1;
    host.counters.quoteSides += 1;
    return true;
  }

  #handler(side: Side, quoteId: number, rested: boolean): AnswerHandler {
    const { host } = this.#options;
    const { epoch } = host;
    const isCancel = side.wantLots === 0;
    return {
      onResult: (result, timeUs) => {
        if (host.epoch !== epoch) return;
        side.busy = false;
        const order = isRecord(result) && isRecord(result.order) ? result.order : result;
        if (!isRecord(order) || textOf(order.order_id) === "") {
          host.unknown(`an order was answered with ${JSON.stringify(result).slice(0, 100)}`, timeUs);
          return;
        }
        if (isRecord(result)) for (const trade of recordsOf(result.trades)) host.onTrade(trade, timeUs);
        this.#rest(side, order);
        this.#answered(quoteId, "");
        this.flush(timeUs);
      },
      onError: (code, text, timeUs) => {
        if (host.epoch !== epoch) return;
        side.busy = false;
        this.#onError(side, quoteId, rested, isCancel, code, text, timeUs);
        this.#release(timeUs);
      },
      onUnknown: (reason, timeUs) => {
        if (host.epoch === epoch) host.unknown(`what became of an order is unknown: ${reason}`, timeUs);
      },
    };
  }

  #onError(
    side: Side,
    quoteId: number,
    rested: boolean,
    isCancel: boolean,
    code: number,
    text: string,
    timeUs: number,
  ): void {
    const { host } = this.#options;
    const action = actionOf(code);
    if (action === "retry" || action === "login") {
      side.notBeforeUs = timeUs + RETRY_US;
      host.counters.quoteRetries += 1;
      if (side.wantId === quoteId) this.#due.add(side);
      else this.#answered(quoteId, "");
      return;
    }
    if (action === "gone") this.#clear(side);
    if (isCancel) {
      if (action === "gone") this.#answered(quoteId, "");
      else host.unknown(`a cancellation was refused: ${code} ${text}`, timeUs);
      return;
    }
    host.counters.sidesRefused += 1;
    this.#answered(quoteId, `${side.side === 0 ? "bid" : "ask"}: ${code} ${text}`);
    if (action === "frozen" || action === "forbidden") {
      host.onRefusedMessage("private/buy", code, text, indexOf(side.instrument), timeUs);
    }
    if (!rested || side.orderId === "" || side.wantId !== quoteId) return;
    side.wantLots = 0;
    this.#due.add(side);
  }

  #rest(side: Side, order: JsonRecord): void {
    const open = order.order_state === "open";
    side.orderId = open ? textOf(order.order_id) : "";
    side.filledLots = open ? nearestSteps(numberOf(order.filled_amount) || 0, side.instrument.lot) : 0;
    side.restTicks = numberToSteps(numberOf(order.price), side.instrument.tick);
    side.restLots = open ? nearestSteps(numberOf(order.amount), side.instrument.lot) - side.filledLots : 0;
  }

  #clear(side: Side): void {
    side.orderId = "";
    side.restLots = 0;
    side.filledLots = 0;
    side.busy = false;
  }

  #answered(quoteId: number, refusal: string): void {
    const unanswered = this.#byId.get(quoteId);
    if (unanswered === undefined) return;
    unanswered.sides -= 1;
    if (refusal !== "") unanswered.refusal = refusal;
  }

  /** Tells what is known of the oldest quotes, in the order of their ids. */
  #release(timeUs: number): void {
    const { events } = this.#options.host;
    while (this.#unanswered.length > 0 && this.#unanswered[0].sides <= 0) {
      const [{ quoteId, refusal }] = this.#unanswered.splice(0, 1);
      this.#byId.delete(quoteId);
      if (quoteId <= this.#toldId) continue;
      this.#toldId = quoteId;
      const status = refusal === "" ? QUOTE_STATUS.accepted : QUOTE_STATUS.rejected;
      events.onQuoteAck(quoteId, status, refusal, timeUs);
    }
  }

  #byOrder(orderId: string): Side | undefined {
    if (orderId === "") return undefined;
    for (const side of this.#sides.values()) if (side.orderId === orderId) return side;
    return undefined;
  }

  #side(id: number, side: 0 | 1, level: number): Side {
    const key = 2 * (level * this.#options.instruments.capacity + id) + side;
    const known = this.#sides.get(key);
    if (known !== undefined) return known;
    const made: Side = {
      instrument: this.#options.instruments.get(id),
      side,
      wantId: 0,
      wantTicks: -1,
      wantLots: 0,
      orderId: "",
      restTicks: -1,
      restLots: 0,
      filledLots: 0,
      busy: false,
      notBeforeUs: 0,
    };
    this.#sides.set(key, made);
    return made;
  }
}
