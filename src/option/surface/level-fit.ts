import { writeSsvi } from "./arbitrage.ts";
import type { SliceQuotes } from "./quotes.ts";
import { SVI, sviVariance } from "./svi.ts";

const LEVEL_ITERATIONS = 12;
const DEFAULT_RHO = -0.1;
/** φ·√θ of a slice of which nothing is known. */
const DEFAULT_CURVATURE = 1.2;

/**
 * Writes an SSVI slice through the middles of few quotes: its level is their vega-weighted average, its shape another slice's.
 *
 * @param out receives the slice, by `SVI`, at `from`
 * @param shape slices; the one whose shape is taken begins at `shapeFrom`, negative for a plain one
 */
export function fitLevel(
  out: Float64Array,
  from: number,
  quotes: SliceQuotes,
  shape: Float64Array,
  shapeFrom: number,
): void {
  let rho = DEFAULT_RHO;
  let curvature = DEFAULT_CURVATURE;
  if (shapeFrom >= 0) {
    const left = shape[shapeFrom + SVI.left];
    const right = shape[shapeFrom + SVI.right];
    rho = Math.max(-0.95, Math.min(0.95, (right - left) / (right + left)));
    curvature = (left + right) / Math.sqrt(sviVariance(shape, shapeFrom, 0));
  }
  let theta = 0.5 * (quotes.low[0] + quotes.high[0]);
  for (let round = 0; round < LEVEL_ITERATIONS; round += 1) {
    writeSsvi(out, from, theta, rho, curvature / Math.sqrt(theta));
    let weights = 0;
    let ratios = 0;
    for (let i = 0; i < quotes.used; i += 1) {
      if (quotes.low[i] === 0) continue;
      const middle = 0.5 * (quotes.low[i] + quotes.high[i]);
      const weight = 1 / (quotes.half[i] * quotes.half[i]);
      weights += weight;
      ratios += (weight * middle) / sviVariance(out, from, quotes.moneyness[i]);
    }
    theta *= ratios / weights;
  }
  writeSsvi(out, from, theta, rho, curvature / Math.sqrt(theta));
}
