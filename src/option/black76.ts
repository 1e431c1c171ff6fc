import { INVERSE_ROOT_2PI, mills } from "./mills.ts";
import { normalCdf } from "./normal.ts";
import { blackOverVega, DIRECT_FROM } from "./normalised-black.ts";

/** Length of the year that option venues quote time to expiry in (Deribit: 365.25 days), in µs. */
export const YEAR_US = 365.25 * 86_400 * 1e6;

/**
 * What {@link black76} writes. One object is made at start-up and reused; nothing is allocated per valuation.
 * All values are undiscounted, in quote currency for one unit of the underlying.
 */
export class OptionValue {
  price = 0;
  /** Change of the price for one unit of quote currency in the forward; +N(d1) for calls, N(d1) − 1 for puts. */
  delta = 0;
  /** Change of delta for one unit of quote currency in the forward. */
  gamma = 0;
  /** Change of the price for a volatility higher by 1.00 (divide by 100 for one volatility point). */
  vega = 0;
  /** ln(F/K)/σ√T + σ√T/2; ±Infinity or 0 without time or volatility. */
  d1 = 0;
  /** Change of the price per year that passes (divide by 365.25 for a day); never positive. */
  theta = 0;
}

/**
 * Black's formula for a European option on a forward (F. Black, "The pricing of commodity contracts", Journal of Financial
 * Economics 3, 1976), without discounting: multiply price and Greeks by the discount factor where one applies.
 *
 * The side out of the money is valued, in a form that does not cancel ({@link blackOverVega}), and parity gives the
 * other one: neither loses digits. Limits: `years` ≤ 0 or `volatility` ≤ 0 gives the intrinsic value, a delta of 0, ±½ (exactly at the money)
 * or ±1, and zero for the other Greeks. Far wings go to 0 or to intrinsic, never below. A forward or strike that is not
 * positive and finite, or a NaN, gives NaN throughout.
 *
 * @param out receives the values
 * @param call true for a call, false for a put
 * @param forward forward price of the underlying for the option's expiry, in quote currency
 * @param strike in quote currency
 * @param years time to expiry in years of {@link YEAR_US}
 * @param volatility as a fraction per √year (0.35 = 35 %)
 */
export function black76(
  out: OptionValue,
  call: boolean,
  forward: number,
  strike: number,
  years: number,
  volatility: number,
): void {
  if (
    !(forward > 0 && strike > 0 && forward < Infinity && strike < Infinity) ||
    !(years + volatility < Infinity)
  ) {
    out.price = Number.NaN;
    out.delta = Number.NaN;
    out.gamma = Number.NaN;
    out.vega = Number.NaN;
    out.theta = Number.NaN;
    out.d1 = Number.NaN;
    return;
  }
  const rootYears = years > 0 ? Math.sqrt(years) : 0;
  const deviation = volatility > 0 ? volatility * rootYears : 0;
  const intrinsic = Math.max(call ? forward - strike : strike - forward, 0);
  if (!(deviation > 0)) {
    const callDelta = forward > strike ? 1 : forward < strike ? 0 : 0.5;
    out.price = intrinsic;
    out.delta = call ? callDelta : callDelta - 1;
    out.gamma = 0;
    out.vega = 0;
    out.theta = 0;
    out.d1 = forward > strike ? Infinity : forward < strike ? -Infinity : 0;
    return;
  }
  const difference = (forward - strike) / strike;
  const moneyness = Math.abs(difference) < 0.5 ? Math.log1p(difference) : Math.log(forward / strike);
  const h = moneyness / deviation;
  const t = 0.5 * deviation;
  const d1 = h + t;
  const density = INVERSE_ROOT_2PI * Math.exp(-0.5 * d1 * d1);
  const vega = forward * density * rootYears;
  const below = d1 <= 0;
  const nearTail = density * mills(below ? -d1 : d1);
  const distance = h > 0 ? h : -h;
  const timeValue =
    t - distance > DIRECT_FROM
      ? Math.min(forward, strike) * normalCdf(t - distance) -
        Math.max(forward, strike) * normalCdf(-distance - t)
      : density > 0
        ? forward * density * blackOverVega(-distance, t)
        : 0;
  out.price = timeValue + intrinsic;
  const callDelta = below ? nearTail : 1 - nearTail;
  out.delta = call ? callDelta : below ? nearTail - 1 : -nearTail;
  out.d1 = d1;
  out.gamma = density / (forward * deviation);
  out.vega = vega;
  out.theta = (-0.5 * vega * volatility) / years;
}

/** Time from an exchange time to an expiry in years of {@link YEAR_US}; negative once expired, `Infinity` for a perpetual. */
export function yearsToExpiry(expiryMs: number, exchangeTimeUs: number): number {
  return (expiryMs * 1_000 - exchangeTimeUs) / YEAR_US;
}
