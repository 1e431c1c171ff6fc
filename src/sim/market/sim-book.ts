import { invariant } from "../../core/invariant.ts";
import { HierarchicalBitmap, NO_BIT } from "../../market/bitmap.ts";
import { SIDE } from "../../market/event-batch.ts";
import type { MarketSink } from "./market-sink.ts";

/** There is no such level. */
export const NO_LEVEL = -1;

/**
 * The simulated market's own book of one instrument: lots by tick in a window of ticks around the price, with bitmaps that find
 * the next level outward. Every change is told to the sink. The window follows the price; levels it leaves behind are removed.
 *
 * Never crossed and never negative: a change that would make it so is a broken invariant.
 */
export class SimBook {
  readonly instrument: number;
  readonly windowTicks: number;
  readonly #sink: MarketSink;
  readonly #lots: readonly [Float64Array, Float64Array];
  readonly #occupied: readonly [HierarchicalBitmap, HierarchicalBitmap];
  /** First occupied slot, counted outward from the inner end of the side's window. */
  readonly #best = new Int32Array([NO_BIT, NO_BIT]);
  readonly #levels = new Int32Array(2);
  /** Lowest tick in the window. */
  #low: number;

  constructor(instrument: number, centreTicks: number, windowTicks: number, sink: MarketSink) {
    this.instrument = instrument;
    this.windowTicks = windowTicks;
    this.#sink = sink;
    this.#low = centreTicks - (windowTicks >> 1);
    this.#lots = [new Float64Array(windowTicks), new Float64Array(windowTicks)];
    this.#occupied = [new HierarchicalBitmap(windowTicks), new HierarchicalBitmap(windowTicks)];
  }

  /** Best price of a side in ticks, {@link NO_LEVEL} when the side is empty. */
  best(side: number): number {
    const slot = this.#best[side];
    return slot === NO_BIT ? NO_LEVEL : this.#ticks(side, slot);
  }

  bestLots(side: number): number {
    const slot = this.#best[side];
    return slot === NO_BIT ? 0 : this.#side(side)[slot];
  }

  /** Ticks from best bid to best ask; `Infinity` while a side is empty. */
  get spreadTicks(): number {
    const bid = this.best(SIDE.bid);
    const ask = this.best(SIDE.ask);
    return bid === NO_LEVEL || ask === NO_LEVEL ? Number.POSITIVE_INFINITY : ask - bid;
  }

  /** Middle of best bid and ask in ticks, the side's own best while the other is empty, NaN when both are. */
  get midTicks(): number {
    const bid = this.best(SIDE.bid);
    const ask = this.best(SIDE.ask);
    if (bid === NO_LEVEL) return ask === NO_LEVEL ? Number.NaN : ask;
    return ask === NO_LEVEL ? bid : (bid + ask) / 2;
  }

  levels(side: number): number {
    return this.#levels[side];
  }

  /** Whether the price lies in the window at all. */
  holds(priceTicks: number): boolean {
    return priceTicks >= this.#low && priceTicks < this.#low + this.windowTicks;
  }

  lotsAt(side: number, priceTicks: number): number {
    return this.holds(priceTicks) ? this.#side(side)[this.#slot(side, priceTicks)] : 0;
  }

  /** The best level of a side at `priceTicks` or further from the touch, or {@link NO_LEVEL}. */
  outward(side: number, priceTicks: number): number {
    const slot = this.#slot(side, priceTicks);
    if (slot >= this.windowTicks) return NO_LEVEL;
    const found = this.#bits(side).next(Math.max(slot, 0));
    return found === NO_BIT ? NO_LEVEL : this.#ticks(side, found);
  }

  /** Sets the lots of a level inside the window; 0 removes it. */
  set(side: number, priceTicks: number, lots: number): void {
    invariant(this.holds(priceTicks), `a level at ${priceTicks} outside the simulated book's window`);
    invariant(lots >= 0 && Number.isInteger(lots), `a simulated level of ${lots} lots`);
    const slot = this.#slot(side, priceTicks);
    const sizes = this.#side(side);
    const before = sizes[slot];
    if (before === lots) return;
    sizes[slot] = lots;
    if (before === 0) {
      const opposite = this.best(1 - side);
      invariant(
        opposite === NO_LEVEL || (side === SIDE.bid ? priceTicks < opposite : priceTicks > opposite),
        `a simulated ${side === SIDE.bid ? "bid" : "ask"} at ${priceTicks} crosses ${opposite}`,
      );
      this.#bits(side).add(slot);
      this.#levels[side] += 1;
      const best = this.#best[side];
      if (best === NO_BIT || slot < best) this.#best[side] = slot;
    } else if (lots === 0) {
      this.#bits(side).delete(slot);
      this.#levels[side] -= 1;
      if (slot === this.#best[side]) this.#best[side] = this.#bits(side).next(slot);
    }
    this.#sink.onLevel(this.instrument, side, priceTicks, lots, before);
  }

  /** Moves the window when the price has come within a quarter of its end. */
  follow(): void {
    const mid = this.midTicks;
    const quarter = this.windowTicks >> 2;
    if (!(mid < this.#low + quarter || mid >= this.#low + 3 * quarter)) return;
    const low = Math.round(mid) - 2 * quarter;
    for (const side of [SIDE.bid, SIDE.ask]) this.#moveWindow(side, low);
    this.#low = low;
  }

  #moveWindow(side: number, low: number): void {
    const sizes = this.#side(side);
    const bits = this.#bits(side);
    const kept: [number, number][] = [];
    for (
      let slot = bits.next(0);
      slot !== NO_BIT;
      slot = slot + 1 < this.windowTicks ? bits.next(slot + 1) : NO_BIT
    ) {
      const ticks = this.#ticks(side, slot);
      if (ticks >= low && ticks < low + this.windowTicks) kept.push([ticks, sizes[slot]]);
      else this.#sink.onLevel(this.instrument, side, ticks, 0, sizes[slot]);
    }
    sizes.fill(0);
    bits.clear();
    for (const [ticks, lots] of kept) {
      const slot = side === SIDE.ask ? ticks - low : low + this.windowTicks - 1 - ticks;
      sizes[slot] = lots;
      bits.add(slot);
    }
    this.#levels[side] = kept.length;
    this.#best[side] = bits.next(0);
  }

  #side(side: number): Float64Array {
    return side === SIDE.bid ? this.#lots[0] : this.#lots[1];
  }

  #bits(side: number): HierarchicalBitmap {
    return side === SIDE.bid ? this.#occupied[0] : this.#occupied[1];
  }

  #slot(side: number, ticks: number): number {
    return side === SIDE.ask ? ticks - this.#low : this.#low + this.windowTicks - 1 - ticks;
  }

  #ticks(side: number, slot: number): number {
    return side === SIDE.ask ? this.#low + slot : this.#low + this.windowTicks - 1 - slot;
  }
}
