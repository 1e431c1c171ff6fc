import { EVENT, type EventBatch, SIDE } from "../../src/market/event-batch.ts";

/** The reference: a map per side, sorted when asked. */
export class NaiveBook {
  readonly sides: [Map<number, number>, Map<number, number>] = [new Map(), new Map()];
  lastSequence = Number.NaN;

  apply(batch: EventBatch, row: number): void {
    if (batch.kind[row] === EVENT.bookSnapshot) for (const side of this.sides) side.clear();
    const start = batch.levelStart[row];
    for (let i = start; i < start + batch.levelCount[row]; i += 1) {
      this.set(batch.side[i], batch.priceTicks[i], batch.sizeLots[i]);
    }
    this.lastSequence = batch.lastSequence[row];
  }

  set(side: number, priceTicks: number, sizeLots: number): void {
    if (sizeLots === 0) this.sides[side].delete(priceTicks);
    else this.sides[side].set(priceTicks, sizeLots);
  }

  top(side: number, depth: number): [number, number][] {
    const levels = [...this.sides[side]].sort(([a], [b]) => (side === SIDE.bid ? b - a : a - b));
    return levels.slice(0, depth);
  }
}
