import { ORDER_STATE, type OrderIntent, type OrderState } from "./order.ts";

/** An order that may trade. */
export interface OpenOrder {
  readonly intent: OrderIntent;
  state: OrderState;
  leavesLots: number;
  /** When the last command for it was sent. */
  commandUs: number;
}

/**
 * Orders at work, and what they could still trade. An order leaves only by what the counterparty says of it; one that it does not
 * answer for in time is of unknown outcome and counts in full.
 */
export class OrderLedger {
  readonly #open = new Map<number, OpenOrder>();
  readonly #buyLots: Float64Array;
  readonly #sellLots: Float64Array;
  #lastOrderId = 0;
  #unknown = 0;

  constructor(capacity: number) {
    this.#buyLots = new Float64Array(capacity);
    this.#sellLots = new Float64Array(capacity);
  }

  get count(): number {
    return this.#open.size;
  }

  /** Orders whose outcome is unknown. */
  get unknown(): number {
    return this.#unknown;
  }

  get lastOrderId(): number {
    return this.#lastOrderId;
  }

  get(orderId: number): OpenOrder | undefined {
    return this.#open.get(orderId);
  }

  /** In the order in which they were sent. */
  all(): IterableIterator<OpenOrder> {
    return this.#open.values();
  }

  /** Lots that orders at work could still buy (side 0) or sell. */
  workingLots(instrument: number, side: number): number {
    return (side === 0 ? this.#buyLots : this.#sellLots)[instrument];
  }

  /** An order in the instrument is of unknown outcome. */
  unknownIn(instrument: number): boolean {
    if (this.#unknown === 0) return false;
    for (const order of this.#open.values()) {
      if (order.intent.instrument === instrument && order.state === ORDER_STATE.unknown) return true;
    }
    return false;
  }

  /** Highest price of our buy orders at work (side 0), lowest of our sell orders; NaN without one. */
  bestTicks(instrument: number, side: number): number {
    let best = Number.NaN;
    if (this.workingLots(instrument, side) === 0) return best;
    for (const { intent } of this.#open.values()) {
      if (intent.instrument !== instrument || intent.side !== side) continue;
      const better = side === 0 ? intent.priceTicks > best : intent.priceTicks < best;
      if (better || Number.isNaN(best)) best = intent.priceTicks;
    }
    return best;
  }

  onSent(intent: OrderIntent, timeUs: number): void {
    this.#lastOrderId = intent.orderId;
    this.#open.set(intent.orderId, {
      intent,
      state: ORDER_STATE.pending,
      leavesLots: intent.sizeLots,
      commandUs: timeUs,
    });
    this.#addWorking(intent, intent.sizeLots);
  }

  onCancelSent(orderId: number, timeUs: number): void {
    const order = this.#open.get(orderId);
    if (order === undefined || order.state === ORDER_STATE.unknown) return;
    order.state = ORDER_STATE.cancelling;
    order.commandUs = timeUs;
  }

  /** What the counterparty says: the state, and the lots that can still trade. @returns false for an order that is not open */
  onState(orderId: number, state: OrderState, leavesLots: number): boolean {
    const order = this.#open.get(orderId);
    if (order === undefined) return false;
    if (state === ORDER_STATE.done) {
      this.#close(order);
      return true;
    }
    this.#setState(order, state);
    this.#setLeaves(order, Math.min(leavesLots, order.leavesLots));
    return true;
  }

  /** A fill of an order. @returns false when the order is not open or has not so much left: the books do not agree */
  onFill(orderId: number, lots: number): boolean {
    const order = this.#open.get(orderId);
    if (order === undefined) return false;
    const sound = lots <= order.leavesLots;
    this.#setLeaves(order, Math.max(order.leavesLots - lots, 0));
    if (order.leavesLots === 0) this.#close(order);
    return sound;
  }

  /** The session is gone: what its orders have become is not known. */
  onSessionDown(): void {
    for (const order of this.#open.values()) this.#setState(order, ORDER_STATE.unknown);
  }

  /** Orders that were not answered in time are of unknown outcome from now on. @returns how many became so */
  onTimer(timeUs: number, timeoutUs: number): number {
    let late = 0;
    for (const order of this.#open.values()) {
      const waits = order.state === ORDER_STATE.pending || order.state === ORDER_STATE.cancelling;
      if (!waits || timeUs - order.commandUs <= timeoutUs) continue;
      this.#setState(order, ORDER_STATE.unknown);
      late += 1;
    }
    return late;
  }

  #setState(order: OpenOrder, state: OrderState): void {
    this.#unknown += (state === ORDER_STATE.unknown ? 1 : 0) - (order.state === ORDER_STATE.unknown ? 1 : 0);
    order.state = state;
  }

  #setLeaves(order: OpenOrder, lots: number): void {
    this.#addWorking(order.intent, lots - order.leavesLots);
    order.leavesLots = lots;
  }

  #close(order: OpenOrder): void {
    this.#setLeaves(order, 0);
    this.#setState(order, ORDER_STATE.done);
    this.#open.delete(order.intent.orderId);
  }

  #addWorking({ instrument, side }: OrderIntent, lots: number): void {
    (side === 0 ? this.#buyLots : this.#sellLots)[instrument] += lots;
  }
}
