import {
  DEFAULT_MATCHING,
  Matching,
  type MatchingOptions,
  type VenueReports,
} from "../../src/backtest/matching.ts";
import { type QueueModelName, queueModel } from "../../src/backtest/queue.ts";
import { Tape } from "../../src/backtest/tape.ts";
import { EVENT, EventBatch, FEED_STATE } from "../../src/market/event-batch.ts";
import { InstrumentTable } from "../../src/market/instrument.ts";
import { ORDER_STATE_NAMES } from "../../src/risk/order.ts";
import { LINEAR_PERPETUAL } from "../support/perpetuals.ts";

export const BID = 0;
export const ASK = 1;

type Level = readonly [side: number, priceTicks: number, lots: number];

/** A hand-made market with one perpetual, and what its venue said. */
export class VenueScript implements VenueReports {
  readonly matching: Matching;
  readonly said: string[] = [];
  timeUs = 1_000_000;
  readonly #tape = new Tape();
  readonly #batch = new EventBatch(16, 256);
  #sequence = 0;

  constructor(options: Partial<Omit<MatchingOptions, "queue">> & { queue?: QueueModelName } = {}) {
    const { queue = "conservative", ...rest } = options;
    const table = new InstrumentTable(1);
    table.add(LINEAR_PERPETUAL);
    this.matching = new Matching(table, { ...DEFAULT_MATCHING, ...rest, queue: queueModel(queue) }, this);
  }

  book(...levels: Level[]): void {
    this.#event(EVENT.bookSnapshot, levels);
    this.#batch.clear();
    this.#batch.status(0, FEED_STATE.live, 0);
    this.#play();
  }

  level(...levels: Level[]): void {
    this.#event(EVENT.bookDelta, levels);
  }

  /** @param aggressor {@link BID}: somebody bought */
  trade(aggressor: number, priceTicks: number, lots: number): void {
    this.#event(EVENT.trade, [[aggressor, priceTicks, lots]]);
  }

  quote(bidTicks: number, bidLots: number, askTicks = -1, askLots = 0, quoteId = 1): string {
    return this.matching.quote(0, 0, quoteId, bidTicks, bidLots, askTicks, askLots, this.timeUs);
  }

  order(side: 0 | 1, priceTicks: number, sizeLots: number, timeInForce: "day" | "ioc", orderId = 7): void {
    const intent = { orderId, instrument: 0, side, priceTicks, sizeLots, timeInForce };
    this.matching.order({ ...intent, fair: 0, delta: 1, hedge: true }, 0, this.timeUs);
  }

  /** An order of the recording has lost lots. */
  orderLost(side: number, priceTicks: number, lots: number, enteredUs: number, traded: boolean): void {
    this.#tape.pushOrder(0, side, priceTicks, lots, enteredUs, traded, this.timeUs);
    this.#drain();
  }

  /** What was said since the last time. */
  told(): string[] {
    return this.said.splice(0);
  }

  get ahead(): number {
    return this.matching.resting(0)[0]?.ahead ?? Number.NaN;
  }

  onFill(order: { side: number }, priceTicks: number, lots: number, maker: boolean): void {
    this.said.push(
      `${order.side === BID ? "bought" : "sold"} ${lots} at ${priceTicks} as ${maker ? "maker" : "taker"}`,
    );
  }

  onOrderState(orderId: number, state: number, leavesLots: number, text: string): void {
    this.said.push(`order ${orderId} ${ORDER_STATE_NAMES[state]} ${leavesLots} ${text}`.trim());
  }

  #event(kind: number, levels: readonly Level[]): void {
    this.#batch.clear();
    const row = this.#batch.begin(kind, 0, this.timeUs);
    this.#sequence += 1;
    this.#batch.setSequence(row, this.#sequence, this.#sequence, this.#sequence - 1);
    for (const [side, priceTicks, lots] of levels) this.#batch.level(side, priceTicks, lots);
    this.#play();
  }

  #play(): void {
    for (let row = 0; row < this.#batch.count; row += 1) this.#tape.push(this.#batch, row, this.timeUs);
    this.#drain();
  }

  #drain(): void {
    for (let slot = this.#tape.take(); slot >= 0; slot = this.#tape.take()) {
      this.matching.onEvent(this.#tape, slot, this.timeUs);
      this.#tape.release(slot);
    }
  }
}
