import type { ApprovedQuotes } from "../risk/gate.ts";

/** What became of a quote at the counterparty. */
export const QUOTE_STATUS = { accepted: 0, rejected: 1, cancelled: 2 } as const;

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
  ): void;
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
  /** Cancels every quote at the counterparty. @returns false when no session is up. */
  cancelAll(timeUs: number): boolean;
  onTimer(timeUs: number): void;
  /** Logs out and closes; resolves when the peer has confirmed or `timeoutMs` has passed. */
  stop(timeoutMs: number): Promise<void>;
}
