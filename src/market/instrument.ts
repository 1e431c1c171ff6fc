import type { DecimalStep } from "../core/decimal.ts";
import { InvariantError } from "../core/invariant.ts";

/** Venues keel speaks to. A name is also the prefix in `KEEL_FEEDS` and, upper-cased, the suffix of `KEEL_URL_`. */
export const VENUES = [
  "binance-spot",
  "binance-usdm",
  "binance-coinm",
  "binance-option",
  "deribit",
  "bybit-spot",
  "bybit-linear",
  "bybit-inverse",
  "bybit-option",
  "okx",
  "kraken",
  "coinbase",
  "bitstamp",
] as const;
export type VenueName = (typeof VENUES)[number];

/** What `venue:symbol` names; null where the venue is none of {@link VENUES}. */
export function placeOf(name: string): { readonly venue: VenueName; readonly symbol: string } | null {
  const end = name.indexOf(":");
  const venue = VENUES.find((known) => known === name.slice(0, end));
  return venue === undefined ? null : { venue, symbol: name.slice(end + 1) };
}

export type InstrumentKind = "spot" | "perpetual" | "future" | "option";
export type OptionType = "call" | "put";

/** A coarser price grid that holds from a price upwards (Deribit `tick_size_steps`). */
export interface TickStep {
  readonly fromPriceTicks: number;
  /** The coarser tick, in units of the instrument's own (finest) tick. */
  readonly multiple: number;
}

/** What the venue says of an instrument; it does not change while the process lives. */
export interface InstrumentSpec {
  readonly venue: VenueName;
  /** As the venue spells it, e.g. `BTCUSDT`, `BTC-27DEC24-60000-C`. */
  readonly symbol: string;
  readonly kind: InstrumentKind;
  /** The coin whose price moves it, e.g. `BTC`. */
  readonly base: string;
  /** The currency its price is expressed in: `USDT`, `USD`; for inverse options the coin itself. */
  readonly quote: string;
  readonly settle: string;
  /** Finest price grid; book prices are whole counts of it. */
  readonly tick: DecimalStep;
  /** Coarser grids for higher prices, ascending; empty when the tick is uniform. Quotes must respect them. */
  readonly tickSteps: readonly TickStep[];
  /** Size grid; book sizes are whole counts of it. */
  readonly lot: DecimalStep;
  readonly minSizeLots: number;
  /** Settled in the base coin. */
  readonly inverse: boolean;
  /** Units of base (linear, options) or of quote currency (inverse futures) in one unit of size. */
  readonly contractSize: number;
  /** Expiry, ms since the epoch; `Infinity` when it does not expire. */
  readonly expiryMs: number;
  /** NaN unless an option. */
  readonly strike: number;
  readonly optionType: OptionType | null;
}

export interface Instrument extends InstrumentSpec {
  /** Dense number: index into every array that holds state per instrument. */
  readonly id: number;
}

/** All instruments of the process, numbered densely in the order they were added. Bounded. */
export class InstrumentTable {
  readonly capacity: number;
  readonly #all: Instrument[] = [];
  readonly #byKey = new Map<string, Instrument>();
  readonly #describe: (spec: InstrumentSpec) => InstrumentSpec;

  /** @param describe what an instrument is taken for, in place of what its venue says it is; left out = for what it is */
  constructor(capacity: number, describe: (spec: InstrumentSpec) => InstrumentSpec = (spec) => spec) {
    this.capacity = capacity;
    this.#describe = describe;
  }

  get size(): number {
    return this.#all.length;
  }

  get(id: number): Instrument {
    const instrument = this.#all[id];
    if (instrument === undefined) {
      throw new InvariantError(`instrument ${id} is not in the table of ${this.#all.length}`);
    }
    return instrument;
  }

  find(venue: VenueName, symbol: string): Instrument | undefined {
    return this.#byKey.get(`${venue}:${symbol}`);
  }

  /** @returns the instrument, the existing one when it is known already, or undefined when the table is full. */
  add(spec: InstrumentSpec): Instrument | undefined {
    const key = `${spec.venue}:${spec.symbol}`;
    const known = this.#byKey.get(key);
    if (known !== undefined) return known;
    if (this.#all.length === this.capacity) return undefined;
    const instrument: Instrument = { ...this.#describe(spec), id: this.#all.length };
    this.#all.push(instrument);
    this.#byKey.set(key, instrument);
    return instrument;
  }

  all(): readonly Instrument[] {
    return this.#all;
  }
}
