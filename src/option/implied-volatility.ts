import { invariant } from "../core/invariant.ts";
import { INVERSE_ROOT_2PI, mills, ROOT_2PI } from "./mills.ts";
import { quantileGuess, quantileOfLog } from "./normal.ts";
import { blackOverVega, complementOverVega, normalisedBlack, normalisedVega } from "./normalised-black.ts";
import { rationalCubic } from "./rational-cubic.ts";

/** What became of a premium; all but `ok` come with a volatility of NaN. */
export const IV_STATUS = {
  ok: 0,
  /** A forward, strike or time that is not positive and finite, or a premium that is NaN. */
  badInput: 1,
  /** Nothing is left of the time to expiry. */
  expired: 2,
  /** A premium of zero or less, such as an empty bid. */
  noPremium: 3,
  /** The premium is below intrinsic value: arbitrage, no volatility reproduces it. */
  belowIntrinsic: 4,
  /** Of the premium's digits fewer than ten bits are time value: any volatility would be made of rounding. */
  noTimeValue: 5,
  /** The premium reaches the forward (call) or the strike (put), which only an infinite volatility would. */
  aboveMaximum: 6,
} as const;

/** 2⁻⁴³. */
const LEAST_TIME_VALUE = 1.136_868_377_216_160_3e-13;
const MAX_STEPS = 8;
/** A fourth-order step this small, relative to the value, leaves nothing to improve. */
const LAST_STEP = 2e-4;
const ROOT_THIRD = 0.577_350_269_189_625_8;
/** 2π/√27 */
const LOWER_SCALE = 1.209_199_576_156_145_2;
const LOG_ROOT_2PI = 0.918_938_533_204_672_7;

/** Receives the answer of {@link impliedVolatility}; made once, reused. */
export class ImpliedVolatility {
  /** As a fraction per √year; NaN unless `status` is `ok`. */
  volatility = Number.NaN;
  /** One of {@link IV_STATUS}. */
  status: number = IV_STATUS.badInput;
}

/**
 * The volatility at which Black's formula gives an undiscounted premium, to the precision that the premium itself allows.
 *
 * P. Jäckel, "Let's Be Rational" (Wilmott, 2015): four segments of rational guesses, then fourth-order Householder steps on an
 * objective that suits the segment. Two steps are the rule. An in-the-money premium counts as its time value over the exact
 * intrinsic value; so parity holds bit for bit, and no digit is lost that the premium had.
 *
 * @param out receives volatility and status
 * @param premium in quote currency for one unit of the underlying (for inverse options: coin premium × forward)
 * @param years time to expiry in years; what year that is decides what year the volatility is for
 * @returns `out.status`
 */
export function impliedVolatility(
  out: ImpliedVolatility,
  call: boolean,
  premium: number,
  forward: number,
  strike: number,
  years: number,
): number {
  out.volatility = Number.NaN;
  if (
    !(forward > 0 && strike > 0 && forward < Infinity && strike < Infinity && years < Infinity) ||
    Number.isNaN(premium)
  ) {
    out.status = IV_STATUS.badInput;
    return IV_STATUS.badInput;
  }
  const status = refusal(call, premium, forward, strike, years);
  out.status = status;
  if (status !== IV_STATUS.ok) return status;
  const intrinsic = Math.max(call ? forward - strike : strike - forward, 0);
  const timeValue = premium - intrinsic;
  const lower = Math.min(forward, strike);
  const scale = Math.sqrt(forward * strike);
  const difference = (forward - strike) / strike;
  const x = Math.abs(difference) < 0.5 ? Math.log1p(difference) : Math.log(forward / strike);
  const deviation = normalisedVolatility(
    timeValue / scale,
    (lower - timeValue) / scale,
    -Math.abs(x),
    lower / scale,
  );
  out.volatility = deviation / Math.sqrt(years);
  return IV_STATUS.ok;
}

/** Why a premium has no volatility, by {@link IV_STATUS}; `ok` where it has one. Forward, strike and time are good. */
export function refusal(
  call: boolean,
  premium: number,
  forward: number,
  strike: number,
  years: number,
): number {
  if (!(years > 0)) return IV_STATUS.expired;
  if (!(premium > 0)) return IV_STATUS.noPremium;
  const intrinsic = Math.max(call ? forward - strike : strike - forward, 0);
  if (premium < intrinsic) return IV_STATUS.belowIntrinsic;
  if (premium >= (call ? forward : strike)) return IV_STATUS.aboveMaximum;
  return premium - intrinsic <= LEAST_TIME_VALUE * premium ? IV_STATUS.noTimeValue : IV_STATUS.ok;
}

