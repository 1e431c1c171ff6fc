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
 * Turns a MassQuoteAcknowledgement (35=b) or QuoteStatusReport (35=AI) into {@link GatewayEvents.onQuoteAck} calls. Entries
 * refused one by one are told in the order of their ids, with the accepted ones between them, so that each call speaks of
 * everything since the last.
 *
 * @returns false when the message carries no usable QuoteID or status; a cancellation without id counts for `lastSentId`.
 */
export function readQuoteAck(
  message: FixMessage,
  lastSentId: number,
  events: GatewayEvents,
  timeUs: number,
): boolean {
  const status = message.uint(TAG.quoteStatus);
  if (status >= 1 && status <= LAST_CANCELLED) {
    const id = message.uint(TAG.quoteId);
    events.onQuoteAck(Number.isNaN(id) ? lastSentId : id, QUOTE_STATUS.cancelled, "", timeUs);
    return true;
  }
  const quoteId = message.uint(TAG.quoteId);
  if (Number.isNaN(quoteId)) return false;
  if (status === STATUS_REJECTED) {
    events.onQuoteAck(
      quoteId,
      QUOTE_STATUS.rejected,
      reasonText(message, message.uint(TAG.quoteRejectReason)),
      timeUs,
    );
    return true;
  }
  if (status !== STATUS_ACCEPTED) return false;
  if (message.indexOf(TAG.quoteEntryRejectReason) >= 0) refusedEntries(message, quoteId, events, timeUs);
  else events.onQuoteAck(quoteId, QUOTE_STATUS.accepted, "", timeUs);
  return true;
}

function refusedEntries(message: FixMessage, quoteId: number, events: GatewayEvents, timeUs: number): void {
  const refused: { id: number; reason: number }[] = [];
  let id = Number.NaN;
  let firstId = Number.POSITIVE_INFINITY;
  for (let i = 0; i < message.count; i += 1) {
    if (message.tags[i] === TAG.quoteEntryId) {
      id = message.uintAt(i);
      if (id < firstId) firstId = id;
    }
    if (message.tags[i] === TAG.quoteEntryRejectReason && !Number.isNaN(id)) {
      refused.push({ id, reason: message.uintAt(i) });
    }
  }
  refused.sort((a, b) => a.id - b.id);
  let told = firstId - 1;
  for (const entry of refused) {
    if (entry.id - 1 > told) events.onQuoteAck(entry.id - 1, QUOTE_STATUS.accepted, "", timeUs);
    events.onQuoteAck(entry.id, QUOTE_STATUS.rejected, reasonText(message, entry.reason), timeUs);
    told = entry.id;
  }
  if (told < quoteId) events.onQuoteAck(quoteId, QUOTE_STATUS.accepted, "", timeUs);
}
