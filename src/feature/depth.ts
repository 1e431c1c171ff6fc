import { nativeDoubles, nativeInts } from "../core/native.ts";
import type { BookView } from "../market/book.ts";
import { naturalLog } from "./elementary.ts";
import { DEPTH_LEVELS, WITHDRAWAL_LEVELS } from "./schema.ts";

/** Columns of a side's metrics. Sizes in lots, distances as ln(1 + bp). */
export const DEPTH_METRIC = {
  sum3: 0,
  sum5: 1,
  /** Ten levels: the depth that the withdrawal heads speak of. */
  sum10: 2,
  sum20: 3,
  /** Twenty levels weighted by 1/(1 + 2·distance from the document's mid in bp). */
  near: 4,
  largest: 5,
  /** Levels two to ten. */
  behind: 6,
  slope: 7,
  gap: 8,
  range: 9,
} as const;
export const DEPTH_METRICS = 10;

/**
 * The document's best {@link DEPTH_LEVELS} levels per side and slot, as they were after the last diff, and what the last diff
 * changed in them. Work per refresh is bounded by the number of levels kept, whatever the size of the diff.
 */
export class DepthView {
  /** `[slot, side, metric]` */
  readonly metrics: Float64Array;
  /** Of the last refresh, per side: sum of size changes over the price range that both the old and the new levels cover. */
  readonly netChange = new Float64Array(2);
  /** Of the last refresh, per side: sum of the decreases alone, positive. */
  readonly removed = new Float64Array(2);
  /** `[slot]`: mid of the document in ticks; the one side's best when the other is empty, 0 when both are. */
  readonly midTicks: Float64Array;

  /** The levels of a book that is being read, by side. */
  readonly freshPrice: readonly [Int32Array, Int32Array];
  readonly freshSize: readonly [Float64Array, Float64Array];
  /** Addresses of all arrays for native code, in the order of `keel_features` in `ffi/feature.h`, but for state and signals. */
  readonly addresses: { readonly kept: readonly number[]; readonly fresh: readonly number[] };
  readonly #priceTicks: Int32Array;
  readonly #sizeLots: Float64Array;
  readonly #count: Int32Array;

  constructor(slotCount: number) {
    const metrics = nativeDoubles(slotCount * 2 * DEPTH_METRICS);
    const midTicks = nativeDoubles(slotCount);
    const priceTicks = nativeInts(slotCount * 2 * DEPTH_LEVELS);
    const sizeLots = nativeDoubles(slotCount * 2 * DEPTH_LEVELS);
    const count = nativeInts(slotCount * 2);
    const freshPrice = nativeInts(2 * DEPTH_LEVELS);
    const freshSize = nativeDoubles(2 * DEPTH_LEVELS);
    this.metrics = metrics.values;
    this.midTicks = midTicks.values;
    this.#priceTicks = priceTicks.values;
    this.#sizeLots = sizeLots.values;
    this.#count = count.values;
    this.freshPrice = [freshPrice.values.subarray(0, DEPTH_LEVELS), freshPrice.values.subarray(DEPTH_LEVELS)];
    this.freshSize = [freshSize.values.subarray(0, DEPTH_LEVELS), freshSize.values.subarray(DEPTH_LEVELS)];
    this.addresses = {
      kept: [metrics, midTicks, priceTicks, sizeLots, count].map(({ memory }) => memory.address),
      fresh: [freshPrice, freshSize].map(({ memory }) => memory.address),
    };
  }

  reset(slot: number): void {
    this.#count.fill(0, slot * 2, slot * 2 + 2);
    this.metrics.fill(0, slot * 2 * DEPTH_METRICS, (slot + 1) * 2 * DEPTH_METRICS);
    this.midTicks[slot] = 0;
  }

  /** Reads the book's levels. `compare` = the old levels are of the same document, so the difference means something. */
  refresh(slot: number, book: BookView, compare: boolean): void {
    const bids = book.top(0, DEPTH_LEVELS, this.freshPrice[0], this.freshSize[0]);
    const asks = book.top(1, DEPTH_LEVELS, this.freshPrice[1], this.freshSize[1]);
    const bestBid = bids > 0 ? this.freshPrice[0][0] : 0;
    const bestAsk = asks > 0 ? this.freshPrice[1][0] : 0;
    const mid = bids > 0 && asks > 0 ? (bestBid + bestAsk) / 2 : bestBid + bestAsk;
    this.midTicks[slot] = mid;
    this.#refreshSide(slot, 0, bids, mid, compare);
    this.#refreshSide(slot, 1, asks, mid, compare);
  }

