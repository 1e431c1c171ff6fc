import { invariant } from "../../core/invariant.ts";
import {
  FIELD_TYPES,
  FIELD_VALUES,
  type FieldType,
  HEADER,
  MESSAGE_TYPES,
  MESSAGES,
  TRAILER,
} from "./dictionary-tables.ts";
import { isValidFormat } from "./field-format.ts";
import type { FixMessage } from "./message.ts";
import { REJECT, type Violation } from "./reject-reason.ts";
import type { FixVersion } from "./tags.ts";

/** Fields of a message, or of one entry of a repeating group. */
interface FieldSet {
  readonly tags: ReadonlySet<number>;
  readonly required: readonly number[];
  /** Groups by the tag of their count. */
  readonly groups: ReadonlyMap<number, FieldSet>;
  /** First field of the set; a group's entries begin with it. */
  readonly first: number;
}

/** Reads the notation of {@link MESSAGES}. */
function parseFieldSet(text: string): FieldSet {
  const tags = new Set<number>();
  const required: number[] = [];
  const groups = new Map<number, FieldSet>();
  let first = 0;
  for (let at = 0; at < text.length; ) {
    const match = /^\s*(\d+)(!?)(\(?)/.exec(text.slice(at));
    if (match === null) break;
    at += match[0].length;
    const tag = Number(match[1]);
    if (first === 0) first = tag;
    tags.add(tag);
    if (match[2] !== "") required.push(tag);
    if (match[3] === "") continue;
    let depth = 1;
    const start = at;
    while (depth > 0) {
      if (text[at] === "(") depth += 1;
      if (text[at] === ")") depth -= 1;
      at += 1;
    }
    groups.set(tag, parseFieldSet(text.slice(start, at - 1)));
  }
  return { tags, required, groups, first };
}

const LAST_TAG = 1_023;
const DEEPEST_GROUP = 4;

/**
 * What received messages of a version may look like: fields known, belonging to the message, once each, in the sections'
 * order, with a value of the right form; required fields and group counts (FIX 4.4 volume 2, session-level rejects).
 */
export class Dictionary {
  readonly version: FixVersion;
  readonly #types: (FieldType | undefined)[] = [];
  readonly #values: (ReadonlySet<string> | undefined)[] = [];
  readonly #header: FieldSet;
  readonly #trailer: FieldSet;
  readonly #messages = new Map<string, FieldSet>();
  /** One row per depth of nesting: the stamp of the entry in which the tag was last seen. */
  readonly #seen = Array.from({ length: DEEPEST_GROUP + 1 }, () => new Float64Array(LAST_TAG + 1));
  #stamp = 0;
  #at = 0;

  constructor(version: FixVersion) {
    this.version = version;
    for (const [type, tags] of Object.entries(FIELD_TYPES)) {
      for (const tag of tags.split(" ")) this.#types[Number(tag)] ??= type as FieldType;
    }
    for (const [key, values] of Object.entries(FIELD_VALUES)) {
      const [tag, only] = key.split("@");
      if (only === undefined || only === version) this.#values[Number(tag)] = new Set(values.split(" "));
    }
    this.#header = parseFieldSet(HEADER[version]);
    this.#trailer = parseFieldSet(TRAILER);
    for (const [type, text] of Object.entries(MESSAGES[version]))
      this.#messages.set(type, parseFieldSet(text));
  }

  /** Checks MsgType and every field. @returns false with `violation` filled at the first fault. */
  check(message: FixMessage, violation: Violation): boolean {
    const type = message.textAt(0);
    if (!MESSAGE_TYPES[this.version].test(type))
      return violation.set(REJECT.invalidMsgType, Number.MIN_SAFE_INTEGER);
    const body = this.#messages.get(type);
    if (body === undefined) return true;
    this.#stamp += 1;
    const stamp = this.#stamp;
    const seen = this.#seen[0];
    let section = this.#header;
    for (this.#at = 0; this.#at < message.count; ) {
      const tag = message.tags[this.#at];
      if (!this.#known(tag)) return violation.set(REJECT.invalidTagNumber, tag);
      if (this.#header.tags.has(tag)) {
        if (section !== this.#header) return violation.set(REJECT.tagOutOfRequiredOrder, tag);
      } else if (this.#trailer.tags.has(tag)) section = this.#trailer;
      else if (section === this.#trailer) return violation.set(REJECT.tagOutOfRequiredOrder, tag);
      else section = body;
      if (message.lengths[this.#at] === 0) return violation.set(REJECT.tagWithoutValue, tag);
      if (!section.tags.has(tag)) return violation.set(REJECT.tagNotDefinedForMessageType, tag);
      if (seen[tag] === stamp) return violation.set(REJECT.tagAppearsMoreThanOnce, tag);
      seen[tag] = stamp;
      if (!this.#field(message, tag, section, 1, violation)) return false;
    }
    return (
      this.#complete(this.#header, seen, stamp, violation) && this.#complete(body, seen, stamp, violation)
    );
  }

  #known(tag: number): boolean {
    return tag > 0 && tag <= LAST_TAG && this.#types[tag] !== undefined;
  }

  #complete(set: FieldSet, seen: Float64Array, stamp: number, violation: Violation): boolean {
    for (const tag of set.required) {
      if (seen[tag] !== stamp) return violation.set(REJECT.requiredTagMissing, tag);
    }
    return true;
  }

  /** Checks the value at `#at` and goes past it, and past the group it counts. */
  #field(message: FixMessage, tag: number, set: FieldSet, depth: number, violation: Violation): boolean {
    const index = this.#at;
    const offset = message.offsets[index];
    const length = message.lengths[index];
    const type = this.#types[tag];
    invariant(type !== undefined, `field ${tag} of a known message has a type`);
    if (!isValidFormat(type, message.bytes, offset, length))
      return violation.set(REJECT.incorrectDataFormat, tag);
    const values = this.#values[tag];
    if (values !== undefined && !values.has(message.textAt(index))) {
      return violation.set(REJECT.valueOutOfRange, tag);
    }
    this.#at = index + 1;
    const group = set.groups.get(tag);
    return group === undefined || this.#group(message, tag, message.uintAt(index), group, depth, violation);
  }

  #group(
    message: FixMessage,
    countTag: number,
    count: number,
    group: FieldSet,
    depth: number,
    violation: Violation,
  ): boolean {
    const seen = this.#seen[depth];
    invariant(seen !== undefined, `groups nest at most ${DEEPEST_GROUP} deep`);
    let entries = 0;
    let stamp = 0;
    while (this.#at < message.count) {
      const tag = message.tags[this.#at];
      if (!group.tags.has(tag)) break;
      if (tag === group.first) {
        if (entries > 0 && !this.#complete(group, seen, stamp, violation)) return false;
        entries += 1;
        this.#stamp += 1;
        stamp = this.#stamp;
      } else if (entries === 0) break;
      if (message.lengths[this.#at] === 0) return violation.set(REJECT.tagWithoutValue, tag);
      if (seen[tag] === stamp) return violation.set(REJECT.tagAppearsMoreThanOnce, tag);
      seen[tag] = stamp;
      if (!this.#field(message, tag, group, depth + 1, violation)) return false;
    }
    if (entries > 0 && !this.#complete(group, seen, stamp, violation)) return false;
    return entries === count || violation.set(REJECT.incorrectNumInGroup, countTag);
  }
}
