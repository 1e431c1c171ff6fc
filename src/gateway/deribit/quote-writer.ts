import type { QuoteBatch } from "../../quote/quote-batch.ts";
import type { GatewayEvents } from "../gateway.ts";
import type { JsonRecord } from "./json.ts";

export interface QuoteCounters {
  quoteMessages: number;
  quoteSides: number;
  quoteRetries: number;
  sidesRefused: number;
}

/** What a writer of quotes asks of the gateway around it. */
export interface QuoteWriterHost {
  readonly events: GatewayEvents;
  readonly counters: QuoteCounters;
  /** Nothing may be sent now: no session, or a cancellation of all whose answer has not come. */
  readonly held: boolean;
  /** Changes when what was sent before must not be listened to any more. */
  readonly epoch: number;
  onTrade(trade: JsonRecord, timeUs: number): void;
  /** What stands at the venue is not known any more: the gateway cancels all quotes and begins anew. */
  unknown(reason: string, timeUs: number): void;
  /** A message, or a side of one, was refused for what concerns more than itself. */
  onRefusedMessage(method: string, code: number, text: string, index: string, timeUs: number): void;
}

/** A way in which quotes reach the venue. */
export interface QuoteWriter {
  /** Highest id that was published. */
  readonly lastId: number;
  /** Instruments whose newest quote waits. */
  readonly deferred: number;
  /** Quotes that a newer one of the same instrument replaced before they could be sent. */
  readonly conflated: number;
  /** Takes the quotes and sends what may be sent now. The desk is told nothing within this call: it is in its own turn. */
  publish(batch: QuoteBatch, timeUs: number): void;
  /** Sends what may be sent now, and tells the desk what is known by now. */
  flush(timeUs: number): void;
  /** A quote was hit: how much of it is left must be told anew. */
  onFill(instrument: number, side: number, lots: number, trade: JsonRecord): void;
  /** A quote stands on the side as far as is known, and nothing under way would take it away. */
  expects(instrument: number, side: number, order: JsonRecord): boolean;
  /** An order of the venue is one of these quotes. */
  isOurs(order: JsonRecord): boolean;
  /** It is of an earlier term of leadership. */
  isStale(order: JsonRecord): boolean;
  /** The venue has cancelled a side. */
  onGone(instrument: number, side: number, order: JsonRecord): void;
  /** Quotes of the index are refused by ourselves until then. */
  freeze(index: string, untilUs: number): void;
  /** What waits is not sent any more. */
  drop(): void;
  /** Everything up to the id is gone from the venue; the desk is told. */
  withdrawn(quoteId: number, why: string, timeUs: number): void;
  /** A new session: nothing stands and nothing is under way. */
  reset(): void;
}
