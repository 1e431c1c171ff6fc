import { HEADS, type HeadName } from "../../inference/card.ts";
import { LABEL_OPTIONS, Labeller } from "../labels.ts";
import { type Arrival, Arrivals } from "./arrivals.ts";
import { type Basis, basisColumns, readBasis } from "./basis.ts";
import { MarksAfter } from "./marks-after.ts";
import {
  OBSERVED,
  type ObservationSink,
  type ObservedAnswer,
  type ObservedFill,
  type ObservedInstrument,
  type ObservedKind,
} from "./observation.ts";
import { markOf, newPrediction, noMarks, type SeenMarket, termColumns, unitValue } from "./rows.ts";
import { onGrid, type SentQuote, StandingLevel, sentQuote } from "./standing.ts";
import type { FillOutcome, OutcomeSink, PredictionOutcome, QUOTE_END, UnfilledOutcome } from "./table.ts";

/** Rows of an underlying that may wait for their labels; a power of two. */
const WAITING_ROWS = 65_536;
/** Fills, and would-be fills, that may wait for their last mark. */
const WAITING_FILLS = 65_536;
/** Columns of labels, in the labeller's order. */
const CAME = HEADS.map((head) => `y_${head}` as const);

export interface TrackerCounters {
  predictions: number;
  quotes: number;
  fills: number;
  unfilled: number;
  /** Predictions that never got labels: the book broke, the model went out of force, or there was no room. */
  unlabelled: number;
  /** Fills and would-be fills without all of their marks, for want of room. */
  cutShort: number;
  /** Observations of an instrument that was not described, after a loss. */
  unknown: number;
}

interface Market extends SeenMarket {
  readonly levels: StandingLevel[];
}

interface Labelled {
  readonly labeller: Labeller;
  readonly rows: (PredictionOutcome | undefined)[];
}

/**
 * Makes outcomes of what is observed. Deterministic: the same observations give the same outcomes, live and from a journal. Reads
 * no clock; horizons end by the observations' own times. Bounded: see the counters for what had no room.
 */
export class OutcomeTracker implements ObservationSink {
  readonly counters: TrackerCounters = {
    predictions: 0,
    quotes: 0,
    fills: 0,
    unfilled: 0,
    unlabelled: 0,
    cutShort: 0,
    unknown: 0,
  };
  readonly #heads: readonly HeadName[];
  /** Columns of the model's outputs, in their order. */
  readonly #said: readonly `p_${HeadName}`[];
  readonly #sink: OutcomeSink;
  readonly #markets: (Market | undefined)[] = [];
  readonly #bases: string[] = [];
  readonly #labelled: (Labelled | undefined)[] = [];
  readonly #fills: MarksAfter<FillOutcome>;
  readonly #unfilled: MarksAfter<UnfilledOutcome>;
  readonly #arrivals = new Arrivals();
  readonly #underlyings = new Map<string, number>();
  /** By underlying, as told; where nothing was, {@link #model}. */
  readonly #models: string[] = [];
  /** By underlying, as told last. */
  readonly #inForce: (Basis | undefined)[] = [];
  #model: string;
  #nowUs = Number.NEGATIVE_INFINITY;

