import { stepToNumber } from "../../core/decimal.ts";
import type { ExecutionDetail } from "../../gateway/gateway.ts";
import type { SeenBook } from "../../gateway/seen-book.ts";
import type { DeskTap } from "../../gateway/tap.ts";
import { type ModelCard, modelLabel } from "../../inference/card.ts";
import type { Book } from "../../market/book.ts";
import { EVENT, type EventBatch, TICKER, TICKER_FIELDS } from "../../market/event-batch.ts";
import type { InstrumentTable } from "../../market/instrument.ts";
import type { QuoteBatch } from "../../quote/quote-batch.ts";
import { TERMS } from "../../quote/term.ts";
import type { RfqAction } from "../../rfq/message.ts";
import {
  BASIS,
  OBSERVED,
  OBSERVED_VALUES_MAX,
  type ObservationSink,
  type ObservedAnswer,
  type ObservedFill,
  type ObservedInstrument,
  QUOTED,
  QUOTED_VALUES,
  writePrediction,
} from "./observation.ts";

/** Time is told this often where nothing else happens. */
const TIMER_US = 100_000;
/** Models in force are told this often, so that whoever missed a change of them knows again. */
const MODELS_US = 1_000_000;

/** What the tap has to know of the desk. */
export interface ObservedDesk {
  readonly instruments: InstrumentTable;
  /** By instrument; a book is there before its first event. */
  readonly books: readonly Book[];
  readonly underlyings: {
    readonly size: number;
    readonly reference: Int32Array;
    base(underlying: number): string;
  };
  underlyingOf(instrument: number): number;
}

/** What the desk's decisions rest on at any time; as a quote leaves, its own prediction is there already. */
export interface ObservedPredictions {
  readonly heads: number;
  /** `[underlying][head]`. */
  readonly probabilities: Float32Array;
  readonly stateUs: Float64Array;
  status(underlying: number): number;
}

/**
 * Follows a desk, live or replayed, and tells what it sees as observations: an instrument's best prices when they change and before
 * whatever rests on them, trades, mark prices, predictions with the book that they were made from, quotes, fills, and whose predictions
 * are in force.
 */
export class OutcomeTap implements DeskTap {
  readonly #desk: ObservedDesk;
  readonly #sink: ObservationSink;
  readonly #values = new Float64Array(OBSERVED_VALUES_MAX);
  readonly #shown: Float64Array;
  readonly #onClose: () => void;
  readonly #predictions: ObservedPredictions | null;
  /** By underlying, what was told last of it: as {@link BASIS} has it. */
  readonly #bases: (Float64Array | undefined)[] = [];
  /** By underlying: label of the model in force where another one followed {@link #model}. */
  readonly #models: (string | undefined)[] = [];
  readonly #model: string;
  #named = 0;
  #namedUnderlyings = 0;
  #timerUs = Number.NEGATIVE_INFINITY;
  #modelsUs = Number.NEGATIVE_INFINITY;

  /**
   * @param model label of the model that is in force everywhere at first
   * @param predictions told of with fills; null where nobody asks for what fills rest on
   */
  constructor(
    desk: ObservedDesk,
    predictions: ObservedPredictions | null,
    model: string,
    sink: ObservationSink,
    onClose: () => void = () => {},
  ) {
    this.#desk = desk;
    this.#predictions = predictions;
    this.#model = model;
    this.#sink = sink;
    this.#onClose = onClose;
    this.#shown = new Float64Array(desk.instruments.capacity * 2).fill(-1);
  }

