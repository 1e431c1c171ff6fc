import type { Clock } from "../../core/clock.ts";
import { stepsToDecimal } from "../../core/decimal.ts";
import { nearestSteps } from "../../feed/decoder.ts";
import type { Instrument, InstrumentTable } from "../../market/instrument.ts";
import type { ApprovedOrder } from "../../risk/gate.ts";
import { ORDER_STATE, type OrderIntent } from "../../risk/order.ts";
import type { GatewayEvents } from "../gateway.ts";
import { isRecord, type JsonRecord, numberOf, recordsOf, textOf } from "./json.ts";
import type { AnswerHandler, RpcClient } from "./rpc-client.ts";
import { actionOf, RpcError } from "./rpc-error.ts";
import type { Term } from "./term.ts";

export interface OrdersOptions {
  readonly instruments: InstrumentTable;
  readonly client: RpcClient;
  readonly clock: Clock;
  /** Begins the label of every order, and tells ours from those of other desks and earlier runs. */
  readonly labelPrefix: string;
  readonly term: Term;
  readonly events: () => GatewayEvents;
  readonly onTrade: (trade: JsonRecord, timeUs: number) => void;
  readonly onProblem: (text: string, timeUs: number) => void;
}

/** An order as far as the gateway knows it. */
interface Known {
  readonly intent: OrderIntent;
  readonly instrument: Instrument;
  readonly label: string;
  /** Empty until the venue has given it one. */
  venueId: string;
  done: boolean;
  /** Over because the venue did not know it, which it may not have known yet. */
  lost: boolean;
}

/** Orders remembered after their end, for trades and words that come late. */
const REMEMBERED = 4_096;

/**
 * Orders by `private/buy` and `sell`, changed by `edit`, cancelled by `cancel`. The desk's order id is in the label, by which an
 * order is found again when its answer was lost. What was not answered is `unknown` until the venue has said what it knows.
 */
export class DeribitOrders {
  readonly #options: OrdersOptions;
  readonly #orders = new Map<number, Known>();

  constructor(options: OrdersOptions) {
    this.#options = options;
  }

  label(orderId: number): string {
    const { labelPrefix, term } = this.#options;
    return `${labelPrefix}${term.mark(orderId)}`;
  }

  /** The desk's id in a label, of whichever term of leadership; 0 when the label is not ours. */
  orderIdOf(label: unknown): number {
    const text = textOf(label);
    const { labelPrefix } = this.#options;
    const digits = text.startsWith(labelPrefix) ? text.slice(labelPrefix.length) : "";
    const [, id = "0"] = /^(?:\d{1,15}-[0-9a-z]{1,12}-)?(\d{1,16})$/.exec(digits) ?? [];
    return Number(id);
  }