/**
 * {@link impliedVolatility} over arrays. Refused rows get NaN and their status.
 *
 * @param types 1 = call, 0 = put
 * @param volatilities receives fractions per √year
 * @param statuses receives {@link IV_STATUS}
 * @returns how many rows are `ok`
 */
export function impliedVolatilities(
  count: number,
  types: Uint8Array,
  premiums: Float64Array,
  forwards: Float64Array,
  strikes: Float64Array,
  years: Float64Array,
  volatilities: Float64Array,
  statuses: Uint8Array,
): number {
  invariant(
    count <= Math.min(premiums.length, volatilities.length, statuses.length),
    `${count} rows fit the arrays`,
  );
  let ok = 0;
  for (let row = 0; row < count; row += 1) {
    const status = impliedVolatility(
      scratch,
      types[row] !== 0,
      premiums[row],
      forwards[row],
      strikes[row],
      years[row],
    );
    volatilities[row] = scratch.volatility;
    statuses[row] = status;
    if (status === IV_STATUS.ok) ok += 1;
  }
  return ok;
}

const scratch = new ImpliedVolatility();

/**
 * s = σ√T with b(x, s) = β.
 *
 * @param beta time value / √(FK), in (0, maximum)
 * @param complement maximum − β, from the unrounded premium
 * @param x −|ln(F/K)|
 * @param maximum e^(x/2)
 */
function normalisedVolatility(beta: number, complement: number, x: number, maximum: number): number {
  const inflection = Math.sqrt(-2 * x);
  const inflectionVega = INVERSE_ROOT_2PI * maximum;
  // b(x, √(2|x|)) = ½·e^(x/2)·(1 − erfcx(√|x|))
  const inflectionValue = 0.5 * maximum * (1 - 2 * INVERSE_ROOT_2PI * mills(inflection));
  if (beta < inflectionValue) {
    const low = inflection - inflectionValue / inflectionVega;
    if (low > 0) {
      const h = x / low;
      const lowVega = normalisedVega(h, 0.5 * low);
      const lowValue = lowVega * blackOverVega(h, 0.5 * low);
      if (beta < lowValue) return refineLow(lowGuess(beta, x, low, lowValue), beta, x);
      const guess = rationalCubic(
        beta,
        lowValue,
        inflectionValue,
        low,
        inflection,
        1 / lowVega,
        1 / inflectionVega,
        0,
        true,
      );
      return refineMiddle(guess, beta, x);
    }
    return refineMiddle(inflection, beta, x);
  }
  const high = inflection + (maximum - inflectionValue) / inflectionVega;
  const highVega = normalisedVega(x / high, 0.5 * high);
  const highValue = normalisedBlack(x, high);
  if (beta > highValue) {
    const guess = highGuess(beta, x, high, highValue, maximum);
    return beta > 0.5 * maximum ? refineHigh(guess, complement, x) : refineMiddle(guess, beta, x);
  }
  const guess = rationalCubic(
    beta,
    inflectionValue,
    highValue,
    inflection,
    high,
    1 / inflectionVega,
    1 / highVega,
    0,
    false,
  );
  return refineMiddle(guess, beta, x);
}

/** Interpolates f(β) = 2π|x|/√27·Φ(−z)³ with z = |x|/(√3·s), which is nearly β itself for small β, and inverts it. */
function lowGuess(beta: number, x: number, low: number, lowValue: number): number {
  const z = (-x * ROOT_THIRD) / low;
  const y = z * z;
  const ratio = mills(z);
  const density = INVERSE_ROOT_2PI * Math.exp(-0.5 * y);
  const tail = density * ratio;
  const square = low * low;
  const growth = smallExp(0.125 * square);
  const bend = (8 / ROOT_THIRD) * low * -x + (3 * square * (square - 8) - 8 * x * x) * ratio;
  const inverseDensity = INVERSE_ROOT_2PI / density;
  const value = -x * LOWER_SCALE * tail * tail * tail;
  const slope = y * ratio * ratio * growth;
  const curvature =
    (Math.PI / 6) *
    (y / (square * low)) *
    ratio *
    bend *
    growth *
    growth *
    inverseDensity *
    inverseDensity *
    inverseDensity *
    INVERSE_ROOT_2PI;
  let f = rationalCubic(beta, 0, lowValue, 0, value, 1, slope, curvature, true);
  // For β towards the smallest doubles the interpolant's own rounding may take it below zero.
  if (!(f > 0)) {
    const t = beta / lowValue;
    f = beta * (1 - t) + value * t * t;
  }
  return (x * ROOT_THIRD) / quantileOfLog(Math.log(f / (-x * LOWER_SCALE)) * (1 / 3));
}

