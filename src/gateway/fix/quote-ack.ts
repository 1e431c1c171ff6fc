import { type GatewayEvents, QUOTE_STATUS } from "../gateway.ts";
import type { FixMessage } from "./message.ts";
import { TAG } from "./tags.ts";

const STATUS_ACCEPTED = 0;
const LAST_CANCELLED = 4;
const STATUS_REJECTED = 5;

/** Texts of QuoteRejectReason (300) and QuoteEntryRejectReason (368), FIX 4.4 volume 6. */
const REASONS: Record<number, string> = {
  1: "unknown symbol",
  2: "exchange closed",
  3: "quote exceeds limit",
  4: "too late to enter",
  5: "unknown quote",
  6: "duplicate quote",
  7: "invalid bid/ask spread",
  8: "invalid price",
  9: "not authorised to quote",
};

function reasonText(message: FixMessage, code: number): string {
  return (
    message.text(TAG.text) ?? REASONS[code] ?? (Number.isNaN(code) ? "no reason given" : `reason ${code}`)
  );
}

/**
 * Turns acknowledgements into {@link GatewayEvents.onQuoteAck} calls. Quote ids only grow and the peer answers in order, so each
 * call speaks of everything since the last one.
 */
export class QuoteAcks {
  #toldId = 0;

  /**
   * Reads a MassQuoteAcknowledgement (35=b) or QuoteStatusReport (35=AI). Entries refused one by one are told in the order of
   * their ids, with the accepted ones between them. A cancellation without a QuoteID counts for `lastSentId`.
   *
   * @returns false when the message carries no usable QuoteID or status.
   */
  read(message: FixMessage, lastSentId: number, events: GatewayEvents, timeUs: number): boolean {
    const status = message.uint(TAG.quoteStatus);
    const quoteId = message.uint(TAG.quoteId);
    if (status >= 1 && status <= LAST_CANCELLED) {
      this.#tell(Number.isNaN(quoteId) ? lastSentId : quoteId, QUOTE_STATUS.cancelled, "", events, timeUs);
      return true;
    }
    if (Number.isNaN(quoteId)) return false;
    if (status === STATUS_REJECTED) {
      const reason = reasonText(message, message.uint(TAG.quoteRejectReason));
      this.#tell(quoteId, QUOTE_STATUS.rejected, reason, events, timeUs);
      return true;
    }
    if (status !== STATUS_ACCEPTED) return false;
    for (const { id, reason } of refusedEntries(message)) {
      if (id - 1 > this.#toldId) this.#tell(id - 1, QUOTE_STATUS.accepted, "", events, timeUs);
      this.#tell(id, QUOTE_STATUS.rejected, reasonText(message, reason), events, timeUs);
    }
    if (quoteId > this.#toldId) this.#tell(quoteId, QUOTE_STATUS.accepted, "", events, timeUs);
    return true;
  }

  /** Quotes up to `quoteId` are not live, for a reason of our own. */
  withdrawn(quoteId: number, reason: string, events: GatewayEvents, timeUs: number): void {
    this.#tell(quoteId, QUOTE_STATUS.cancelled, reason, events, timeUs);
  }

  /** The message that carried quotes up to `quoteId` was refused by the session. */
  refused(quoteId: number, reason: string, events: GatewayEvents, timeUs: number): void {
    this.#tell(quoteId, QUOTE_STATUS.rejected, reason, events, timeUs);
  }

  #tell(quoteId: number, status: number, text: string, events: GatewayEvents, timeUs: number): void {
    if (quoteId > this.#toldId) this.#toldId = quoteId;
    events.onQuoteAck(quoteId, status, text, timeUs);
  }
}

/** Entries with a QuoteEntryRejectReason (368), by ascending id. */
function refusedEntries(message: FixMessage): { id: number; reason: number }[] {
  const refused: { id: number; reason: number }[] = [];
  let id = Number.NaN;
  for (
    let at = message.indexOf(TAG.quoteEntryRejectReason) < 0 ? message.count : 0;
    at < message.count;
    at += 1
  ) {
    if (message.tags[at] === TAG.quoteEntryId) id = message.uintAt(at);
    if (message.tags[at] === TAG.quoteEntryRejectReason && !Number.isNaN(id)) {
      refused.push({ id, reason: message.uintAt(at) });
    }
  }
  return refused.sort((a, b) => a.id - b.id);
}
