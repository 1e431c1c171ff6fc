import { fieldNames, VERSION_TABLES } from "./dictionary/dictionary.ts";
import type { FixMessage } from "./message.ts";
import { TAG } from "./tags.ts";

const NAMES = fieldNames();
const SECRET_TAGS: readonly number[] = [96, 554, 925];
const HIDDEN: readonly number[] = [TAG.msgType, TAG.msgSeqNum, TAG.senderCompId, TAG.targetCompId];

/** A message as a person reads it: its name, then its fields by name and number. Secrets are not shown. */
export interface ReadableMessage {
  readonly type: string;
  /** Name of the type; the type itself where the dictionary does not have it. */
  readonly name: string;
  readonly seq: number;
  readonly sendingTime: string;
  readonly possDup: boolean;
  readonly fields: readonly { readonly tag: number; readonly name: string; readonly value: string }[];
}

export function readable(message: FixMessage): ReadableMessage {
  const type = message.textAt(0);
  const version = message.beginString() === "FIX.4.2" ? "4.2" : "4.4";
  const fields = [];
  for (let i = 0; i < message.count; i += 1) {
    const tag = message.tags[i];
    if (HIDDEN.includes(tag)) continue;
    const value = SECRET_TAGS.includes(tag) ? "***" : message.textAt(i).replace(/[^\x20-\x7e]/g, ".");
    fields.push({ tag, name: NAMES.get(tag) ?? "", value });
  }
  return {
    type,
    name: VERSION_TABLES[version].messages[type]?.name ?? type,
    seq: message.uint(TAG.msgSeqNum),
    sendingTime: message.text(TAG.sendingTime) ?? "",
    possDup: message.isYes(TAG.possDupFlag),
    fields,
  };
}
