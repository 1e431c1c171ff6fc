import type { Instrument } from "../market/instrument.ts";
import { black76, OptionValue, YEAR_US } from "../option/black76.ts";
import { black76Greeks, Greeks, VALUE_STATUS } from "../option/greeks.ts";
import { lotNotional } from "../quote/exposure.ts";

/** Greeks that are limited, in the order of their columns. */
export const GREEK = { delta: 0, gamma: 1, vega: 2, theta: 3 } as const;
export const GREEK_NAMES = ["delta", "gamma", "vega", "theta"] as const;
export const GREEKS = GREEK_NAMES.length;

/** Moves of the underlying, as shares of the largest, by moves of all volatilities: the stress grid, row by row. */
const SPOT_STEPS = [-1, -2 / 3, -1 / 3, 0, 1 / 3, 2 / 3, 1];
const VOLATILITY_STEPS = [-1, 0, 1];
export const SCENARIOS = SPOT_STEPS.length * VOLATILITY_STEPS.length;

/** φ(0): no option has more vega per F·√T, and none at a volatility above the low one more gamma per 1/(F·σ·√T). */
const PEAK_DENSITY = 0.3989422804014327;
const UNKNOWN_LOW = 0.2;
const UNKNOWN_HIGH = 2;
const LEAST_YEARS = 3_600e6 / YEAR_US;
const MOST_YEARS = 10;

/** What a scenario does: `spotPct` and `volPct` of the limits, by number of scenario. */
export function scenarioOf(
  scenario: number,
  spotPct: number,
  volPct: number,
): { readonly spotPct: number; readonly volPct: number } {
  const spot = SPOT_STEPS[Math.floor(scenario / VOLATILITY_STEPS.length)] ?? 0;
  const vol = VOLATILITY_STEPS[scenario % VOLATILITY_STEPS.length] ?? 0;
  return { spotPct: spot * spotPct, volPct: vol * volPct };
}

/**
 * What one lot of each instrument is exposed to, in quote currency, as the risk gate sees it: valued by Black-76 at the venue's
 * own volatilities, independent of the quoter's. Options are valued one at a time off the quote path ({@link value}); an option
 * without a volatility counts with the most that any option of its expiry could have.
 */
export class Valuation {
  /** ∂ value / ∂ forward as a fraction; NaN while not known. */
  readonly delta: Float64Array;
  /** Per coin of the underlying: change of delta notional for a move of 1 %, value for one vol point, value for one day. */
  readonly gamma: Float64Array;
  readonly vega: Float64Array;
  readonly theta: Float64Array;
  /** The option's value per coin in quote currency, and the forward and volatility it is for; NaN while not valued. */
  readonly price: Float64Array;
  readonly forward: Float64Array;
  readonly volatility: Float64Array;
  /** Notional of one lot: `face + coins × price of the underlying`. */
  readonly coins: Float64Array;
  readonly face: Float64Array;
  /** Profit of one lot in each scenario, `[instrument][scenario]`. */
  readonly scenarios: Float64Array;
  /** Largest loss of one lot over the scenarios, of a long and of a short one; at least 0. */
  readonly worstLong: Float64Array;
  readonly worstShort: Float64Array;
  /** 1 where the option was valued at a volatility. */
  readonly known: Uint8Array;
  /** 1 where the instrument has expired: it has no Greeks any more, and its mark stays {@link finalMark}. */
  readonly expired: Uint8Array;
  /** In the instrument's price unit: what it was settled at, or its last mark where nobody knows that; NaN before it expires. */
  readonly finalMark: Float64Array;
  readonly #tickerForward: Float64Array;
  readonly #tickerVolatility: Float64Array;
  /** Exchange time less local time as the last ticker had it, µs. */
  readonly #clockOffsetUs: Float64Array;
  readonly #greeks = new Greeks();
  readonly #value = new OptionValue();
  #spot = 0;
  #vol = 0;

  constructor(capacity: number) {
    const column = (initial: number): Float64Array => new Float64Array(capacity).fill(initial);
    this.delta = column(Number.NaN);
    this.gamma = column(Number.NaN);
    this.vega = column(Number.NaN);
    this.theta = column(Number.NaN);
    this.price = column(Number.NaN);
    this.forward = column(Number.NaN);
    this.volatility = column(Number.NaN);
    this.coins = column(0);
    this.face = column(0);
    this.scenarios = new Float64Array(capacity * SCENARIOS);
    this.worstLong = column(Number.NaN);
    this.worstShort = column(Number.NaN);
    this.known = new Uint8Array(capacity);
    this.expired = new Uint8Array(capacity);
    this.finalMark = column(Number.NaN);
    this.#tickerForward = column(Number.NaN);
    this.#tickerVolatility = column(Number.NaN);
    this.#clockOffsetUs = column(0);
  }

  add(instrument: Instrument): void {
    const { fixed, perPrice } = lotNotional(instrument);
    this.face[instrument.id] = fixed;
    this.coins[instrument.id] = perPrice;
    if (instrument.kind === "option") return;
    this.delta[instrument.id] = 1;
    this.gamma[instrument.id] = 0;
    this.vega[instrument.id] = 0;
    this.theta[instrument.id] = 0;
  }

  /** The moves of the stress grid; options must be valued anew after a change. */
  setStress(spotPct: number, volPct: number): void {
    this.#spot = spotPct / 100;
    this.#vol = volPct / 100;
  }

