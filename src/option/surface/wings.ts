import { SVI_SIZE } from "./svi.ts";

/**
 * A later slice's wings must not be flatter than an earlier one's, or they would cross far out. What the expiries say of their
 * wings is brought into order by pooling neighbours that violate it (isotonic regression of the logarithms, by M. Ayer and
 * others, 1955): geometric means over runs of slots whose values fall, so that the means rise. A slot weighs by the root of its
 * time: the quotes of the nearest expiries reach least far into the wings.
 *
 * @param slices fitted each by itself, by `SVI`
 * @param parameter which wing, of `SVI`
 * @param slots the first `count` by expiry
 * @param out receives the means at `2·slot + column`
 */
export function orderWings(
  slices: Float64Array,
  parameter: number,
  years: Float64Array,
  slots: Int32Array,
  count: number,
  out: Float64Array,
  column: number,
): void {
  let done = 0;
  while (done < count) {
    // The run from `done` on whose mean is least ends the pool: taken greedily, the least of them all rises.
    let sum = 0;
    let weights = 0;
    let least = Infinity;
    let end = done;
    for (let i = done; i < count; i += 1) {
      const weight = Math.sqrt(years[slots[i]]);
      weights += weight;
      sum += weight * Math.log(slices[slots[i] * SVI_SIZE + parameter]);
      const mean = sum / weights;
      if (mean <= least) {
        least = mean;
        end = i + 1;
      }
    }
    for (let i = done; i < end; i += 1) out[2 * slots[i] + column] = Math.exp(least);
    done = end;
  }
}
