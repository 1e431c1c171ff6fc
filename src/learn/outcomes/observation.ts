/**
 * What outcomes are made from: the desk's market, predictions, quotes and fills as a stream of small records, in the order in which
 * they happened. A tap of a live desk and one of a replayed desk give the same stream, so both give the same outcomes.
 *
 * @module
 */
import type { SeenBook } from "../../gateway/seen-book.ts";
import { SIDE } from "../../market/event-batch.ts";
import { TERMS } from "../../quote/term.ts";

/** Kinds of observation. `values` as named; `text` where it says so. */
export const OBSERVED = {
  /** Text: JSON of {@link ObservedInstrument}. Subject: its number, here and below unless named otherwise. */
  instrument: 1,
  /** bid ticks, ask ticks; −1 for an empty side. */
  top: 2,
  /** mark price, underlying's price; NaN = not told. */
  mark: 3,
  /** aggressor's side (0 bought), price in ticks. */
  trade: 4,
  /** Subject: underlying. See {@link PREDICTED}. */
  prediction: 5,
  /** See {@link QUOTED}. */
  quote: 6,
  /** Everything that stood is cancelled. */
  cancelAll: 7,
  /** Text: JSON of {@link ObservedFill}. */
  fill: 8,
  /** order id. */
  order: 9,
  /** Time has passed. */
  timer: 10,
  /** Subject: underlying. Text: its base coin. */
  underlying: 11,
  /** Subject: underlying. The features that a step was made on. */
  features: 12,
  /** Subject: underlying. Text: JSON of what `WatchedCard` names of the model that is in force from now on. */
  model: 13,
  /** Subject: underlying. Text: JSON of a head and the scaling that is in force for it from now on. */
  calibration: 14,
  /** Observations did not fit and are missing here: how many. */
  lost: 15,
  /** Subject: underlying. Text: label of the model that is in force from now on; told again from time to time. */
  modelName: 16,
  /** Subject: underlying. What the decisions that follow rest on, see {@link BASIS}; told before them where it is another one. */
  basis: 17,
  /** Subject: −1. Text: JSON of {@link ObservedAnswer}. */
  answer: 18,
} as const;
export type ObservedKind = (typeof OBSERVED)[keyof typeof OBSERVED];

/** Values of a prediction; where its status is not 0 there is nothing else. */
export const PREDICTED = { status: 0, midTicks: 1, bidDepth: 2, askDepth: 3, probabilities: 4 } as const;

/** Values of a basis; where its status is not 0 there is nothing else. `stateUs`: time of the features that it was made from. */
export const BASIS = { status: 0, stateUs: 1, probabilities: 2 } as const;

/**
 * Writes a prediction's values as {@link PREDICTED} has them.
 *
 * @param status as `DeskTap.onPrediction` tells it; a prediction without a book counts as one that is not in force
 * @returns how many values there are
 */
export function writePrediction(
  values: Float64Array,
  probabilities: Float32Array,
  offset: number,
  heads: number,
  status: number,
  book: SeenBook,
): number {
  values[PREDICTED.status] = book.exists ? status : status || 1;
  if (values[PREDICTED.status] !== 0) return 1;
  values[PREDICTED.midTicks] = book.midTicks;
  values[PREDICTED.bidDepth] = book.depth(SIDE.bid);
  values[PREDICTED.askDepth] = book.depth(SIDE.ask);
  for (let head = 0; head < heads; head += 1) {
    values[PREDICTED.probabilities + head] = probabilities[offset + head];
  }
  return PREDICTED.probabilities + heads;
}

/** Values of a quote; its terms follow. */
export const QUOTED = {
  quoteId: 0,
  level: 1,
  bidTicks: 2,
  bidLots: 3,
  askTicks: 4,
  askLots: 5,
  fair: 6,
  widenBp: 7,
  sizeFactor: 8,
  reasons: 9,
  terms: 10,
} as const;
export const QUOTED_VALUES = QUOTED.terms + TERMS;
/** No observation has more values. */
export const OBSERVED_VALUES_MAX = Math.max(QUOTED_VALUES, PREDICTED.probabilities + 64);

export interface ObservedInstrument {
  readonly venue: string;
  readonly symbol: string;
  readonly base: string;
  readonly tick: number;
  readonly lot: number;
  readonly option: boolean;
  readonly inverse: boolean;
  readonly contractSize: number;
}

export interface ObservedFill {
  readonly id: string;
  readonly side: number;
  readonly priceTicks: number;
  readonly sizeLots: number;
  readonly orderId?: number;
  readonly structureId?: number;
  readonly rfqQuoteId?: string;
  readonly counterparty?: string;
  readonly liquidity?: string;
}

/** A request for quotes was answered with a price. */
export interface ObservedAnswer {
  readonly rfqQuoteId: string;
  /** Of its legs. */
  readonly instruments: readonly number[];
}

/** Takes observations; `values` are valid during the call only. Must not throw and must not block. */
export interface ObservationSink {
  observe(kind: ObservedKind, subject: number, timeUs: number, values: Float64Array, count: number): void;
  describe(kind: ObservedKind, subject: number, timeUs: number, text: string): void;
}
