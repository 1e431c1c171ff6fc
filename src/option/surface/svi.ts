/**
 * One slice of stochastic-volatility-inspired total variance (J. Gatheral, "A parsimonious arbitrage-free implied volatility
 * parameterization", 2004), kept by the slopes of its wings:
 *
 * w(k) = a + ½(R − L)(k − m) + ½(R + L)·√((k − m)² + σ²),
 *
 * which is Gatheral's raw form with b = ½(R + L) and ρ = (R − L)/(R + L). k = ln(K/F), w = σ_BS²·T. Linear in a, L and R;
 * L and R are what Lee's moment formula bounds by 2.
 */
export const SVI = { level: 0, left: 1, right: 2, centre: 3, width: 4 } as const;
/** Numbers of a slice in an array of parameters. */
export const SVI_SIZE = 5;
/** Steepest wing. R. Lee, "The moment formula for implied volatility at extreme strikes" (2004) allows 2. */
export const STEEPEST_WING = 1.99;

/** Total variance of the slice whose parameters start at `from`. */
export function sviVariance(p: Float64Array, from: number, k: number): number {
  const y = k - p[from + SVI.centre];
  const width = p[from + SVI.width];
  const left = p[from + SVI.left];
  const right = p[from + SVI.right];
  return p[from] + 0.5 * ((right - left) * y + (right + left) * Math.sqrt(y * y + width * width));
}

/** ∂w/∂k of a slice. */
export function sviFirst(p: Float64Array, from: number, k: number): number {
  const y = k - p[from + SVI.centre];
  const width = p[from + SVI.width];
  const left = p[from + SVI.left];
  const right = p[from + SVI.right];
  return 0.5 * (right - left + ((right + left) * y) / Math.sqrt(y * y + width * width));
}

/** ∂²w/∂k² of a slice. */
export function sviSecond(p: Float64Array, from: number, k: number): number {
  const y = k - p[from + SVI.centre];
  const width = p[from + SVI.width];
  const root = Math.sqrt(y * y + width * width);
  return (0.5 * (p[from + SVI.right] + p[from + SVI.left]) * width * width) / (root * root * root);
}

/**
 * Durrleman's g(k) = (1 − kw′/2w)² − (w′²/4)(1/w + ¼) + w″/2 from total variance and its first and second derivative by k. It has the
 * sign of the risk-neutral density: a slice is free of butterfly arbitrage where g ≥ 0 everywhere (J. Gatheral, A. Jacquier,
 * "Arbitrage-free SVI volatility surfaces", 2014, lemma 2.2).
 */
export function durrleman(k: number, w: number, first: number, second: number): number {
  const tilt = 1 - (k * first) / (2 * w);
  return tilt * tilt - 0.25 * first * first * (1 / w + 0.25) + 0.5 * second;
}
