import { EQUALS, parseUint, SOH, ZERO } from "./ascii.ts";
import type { FixMessage } from "./message.ts";

/** What {@link FixParser.parse} found at the given position. */
export const PARSE = {
  /** More bytes are needed; {@link FixParser.next} is where the unfinished message begins. */
  partial: 0,
  /** Bytes that are no valid message end at {@link FixParser.next}; {@link FixParser.problem} says why. */
  garbled: 1,
  /** The message object is filled; the next one begins at {@link FixParser.next}. */
  complete: 2,
} as const;

/** Why bytes were garbled. */
export type GarbledReason =
  | "none"
  | "junk-before-begin-string"
  | "begin-string"
  | "body-length"
  | "body-length-too-long"
  | "body-length-mismatch"
  | "check-sum"
  | "message-type-not-third"
  | "tag"
  | "too-many-fields"
  | "data-field";

const LONGEST_BEGIN_STRING = 8;
const LONGEST_BODY_LENGTH = 9;
const TRAILER_LENGTH = 7;

/** Length field of each data field (FIX 4.4 volume 6): a data value may hold separators and is measured by the field before it. */
const DATA_FIELDS: readonly (readonly [lengthTag: number, dataTag: number])[] = [
  [90, 91],
  [93, 89],
  [95, 96],
  [212, 213],
  [348, 349],
  [350, 351],
  [352, 353],
  [354, 355],
  [356, 357],
  [358, 359],
  [360, 361],
  [362, 363],
  [364, 365],
  [445, 446],
  [618, 619],
  [621, 622],
];
const LAST_DATA_TAG = 622;
const LENGTH_TAG_OF = new Uint16Array(LAST_DATA_TAG + 1);
for (const [lengthTag, dataTag] of DATA_FIELDS) LENGTH_TAG_OF[dataTag] = lengthTag;

/**
 * Finds and checks one message at a time in a buffer, without copying and without allocation.
 *
 * A message is valid when it starts with BeginString and BodyLength, BodyLength leads exactly to a CheckSum of three digits
 * that agrees, the third field is MsgType, and every field is `tag=value` (FIX 4.4 volume 2, "Valid FIX message"). What is
 * not valid is garbled: it ends at the first CheckSum field at or after where BodyLength points, so a message with a wrong
 * length is passed over whole.
 */
export class FixParser {
  readonly maxMessageBytes: number;
  /** Where to go on. */
  next = 0;
  problem: GarbledReason = "none";
  /** How far behind the message's start a trailer has been looked for already, so that a slow peer cannot make it quadratic. */
  #searched = 0;

  constructor(maxMessageBytes: number) {
    this.maxMessageBytes = maxMessageBytes;
  }

