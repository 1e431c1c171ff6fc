import type { ApprovedOrder, ApprovedQuotes } from "../risk/gate.ts";
import type { OrderState } from "../risk/order.ts";
import type { ReconciliationSource } from "../risk/reconciliation.ts";

/** What became of a quote at the counterparty. */
export const QUOTE_STATUS = { accepted: 0, rejected: 1, cancelled: 2 } as const;

/** What else is known of a fill; what the gateway cannot tell is left out. */
export interface ExecutionDetail {
  /** The desk's order that was filled; left out for a quote. */
  readonly orderId?: number;
  /** The answer to a request for quotes that was taken. */
  readonly structureId?: number;
  /** Id under which that answer was told, see `RfqQuote.quoteId`. */
  readonly rfqQuoteId?: string;
  readonly counterparty?: string;
  readonly liquidity?: "maker" | "taker";
  /** As charged, in the settlement currency; left out, the configured rate counts. */
  readonly fee?: number;
}

/** What a gateway tells the desk. Each call is an input of the desk and is journalled as such. */
export interface GatewayEvents {
  onSessionUp(timeUs: number): void;
  onSessionDown(reason: string, timeUs: number): void;
  /** `quoteId` is the id of the batch's last quote; everything up to it has the given status. `text` is the peer's reason. */
  onQuoteAck(quoteId: number, status: number, text: string, timeUs: number): void;
  /**
   * A fill. `side` is the side of our quote that was hit (0 = our bid: we bought).
   */
  onExecution(
    executionId: string,
    instrument: number,
    side: number,
    priceTicks: number,
    sizeLots: number,
    timeUs: number,
    detail?: ExecutionDetail,
  ): void;
  /**
   * What became of an order, other than fills: accepted (`working`), at its end (`done`: cancelled, refused or expired), or
   * `unknown`. Fills come by {@link onExecution} alone. Left out by those that follow no orders.
   *
   * @param leavesLots what can still trade, as far as the counterparty tells it; Infinity where it does not
   * @param text the counterparty's words
   */
  onOrderState?(orderId: number, state: OrderState, leavesLots: number, text: string, timeUs: number): void;
  /**
   * The venue has cancelled every quote on a coin and takes none until then, by its market-maker protection or otherwise. A time
   * that is not after `timeUs` says that it is over. Left out by those that do not quote there.
   *
   * @param base the coin, e.g. `BTC`
   * @param untilUs Infinity = until an operator resets it
   */
  onFrozen?(base: string, untilUs: number, text: string, timeUs: number): void;
}

/** What the next leader of a pair has to know of the numbers that were used in a session. */
export interface SessionNumbers {
  /** Outgoing numbers below this one may have been used. */
  readonly outgoing: number;
  /** When both sequences last began at 1, µs since the epoch; null = not known. */
  readonly startedUs: number | null;
}

/**
 * Which trades of an account a desk has booked: those up to a time, and those of the moments before it that are named. For venues whose
 * trades can be asked for.
 */
export interface BookedTrades {
  /** By the venue's clock; null before the first logon. */
  readonly sinceMs: number | null;
  /** `<instrument> <trade id>`, the newest last. */
  readonly keys: readonly string[];
}

/** Where quotes leave the process. */
export interface QuoteGateway {
  /** A session is established and quotes may be sent. */
  readonly ready: boolean;
  start(events: GatewayEvents): void;
  /**
   * Encodes and writes the batch, in order, in this turn. What it takes can only come from the risk gate. Rows of size 0 cancel that side.
   * @returns the number of quotes handed to the socket; 0 when no session is up (the desk then counts them as not sent).
   */
  publish(quotes: ApprovedQuotes, timeUs: number): number;
  /** Lets go at once of what was published and is still gathered, in place of later in this turn of the event loop. */
  flush?(): void;
  /** Cancels every quote at the counterparty. @returns false when no session is up. */
  cancelAll(timeUs: number): boolean;
  /**
   * Sends an order in this turn. Left out by gateways that take no orders.
   *
   * @returns false when it was not sent, for certain; true says nothing of its fate
   */
  sendOrder?(order: ApprovedOrder, timeUs: number): boolean;
  /** Asks for the cancellation of an order. @returns false when the request was not sent, for certain */
  cancelOrder?(orderId: number, timeUs: number): boolean;
  /** Asks what became of an order; the answer comes by `onOrderState` or `onExecution`. @returns false when it was not asked */
  askOrder?(orderId: number, timeUs: number): boolean;
  /** An operator lifts the venue's market-maker protection before its time. Left out where there is none. @returns whether it was on */
  resetProtection?(timeUs: number): boolean;
  /** How the other side can be asked what it holds; left out when it cannot be. */
  readonly reconciliation?: ReconciliationSource;
  /**
   * Of a pair, this process leads from now on: the session may be opened. Left out by gateways that cannot be one of a pair; those
   * that can be, and were made so, send nothing before that changes anything at the counterparty.
   *
   * @param before what the leaders before left of the session's numbers; null = nothing
   */
  lead?(before: SessionNumbers | null, timeUs: number): void;
  /** The other one is to lead: cancels everything and logs out. Resolves when the session has ended or was given up. */
  follow?(reason: string, timeUs: number): Promise<void>;
  /** Of a pair, this one could lead without connecting first; left out where there is one connection for both. */
  readonly prepared?: boolean;
  /** What a process has to know that goes on with this one's books. Left out where executions come again by the session itself. */
  readonly booked?: BookedTrades;
  /** The desk's books are those of another process from here on, which has booked these. */
  adoptTrades?(booked: BookedTrades): void;
  /** The leader has booked a trade, which is told to the desk by its word. */
  followTrade?(symbol: string, tradeId: string): void;
  onTimer(timeUs: number): void;
  /** Logs out and closes; resolves when the peer has confirmed or `timeoutMs` has passed. */
  stop(timeoutMs: number): Promise<void>;
}
