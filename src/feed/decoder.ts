import { type DecimalStep, decimalToSteps, OFF_GRID } from "../core/decimal.ts";
import type { EventBatch } from "../market/event-batch.ts";
import type { Instrument } from "../market/instrument.ts";
import type { FrameOutcome } from "./feed.ts";

/**
 * Turns one frame's text into events: integer ticks, integer lots and the venue's own sequence numbers, nothing judged. A
 * decoder holds no state between frames; sequences, states and recovery are the feed's.
 *
 * What it appends to `out`:
 * - `ok`: the frame's events. A frame with a book event has exactly that one event. A price that is not on the instrument's
 *   grid turns the whole frame into one `status` event with reason `offGrid`; a size that is not, is kept as a fraction of
 *   a lot (real books hold such dust from before a venue coarsened its lot);
 * - `control` (an answer, a heartbeat), `ignored` (unknown kind or instrument), `unparsable`, `overflow`: nothing.
 *
 * It never throws, whatever the text.
 */
export interface FrameDecoder {
  decode(frame: string, out: EventBatch): FrameOutcome;
  /** Data frames that a faster way had to leave to JSON.parse. */
  readonly fallbacks: number;
  /** Best guess of the instrument that an unparsable frame was about, −1 when it does not say. */
  attribute(frame: string): number;
}

/** Turns the body of a REST depth answer into one snapshot event, under the same rules. */
export interface SnapshotDecoder {
  decodeSnapshot(body: string, instrument: Instrument, out: EventBatch): FrameOutcome;
}

/** Decodes frames that name their instrument by the venue's symbol. */
export abstract class SymbolDecoder implements FrameDecoder {
  protected readonly bySymbol: ReadonlyMap<string, Instrument>;

  /** @param bySymbol instruments by the venue's symbol; may grow later. */
  constructor(bySymbol: ReadonlyMap<string, Instrument>) {
    this.bySymbol = bySymbol;
  }

  get fallbacks(): number {
    return 0;
  }

  abstract decode(frame: string, out: EventBatch): FrameOutcome;

  abstract attribute(frame: string): number;

  /** Number of the instrument of a symbol; −1 when there is none, or it is not known. */
  protected idOf(symbol: string | undefined): number {
    return symbol === undefined ? -1 : (this.bySymbol.get(symbol)?.id ?? -1);
  }
}

/** Highest price a book can hold, in ticks. */
export const MAX_PRICE_TICKS = 0x7ffffffe;

export type JsonObject = Readonly<Record<string, unknown>>;

export function isObject(value: unknown): value is JsonObject {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** The value of a JSON text, `undefined` when it is none. */
export function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** A price in ticks, {@link OFF_GRID} when it is off the grid or beyond {@link MAX_PRICE_TICKS}. */
export function priceToTicks(text: string, tick: DecimalStep): number {
  const ticks = decimalToSteps(text, tick);
  return ticks <= MAX_PRICE_TICKS ? ticks : OFF_GRID;
}

/** A size in lots, a fraction when it is not on the lot grid; NaN when the text is no plain decimal. */
export function sizeToLots(text: string, lot: DecimalStep): number {
  const lots = decimalToSteps(text, lot);
  if (!Number.isNaN(lots)) return lots;
  return /^\d+(\.\d+)?$/.test(text) ? stepsIn(Number(text), lot) : Number.NaN;
}

/** How many steps a value is, not rounded. */
export function stepsIn(value: number, step: DecimalStep): number {
  return (value * 10 ** step.scale) / step.mantissa;
}

/** The nearest whole number of steps; for trades, which venues also print between the grid's prices (blocks, combos). */
export function nearestSteps(value: number, step: DecimalStep): number {
  return Math.round(stepsIn(value, step));
}

/** A number from a decimal string or a JSON number; NaN when it is neither. */
export function numeric(value: unknown): number {
  if (typeof value === "number") return value;
  return typeof value === "string" && value.length > 0 ? Number(value) : Number.NaN;
}
