import type { Counterparty } from "./counterparty.ts";
import type { Structure } from "./structure.ts";

/** Trades that wait for their markout; when there are more the oldest goes without. */
const PENDING_MAX = 1_024;
/** A trade whose structure has no value at its time is tried again for as long as the markout time, then let go. */
const PATIENCE = 2;

/** A trade as it is marked out. */
export interface MarkedTrade {
  readonly counterparty: Counterparty;
  readonly structure: Structure;
  readonly tiedSteps: number;
  /** +1 where the client bought: a rise is against us. */
  readonly sign: number;
  readonly fair: number;
  /** Half-spread earned, in the structure's price unit. */
  readonly half: number;
  readonly timeUs: number;
}

/** Values trades again some time after they were made. Trades come due in the order in which they were made. */
export class Markouts {
  readonly #markoutUs: number;
  #pending: MarkedTrade[] = [];
  /** Trades that were never marked out: too many waited, or their structure had no value. */
  missed = 0;
  /** Trades that were. */
  marked = 0;

  constructor(markoutMs: number) {
    this.#markoutUs = markoutMs * 1_000;
  }

  add(trade: MarkedTrade): void {
    if (this.#pending.length === PENDING_MAX) {
      this.#pending.shift();
      this.missed += 1;
    }
    this.#pending.push(trade);
  }

  /** @param fairOf value of a structure now; NaN where it has none */
  onTimer(timeUs: number, fairOf: (structure: Structure, tiedSteps: number) => number): void {
    const [first] = this.#pending;
    if (first === undefined || timeUs - first.timeUs < this.#markoutUs) return;
    const waiting: MarkedTrade[] = [];
    for (const trade of this.#pending) {
      const ageUs = timeUs - trade.timeUs;
      if (ageUs < this.#markoutUs) {
        waiting.push(trade);
        continue;
      }
      const fair = fairOf(trade.structure, trade.tiedSteps);
      if (Number.isFinite(fair)) {
        this.marked += 1;
        trade.counterparty.onMarkout((trade.sign * (fair - trade.fair)) / trade.half);
      } else if (ageUs < PATIENCE * this.#markoutUs) waiting.push(trade);
      else this.missed += 1;
    }
    this.#pending = waiting;
  }
}
