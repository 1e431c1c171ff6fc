import { normalCdf } from "../../option/normal.ts";

/** Of returns in equal intervals; nothing is annualised. NaN where the returns do not vary. */
export interface Sharpe {
  /** Mean over standard deviation of an interval. */
  readonly value: number;
  /** Its standard error, robust to autocorrelation and to fat tails. */
  readonly standardError: number;
  readonly intervals: number;
}

/**
 * Sharpe ratio and its standard error after A. Lo, "The Statistics of Sharpe Ratios", 2002: the delta method on mean and variance with
 * the long-run variance of Newey and West (1987), Bartlett weights, ⌊4·(n/100)^(2/9)⌋ lags. For independent normal returns it is
 * √((1 + SR²/2)/n).
 */
export function sharpe(returns: ArrayLike<number>): Sharpe {
  const intervals = returns.length;
  const none = { value: Number.NaN, standardError: Number.NaN, intervals };
  if (intervals < 2) return none;
  let mean = 0;
  for (let at = 0; at < intervals; at += 1) mean += (returns[at] ?? 0) / intervals;
  let variance = 0;
  for (let at = 0; at < intervals; at += 1) variance += ((returns[at] ?? 0) - mean) ** 2 / intervals;
  if (!(variance > 0)) return none;
  const deviation = Math.sqrt(variance);
  const value = mean / deviation;
  const influence = Float64Array.from({ length: intervals }, (_, at) => {
    const unit = ((returns[at] ?? 0) - mean) / deviation;
    return unit - (value / 2) * (unit * unit - 1);
  });
  const covariance = (lag: number): number => {
    let sum = 0;
    for (let at = lag; at < intervals; at += 1) sum += (influence[at] ?? 0) * (influence[at - lag] ?? 0);
    return sum / intervals;
  };
  const lags = Math.min(intervals - 1, Math.floor(4 * (intervals / 100) ** (2 / 9)));
  let longRun = covariance(0);
  for (let lag = 1; lag <= lags; lag += 1) longRun += 2 * (1 - lag / (lags + 1)) * covariance(lag);
  return { value, standardError: Math.sqrt(Math.max(longRun, 0) / intervals), intervals };
}

const EULER = 0.5772156649015329;

/**
 * The Sharpe ratio that the best of so many tries has on average when none is worth anything, and the probability that this one's
 * true value is above it: D. Bailey and M. López de Prado, "The Deflated Sharpe Ratio", 2014, with the standard error of
 * {@link sharpe}.
 *
 * @param tried Sharpe ratios of all that was tried, this one too
 */
export function deflatedSharpe(
  { value, standardError }: Sharpe,
  tried: readonly number[],
): { readonly bar: number; readonly probability: number } {
  const known = tried.filter(Number.isFinite);
  const mean = known.reduce((sum, one) => sum + one, 0) / known.length;
  const variance = known.reduce((sum, one) => sum + (one - mean) ** 2, 0) / Math.max(1, known.length - 1);
  const n = known.length;
  const bar =
    n < 2
      ? 0
      : Math.sqrt(variance) *
        ((1 - EULER) * normalQuantile(1 - 1 / n) + EULER * normalQuantile(1 - 1 / (n * Math.E)));
  return { bar, probability: normalCdf((value - bar) / standardError) };
}

/** By bisection on the distribution function; good to 1e-12, and not fast. */
export function normalQuantile(probability: number): number {
  let [low, high] = [-40, 40];
  for (let step = 0; step < 100; step += 1) {
    const middle = (low + high) / 2;
    if (normalCdf(middle) < probability) low = middle;
    else high = middle;
  }
  return (low + high) / 2;
}
