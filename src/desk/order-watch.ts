import { ORDER_STATE } from "../risk/order.ts";
import type { OrderLedger } from "../risk/order-ledger.ts";

/** The counterparty is asked again after this time for an order of unknown outcome. */
const ASK_EVERY_US = 1_000_000;

/** Asks for orders whose outcome is unknown, until the counterparty has said what became of them. */
export class OrderWatch {
  readonly #orders: OrderLedger;
  readonly #ask: (orderId: number, timeUs: number) => void;
  #askedUs = Number.NEGATIVE_INFINITY;

  constructor(orders: OrderLedger, ask: (orderId: number, timeUs: number) => void) {
    this.#orders = orders;
    this.#ask = ask;
  }

  onSessionUp(timeUs: number): void {
    this.#askedUs = Number.NEGATIVE_INFINITY;
    this.onTimer(timeUs);
  }

  onTimer(timeUs: number): void {
    if (this.#orders.unknown === 0 || timeUs - this.#askedUs < ASK_EVERY_US) return;
    this.#askedUs = timeUs;
    for (const { intent, state } of [...this.#orders.all()]) {
      if (state === ORDER_STATE.unknown) this.#ask(intent.orderId, timeUs);
    }
  }
}
