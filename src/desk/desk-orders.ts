import type { ApprovedOrder, RiskGate } from "../risk/gate.ts";
import { ORDER_STATE } from "../risk/order.ts";
import type { DeskPort } from "./desk-port.ts";
import { OrderWatch } from "./order-watch.ts";

/** The desk's own orders on their way out: sent, cancelled and asked for, each written down as a decision first. */
export class DeskOrders {
  readonly #gate: RiskGate;
  readonly #port: DeskPort;
  readonly #watch: OrderWatch;

  constructor(gate: RiskGate, port: DeskPort) {
    this.#gate = gate;
    this.#port = port;
    this.#watch = new OrderWatch(gate.orders, (orderId, timeUs) => {
      port.decidedRisk({ decided: "askOrder", orderId }, timeUs);
      port.askOrder(orderId, timeUs);
    });
  }

  send(order: ApprovedOrder, timeUs: number): void {
    this.#port.decidedRisk({ decided: "order", order: order.intent }, timeUs);
    this.#port.sendOrder(order, timeUs);
  }

  cancel(orderId: number, timeUs: number): void {
    this.#gate.orders.onCancelSent(orderId, timeUs);
    this.#port.decidedRisk({ decided: "cancelOrder", orderId }, timeUs);
    this.#port.cancelOrder(orderId, timeUs);
  }

  cancelAll(timeUs: number): void {
    for (const { intent } of [...this.#gate.orders.all()]) this.cancel(intent.orderId, timeUs);
  }

  onSessionUp(timeUs: number): void {
    this.#watch.onSessionUp(timeUs);
  }

  onTimer(timeUs: number): void {
    this.#watch.onTimer(timeUs);
    if (this.#gate.kill.tripped) this.#cancelAgain(timeUs);
  }

  /** A halted desk has no order at work: one whose cancellation was lost or refused is cancelled until it is gone. */
  #cancelAgain(timeUs: number): void {
    const { orders, limits } = this.#gate;
    if (orders.count === 0) return;
    for (const { intent, state, commandUs } of [...orders.all()]) {
      const waited = timeUs - commandUs > limits.orderTimeoutMs * 1_000;
      if (state === ORDER_STATE.working && waited) this.cancel(intent.orderId, timeUs);
    }
  }
}
