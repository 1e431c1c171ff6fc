import type { ExecutionDetail, GatewayEvents } from "../gateway/gateway.ts";
import type { OrderState } from "../risk/order.ts";

/** A gateway's word to the desk, as it stands in a journal. */
export type GatewayEvent =
  | { readonly on: "up" }
  | { readonly on: "down"; readonly reason: string }
  | { readonly on: "ack"; readonly quoteId: number; readonly status: number; readonly text: string }
  | {
      readonly on: "execution";
      readonly executionId: string;
      readonly instrument: number;
      readonly side: number;
      readonly priceTicks: number;
      readonly sizeLots: number;
      readonly detail?: ExecutionDetail;
    }
  | {
      readonly on: "order";
      readonly orderId: number;
      readonly state: OrderState;
      /** Null = not told. */
      readonly leavesLots: number | null;
      readonly text: string;
    }
  | {
      readonly on: "frozen";
      readonly base: string;
      /** Null = until it is reset. */
      readonly untilUs: number | null;
      readonly text: string;
    };

/** Hands a journalled event to the desk again. */
export function applyGatewayEvent(event: GatewayEvent, to: GatewayEvents, timeUs: number): void {
  switch (event.on) {
    case "up":
      to.onSessionUp(timeUs);
      break;
    case "down":
      to.onSessionDown(event.reason, timeUs);
      break;
    case "ack":
      to.onQuoteAck(event.quoteId, event.status, event.text, timeUs);
      break;
    case "execution":
      to.onExecution(
        event.executionId,
        event.instrument,
        event.side,
        event.priceTicks,
        event.sizeLots,
        timeUs,
        event.detail,
      );
      break;
    case "order":
      to.onOrderState?.(
        event.orderId,
        event.state,
        event.leavesLots ?? Number.POSITIVE_INFINITY,
        event.text,
        timeUs,
      );
      break;
    case "frozen":
      to.onFrozen?.(event.base, event.untilUs ?? Number.POSITIVE_INFINITY, event.text, timeUs);
      break;
  }
}

/** Writes every event with `record` before the desk sees it. */
export class RecordedGatewayEvents implements GatewayEvents {
  readonly #desk: GatewayEvents;
  readonly #record: (event: GatewayEvent, timeUs: number) => void;

  constructor(desk: GatewayEvents, record: (event: GatewayEvent, timeUs: number) => void) {
    this.#desk = desk;
    this.#record = record;
  }

  onSessionUp(timeUs: number): void {
    this.#pass({ on: "up" }, timeUs);
  }

  onSessionDown(reason: string, timeUs: number): void {
    this.#pass({ on: "down", reason }, timeUs);
  }

  onQuoteAck(quoteId: number, status: number, text: string, timeUs: number): void {
    this.#pass({ on: "ack", quoteId, status, text }, timeUs);
  }

  onExecution(
    executionId: string,
    instrument: number,
    side: number,
    priceTicks: number,
    sizeLots: number,
    timeUs: number,
    detail?: ExecutionDetail,
  ): void {
    const fill = { on: "execution", executionId, instrument, side, priceTicks, sizeLots } as const;
    this.#pass(detail === undefined ? fill : { ...fill, detail }, timeUs);
  }

  onOrderState(orderId: number, state: OrderState, leavesLots: number, text: string, timeUs: number): void {
    const leaves = Number.isFinite(leavesLots) ? leavesLots : null;
    this.#pass({ on: "order", orderId, state, leavesLots: leaves, text }, timeUs);
  }

  onFrozen(base: string, untilUs: number, text: string, timeUs: number): void {
    this.#pass({ on: "frozen", base, untilUs: Number.isFinite(untilUs) ? untilUs : null, text }, timeUs);
  }

  #pass(event: GatewayEvent, timeUs: number): void {
    this.#record(event, timeUs);
    applyGatewayEvent(event, this.#desk, timeUs);
  }
}
