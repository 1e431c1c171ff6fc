import { INVERSE_OPTION } from "../../src/bench/option-table.ts";
import { EVENT, EventBatch, TICKER, TICKER_FIELDS } from "../../src/market/event-batch.ts";
import { type Instrument, type InstrumentSpec, InstrumentTable } from "../../src/market/instrument.ts";
import type { SurfaceParameters } from "../../src/option/surface/parameters.ts";
import { DEFAULT_QUOTE_PARAMETERS, type QuoteParameters } from "../../src/quote/parameters.ts";
import { QuoteBatch } from "../../src/quote/quote-batch.ts";
import { Quoter } from "../../src/quote/quoter.ts";
import { PERPETUAL } from "../support/perpetuals.ts";

/** Local time at which every scenario starts, and how far the exchange's clock is ahead of it. */
export const START_US = 1_700_000_000_000_000;
export const EXCHANGE_AHEAD_US = 1_269_000;
export const DAY_MS = 86_400_000;
export const FORWARD = 60_000;

const OPTION: InstrumentSpec = {
  ...INVERSE_OPTION,
  symbol: "BTC-OPTION",
  tickSteps: [{ fromPriceTicks: 50, multiple: 5 }],
  expiryMs: START_US / 1_000 + 7 * DAY_MS,
  strike: FORWARD,
};

/** A quoter with a reference perpetual and options on it, driven by hand; every decided row is handed over at once. */
export class Scenario {
  readonly instruments = new InstrumentTable(64);
  readonly quoter: Quoter;
  readonly perpetual: Instrument;
  readonly batch: QuoteBatch;
  timeUs = START_US;
  readonly #ticker = new EventBatch(1, 1);

  constructor(
    changes: Partial<QuoteParameters> = {},
    batchCapacity = 64,
    surface: SurfaceParameters | null = null,
  ) {
    this.quoter = new Quoter({
      capacity: 64,
      underlyings: 2,
      parameters: { ...DEFAULT_QUOTE_PARAMETERS, ...changes },
      surface,
    });
    this.batch = new QuoteBatch(batchCapacity);
    this.perpetual = this.#added(PERPETUAL);
    this.quoter.setReference(0, this.perpetual.id);
  }

  /** Adds an option and gives it a live feed and a ticker. */
  option(spec: Partial<InstrumentSpec> = {}, volatility = 0.5): Instrument {
    return this.#quoted({ ...OPTION, symbol: `BTC-OPTION-${this.instruments.size}`, ...spec }, 0, volatility);
  }

  /** Adds an option of underlying 1, which has no reference market. */
  alone(spec: InstrumentSpec): Instrument {
    return this.#quoted(spec, 1, 0.5);
  }

  /** Session, reference and model are up, and the market stands at {@link FORWARD}. */
  ready(): this {
    this.quoter.onSessionUp();
    this.quoter.onFeedState(this.perpetual.id, true, 0);
    this.quoter.onModelStatus(0, 0);
    this.move(FORWARD);
    return this;
  }

  get exchangeTimeUs(): number {
    return this.timeUs + EXCHANGE_AHEAD_US;
  }

  later(ms: number): this {
    this.timeUs += ms * 1_000;
    return this;
  }

  ticker(option: Instrument, markIv: number, underlyingPrice = FORWARD): void {
    this.#tell(option, { markIv, underlyingPrice });
  }

  /** A ticker that carries the volatilities of bid and ask but no mark. */
  sides(option: Instrument, bidIv: number, askIv: number): void {
    this.#tell(option, { bidIv, askIv, underlyingPrice: FORWARD });
  }

  /** The reference trades at a price; the model answers with the given probabilities. */
  move(price: number, probabilities: readonly number[] | null = [0, 0, 0, 0, 0, 0, 0]): void {
    this.quoter.onUnderlying(0, price, this.timeUs + EXCHANGE_AHEAD_US, this.timeUs);
    if (probabilities !== null) this.quoter.onPrediction(0, Float32Array.from(probabilities), 0, this.timeUs);
  }

  /** Decides and hands over. @returns instruments in the batch */
  requote(): number[] {
    this.batch.clear();
    this.quoter.requote(0, this.timeUs, this.batch);
    return this.#handOver();
  }

  timer(): number[] {
    this.batch.clear();
    this.quoter.onTimer(this.timeUs, this.batch);
    return this.#handOver();
  }

  /** Prices in ticks and sizes in lots that stand. */
  stands(instrument: Instrument): { bid: number; bidLots: number; ask: number; askLots: number } {
    const { bidTicks, bidLots, askTicks, askLots } = this.quoter.standing(instrument.id);
    return { bid: bidTicks, bidLots, ask: askTicks, askLots };
  }

  reasons(instrument: Instrument): number {
    return this.quoter.reasons[instrument.id];
  }

  #handOver(): number[] {
    const changed = [...this.batch.instrument.subarray(0, this.batch.count)];
    this.quoter.onSent(this.batch, this.batch.count, this.timeUs);
    return changed;
  }

  #tell(option: Instrument, fields: Partial<Record<keyof typeof TICKER, number>>): void {
    this.#ticker.clear();
    const row = this.#ticker.begin(EVENT.ticker, option.id, this.timeUs + EXCHANGE_AHEAD_US);
    for (const [name, value] of Object.entries(fields)) {
      this.#ticker.values[row * TICKER_FIELDS + TICKER[name as keyof typeof TICKER]] = value;
    }
    this.quoter.onTicker(option.id, this.#ticker, row, this.timeUs);
  }

  #quoted(spec: InstrumentSpec, underlying: number, volatility: number): Instrument {
    const option = this.#added(spec);
    this.quoter.add(option, underlying);
    this.quoter.onFeedState(option.id, true, 0);
    this.ticker(option, volatility);
    return option;
  }

  #added(spec: InstrumentSpec): Instrument {
    const instrument = this.instruments.add(spec);
    if (instrument === undefined) throw new Error("the table of instruments is full");
    return instrument;
  }
}

export const NOT_QUOTED = { bid: -1, bidLots: 0, ask: -1, askLots: 0 };