  onPrediction(
    underlying: number,
    probabilities: Float32Array,
    offset: number,
    heads: number,
    status: number,
    timeUs: number,
    book: SeenBook,
  ): void {
    if (this.#desk.underlyings.size > this.#namedUnderlyings) this.#nameUnderlyings(timeUs);
    const values = this.#values;
    const count = writePrediction(values, probabilities, offset, heads, status, book);
    this.#sink.observe(OBSERVED.prediction, underlying, timeUs, values, count);
  }

  onModel(underlying: number, card: ModelCard): void {
    const label = modelLabel(card);
    if (label === (this.#models[underlying] ?? this.#model)) return;
    this.#models[underlying] = label;
    this.#sink.describe(OBSERVED.modelName, underlying, this.#timerUs, label);
  }

  onQuotes(quotes: QuoteBatch, timeUs: number): void {
    const values = this.#values;
    let told = -1;
    for (let row = 0; row < quotes.count; row += 1) {
      const instrument = quotes.instrument[row];
      this.#top(instrument, timeUs);
      const underlying = this.#desk.underlyingOf(instrument);
      if (underlying !== told) this.#basis(underlying, timeUs);
      told = underlying;
      values[QUOTED.quoteId] = quotes.quoteId[row];
      values[QUOTED.level] = quotes.level[row];
      values[QUOTED.bidTicks] = quotes.bidTicks[row];
      values[QUOTED.bidLots] = quotes.bidLots[row];
      values[QUOTED.askTicks] = quotes.askTicks[row];
      values[QUOTED.askLots] = quotes.askLots[row];
      values[QUOTED.fair] = quotes.fair[row];
      values[QUOTED.widenBp] = quotes.widenBp[row];
      values[QUOTED.sizeFactor] = quotes.sizeFactor[row];
      values[QUOTED.reasons] = quotes.reasons[row];
      for (let term = 0; term < TERMS; term += 1) {
        values[QUOTED.terms + term] = quotes.terms[row * TERMS + term];
      }
      this.#sink.observe(OBSERVED.quote, instrument, timeUs, values, QUOTED_VALUES);
    }
  }

  onFill(
    id: string,
    instrument: number,
    side: number,
    priceTicks: number,
    sizeLots: number,
    detail: ExecutionDetail,
    timeUs: number,
  ): void {
    this.#top(instrument, timeUs);
    this.#basis(this.#desk.underlyingOf(instrument), timeUs);
    const { orderId, structureId, rfqQuoteId, counterparty, liquidity } = detail;
    const fill: ObservedFill = {
      ...{ id, side, priceTicks, sizeLots },
      ...(orderId === undefined ? {} : { orderId }),
      ...(structureId === undefined ? {} : { structureId }),
      ...(rfqQuoteId === undefined ? {} : { rfqQuoteId }),
      ...(counterparty === undefined ? {} : { counterparty }),
      ...(liquidity === undefined ? {} : { liquidity }),
    };
    this.#sink.describe(OBSERVED.fill, instrument, timeUs, JSON.stringify(fill));
  }

  onOrder(orderId: number, instrument: number, timeUs: number): void {
    this.#top(instrument, timeUs);
    this.#basis(this.#desk.underlyingOf(instrument), timeUs);
    this.#values[0] = orderId;
    this.#sink.observe(OBSERVED.order, instrument, timeUs, this.#values, 1);
  }

  onAnswer(action: RfqAction, timeUs: number): void {
    if (action.do !== "quote" || this.#predictions === null) return;
    const instruments: number[] = [];
    for (const { venue, symbol } of action.legs) {
      const instrument = this.#desk.instruments.find(venue, symbol)?.id ?? -1;
      if (instrument < 0) continue;
      this.#top(instrument, timeUs);
      this.#basis(this.#desk.underlyingOf(instrument), timeUs);
      instruments.push(instrument);
    }
    const answer: ObservedAnswer = { rfqQuoteId: action.quoteId, instruments };
    this.#sink.describe(OBSERVED.answer, -1, timeUs, JSON.stringify(answer));
  }

  onEvents(events: EventBatch, rows: Int32Array, count: number, timeUs: number): void {
    const values = this.#values;
    for (let at = 0; at < count; at += 1) {
      const row = rows[at];
      const instrument = events.instrument[row];
      switch (events.kind[row]) {
        case EVENT.bookSnapshot:
        case EVENT.bookDelta:
        case EVENT.top:
        case EVENT.status:
          this.#top(instrument, timeUs);
          break;
        case EVENT.trade: {
          this.#top(instrument, timeUs);
          const level = events.levelStart[row];
          values[0] = events.side[level];
          values[1] = events.priceTicks[level];
          this.#sink.observe(OBSERVED.trade, instrument, timeUs, values, 2);
          break;
        }
        case EVENT.ticker: {
          this.#top(instrument, timeUs);
          const from = row * TICKER_FIELDS;
          values[0] = events.values[from + TICKER.markPrice];
          values[1] = events.values[from + TICKER.underlyingPrice];
          if (values[0] > 0 || values[1] > 0) {
            this.#sink.observe(OBSERVED.mark, instrument, timeUs, values, 2);
          }
          break;
        }
      }
    }
  }

  onCancelAll(timeUs: number): void {
    this.#sink.observe(OBSERVED.cancelAll, -1, timeUs, this.#values, 0);
  }

  onTimer(timeUs: number): void {
    // A wall clock may step back.
    if (Math.abs(timeUs - this.#timerUs) < TIMER_US) return;
    this.#timerUs = timeUs;
    this.#sink.observe(OBSERVED.timer, -1, timeUs, this.#values, 0);
    if (Math.abs(timeUs - this.#modelsUs) < MODELS_US) return;
    this.#modelsUs = timeUs;
    const { size } = this.#desk.underlyings;
    if (size > this.#namedUnderlyings) this.#nameUnderlyings(timeUs);
    for (let underlying = 0; underlying < size; underlying += 1) {
      const label = this.#models[underlying] ?? this.#model;
      this.#sink.describe(OBSERVED.modelName, underlying, timeUs, label);
    }
  }

  close(): void {
    this.#onClose();
  }

  /** Tells what the prediction of an underlying is if it is not the one told last. */
  #basis(underlying: number, timeUs: number): void {
    const predictions = this.#predictions;
    if (predictions === null || underlying < 0) return;
    const { heads, probabilities, stateUs } = predictions;
    const count = BASIS.probabilities + heads;
    const known = this.#bases[underlying];
    const told = known ?? new Float64Array(count).fill(Number.NaN);
    const status = predictions.status(underlying);
    const from = underlying * heads;
    if (told[BASIS.status] === status && (status !== 0 || told[BASIS.stateUs] === stateUs[underlying])) {
      let head = 0;
      while (
        head < heads &&
        (status !== 0 || told[BASIS.probabilities + head] === probabilities[from + head])
      ) {
        head += 1;
      }
      if (head === heads) return;
    }
    this.#bases[underlying] = told;
    told[BASIS.status] = status;
    told[BASIS.stateUs] = stateUs[underlying];
    for (let head = 0; head < heads; head += 1) told[BASIS.probabilities + head] = probabilities[from + head];
    if (this.#desk.underlyings.size > this.#namedUnderlyings) this.#nameUnderlyings(timeUs);
    this.#sink.observe(OBSERVED.basis, underlying, timeUs, told, status === 0 ? count : 1);
  }

  /** Tells the best prices if they are not those told last. */
  #top(instrument: number, timeUs: number): void {
    const { books, instruments } = this.#desk;
    if (instruments.size > this.#named) this.#nameInstruments(timeUs);
    const book = books[instrument];
    if (book === undefined) return;
    const { bestBidTicks, bestAskTicks } = book;
    const shown = this.#shown;
    const at = instrument * 2;
    if (shown[at] === bestBidTicks && shown[at + 1] === bestAskTicks) return;
    shown[at] = bestBidTicks;
    shown[at + 1] = bestAskTicks;
    const values = this.#values;
    values[0] = bestBidTicks;
    values[1] = bestAskTicks;
    this.#sink.observe(OBSERVED.top, instrument, timeUs, values, 2);
  }

  #nameInstruments(timeUs: number): void {
    const { instruments } = this.#desk;
    for (; this.#named < instruments.size; this.#named += 1) {
      const { venue, symbol, base, tick, lot, kind, inverse, contractSize } = instruments.get(this.#named);
      const about: ObservedInstrument = {
        ...{ venue, symbol, base, inverse, contractSize },
        tick: stepToNumber(tick),
        lot: stepToNumber(lot),
        option: kind === "option",
      };
      this.#sink.describe(OBSERVED.instrument, this.#named, timeUs, JSON.stringify(about));
    }
  }

  #nameUnderlyings(timeUs: number): void {
    const { underlyings } = this.#desk;
    for (; this.#namedUnderlyings < underlyings.size; this.#namedUnderlyings += 1) {
      const base = underlyings.base(this.#namedUnderlyings);
      this.#sink.describe(OBSERVED.underlying, this.#namedUnderlyings, timeUs, base);
    }
  }
}