  /** Looks at `bytes[at, end)`. @returns one of {@link PARSE}. */
  parse(bytes: Uint8Array, at: number, end: number, message: FixMessage): number {
    const start = this.#findStart(bytes, at, end);
    if (start > at) return this.#garbled("junk-before-begin-string", start);
    if (end - start < 3) return this.#partial(start);

    let position = start + 2;
    const beginLimit = Math.min(end, position + LONGEST_BEGIN_STRING + 1);
    while (position < beginLimit && bytes[position] !== SOH) position += 1;
    if (position === beginLimit) {
      return beginLimit === end && end - start < LONGEST_BEGIN_STRING + 3
        ? this.#partial(start)
        : this.#garbled("begin-string", start + 2);
    }
    const beginStringLength = position - start - 2;

    position += 1;
    if (position + 2 > end) return this.#partial(start);
    if (bytes[position] !== 57 || bytes[position + 1] !== EQUALS)
      return this.#garbled("body-length", position);
    position += 2;
    const lengthStart = position;
    let bodyLength = 0;
    for (; ; position += 1) {
      if (position === end) return this.#partial(start);
      const code = bytes[position];
      if (code === SOH && position > lengthStart) break;
      const digit = code - ZERO;
      if (digit < 0 || digit > 9 || position - lengthStart >= LONGEST_BODY_LENGTH) {
        return this.#garbled("body-length", position);
      }
      bodyLength = bodyLength * 10 + digit;
    }
    const bodyStart = position + 1;
    const bodyEnd = bodyStart + bodyLength;
    const messageEnd = bodyEnd + TRAILER_LENGTH;
    if (messageEnd - start > this.maxMessageBytes) return this.#garbled("body-length-too-long", bodyStart);

    if (end < messageEnd) return this.#partial(start);
    if (
      bytes[bodyEnd - 1] !== SOH ||
      bytes[bodyEnd] !== 49 ||
      bytes[bodyEnd + 1] !== ZERO ||
      bytes[bodyEnd + 2] !== EQUALS ||
      bytes[messageEnd - 1] !== SOH
    ) {
      return this.#passOver(bytes, start, bodyEnd, end);
    }
    const stated = parseUint(bytes, bodyEnd + 3, 3);

    let sum = 0;
    for (let i = start; i < bodyStart; i += 1) sum += bytes[i];
    if (bytes[bodyStart] !== 51 || bytes[bodyStart + 1] !== 53 || bytes[bodyStart + 2] !== EQUALS) {
      return this.#garbled("message-type-not-third", messageEnd);
    }

    const tags = message.tags;
    const offsets = message.offsets;
    const lengths = message.lengths;
    const maxFields = message.maxFields;
    message.bytes = bytes;
    let count = 0;
    position = bodyStart;
    while (position < bodyEnd) {
      let code = bytes[position];
      sum += code;
      position += 1;
      const negative = code === 45;
      if (negative) {
        code = bytes[position];
        sum += code;
        position += 1;
      }
      let tag = 0;
      const tagStart = position;
      while (code !== EQUALS) {
        const digit = code - ZERO;
        if (digit < 0 || digit > 9 || tag > 99_999_999) return this.#garbled("tag", messageEnd);
        tag = tag * 10 + digit;
        code = bytes[position];
        sum += code;
        position += 1;
      }
      if (position === tagStart) return this.#garbled("tag", messageEnd);
      if (count === maxFields) return this.#garbled("too-many-fields", messageEnd);

      const valueStart = position;
      if (
        tag <= LAST_DATA_TAG &&
        LENGTH_TAG_OF[tag] !== 0 &&
        count > 0 &&
        tags[count - 1] === LENGTH_TAG_OF[tag]
      ) {
        const dataLength = message.uintAt(count - 1);
        if (!(valueStart + dataLength < bodyEnd) || bytes[valueStart + dataLength] !== SOH) {
          return this.#garbled("data-field", messageEnd);
        }
        for (const dataEnd = valueStart + dataLength; position < dataEnd; position += 1)
          sum += bytes[position];
      } else {
        code = bytes[position];
        while (code !== SOH) {
          sum += code;
          position += 1;
          code = bytes[position];
        }
      }
      tags[count] = negative ? -tag : tag;
      offsets[count] = valueStart;
      lengths[count] = position - valueStart;
      count += 1;
      sum += SOH;
      position += 1;
    }
    if (position !== bodyEnd) return this.#garbled("tag", messageEnd);
    if ((sum & 255) !== stated) return this.#garbled("check-sum", messageEnd);

    message.start = start;
    message.end = messageEnd;
    message.beginStringOffset = start + 2;
    message.beginStringLength = beginStringLength;
    message.count = count;
    const typeAt = offsets[0];
    const typeLength = lengths[0];
    message.msgType =
      typeLength === 1 ? bytes[typeAt] : typeLength === 2 ? bytes[typeAt] + bytes[typeAt + 1] * 256 : 0;
    this.#searched = 0;
    this.problem = "none";
    this.next = messageEnd;
    return PARSE.complete;
  }

  /** First position at which `8=F` stands, or the end's last bytes that may still become it. */
  #findStart(bytes: Uint8Array, at: number, end: number): number {
    let position = at;
    while (position < end) {
      if (
        bytes[position] === 56 &&
        (position + 1 >= end || bytes[position + 1] === EQUALS) &&
        (position + 2 >= end || bytes[position + 2] === 70)
      ) {
        return position;
      }
      position += 1;
    }
    return position;
  }

  /** BodyLength does not lead to a trailer: the message is passed over up to the next CheckSum field. */
  #passOver(bytes: Uint8Array, start: number, bodyEnd: number, end: number): number {
    const limit = Math.min(end, start + this.maxMessageBytes);
    for (let i = Math.max(bodyEnd - 1, start + this.#searched); i + 3 < limit; i += 1) {
      if (bytes[i] !== SOH || bytes[i + 1] !== 49 || bytes[i + 2] !== ZERO || bytes[i + 3] !== EQUALS)
        continue;
      for (let j = i + 4; j < limit; j += 1) {
        if (bytes[j] === SOH) return this.#garbled("body-length-mismatch", j + 1);
      }
      break;
    }
    if (limit < end || end - start >= this.maxMessageBytes)
      return this.#garbled("body-length-mismatch", limit);
    const searched = Math.max(this.#searched, limit - start - 16);
    this.#partial(start);
    this.#searched = searched;
    return PARSE.partial;
  }

  #partial(start: number): number {
    this.#searched = 0;
    this.next = start;
    return PARSE.partial;
  }

  #garbled(problem: GarbledReason, next: number): number {
    this.#searched = 0;
    this.problem = problem;
    this.next = next;
    return PARSE.garbled;
  }
}
