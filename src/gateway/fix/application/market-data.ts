import type { MessageBuilder } from "../builder.ts";
import { TAG } from "../tags.ts";
import type { DecimalText, FieldTree } from "./field-tree.ts";
import { type InstrumentName, readInstrument, writeInstrument } from "./instrument-fields.ts";

/** MDEntryType (269) values keel sends. */
const MD_ENTRY = { bid: "0", offer: "1", trade: "2" } as const;
export type MarketDataEntryType = keyof typeof MD_ENTRY;

/** MDUpdateAction (279). */
const MD_ACTION = { new: "0", change: "1", delete: "2" } as const;

/** MDReqRejReason (281) of FIX 4.4. */
export const MD_REJECT = {
  unknownSymbol: "0",
  duplicateId: "1",
  unsupportedRequest: "4",
  unsupportedDepth: "5",
  unsupportedEntry: "8",
} as const;

/** A MarketDataRequest (35=V). */
export interface MarketDataRequest {
  readonly requestId: string;
  readonly kind: "snapshot" | "subscribe" | "unsubscribe";
  /** Levels a side; 0 = the whole book. */
  readonly depth: number;
  /** Updates as 35=X; otherwise each is a whole 35=W. */
  readonly incremental: boolean;
  readonly entryTypes: readonly MarketDataEntryType[];
  readonly instruments: readonly InstrumentName[];
}

/** @returns a reject reason and a text in place of half a request. */
export function readMarketDataRequest(
  tree: FieldTree,
): MarketDataRequest | { readonly requestId: string; readonly reason: string; readonly text: string } {
  const requestId = tree.text(TAG.mdReqId) ?? "";
  const refuse = (reason: string, text: string) => ({ requestId, reason, text });
  const kinds = { "0": "snapshot", "1": "subscribe", "2": "unsubscribe" } as const;
  const kind = kinds[(tree.text(TAG.subscriptionRequestType) ?? "") as keyof typeof kinds];
  if (kind === undefined)
    return refuse(MD_REJECT.unsupportedRequest, "SubscriptionRequestType (263) is not 0, 1 or 2");
  const depth = tree.uint(TAG.marketDepth);
  if (Number.isNaN(depth)) return refuse(MD_REJECT.unsupportedDepth, "MarketDepth (264) is no number");
  const entryTypes: MarketDataEntryType[] = [];
  for (const entry of tree.group(TAG.noMdEntryTypes)) {
    const code = entry.text(TAG.mdEntryType);
    const type = (["bid", "offer", "trade"] as const).find((known) => MD_ENTRY[known] === code);
    if (type === undefined)
      return refuse(MD_REJECT.unsupportedEntry, `MDEntryType (269) ${code} is not supported`);
    entryTypes.push(type);
  }
  const instruments: InstrumentName[] = [];
  for (const entry of tree.group(TAG.noRelatedSym)) {
    const instrument = readInstrument(entry);
    if (instrument !== undefined) instruments.push(instrument);
  }
  if (instruments.length === 0) return refuse(MD_REJECT.unknownSymbol, "no instrument is named (146)");
  return {
    requestId,
    kind,
    depth,
    incremental: tree.text(TAG.mdUpdateType) === "1",
    entryTypes,
    instruments,
  };
}

export interface MarketDataLevel {
  readonly type: MarketDataEntryType;
  readonly price: DecimalText;
  readonly size: DecimalText;
}

/** Body of a MarketDataSnapshotFullRefresh (35=W). An empty book has one entry less than any: none. */
export function writeSnapshot(
  builder: MessageBuilder,
  requestId: string,
  instrument: InstrumentName,
  levels: readonly MarketDataLevel[],
): void {
  builder.text(TAG.mdReqId, requestId);
  writeInstrument(builder, instrument);
  builder.uint(TAG.noMdEntries, levels.length);
  for (const { type, price, size } of levels) {
    builder.text(TAG.mdEntryType, MD_ENTRY[type]).text(TAG.mdEntryPx, price).text(TAG.mdEntrySize, size);
  }
}

export interface MarketDataChange extends MarketDataLevel {
  readonly action: keyof typeof MD_ACTION;
}

/** Body of a MarketDataIncrementalRefresh (35=X). Levels are named by their price; a deleted one has no size. */
export function writeIncremental(
  builder: MessageBuilder,
  requestId: string,
  instrument: InstrumentName,
  changes: readonly MarketDataChange[],
): void {
  builder.text(TAG.mdReqId, requestId).uint(TAG.noMdEntries, changes.length);
  for (const { action, type, price, size } of changes) {
    builder.text(TAG.mdUpdateAction, MD_ACTION[action]).text(TAG.mdEntryType, MD_ENTRY[type]);
    writeInstrument(builder, instrument);
    builder.text(TAG.mdEntryPx, price);
    if (action !== "delete") builder.text(TAG.mdEntrySize, size);
  }
}

/** What became of the levels between two states of a book, in the order deleted, changed, new. */
export function levelChanges(
  before: readonly MarketDataLevel[],
  after: readonly MarketDataLevel[],
): MarketDataChange[] {
  const key = ({ type, price }: MarketDataLevel): string => `${type} ${price}`;
  const old = new Map(before.map((level) => [key(level), level]));
  const present = new Set(after.map(key));
  const changes: MarketDataChange[] = [];
  for (const level of before) if (!present.has(key(level))) changes.push({ ...level, action: "delete" });
  for (const level of after) {
    const was = old.get(key(level));
    if (was !== undefined && was.size !== level.size) changes.push({ ...level, action: "change" });
  }
  for (const level of after) if (!old.has(key(level))) changes.push({ ...level, action: "new" });
  return changes;
}

/** Body of a MarketDataRequestReject (35=Y). */
export function writeMarketDataReject(
  builder: MessageBuilder,
  reject: { readonly requestId: string; readonly reason: string; readonly text: string },
): void {
  builder
    .text(TAG.mdReqId, reject.requestId)
    .text(TAG.mdReqRejReason, reject.reason)
    .text(TAG.text, reject.text);
}
