import { stepsToDecimal } from "../../core/decimal.ts";
import type { InstrumentTable } from "../../market/instrument.ts";
import { reasonNames } from "../../quote/quote-batch.ts";
import type { Quoter } from "../../quote/quoter.ts";
import type { TradingState } from "../../risk/trading-state.ts";
import type { ServerMessage } from "./messages.ts";

/** What the gateway shows of a desk. */
export interface ApiDesk {
  readonly instruments: InstrumentTable;
  readonly quoter: Quoter;
  /** Base coins of the underlyings by number. */
  readonly underlyings: { readonly size: number; base(underlying: number): string };
  readonly underlyingCapacity: number;
  readonly model: { readonly name: string; readonly heads: readonly string[] };
  state(): ApiState;
}

/** The desk's state, without its time. */
export interface ApiState {
  readonly trading: TradingState;
  /** Why it is not active; null when it is. */
  readonly reason: string | null;
  readonly counterpartyUp: boolean;
  /** By underlying: why its model is not in force, as `REASON` bits. */
  readonly models: readonly (readonly [base: string, status: number])[];
  readonly liveInstruments: Readonly<Record<string, number>>;
  readonly openRfqs: number;
}

/** The latest of everything that can be subscribed to; bounded by the desk's own capacities. */
export class Updates {
  readonly #desk: ApiDesk;
  readonly #probabilities: Float32Array;
  readonly #status: Int32Array;
  readonly #predictedUs: Float64Array;
  readonly #quotedUs: Float64Array;

  constructor(desk: ApiDesk) {
    this.#desk = desk;
    this.#probabilities = new Float32Array(desk.underlyingCapacity * desk.model.heads.length).fill(
      Number.NaN,
    );
    this.#status = new Int32Array(desk.underlyingCapacity);
    this.#predictedUs = new Float64Array(desk.underlyingCapacity).fill(Number.NaN);
    this.#quotedUs = new Float64Array(desk.instruments.capacity).fill(Number.NaN);
  }

  onPrediction(
    underlying: number,
    probabilities: Float32Array,
    offset: number,
    status: number,
    timeUs: number,
  ): void {
    const heads = this.#desk.model.heads.length;
    for (let head = 0; head < heads; head += 1) {
      this.#probabilities[underlying * heads + head] = probabilities[offset + head];
    }
    this.#status[underlying] = status;
    this.#predictedUs[underlying] = timeUs;
  }

  onQuote(instrument: number, timeUs: number): void {
    this.#quotedUs[instrument] = timeUs;
  }

  /** Underlyings of which there is a prediction. */
  *predicted(): Generator<number> {
    for (let underlying = 0; underlying < this.#desk.underlyings.size; underlying += 1) {
      if (!Number.isNaN(this.#predictedUs[underlying])) yield underlying;
    }
  }

  /** Instruments that were quoted. */
  *quoted(): Generator<number> {
    for (let instrument = 0; instrument < this.#desk.instruments.size; instrument += 1) {
      if (!Number.isNaN(this.#quotedUs[instrument])) yield instrument;
    }
  }

  prediction(underlying: number): ServerMessage {
    const { model, underlyings } = this.#desk;
    const probabilities: Record<string, number | null> = {};
    for (const [head, name] of model.heads.entries()) {
      probabilities[name] = known(this.#probabilities[underlying * model.heads.length + head]);
    }
    return {
      type: "prediction",
      underlying: underlyings.base(underlying),
      model: model.name,
      probabilities,
      status: reasonNames(this.#status[underlying]),
      timeUs: this.#predictedUs[underlying],
    };
  }

  /** The desk's own quotes in an instrument as they stand. */
  quote(instrument: number): ServerMessage {
    const { instruments, quoter } = this.#desk;
    const { venue, symbol, tick, lot } = instruments.get(instrument);
    const first = quoter.standing(instrument);
    const levels = [];
    for (let level = 0; level < quoter.parameters.levels; level += 1) {
      const { bidTicks, bidLots, askTicks, askLots } =
        level === 0 ? first : quoter.standing(instrument, level);
      levels.push({
        bid: bidLots > 0 ? stepsToDecimal(bidTicks, tick) : null,
        bidSize: stepsToDecimal(bidLots, lot),
        ask: askLots > 0 ? stepsToDecimal(askTicks, tick) : null,
        askSize: stepsToDecimal(askLots, lot),
      });
    }
    return {
      type: "quote",
      ...{ venue, symbol, levels },
      fair: known(first.fair),
      delta: known(first.delta),
      vega: known(first.vega),
      reasons: reasonNames(first.reasons),
      timeUs: this.#quotedUs[instrument],
    };
  }

  state(timeUs: number): ServerMessage {
    const { models, liveInstruments, ...state } = this.#desk.state();
    return {
      type: "state",
      ...state,
      models: Object.fromEntries(models.map(([base, status]) => [base, reasonNames(status)])),
      liveInstruments: { ...liveInstruments },
      timeUs,
    };
  }
}

function known(value: number): number | null {
  return Number.isFinite(value) ? value : null;
}