  /** The venue's word on an option. @param forward of its expiry; NaN = not told */
  onTicker(
    instrument: number,
    volatility: number,
    forward: number,
    exchangeTimeUs: number,
    timeUs: number,
  ): void {
    if (volatility > 0) this.#tickerVolatility[instrument] = volatility;
    if (forward > 0) this.#tickerForward[instrument] = forward;
    if (exchangeTimeUs > 0) this.#clockOffsetUs[instrument] = exchangeTimeUs - timeUs;
  }

  /**
   * The instrument has expired: nothing moves what it is worth any more.
   *
   * @param mark in its price unit; NaN = not known
   * @param price of the underlying that it is settled at; NaN = not known
   */
  expire(instrument: number, mark: number, price: number): void {
    this.expired[instrument] = 1;
    this.finalMark[instrument] = mark;
    if (price > 0) this.forward[instrument] = price;
    this.#flatten(instrument);
  }

  /** Notional of one lot in quote currency. */
  notionalPerLot(instrument: number, price: number): number {
    return this.face[instrument] + this.coins[instrument] * price;
  }

  /** Values an instrument at the underlying's price; an option by its expiry's forward where the last ticker told one. */
  value(instrument: Instrument, price: number, timeUs: number): void {
    const id = instrument.id;
    if (this.expired[id] === 1) {
      this.#flatten(id);
      return;
    }
    if (instrument.kind !== "option") {
      this.forward[id] = price;
      const notional = this.notionalPerLot(id, price);
      for (let s = 0; s < SCENARIOS; s += 1) {
        this.scenarios[id * SCENARIOS + s] = notional * this.#spotMove(s);
      }
      this.worstLong[id] = notional * this.#spot;
      this.worstShort[id] = this.worstLong[id];
      this.known[id] = 1;
      return;
    }
    const volatility = this.#tickerVolatility[id];
    const known = this.#tickerForward[id];
    const forward = known > 0 && Math.abs(known / price - 1) < 0.5 ? known : price;
    const years = (instrument.expiryMs * 1_000 - (timeUs + this.#clockOffsetUs[id])) / YEAR_US;
    const greeks = this.#greeks;
    const call = instrument.optionType === "call";
    black76Greeks(greeks, call, forward, instrument.strike, years, volatility);
    if (!(volatility > 0) || greeks.status === VALUE_STATUS.badInput) {
      this.#assumeWorst(id, price, years);
      return;
    }
    this.known[id] = 1;
    this.forward[id] = forward;
    this.volatility[id] = volatility;
    this.price[id] = greeks.price;
    this.delta[id] = greeks.delta;
    this.gamma[id] = greeks.gamma * forward * forward * 0.01;
    this.vega[id] = greeks.vega * 0.01;
    this.theta[id] = greeks.theta / 365.25;
    this.#stress(instrument, call, forward, years, volatility, greeks.price);
  }

  /** A delta that a quote was made with: what is known of an option that could not be valued. */
  onQuotedDelta(instrument: number, delta: number): boolean {
    if (this.known[instrument] === 1 || !(delta >= -1 && delta <= 1)) return false;
    if (this.delta[instrument] === delta) return false;
    this.delta[instrument] = delta;
    return true;
  }

  #stress(
    option: Instrument,
    call: boolean,
    forward: number,
    years: number,
    volatility: number,
    price: number,
  ): void {
    const id = option.id;
    const coins = this.coins[id];
    let lowest = 0;
    let highest = 0;
    for (let s = 0; s < SCENARIOS; s += 1) {
      const moved = volatility * (1 + this.#vol * (VOLATILITY_STEPS[s % VOLATILITY_STEPS.length] ?? 0));
      black76(this.#value, call, forward * (1 + this.#spotMove(s)), option.strike, years, moved);
      const profit = coins * (this.#value.price - price);
      this.scenarios[id * SCENARIOS + s] = profit;
      lowest = Math.min(lowest, profit);
      highest = Math.max(highest, profit);
    }
    this.worstLong[id] = -lowest;
    this.worstShort[id] = highest;
  }

  #flatten(id: number): void {
    this.known[id] = 1;
    this.delta[id] = 0;
    this.gamma[id] = 0;
    this.vega[id] = 0;
    this.theta[id] = 0;
    this.scenarios.fill(0, id * SCENARIOS, (id + 1) * SCENARIOS);
    this.worstLong[id] = 0;
    this.worstShort[id] = 0;
  }

  #spotMove(scenario: number): number {
    return this.#spot * (SPOT_STEPS[Math.floor(scenario / VOLATILITY_STEPS.length)] ?? 0);
  }

  #assumeWorst(id: number, price: number, yearsLeft: number): void {
    const years = Math.min(Math.max(yearsLeft, LEAST_YEARS), MOST_YEARS);
    const peak = PEAK_DENSITY * price;
    const root = Math.sqrt(years);
    this.known[id] = 0;
    this.forward[id] = price;
    this.gamma[id] = (peak / (UNKNOWN_LOW * root)) * 0.01;
    this.vega[id] = peak * root * 0.01;
    this.theta[id] = (-peak * UNKNOWN_HIGH) / (2 * root * 365.25);
    for (let s = 0; s < SCENARIOS; s += 1) this.scenarios[id * SCENARIOS + s] = 0;
    this.worstLong[id] = this.notionalPerLot(id, price);
    this.worstShort[id] = this.worstLong[id];
  }
}
