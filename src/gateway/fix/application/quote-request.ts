import type { MessageBuilder } from "../builder.ts";
import type { FixVersion } from "../tags.ts";
import { TAG } from "../tags.ts";
import type { DecimalText, FieldTree } from "./field-tree.ts";
import {
  type InstrumentName,
  readInstrument,
  readSide,
  SIDE,
  type Side,
  writeInstrument,
} from "./instrument-fields.ts";

/** A leg of a combination that is asked for (4.4 only). */
export interface QuoteRequestLeg extends InstrumentName {
  /** Side of the leg when the combination is bought. */
  readonly side: Side;
  /** LegRatioQty (623). */
  readonly ratio: DecimalText;
}

/** One instrument or combination of a QuoteRequest (35=R). */
export interface QuoteRequestItem extends InstrumentName {
  /** null = both sides are asked for. */
  readonly side: Side | null;
  readonly quantity: DecimalText | undefined;
  /** ValidUntilTime (62), µs since the epoch; NaN = not given. 4.4 only; 4.2 carries ExpireTime (126). */
  readonly validUntilUs: number;
  readonly account: string | undefined;
  readonly legs: readonly QuoteRequestLeg[];
}

export interface QuoteRequest {
  readonly requestId: string;
  readonly items: readonly QuoteRequestItem[];
}

/** Reads a QuoteRequest (35=R) of either version. @returns a text saying what is missing, in place of half a request. */
export function readQuoteRequest(tree: FieldTree): QuoteRequest | string {
  const requestId = tree.text(TAG.quoteReqId);
  if (requestId === undefined) return "QuoteReqID (131) is missing";
  const items: QuoteRequestItem[] = [];
  for (const entry of tree.group(TAG.noRelatedSym)) {
    const instrument = readInstrument(entry);
    if (instrument === undefined) return `request ${requestId}: an entry without Symbol (55)`;
    const sideText = entry.text(TAG.side);
    const side = readSide(sideText);
    if (sideText !== undefined && side === null)
      return `request ${requestId}: Side (54) ${sideText} is neither 1 nor 2`;
    if (entry.text(TAG.orderQty) !== undefined && entry.decimal(TAG.orderQty) === undefined)
      return `request ${requestId}: OrderQty (38) is no number`;
    const legs: QuoteRequestLeg[] = [];
    for (const leg of entry.group(TAG.noLegs)) {
      const read = readLeg(leg);
      if (typeof read === "string") return `request ${requestId}: ${read}`;
      legs.push(read);
    }
    const validUntilUs = entry.timeUs(TAG.validUntilTime);
    items.push({
      ...instrument,
      side,
      quantity: entry.decimal(TAG.orderQty),
      validUntilUs: Number.isNaN(validUntilUs) ? entry.timeUs(TAG.expireTime) : validUntilUs,
      account: entry.text(TAG.account),
      legs,
    });
  }
  return items.length === 0 ? `request ${requestId}: nothing is asked for (146)` : { requestId, items };
}

function readLeg(leg: FieldTree): QuoteRequestLeg | string {
  const symbol = leg.text(TAG.legSymbol);
  const side = readSide(leg.text(TAG.legSide));
  const ratio = leg.text(TAG.legRatioQty) === undefined ? "1" : leg.decimal(TAG.legRatioQty);
  if (symbol === undefined) return "a leg without LegSymbol (600)";
  if (side === null) return `leg ${symbol}: LegSide (624) is neither 1 nor 2`;
  if (ratio === undefined) return `leg ${symbol}: LegRatioQty (623) is no number`;
  return { symbol, exchange: leg.text(TAG.legSecurityExchange), side, ratio };
}

/** Writes a QuoteRequest's body. 4.2 has no legs and takes ExpireTime (126) for the validity. */
export function writeQuoteRequest(builder: MessageBuilder, request: QuoteRequest, version: FixVersion): void {
  builder.text(TAG.quoteReqId, request.requestId).uint(TAG.noRelatedSym, request.items.length);
  for (const item of request.items) {
    writeInstrument(builder, item);
    if (item.side !== null) builder.text(TAG.side, SIDE[item.side]);
    if (item.quantity !== undefined) builder.text(TAG.orderQty, item.quantity);
    if (version === "4.2") {
      if (!Number.isNaN(item.validUntilUs)) builder.time(TAG.expireTime, item.validUntilUs);
      continue;
    }
    if (item.account !== undefined) builder.text(TAG.account, item.account);
    if (item.legs.length > 0) builder.uint(TAG.noLegs, item.legs.length);
    for (const leg of item.legs) {
      builder.text(TAG.legSymbol, leg.symbol);
      if (leg.exchange !== undefined) builder.text(TAG.legSecurityExchange, leg.exchange);
      builder.text(TAG.legRatioQty, leg.ratio).text(TAG.legSide, SIDE[leg.side]);
    }
    if (!Number.isNaN(item.validUntilUs)) builder.time(TAG.validUntilTime, item.validUntilUs);
  }
}