  /**
   * @param heads the models' outputs in order; a name that is not known is passed over
   * @param model in force everywhere until another one is told
   */
  constructor(heads: readonly string[], model: string, sink: OutcomeSink) {
    this.#heads = heads as readonly HeadName[];
    this.#said = this.#heads.map((head) => `p_${head}` as const);
    this.#model = model;
    this.#sink = sink;
    const mark = (instrument: number): number => markOf(this.#markets[instrument]);
    this.#fills = new MarksAfter(WAITING_FILLS, mark, (row) => {
      this.counters.fills += 1;
      sink.outcome("fill", row);
    });
    this.#unfilled = new MarksAfter(WAITING_FILLS, mark, (row) => {
      this.counters.unfilled += 1;
      sink.outcome("unfilled", row);
    });
  }

  /** Fills whose last horizon has not passed. */
  get waitingFills(): number {
    return this.#fills.waiting;
  }

  observe(kind: ObservedKind, subject: number, timeUs: number, values: Float64Array, _count: number): void {
    const nowUs = this.#advance(timeUs);
    if (kind === OBSERVED.prediction) {
      // Of frames that were decided together it is told after later ones; its horizons begin at its own time.
      this.#onPrediction(subject, timeUs, values);
      return;
    }
    if (kind === OBSERVED.cancelAll) {
      this.#endAll("cancelled", nowUs);
      return;
    }
    if (kind === OBSERVED.timer) return;
    if (kind === OBSERVED.lost) {
      // A label that rests on a row which is missing could be a wrong one.
      for (const labelled of this.#labelled) labelled?.labeller.reset();
      this.#count();
      // Another model may have come into force in between: none is named before the next word of it.
      this.#models.length = 0;
      this.#model = "";
      this.#inForce.length = 0;
      return;
    }
    if (kind === OBSERVED.basis) {
      this.#inForce[subject] = readBasis(values, this.#heads);
      return;
    }
    const market = this.#markets[subject];
    if (market === undefined) {
      this.counters.unknown += 1;
      return;
    }
    switch (kind) {
      case OBSERVED.top:
        market.bidTicks = values[0];
        market.askTicks = values[1];
        this.#onTop(subject, market, nowUs);
        break;
      case OBSERVED.mark:
        if (values[0] > 0) market.venueMark = values[0];
        if (values[1] > 0) market.underlyingPrice = values[1];
        break;
      case OBSERVED.trade:
        this.#onTrade(subject, market, values[0], values[1], nowUs);
        break;
      case OBSERVED.quote:
        this.#onQuote(market, values, nowUs);
        break;
      case OBSERVED.order:
        this.#arrivals.onOrder(values[0], this.#arrivalOf(market, nowUs));
        break;
    }
  }

  describe(kind: ObservedKind, subject: number, timeUs: number, text: string): void {
    const nowUs = this.#advance(timeUs);
    if (kind === OBSERVED.instrument) {
      this.#markets[subject] ??= {
        about: JSON.parse(text) as ObservedInstrument,
        bidTicks: -1,
        askTicks: -1,
        venueMark: Number.NaN,
        underlyingPrice: Number.NaN,
        levels: [],
      };
    } else if (kind === OBSERVED.underlying) {
      this.#bases[subject] = text;
      this.#underlyings.set(text, subject);
    } else if (kind === OBSERVED.modelName) {
      this.#models[subject] = text;
    } else if (kind === OBSERVED.fill) {
      const market = this.#markets[subject];
      if (market === undefined) this.counters.unknown += 1;
      else this.#onFill(subject, market, JSON.parse(text) as ObservedFill, nowUs);
    } else if (kind === OBSERVED.answer) {
      this.#onAnswer(JSON.parse(text) as ObservedAnswer, nowUs);
    }
  }

  /**
   * The stream has ended: what waits is handed over as far as it is known.
   *
   * @param timeUs left out, the time of the last observation
   */
  finish(timeUs: number = this.#nowUs): void {
    const nowUs = this.#advance(timeUs);
    this.#endAll("ended", nowUs);
    for (const labelled of this.#labelled) {
      labelled?.labeller.settle(nowUs);
      labelled?.labeller.reset();
    }
    this.#fills.finish(nowUs);
    this.#unfilled.finish(nowUs);
    this.#count();
  }

  #advance(timeUs: number): number {
    // A wall clock may step back; what has been settled stays so.
    this.#nowUs = Math.max(this.#nowUs, timeUs);
    this.#fills.settle(this.#nowUs);
    this.#unfilled.settle(this.#nowUs);
    return this.#nowUs;
  }

  #onPrediction(underlying: number, timeUs: number, values: Float64Array): void {
    const labelled = this.#labelledOf(underlying);
    if (values[0] !== 0) {
      labelled.labeller.reset();
      this.#count();
      return;
    }
    const midTicks = values[1];
    const model = this.#models[underlying] ?? this.#model;
    const row = newPrediction(this.#bases[underlying] ?? "", model, timeUs, midTicks);
    for (let head = 0; head < this.#said.length; head += 1) row[this.#said[head]] = values[4 + head];
    // Kept before it is pushed: settling those before it must not meet it.
    labelled.rows[labelled.labeller.rows & (WAITING_ROWS - 1)] = row;
    labelled.labeller.push(timeUs, midTicks, values[2], values[3]);
  }

  #labelledOf(underlying: number): Labelled {
    const known = this.#labelled[underlying];
    if (known !== undefined) return known;
    const rows: (PredictionOutcome | undefined)[] = [];
    const labeller = new Labeller(
      (number, labels, movesBp) => {
        const at = number & (WAITING_ROWS - 1);
        const row = rows[at];
        if (row === undefined) return;
        rows[at] = undefined;
        for (let head = 0; head < CAME.length; head += 1) row[CAME[head]] = labels[head];
        row.fall_50_bp = movesBp[0];
        row.fall_100_bp = movesBp[1];
        row.rise_50_bp = movesBp[2];
        row.rise_100_bp = movesBp[3];
        this.counters.predictions += 1;
        this.#sink.outcome("prediction", row);
      },
      { ...LABEL_OPTIONS, capacity: WAITING_ROWS },
    );
    const made = { labeller, rows };
    this.#labelled[underlying] = made;
    return made;
  }

  #onTop(instrument: number, market: Market, timeUs: number): void {
    const { bidTicks, askTicks } = market;
    for (const level of market.levels) {
      if (level === undefined) continue;
      level.look(bidTicks, askTicks, timeUs);
      const quote = level.current;
      if (quote === null) continue;
      if (level.armed[0] && askTicks >= 0 && askTicks < quote.staticTicks[0]) {
        level.armed[0] = false;
        if (askTicks > quote.ticks[0]) this.#wouldFill(instrument, market, quote, 0, "book", timeUs);
      }
      if (level.armed[1] && bidTicks >= 0 && bidTicks > quote.staticTicks[1]) {
        level.armed[1] = false;
        if (bidTicks < quote.ticks[1]) this.#wouldFill(instrument, market, quote, 1, "book", timeUs);
      }
    }
  }

  #onTrade(instrument: number, market: Market, aggressor: number, ticks: number, timeUs: number): void {
    for (const level of market.levels) {
      const quote = level?.current;
      if (level === undefined || quote == null) continue;
      if (aggressor === 1 && level.armed[0] && ticks < quote.staticTicks[0]) {
        level.armed[0] = false;
        if (ticks > quote.ticks[0]) this.#wouldFill(instrument, market, quote, 0, "trade", timeUs);
      }
      if (aggressor === 0 && level.armed[1] && ticks > quote.staticTicks[1]) {
        level.armed[1] = false;
        if (ticks < quote.ticks[1]) this.#wouldFill(instrument, market, quote, 1, "trade", timeUs);
      }
    }
  }

  #onQuote(market: Market, values: Float64Array, timeUs: number): void {
    const quote = sentQuote(values, market.about, this.#arrivalOf(market, timeUs), timeUs);
    const level = market.levels[quote.level] ?? new StandingLevel();
    market.levels[quote.level] = level;
    this.#end(level, "replaced", market, timeUs);
    level.stand(quote, market.bidTicks, market.askTicks);
  }

  #wouldFill(
    instrument: number,
    market: Market,
    quote: SentQuote,
    side: 0 | 1,
    pass: "trade" | "book",
    timeUs: number,
  ): void {
    const { about } = market;
    const staticPrice = onGrid(quote.staticTicks[side], about.tick);
    const staticLots = quote.lots[side] * quote.staticRatio[side];
    this.#unfilled.add(instrument, timeUs, {
      time_us: timeUs,
      instrument: about.symbol,
      underlying: about.base,
      model: quote.model,
      pass,
      side: side === 0 ? 1 : -1,
      quote_id: quote.quoteId,
      level: quote.level,
      price: onGrid(quote.ticks[side], about.tick),
      static_price: staticPrice,
      static_size: onGrid(staticLots, about.lot),
      unit_value: unitValue(market, staticPrice, staticLots, quote),
      mark: markOf(market),
      ...noMarks(),
      widen_bp: quote.widenBp,
      reasons: quote.reasons,
    });
  }

  #onFill(instrument: number, market: Market, fill: ObservedFill, timeUs: number): void {
    const { about } = market;
    const { orderId, structureId, rfqQuoteId } = fill;
    const side = fill.side === 0 ? 0 : 1;
    const source =
      structureId !== undefined ? "rfq" : orderId !== undefined && orderId > 0 ? "order" : "quote";
    const quote = source === "quote" ? newest(market.levels, side, fill.priceTicks, timeUs) : undefined;
    const price = onGrid(fill.priceTicks, about.tick);
    const arrival: Arrival | undefined =
      source === "order"
        ? this.#arrivals.order(orderId)
        : (quote ?? this.#arrivals.answer(rfqQuoteId, instrument));
    const row: FillOutcome = {
      time_us: timeUs,
      fill_id: fill.id,
      instrument: about.symbol,
      underlying: about.base,
      model: arrival?.model ?? this.#modelOf(market),
      source,
      counterparty: fill.counterparty ?? "",
      liquidity: fill.liquidity ?? (source === "order" ? "taker" : "maker"),
      side: side === 0 ? 1 : -1,
      price,
      size: onGrid(fill.sizeLots, about.lot),
      unit_value: unitValue(market, price, fill.sizeLots, quote),
      quote_id: quote?.quoteId ?? Number.NaN,
      level: quote?.level ?? -1,
      quote_time_us: arrival?.timeUs ?? Number.NaN,
      arrival_mark: arrival?.mark ?? Number.NaN,
      mark: markOf(market),
      ...noMarks(),
      static_price: quote === undefined ? Number.NaN : onGrid(quote.staticTicks[side], about.tick),
      static_ratio: quote === undefined ? Number.NaN : quote.staticRatio[side],
      fair: quote?.fair ?? Number.NaN,
      widen_bp: quote?.widenBp ?? Number.NaN,
      size_factor: quote?.sizeFactor ?? Number.NaN,
      reasons: quote?.reasons ?? 0,
      ...termColumns(quote),
      rfq_quote_id: rfqQuoteId ?? "",
      ...basisColumns(arrival?.basis, this.#basisOf(market)),
    };
    this.#fills.add(instrument, timeUs, row);
  }

  #onAnswer({ rfqQuoteId, instruments }: ObservedAnswer, timeUs: number): void {
    const legs = new Map<number, Arrival>();
    for (const instrument of instruments) {
      const market = this.#markets[instrument];
      if (market === undefined) this.counters.unknown += 1;
      else legs.set(instrument, this.#arrivalOf(market, timeUs));
    }
    this.#arrivals.onAnswer(rfqQuoteId, legs);
  }

  #end(level: StandingLevel, why: (typeof QUOTE_END)[number], { about }: Market, timeUs: number): void {
    const outcome = level.end(why, about, timeUs);
    if (outcome === null) return;
    this.counters.quotes += 1;
    this.#sink.outcome("quote", outcome);
  }

  #endAll(why: (typeof QUOTE_END)[number], timeUs: number): void {
    for (const market of this.#markets) {
      if (market === undefined) continue;
      for (const level of market.levels) if (level !== undefined) this.#end(level, why, market, timeUs);
    }
  }

  #arrivalOf(market: Market, timeUs: number): Arrival {
    return { timeUs, mark: markOf(market), model: this.#modelOf(market), basis: this.#basisOf(market) };
  }

  #modelOf({ about }: Market): string {
    return this.#models[this.#underlyings.get(about.base) ?? -1] ?? this.#model;
  }

  #basisOf({ about }: Market): Basis | undefined {
    return this.#inForce[this.#underlyings.get(about.base) ?? -1];
  }

  #count(): void {
    this.counters.unlabelled = this.#labelled.reduce((sum, one) => sum + (one?.labeller.unlabelled ?? 0), 0);
    this.counters.cutShort = this.#fills.cutShort + this.#unfilled.cutShort;
  }
}

function newest(
  levels: readonly (StandingLevel | undefined)[],
  side: 0 | 1,
  ticks: number,
  beforeUs: number,
): SentQuote | undefined {
  let found: SentQuote | undefined;
  for (const level of levels) {
    const hit = level?.hit(side, ticks, beforeUs);
    if (hit !== undefined && (found === undefined || hit.quoteId > found.quoteId)) found = hit;
  }
  return found;
}
