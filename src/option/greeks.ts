import { invariant } from "../core/invariant.ts";
import { black76, OptionValue } from "./black76.ts";

/** How far a valuation can be trusted. */
export const VALUE_STATUS = {
  ok: 0,
  /** No time or no volatility is left: intrinsic value, delta 0, ±½ or ±1, all other Greeks 0. */
  limit: 1,
  /** A forward, spot or strike that is not positive and finite, or a NaN: all values are NaN. */
  badInput: 2,
} as const;

/**
 * Price and Greeks of one option. One object is made at start-up and reused. Per unit of the underlying; derivatives are
 * taken with respect to the unit itself: one unit of quote currency, 1.00 of volatility or of rate, one year. See
 * {@link perVenue} for a vega per point and a theta per day.
 */
export class Greeks {
  price = Number.NaN;
  /** ∂price/∂S (Black-Scholes) or ∂price/∂F (Black-76). In coin: net of the premium; see {@link inCoin}. */
  delta = Number.NaN;
  /** ∂delta/∂S or ∂delta/∂F. */
  gamma = Number.NaN;
  /** ∂price/∂σ. */
  vega = Number.NaN;
  /** ∂price/∂t as time passes: negative for what decays. */
  theta = Number.NaN;
  /** ∂price/∂r. */
  rho = Number.NaN;
  /** ∂delta/∂σ = ∂vega/∂S. */
  vanna = Number.NaN;
  /** ∂vega/∂σ. */
  volga = Number.NaN;
  /** ∂delta/∂t as time passes. */
  charm = Number.NaN;
  /** One of {@link VALUE_STATUS}. */
  status: number = VALUE_STATUS.badInput;
}

const value = new OptionValue();

/**
 * Black-76 with all Greeks, at a fixed forward: what linear options on a future are worth, and the dollar value of inverse ones.
 * Limits are those of {@link black76}. Vanna −φ(d1)·d2/σ, volga vega·d1·d2/σ, charm φ(d1)·d2/2T: E. G. Haug, "The Complete
 * Guide to Option Pricing Formulas" (2007), chapter 2.
 *
 * @param rate continuously compounded, for discounting from expiry; 0 where premiums are margined or paid in coin
 * @returns `out.status`
 */
export function black76Greeks(
  out: Greeks,
  call: boolean,
  forward: number,
  strike: number,
  years: number,
  volatility: number,
  rate = 0,
): number {
  forwardGreeks(out, call, forward, strike, years, volatility);
  if (out.status === VALUE_STATUS.badInput || rate === 0) {
    out.rho = -Math.max(years, 0) * out.price;
    return out.status;
  }
  const discount = Math.exp(-rate * Math.max(years, 0));
  if (!(discount > 0 && discount < Infinity)) return refuse(out);
  out.price *= discount;
  out.delta *= discount;
  out.gamma *= discount;
  out.vega *= discount;
  out.theta = discount * out.theta + (years > 0 ? rate * out.price : 0);
  out.rho = -Math.max(years, 0) * out.price;
  out.vanna *= discount;
  out.volga *= discount;
  out.charm = discount * out.charm + (years > 0 ? rate * out.delta : 0);
  return out.status;
}

/**
 * Black-Scholes-Merton with all Greeks: F. Black and M. Scholes (1973), R. C. Merton (1973) for the yield.
 *
 * @param rate continuously compounded
 * @param yieldRate what holding the underlying earns (dividends, staking, funding), continuously compounded
 * @returns `out.status`
 */
export function blackScholes(
  out: Greeks,
  call: boolean,
  spot: number,
  strike: number,
  years: number,
  volatility: number,
  rate: number,
  yieldRate = 0,
): number {
  const left = Math.max(years, 0);
  const carry = rate - yieldRate;
  const forward = spot * Math.exp(carry * left);
  const discount = Math.exp(-rate * left);
  const spotDiscount = Math.exp(-yieldRate * left);
  if (!(discount > 0 && discount < Infinity && spotDiscount > 0 && spotDiscount < Infinity)) {
    return refuse(out);
  }
  const status = forwardGreeks(out, call, forward, strike, years, volatility);
  if (status === VALUE_STATUS.badInput) return status;
  // ∂F/∂S
  const slope = spotDiscount / discount;
  // Of the forward delta, by the drift of the forward as time passes at a fixed spot.
  const drift = -carry * forward * out.gamma;
  out.price *= discount;
  out.delta *= spotDiscount;
  out.charm = spotDiscount * (out.charm + drift) + (years > 0 ? yieldRate * out.delta : 0);
  out.gamma *= spotDiscount * slope;
  out.theta = discount * out.theta + (years > 0 ? rate * out.price - carry * spot * out.delta : 0);
  out.vega *= discount;
  out.rho = left * (spot * out.delta - out.price);
  out.vanna *= spotDiscount;
  out.volga *= discount;
  return status;
}

/**
 * Turns undiscounted dollar Greeks into those of the same option held in coin, which is how inverse options (Deribit BTC and
 * ETH) are quoted and settled. The premium in coin is c = V/F, so with the account kept in coin:
 *
 * - price c; vega, theta, rho and volga are the dollar ones over F (vega: coin for 1.00 of volatility);
 * - delta is the *net* delta F·∂c/∂F = Δ − c, the coins to sell to be flat in coin (Deribit's net transaction delta: the
 *   displayed Black delta less the premium);
 * - gamma is ∂(Δ − c)/∂F = Γ − (Δ − c)/F, the change of that hedge per dollar;
 * - vanna and charm are the changes of that hedge with volatility and time: vanna − vega/F, charm − theta/F.
 *
 * @param dollars from {@link black76Greeks} at rate 0; may be `out` itself
 */
