import { FieldTree } from "../gateway/fix/application/field-tree.ts";
import {
  type Execution,
  type Order,
  readOrder,
  readOrderCancel,
  writeCancelReject,
  writeExecution,
} from "../gateway/fix/application/order.ts";
import type { FixMessage } from "../gateway/fix/message.ts";
import type { FixSession } from "../gateway/fix/session.ts";
import { type FixVersion, MSG, TAG } from "../gateway/fix/tags.ts";
import type { CounterpartyBooks } from "./counterparty-books.ts";

export interface CounterpartyOrdersOptions {
  readonly version: FixVersion;
  readonly books: CounterpartyBooks;
  /** Commission of each trade, an amount in the settlement currency. */
  readonly commission: string;
  readonly nextExecutionId: () => string;
  /** How long an order rests before it is filled; 0 = at once. Immediate ones are filled at once. */
  readonly restMs: number;
}

interface RestingOrder {
  readonly order: Order;
  readonly untilUs: number;
}

/**
 * Orders as the simulated counterparty takes them: each is accepted, and filled whole at its own price, at once or after it has
 * rested. It knows no market: what the price is worth is the quoter's business.
 */
export class CounterpartyOrders {
  readonly counters = { orders: 0, fills: 0, cancels: 0, questions: 0 };
  /** Takes orders but answers none: their outcome stays unknown to the quoter. */
  silent = false;
  readonly #options: CounterpartyOrdersOptions;
  readonly #session: FixSession;
  readonly #resting = new Map<string, RestingOrder>();
  readonly #done = new Map<string, { readonly order: Order; readonly state: Execution["state"] }>();

  constructor(session: FixSession, options: CounterpartyOrdersOptions) {
    this.#session = session;
    this.#options = options;
  }

  get resting(): number {
    return this.#resting.size;
  }

  /** @returns false when it is not a message about orders. */
  onMessage(message: FixMessage, timeUs: number): boolean {
    switch (message.msgType) {
      case MSG.newOrder:
        this.#onOrder(message, timeUs);
        return true;
      case MSG.orderCancel:
        this.#onCancel(message, timeUs);
        return true;
      case MSG.orderStatusRequest:
        this.#onQuestion(message, timeUs);
        return true;
      default:
        return false;
    }
  }

  onTimer(timeUs: number): void {
    for (const [id, { order, untilUs }] of [...this.#resting]) {
      if (untilUs > timeUs || !this.#session.established) continue;
      this.#resting.delete(id);
      this.#fill(order, timeUs);
    }
  }

  /** Orders die with the connection, as quotes do. */
  onLogout(): void {
    for (const [id, { order }] of this.#resting) this.#done.set(id, { order, state: "cancelled" });
    this.#resting.clear();
  }

  #onOrder(message: FixMessage, timeUs: number): void {
    const order = readOrder(FieldTree.read(message, this.#options.version));
    if (typeof order === "string") return;
    this.counters.orders += 1;
    if (order.price === undefined) {
      this.#report(order, "rejected", order.quantity, "market orders are not taken", timeUs);
      this.#done.set(order.clOrdId, { order, state: "rejected" });
      return;
    }
    this.#report(order, "new", order.quantity, "", timeUs);
    if (order.timeInForce === "ioc" || this.#options.restMs === 0) this.#fill(order, timeUs);
    else this.#resting.set(order.clOrdId, { order, untilUs: timeUs + this.#options.restMs * 1_000 });
  }

  #fill(order: Order, timeUs: number): void {
    const { price = "0" } = order;
    const { books, commission } = this.#options;
    const side = order.side === "buy" ? 0 : 1;
    books.onTrade(`${order.exchange ?? ""}:${order.symbol}`, side, order.quantity, price, commission);
    this.counters.fills += 1;
    this.#done.set(order.clOrdId, { order, state: "trade" });
    this.#report(order, "trade", "0", "", timeUs);
  }

  #onCancel(message: FixMessage, timeUs: number): void {
    const cancel = readOrderCancel(FieldTree.read(message, this.#options.version));
    if (typeof cancel === "string") return;
    this.counters.cancels += 1;
    const resting = this.#resting.get(cancel.origClOrdId);
    if (this.silent) return;
    if (resting === undefined) {
      const builder = this.#session.begin(MSG.cancelReject, timeUs);
      const state = this.#done.get(cancel.origClOrdId)?.state === "trade" ? "2" : "8";
      writeCancelReject(builder, { orderId: "NONE", ...cancel }, state, false, "no such order at work");
      this.#session.send(true);
      return;
    }
    this.#resting.delete(cancel.origClOrdId);
    this.#done.set(cancel.origClOrdId, { order: resting.order, state: "cancelled" });
    this.#report(resting.order, "cancelled", "0", "", timeUs);
  }

  #onQuestion(message: FixMessage, timeUs: number): void {
    this.counters.questions += 1;
    const id = message.text(TAG.clOrdId) ?? "";
    const resting = this.#resting.get(id);
    const done = this.#done.get(id);
    if (resting !== undefined) this.#report(resting.order, "new", resting.order.quantity, "", timeUs);
    else if (done !== undefined && done.state !== "trade")
      this.#report(done.order, done.state, "0", "", timeUs);
  }

  #report(order: Order, state: Execution["state"], leaves: string, text: string, timeUs: number): void {
    if (this.silent || !this.#session.established) return;
    const traded = state === "trade";
    const { price = "0" } = order;
    const builder = this.#session.begin(MSG.executionReport, timeUs);
    writeExecution(
      builder,
      {
        symbol: order.symbol,
        exchange: order.exchange,
        orderId: `O-${order.clOrdId}`,
        executionId: this.#options.nextExecutionId(),
        clOrdId: order.clOrdId,
        side: order.side,
        state,
        last: traded ? { price, quantity: order.quantity } : undefined,
        leaves,
        cumulative: traded ? order.quantity : "0",
        averagePrice: traded ? price : "0",
        text,
      },
      this.#options.version,
      timeUs,
    );
    if (traded) builder.text(TAG.commission, this.#options.commission).text(TAG.commType, "3");
    this.#session.send(true);
  }
}
