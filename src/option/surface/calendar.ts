import { CALENDAR_MARGIN, DOMAIN, STEP, VERTEX_STEP, vertexReach } from "./domain.ts";
import { sliceVariance } from "./slice.ts";
import { SVI } from "./svi.ts";

/** Where slices of neighbouring expiries come near each other, and there the step between points. */
const CORE = 1;
const CORE_STEP = 0.005;
/** How often the way to a peak is cut by a third. */
const THIRDS = 14;

/**
 * Most by which the earlier slice lies above the later one over the grid of the domain and about the vertices, and between the points where it comes to a peak; ≤ 0
 * without calendar arbitrage.
 */
export function calendarExcess(
  earlier: Float64Array,
  earlierFrom: number,
  later: Float64Array,
  from: number,
): number {
  climb.begin(earlier, earlierFrom, later, from);
  for (let k = -DOMAIN; k < DOMAIN; k += Math.abs(k) < CORE ? CORE_STEP : STEP) climb.goTo(k);
  climb.goTo(DOMAIN);
  climbAbout(earlier, earlierFrom);
  climbAbout(later, from);
  return climb.most;
}

function climbAbout(vertex: Float64Array, vertexFrom: number): void {
  const centre = vertex[vertexFrom + SVI.centre];
  const width = vertex[vertexFrom + SVI.width];
  climb.again();
  for (let u = -vertexReach(width); u < Infinity; u += VERTEX_STEP) {
    const k = centre + width * Math.sinh(u);
    if (k > DOMAIN) break;
    if (k >= -DOMAIN) climb.goTo(k);
  }
}

/** Goes from point to point, and to the top of every peak between them that may be higher than what is looked for. */
class Climb {
  most = Number.NEGATIVE_INFINITY;
  #earlier: Float64Array = new Float64Array(0);
  #later: Float64Array = new Float64Array(0);
  #earlierFrom = 0;
  #from = 0;
  #k = Number.NaN;
  #excess = Number.NaN;
  #kBefore = Number.NaN;
  #excessBefore = Number.NaN;

  begin(earlier: Float64Array, earlierFrom: number, later: Float64Array, from: number): void {
    this.#earlier = earlier;
    this.#earlierFrom = earlierFrom;
    this.#later = later;
    this.#from = from;
    this.most = Number.NEGATIVE_INFINITY;
    this.again();
  }

  /** The next point is a first one. */
  again(): void {
    this.#excess = Number.NaN;
    this.#excessBefore = Number.NaN;
  }

  goTo(k: number): void {
    const excess = this.#at(k);
    const last = this.#excess;
    if (last >= excess && last >= this.#excessBefore) {
      const rise = last - Math.min(excess, this.#excessBefore);
      if (last + rise > Math.max(this.most, -CALENDAR_MARGIN)) this.#top(this.#kBefore, k);
    }
    if (excess > this.most) this.most = excess;
    this.#kBefore = this.#k;
    this.#excessBefore = last;
    this.#k = k;
    this.#excess = excess;
  }

  #top(left: number, right: number): void {
    let from = left;
    let to = right;
    for (let i = 0; i < THIRDS; i += 1) {
      const nearer = from + (to - from) / 3;
      const farther = to - (to - from) / 3;
      const near = this.#at(nearer);
      const far = this.#at(farther);
      if (near < far) from = nearer;
      else to = farther;
      this.most = Math.max(this.most, near, far);
    }
  }

  #at(k: number): number {
    return sliceVariance(this.#earlier, this.#earlierFrom, k) - sliceVariance(this.#later, this.#from, k);
  }
}

const climb = new Climb();