export function inCoin(out: Greeks, dollars: Greeks, forward: number): void {
  const perCoin = 1 / forward;
  const price = dollars.price * perCoin;
  const delta = dollars.delta - price;
  out.vanna = dollars.vanna - dollars.vega * perCoin;
  out.charm = dollars.charm - dollars.theta * perCoin;
  out.gamma = dollars.gamma - delta * perCoin;
  out.price = price;
  out.delta = delta;
  out.vega = dollars.vega * perCoin;
  out.theta = dollars.theta * perCoin;
  out.rho = dollars.rho * perCoin;
  out.volga = dollars.volga * perCoin;
  out.status = dollars.status;
}

/**
 * Rescales to what venues and screens show: vega and volga's and vanna's volatility in points of 1 %, rho for 1 % of rate, theta
 * and charm for one day (Deribit's `greeks`: vega, rho for 1 %, theta for 24 h). Price, delta and gamma stay.
 */
export function perVenue(out: Greeks, greeks: Greeks): void {
  out.price = greeks.price;
  out.delta = greeks.delta;
  out.gamma = greeks.gamma;
  out.vega = greeks.vega / 100;
  out.theta = greeks.theta / 365.25;
  out.rho = greeks.rho / 100;
  out.vanna = greeks.vanna / 100;
  out.volga = greeks.volga / 10_000;
  out.charm = greeks.charm / 365.25;
  out.status = greeks.status;
}

/** Columns for {@link greeksOf}, each as long as the batch may be. */
export class GreekColumns {
  readonly price: Float64Array;
  readonly delta: Float64Array;
  readonly gamma: Float64Array;
  readonly vega: Float64Array;
  readonly theta: Float64Array;
  readonly rho: Float64Array;
  readonly vanna: Float64Array;
  readonly volga: Float64Array;
  readonly charm: Float64Array;
  /** {@link VALUE_STATUS} by row. */
  readonly status: Uint8Array;

  constructor(capacity: number) {
    this.price = new Float64Array(capacity);
    this.delta = new Float64Array(capacity);
    this.gamma = new Float64Array(capacity);
    this.vega = new Float64Array(capacity);
    this.theta = new Float64Array(capacity);
    this.rho = new Float64Array(capacity);
    this.vanna = new Float64Array(capacity);
    this.volga = new Float64Array(capacity);
    this.charm = new Float64Array(capacity);
    this.status = new Uint8Array(capacity);
  }
}

/**
 * {@link black76Greeks} at rate 0 over arrays, in dollars or, with `coin`, through {@link inCoin}. Allocates nothing.
 *
 * @param types 1 = call, 0 = put
 * @returns how many rows are not `badInput`
 */
export function greeksOf(
  out: GreekColumns,
  count: number,
  types: Uint8Array,
  forwards: Float64Array,
  strikes: Float64Array,
  years: Float64Array,
  volatilities: Float64Array,
  coin: boolean,
): number {
  invariant(count <= out.price.length && count <= forwards.length, `${count} rows fit the arrays`);
  let valued = 0;
  for (let row = 0; row < count; row += 1) {
    const forward = forwards[row];
    black76Greeks(one, types[row] !== 0, forward, strikes[row], years[row], volatilities[row]);
    if (coin) inCoin(one, one, forward);
    out.price[row] = one.price;
    out.delta[row] = one.delta;
    out.gamma[row] = one.gamma;
    out.vega[row] = one.vega;
    out.theta[row] = one.theta;
    out.rho[row] = one.rho;
    out.vanna[row] = one.vanna;
    out.volga[row] = one.volga;
    out.charm[row] = one.charm;
    out.status[row] = one.status;
    if (one.status !== VALUE_STATUS.badInput) valued += 1;
  }
  return valued;
}

const one = new Greeks();

/** Undiscounted, with respect to the forward; rho is left to the caller. */
function forwardGreeks(
  out: Greeks,
  call: boolean,
  forward: number,
  strike: number,
  years: number,
  volatility: number,
): number {
  black76(value, call, forward, strike, years, volatility);
  const { price, vega } = value;
  if (Number.isNaN(price)) return refuse(out);
  out.price = price;
  out.delta = value.delta;
  out.gamma = value.gamma;
  out.vega = vega;
  out.theta = value.theta;
  const deviation = years > 0 && volatility > 0 ? volatility * Math.sqrt(years) : 0;
  if (!(deviation > 0)) {
    out.vanna = 0;
    out.volga = 0;
    out.charm = 0;
    out.status = VALUE_STATUS.limit;
    return VALUE_STATUS.limit;
  }
  const d1 = value.d1;
  const d2 = d1 - deviation;
  const perForward = vega / forward;
  out.vanna = (-perForward * d2) / deviation;
  out.volga = (vega * d1 * d2) / volatility;
  out.charm = (perForward * d2) / (2 * years * Math.sqrt(years));
  out.status = VALUE_STATUS.ok;
  return VALUE_STATUS.ok;
}

function refuse(out: Greeks): number {
  out.price = Number.NaN;
  out.delta = Number.NaN;
  out.gamma = Number.NaN;
  out.vega = Number.NaN;
  out.theta = Number.NaN;
  out.rho = Number.NaN;
  out.vanna = Number.NaN;
  out.volga = Number.NaN;
  out.charm = Number.NaN;
  out.status = VALUE_STATUS.badInput;
  return VALUE_STATUS.badInput;
}