  /** @returns false when it was not sent, for certain */
  send({ intent }: ApprovedOrder, timeUs: number): boolean {
    const instrument = this.#options.instruments.get(intent.instrument);
    if (instrument.venue !== "deribit") return false;
    const label = this.label(intent.orderId);
    const method = intent.side === 0 ? "private/buy" : "private/sell";
    const params = {
      instrument_name: instrument.symbol,
      amount: Number(stepsToDecimal(intent.sizeLots, instrument.lot)),
      type: "limit",
      price: Number(stepsToDecimal(intent.priceTicks, instrument.tick)),
      time_in_force: intent.timeInForce === "ioc" ? "immediate_or_cancel" : "good_til_cancelled",
      label,
      ...this.#options.term.limit,
    };
    if (!this.#options.client.send(method, null, params, this.#entryHandler(intent.orderId), timeUs))
      return false;
    this.#remember(intent.orderId, { intent, instrument, label, venueId: "", done: false, lost: false });
    return true;
  }

  /** Asks for another price and size of an order that rests. @returns false when it was not sent, for certain */
  edit(orderId: number, priceTicks: number, sizeLots: number, timeUs: number): boolean {
    const known = this.#orders.get(orderId);
    if (known === undefined || known.done || known.venueId === "") return false;
    const params = {
      order_id: known.venueId,
      amount: Number(stepsToDecimal(sizeLots, known.instrument.lot)),
      price: Number(stepsToDecimal(priceTicks, known.instrument.tick)),
      ...this.#options.term.limit,
    };
    return this.#options.client.send("private/edit", null, params, this.#changeHandler(orderId), timeUs);
  }

  /** @returns false when it was not sent, for certain */
  cancel(orderId: number, timeUs: number): boolean {
    const known = this.#orders.get(orderId);
    if (known === undefined || known.done) return false;
    const { client } = this.#options;
    const handler = this.#changeHandler(orderId);
    return known.venueId === ""
      ? client.send("private/cancel_by_label", null, { label: known.label }, handler, timeUs)
      : client.send("private/cancel", null, { order_id: known.venueId }, handler, timeUs);
  }

  /** Asks the venue what became of an order. @returns false when it was not asked */
  ask(orderId: number, timeUs: number): boolean {
    const known = this.#orders.get(orderId);
    if (known === undefined) return false;
    const { client } = this.#options;
    if (known.venueId !== "") {
      const params = { order_id: known.venueId };
      return client.send("private/get_order_state", null, params, this.#stateHandler(orderId), timeUs);
    }
    const params = { currency: known.instrument.settle, label: known.label };
    return client.send("private/get_order_state_by_label", null, params, this.#stateHandler(orderId), timeUs);
  }

  /** A word of the venue on an order: a notification, or the order in an answer. @returns false when it is not ours */
  onOrder(order: JsonRecord, timeUs: number): boolean {
    const orderId = this.orderIdOf(order.label);
    const known = this.#orders.get(orderId);
    if (orderId === 0 || known === undefined) return false;
    known.venueId = textOf(order.order_id);
    const state = textOf(order.order_state);
    if (known.lost && (state === "open" || state === "untriggered")) {
      this.#cancelLost(orderId, known, timeUs);
      return true;
    }
    const tell = (
      told: (typeof ORDER_STATE)[keyof typeof ORDER_STATE],
      leaves: number,
      text: string,
    ): void => {
      this.#options.events().onOrderState?.(orderId, told, leaves, text, timeUs);
    };
    if (state === "open" || state === "untriggered") {
      if (!known.done) tell(ORDER_STATE.working, this.#leaves(order, known.instrument), "");
    } else if (state === "cancelled" || state === "rejected") {
      if (!known.done)
        tell(ORDER_STATE.done, 0, textOf(order.cancel_reason) || textOf(order.reject_reason) || state);
      known.done = true;
    } else if (state === "filled") known.done = true;
    else this.#options.onProblem(`order ${orderId}: found state ${JSON.stringify(state)}`, timeUs);
    return true;
  }

  #entryHandler(orderId: number): AnswerHandler {
    return {
      onResult: (result, timeUs) => {
        if (!isRecord(result) || !isRecord(result.order) || !this.onOrder(result.order, timeUs)) {
          this.#unknown(orderId, "an answer without the order", timeUs);
          return;
        }
        for (const trade of recordsOf(result.trades)) this.#options.onTrade(trade, timeUs);
      },
      onError: (code, text, timeUs) => this.#over(orderId, `${code} ${text}`, timeUs),
      onUnknown: (reason, timeUs) => this.#unknown(orderId, reason, timeUs),
    };
  }

  /** Of edits and cancels. An order that is not there any more, or whose change is unknown, is asked about. */
  #changeHandler(orderId: number): AnswerHandler {
    return {
      onResult: (result, timeUs) => {
        if (isRecord(result)) this.onOrder(isRecord(result.order) ? result.order : result, timeUs);
        else if (result === 0) this.ask(orderId, timeUs);
        if (isRecord(result))
          for (const trade of recordsOf(result.trades)) this.#options.onTrade(trade, timeUs);
      },
      onError: (code, text, timeUs) => {
        this.#options.onProblem(`order ${orderId}: ${code} ${text}`, timeUs);
        if (actionOf(code) === "gone") this.ask(orderId, timeUs);
      },
      onUnknown: (reason, timeUs) => this.#unknown(orderId, reason, timeUs),
    };
  }

  #stateHandler(orderId: number): AnswerHandler {
    return {
      onResult: (result, timeUs) => {
        const orders = isRecord(result) ? [result] : recordsOf(result);
        const mine = orders.filter((order) => this.orderIdOf(order.label) === orderId);
        for (const order of mine) this.onOrder(order, timeUs);
        if (mine.length === 0) this.#lose(orderId, "the venue knows no such order", timeUs);
      },
      onError: (code, text, timeUs) => {
        if (actionOf(code) === "gone") this.#lose(orderId, `${code} ${text}`, timeUs);
        else this.#options.onProblem(`order ${orderId}: ${code} ${text}`, timeUs);
      },
      onUnknown: (reason, timeUs) => this.#options.onProblem(`order ${orderId}: ${reason}`, timeUs),
    };
  }

  #over(orderId: number, text: string, timeUs: number): void {
    const known = this.#orders.get(orderId);
    if (known === undefined || known.done) return;
    known.done = true;
    this.#options.events().onOrderState?.(orderId, ORDER_STATE.done, 0, text, timeUs);
  }

  #lose(orderId: number, text: string, timeUs: number): void {
    const known = this.#orders.get(orderId);
    if (known !== undefined && !known.done) known.lost = true;
    this.#over(orderId, text, timeUs);
  }

  /** The desk counts the order as over, but it had only been late. When it is not sure to be cancelled the connection is cut. */
  #cancelLost(orderId: number, known: Known, timeUs: number): void {
    const { client, clock, onProblem } = this.#options;
    known.lost = false;
    onProblem(`order ${orderId} is open, though the venue did not know it before: it is cancelled`, timeUs);
    client.call("private/cancel", { order_id: known.venueId }, timeUs).catch((error: unknown) => {
      if (error instanceof RpcError && error.action === "gone") return;
      const why = error instanceof Error ? error.message : String(error);
      client.cut(`not sure that order ${orderId} is cancelled: ${why}`, clock.wallUs());
    });
  }

  #unknown(orderId: number, reason: string, timeUs: number): void {
    this.#options
      .events()
      .onOrderState?.(orderId, ORDER_STATE.unknown, Number.POSITIVE_INFINITY, reason, timeUs);
    this.ask(orderId, timeUs);
  }

  #leaves(order: JsonRecord, instrument: Instrument): number {
    const open = numberOf(order.amount) - (numberOf(order.filled_amount) || 0);
    return Math.max(0, Math.round(nearestSteps(open, instrument.lot)));
  }

  #remember(orderId: number, known: Known): void {
    this.#orders.set(orderId, known);
    if (this.#orders.size <= REMEMBERED) return;
    for (const [oldest, { done }] of this.#orders) {
      if (!done) continue;
      this.#orders.delete(oldest);
      return;
    }
  }
}
