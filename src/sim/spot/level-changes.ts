import type { SpotListener, SpotOrder, SpotOrders } from "./orders.ts";

/** A level that changed: its size now, 0 = gone. */
export interface LevelChange {
  readonly side: 0 | 1;
  readonly priceTicks: number;
  readonly lots: number;
}

/** Gathers the levels that a batch of the market's actions touched, for venues that tell levels. */
export class LevelChanges implements SpotListener {
  readonly #market: SpotOrders;
  readonly #tell: (changes: readonly LevelChange[]) => void;
  readonly #touched: readonly [Set<number>, Set<number>] = [new Set(), new Set()];

  constructor(market: SpotOrders, tell: (changes: readonly LevelChange[]) => void) {
    this.#market = market;
    this.#tell = tell;
    market.listen(this);
  }

  received(): void {}

  opened({ side, priceTicks }: SpotOrder): void {
    this.#touched[side].add(priceTicks);
  }

  matched({ side, priceTicks }: SpotOrder): void {
    this.#touched[side].add(priceTicks);
  }

  changed({ side, priceTicks }: SpotOrder): void {
    this.#touched[side].add(priceTicks);
  }

  done({ side, priceTicks }: SpotOrder, _reason: string, rested: boolean): void {
    if (rested) this.#touched[side].add(priceTicks);
  }

  flushed(): void {
    const changes = ([0, 1] as const).flatMap((side) =>
      [...this.#touched[side]].map((priceTicks) => ({
        side,
        priceTicks,
        lots: this.#market.lotsAt(side, priceTicks),
      })),
    );
    for (const touched of this.#touched) touched.clear();
    if (changes.length > 0) this.#tell(changes);
  }
}