/** exp(x), to 2e-4 for small x, which is enough for a guess. */
function smallExp(x: number): number {
  return x < 0.25 ? 1 + x * (1 + x * (0.5 + x * (1 / 6))) : Math.exp(x);
}

/** Interpolates f(β) = Φ(−s/2), which is nearly linear near the maximum, and inverts it. */
function highGuess(beta: number, x: number, high: number, highValue: number, maximum: number): number {
  const h = x / high;
  const growth = Math.exp(0.5 * h * h);
  const half = 0.5 * high;
  const value = INVERSE_ROOT_2PI * Math.exp(-0.5 * half * half) * mills(half);
  const curvature = 0.5 * ROOT_2PI * ((h * h) / high) * growth * growth * Math.exp(0.125 * high * high);
  let f = rationalCubic(beta, highValue, maximum, value, 0, -0.5 * growth, -0.5, curvature, false);
  if (!(f > 0)) f = (value * (maximum - beta)) / (maximum - highValue);
  return -2 * quantileGuess(f);
}

/** On 1/ln b(s) − 1/ln β. */
function refineLow(guess: number, beta: number, x: number): number {
  const target = Math.log(beta);
  let s = guess;
  for (let step = 0; step < MAX_STEPS; step += 1) {
    const rate = 1 / s;
    const h = x * rate;
    const t = 0.5 * s;
    const overVega = blackOverVega(h, t);
    const value = Math.log(overVega) - 0.5 * (h * h + t * t) - LOG_ROOT_2PI;
    const inverse = 1 / value;
    const slope = 1 / overVega;
    const second = (h * h - t * t) * rate;
    const third = second * second - 3 * h * h * rate * rate - 0.25;
    const newton = ((target - value) * value * overVega) / target;
    const mixed = 1 + 2 * inverse;
    const halley = second - slope * mixed;
    const cubicTerm =
      third + 2 * slope * slope * (1 + 3 * inverse * (1 + inverse)) - 3 * second * slope * mixed;
    const change = householder(newton, halley, cubicTerm);
    s = s + change > 0.25 * s ? s + change : 0.5 * s;
    if (Math.abs(change) <= LAST_STEP * s) break;
  }
  return s;
}

/** On b(s) − β. */
function refineMiddle(guess: number, beta: number, x: number): number {
  let s = guess;
  for (let step = 0; step < MAX_STEPS; step += 1) {
    const rate = 1 / s;
    const h = x * rate;
    const t = 0.5 * s;
    const overVega = blackOverVega(h, t);
    const second = (h * h - t * t) * rate;
    const third = second * second - 3 * h * h * rate * rate - 0.25;
    const change = householder(beta / normalisedVega(h, t) - overVega, second, third);
    s = s + change > 0.25 * s ? s + change : 0.5 * s;
    if (Math.abs(change) <= LAST_STEP * s) break;
  }
  return s;
}

/** On ln((maximum − β)/(maximum − b(s))). */
function refineHigh(guess: number, complement: number, x: number): number {
  let s = guess;
  for (let step = 0; step < MAX_STEPS; step += 1) {
    const rate = 1 / s;
    const h = x * rate;
    const t = 0.5 * s;
    const overVega = complementOverVega(h, t);
    const slope = 1 / overVega;
    const second = (h * h - t * t) * rate;
    const third = second * second - 3 * h * h * rate * rate - 0.25;
    const newton = -overVega * Math.log(complement / (overVega * normalisedVega(h, t)));
    const change = householder(newton, second + slope, third + slope * (2 * slope + 3 * second));
    s = s + change > 0.25 * s ? s + change : 0.5 * s;
    if (Math.abs(change) <= LAST_STEP * s) break;
  }
  return s;
}

function householder(newton: number, halley: number, third: number): number {
  return (newton * (1 + 0.5 * halley * newton)) / (1 + newton * (halley + (newton * third) / 6));
}