  /** Size of the levels of the last diff that are better than `bestTicks`: gone already by the top stream. */
  staleLots(slot: number, side: number, bestTicks: number): number {
    const row = slot * 2 + side;
    const start = row * DEPTH_LEVELS;
    const end = start + this.#count[row];
    let stale = 0;
    for (let at = start; at < end; at += 1) {
      const price = this.#priceTicks[at];
      if (side === 0 ? price <= bestTicks : price >= bestTicks) break;
      stale += this.#sizeLots[at];
    }
    return stale;
  }

  /** The document's best price on a side, the other side's where this one is empty, −1 when both are. */
  bestTicks(slot: number, side: number): number {
    const own = slot * 2 + side;
    const other = slot * 2 + 1 - side;
    if (this.#count[own] > 0) return this.#priceTicks[own * DEPTH_LEVELS];
    return this.#count[other] > 0 ? this.#priceTicks[other * DEPTH_LEVELS] : -1;
  }

  #refreshSide(slot: number, side: 0 | 1, count: number, midTicks: number, compare: boolean): void {
    const row = slot * 2 + side;
    this.#compareSide(row, side, count, compare && this.#count[row] > 0);

    const price = this.freshPrice[side];
    const size = this.freshSize[side];
    const bpPerTick = midTicks > 0 ? 10_000 / midTicks : 0;
    let sum = 0;
    let near = 0;
    let largest = 0;
    let weighted = 0;
    let sum3 = 0;
    let sum5 = 0;
    let sum10 = 0;
    const start = row * DEPTH_LEVELS;
    for (let level = 0; level < count; level += 1) {
      const lots = size[level];
      const bp = Math.abs(price[level] - midTicks) * bpPerTick;
      sum += lots;
      near += lots / (1 + 2 * bp);
      if (level < 3) sum3 = sum;
      if (level < 5) sum5 = sum;
      if (level < WITHDRAWAL_LEVELS) {
        sum10 = sum;
        weighted += lots * bp;
        if (lots > largest) largest = lots;
      }
      this.#priceTicks[start + level] = price[level];
      this.#sizeLots[start + level] = lots;
    }
    this.#count[row] = count;

    const metrics = this.metrics;
    const to = row * DEPTH_METRICS;
    const tenth = Math.min(count, WITHDRAWAL_LEVELS) - 1;
    metrics[to + DEPTH_METRIC.sum3] = sum3;
    metrics[to + DEPTH_METRIC.sum5] = sum5;
    metrics[to + DEPTH_METRIC.sum10] = sum10;
    metrics[to + DEPTH_METRIC.sum20] = sum;
    metrics[to + DEPTH_METRIC.near] = near;
    metrics[to + DEPTH_METRIC.largest] = largest;
    metrics[to + DEPTH_METRIC.behind] = count > 0 ? sum10 - size[0] : 0;
    metrics[to + DEPTH_METRIC.slope] = sum10 > 0 ? naturalLog(1 + weighted / sum10) : 0;
    metrics[to + DEPTH_METRIC.gap] =
      count > 1 ? naturalLog(1 + Math.abs(price[1] - price[0]) * bpPerTick) : 0;
    metrics[to + DEPTH_METRIC.range] =
      tenth > 0 ? naturalLog(1 + Math.abs(price[tenth] - price[0]) * bpPerTick) : 0;
  }

  /** Merges the old and the new levels, both best first, over the price range that both cover. */
  #compareSide(row: number, side: 0 | 1, freshCount: number, compare: boolean): void {
    let net = 0;
    let removed = 0;
    if (compare) {
      // Prices times the sign descend on both sides, so one merge serves both.
      const sign = side === 0 ? 1 : -1;
      const oldPrice = this.#priceTicks;
      const oldSize = this.#sizeLots;
      const price = this.freshPrice[side];
      const size = this.freshSize[side];
      let old = row * DEPTH_LEVELS;
      const oldEnd = old + this.#count[row];
      let fresh = 0;
      let worst = -Infinity;
      if (this.#count[row] === DEPTH_LEVELS) worst = sign * oldPrice[oldEnd - 1];
      if (freshCount === DEPTH_LEVELS) worst = Math.max(worst, sign * price[freshCount - 1]);
      while (old < oldEnd || fresh < freshCount) {
        const a = old < oldEnd ? sign * oldPrice[old] : -Infinity;
        const b = fresh < freshCount ? sign * price[fresh] : -Infinity;
        if (a < worst && b < worst) break;
        let change = 0;
        if (a >= b) {
          change -= oldSize[old];
          old += 1;
        }
        if (b >= a) {
          change += size[fresh];
          fresh += 1;
        }
        net += change;
        if (change < 0) removed -= change;
      }
    }
    this.netChange[side] = net;
    this.removed[side] = removed;
  }
}
