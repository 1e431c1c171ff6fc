import { HEADS } from "../../src/inference/card.ts";
import {
  OBSERVED,
  OBSERVED_VALUES_MAX,
  type ObservedFill,
  type ObservedInstrument,
  QUOTED,
} from "../../src/learn/outcomes/observation.ts";
import type { OutcomeRows, OutcomeTable } from "../../src/learn/outcomes/table.ts";
import { OutcomeTracker } from "../../src/learn/outcomes/tracker.ts";
import { TERM } from "../../src/quote/term.ts";

export const T0 = 1_700_000_000_000_000;
export const MS = 1_000;

export const PERPETUAL: ObservedInstrument = {
  venue: "deribit",
  symbol: "BTC-PERP",
  base: "BTC",
  tick: 0.5,
  lot: 10,
  option: false,
  inverse: true,
  contractSize: 1,
};
export const LINEAR: ObservedInstrument = { ...PERPETUAL, symbol: "BTCUSDT", lot: 0.001, inverse: false };

export interface Quoted {
  readonly quoteId: number;
  readonly bid: number;
  readonly ask: number;
  readonly lots?: number;
  readonly moveBid?: number;
  readonly moveAsk?: number;
  readonly predictedBid?: number;
}

/** A tracker with one instrument, told what happens in ticks and ms after T0. */
export class Story {
  readonly rows: { [T in OutcomeTable]: OutcomeRows[T][] } = {
    prediction: [],
    quote: [],
    fill: [],
    unfilled: [],
  };
  readonly tracker = new OutcomeTracker([...HEADS], "first@1", {
    outcome: (table, row) => {
      (this.rows[table] as unknown[]).push(row);
    },
  });
  readonly #values = new Float64Array(OBSERVED_VALUES_MAX);

  constructor(about: ObservedInstrument = LINEAR) {
    this.tracker.describe(OBSERVED.instrument, 0, T0, JSON.stringify(about));
    this.tracker.describe(OBSERVED.underlying, 0, T0, "BTC");
  }

  top(ms: number, bid: number, ask: number): void {
    this.#observe(OBSERVED.top, ms, [bid, ask]);
  }

  trade(ms: number, aggressor: "buy" | "sell", ticks: number): void {
    this.#observe(OBSERVED.trade, ms, [aggressor === "buy" ? 0 : 1, ticks]);
  }

  quote(ms: number, quote: Quoted): void {
    const { lots = 100, moveBid = 0, moveAsk = 0, predictedBid = 1 } = quote;
    const values = new Array<number>(QUOTED.terms + 20).fill(0);
    values[QUOTED.quoteId] = quote.quoteId;
    values[QUOTED.bidTicks] = quote.bid;
    values[QUOTED.bidLots] = lots;
    values[QUOTED.askTicks] = quote.ask;
    values[QUOTED.askLots] = lots;
    values[QUOTED.terms + TERM.moveBid] = moveBid;
    values[QUOTED.terms + TERM.moveAsk] = moveAsk;
    values[QUOTED.terms + TERM.predictedBid] = predictedBid;
    values[QUOTED.terms + TERM.predictedAsk] = 1;
    this.#observe(OBSERVED.quote, ms, values);
  }

  fill(ms: number, fill: ObservedFill): void {
    this.tracker.describe(OBSERVED.fill, 0, T0 + ms * MS, JSON.stringify(fill));
  }

  model(ms: number, label: string): void {
    this.tracker.describe(OBSERVED.modelName, 0, T0 + ms * MS, label);
  }

  lose(ms: number): void {
    this.#observe(OBSERVED.lost, ms, [1]);
  }

  basis(ms: number, probability: number, stateMs = ms, status = 0): void {
    this.#observe(OBSERVED.basis, ms, [
      status,
      T0 + stateMs * MS,
      ...HEADS.map((_, head) => probability + head / 100),
    ]);
  }

  answer(ms: number, rfqQuoteId: string, instruments: readonly number[] = [0]): void {
    this.tracker.describe(OBSERVED.answer, -1, T0 + ms * MS, JSON.stringify({ rfqQuoteId, instruments }));
  }

  order(ms: number, orderId: number): void {
    this.#observe(OBSERVED.order, ms, [orderId]);
  }

  cancelAll(ms: number): void {
    this.#observe(OBSERVED.cancelAll, ms, []);
  }

  predict(
    ms: number,
    midTicks: number,
    bidDepth: number,
    askDepth: number,
    probability = 0.5,
    status = 0,
  ): void {
    this.#observe(OBSERVED.prediction, ms, [
      status,
      midTicks,
      bidDepth,
      askDepth,
      ...HEADS.map(() => probability),
    ]);
  }

  end(ms: number): void {
    this.tracker.finish(T0 + ms * MS);
  }

  #observe(kind: (typeof OBSERVED)[keyof typeof OBSERVED], ms: number, values: readonly number[]): void {
    this.#values.set(values);
    this.tracker.observe(kind, 0, T0 + ms * MS, this.#values, values.length);
  }
}
