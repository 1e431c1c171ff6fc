import { z } from "zod";
import { FEED_STATE_NAMES, TICKER, UNSOUND_NAMES } from "../../market/event-batch.ts";
import { type InstrumentSpec, VENUES } from "../../market/instrument.ts";

/** Version of the messages below; one that is not known is refused. */
export const RELAY_VERSION = 1;

const RELAY_TYPES = ["snapshot", "delta", "top", "trade", "ticker", "status"] as const;
export type RelayType = (typeof RELAY_TYPES)[number];

/** Ticks and lots of the instrument's own grid; 0 lots take the level away. */
export type RelayLevel = readonly [ticks: number, lots: number];

/** First and last number that the venue gave what the event covers, and the last one before it; null where it gives none. */
export type RelaySequence = readonly [first: number | null, last: number | null, previous: number | null];

/**
 * What one keel tells others of an instrument: all that its desk took in, in order. `number` goes up by one with each message of the
 * instrument in a `session`; a session is a publisher's run, and a later one has a larger number. Prices and sizes are whole
 * ticks and lots of `spec`, which comes with every snapshot.
 */
export interface RelayHead {
  readonly v: typeof RELAY_VERSION;
  readonly type: RelayType;
  readonly venue: string;
  readonly instrument: string;
  readonly session: number;
  readonly number: number;
  /** When the publisher had it from the venue, or, of a book told from time to time, when it held; µs since the epoch by its clock. */
  readonly receivedUs: number;
  /** The venue's time, µs since the epoch. */
  readonly exchangeUs: number | null;
}

export const TICKER_NAMES = Object.keys(TICKER) as readonly (keyof typeof TICKER)[];
export const STATE_NAMES: readonly string[] = FEED_STATE_NAMES;
export const REASON_NAMES: readonly string[] = UNSOUND_NAMES;

const step = z.object({ mantissa: z.number().positive(), scale: z.number().int().min(-18).max(18) });

const spec = z.object({
  venue: z.enum(VENUES),
  symbol: z.string().min(1).max(64),
  kind: z.enum(["spot", "perpetual", "future", "option"]),
  base: z.string().min(1).max(32),
  quote: z.string().max(32),
  settle: z.string().max(32),
  tick: step,
  tickSteps: z
    .array(z.object({ fromPriceTicks: z.number().nonnegative(), multiple: z.number().positive() }))
    .max(64),
  lot: step,
  minSizeLots: z.number().nonnegative(),
  inverse: z.boolean(),
  contractSize: z.number().positive(),
  expiryMs: z.number().nullable(),
  strike: z.number().nullable(),
  optionType: z.enum(["call", "put"]).nullable(),
});

/** An instrument's description as it travels: what is not finite is null. */
export function relaySpec(instrument: InstrumentSpec): object {
  const { venue, symbol, kind, base, quote, settle, tick, tickSteps, lot } = instrument;
  const { minSizeLots, inverse, contractSize, expiryMs, strike, optionType } = instrument;
  return {
    ...{ venue, symbol, kind, base, quote, settle, tick, tickSteps, lot, minSizeLots, inverse, contractSize },
    expiryMs: Number.isFinite(expiryMs) ? expiryMs : null,
    strike: Number.isFinite(strike) ? strike : null,
    optionType,
  };
}

/** @returns what is wrong with it, in words, when it is no description */
export function readRelaySpec(value: unknown): InstrumentSpec | string {
  const read = spec.safeParse(value);
  if (!read.success) return z.prettifyError(read.error);
  const { expiryMs, strike } = read.data;
  return {
    ...read.data,
    expiryMs: expiryMs ?? Number.POSITIVE_INFINITY,
    strike: strike ?? Number.NaN,
  };
}
