import { invariant } from "../../../core/invariant.ts";
import type { FixMessage } from "../message.ts";
import { REJECT, type Violation } from "../reject-reason.ts";
import type { FixVersion } from "../tags.ts";
import { FIELDS, type FieldType } from "./fields.ts";
import { FIX42 } from "./fix42.ts";
import { FIX44 } from "./fix44.ts";
import { isValidFormat } from "./format.ts";
import { type FieldSet, parseFieldSet, type VersionTables } from "./notation.ts";
import { FIELD_VALUES } from "./values.ts";

export const VERSION_TABLES: Record<FixVersion, VersionTables> = { "4.2": FIX42, "4.4": FIX44 };

/** Message types of each version. One without a table is valid but unsupported; it is not checked further. */
const MESSAGE_TYPES: Record<FixVersion, RegExp> = {
  "4.4": /^(?:[0-9A-Za-z]|A[A-Z]|B[A-H]|U.+)$/,
  "4.2": /^(?:[0-9A-Za-m]|U.+)$/,
};

/** What is checked of a received message's fields; each can be switched off for a peer that does not keep to it. */
export interface Validation {
  /** Fields that the message must have, and that entries of its groups must have. */
  readonly required: boolean;
  /** Form of values by their type, and enumerated values. Off = only that there is a value. */
  readonly values: boolean;
  /** Fields that are not in the dictionary or not of the message. */
  readonly unknown: boolean;
  /** User-defined fields (5000 and above) that are not in the dictionary. */
  readonly userDefined: boolean;
  /** Repeating groups: counts, the field that begins an entry, duplicates within one. */
  readonly groups: boolean;
  /** Header, body, trailer in this order. */
  readonly order: boolean;
}

export const FULL_VALIDATION: Validation = {
  required: true,
  values: true,
  unknown: true,
  userDefined: true,
  groups: true,
  order: true,
};

const LAST_TAG = 1_023;
const FIRST_USER_DEFINED = 5_000;
const DEEPEST_GROUP = 5;

/** Names of fields by tag, those of FIX 4.4 where it has them. */
export function fieldNames(): ReadonlyMap<number, string> {
  const names = new Map<number, string>();
  for (const fields of Object.values(FIELDS)) {
    for (const field of fields.trim().split(/\s+/)) {
      const [name, tag] = field.split("=");
      names.set(Number(tag), name);
    }
  }
  return names;
}

/**
 * What received messages of a version may look like: fields known, belonging to the message, once each, in the sections'
 * order, with a value of the right form; required fields and group counts (FIX 4.4 volume 2, session-level rejects).
 */
export class Dictionary {
  readonly version: FixVersion;
  readonly validation: Validation;
  readonly #types: (FieldType | undefined)[] = [];
  readonly #values: (ReadonlySet<string> | undefined)[] = [];
  readonly #header: FieldSet;
  readonly #trailer: FieldSet;
  readonly #messages = new Map<string, FieldSet>();
  /** One row per depth of nesting: the stamp of the entry in which the tag was last seen. */
  readonly #seen = Array.from({ length: DEEPEST_GROUP + 1 }, () => new Float64Array(LAST_TAG + 1));
  #stamp = 0;
  #at = 0;

  constructor(version: FixVersion, validation: Validation = FULL_VALIDATION) {
    this.version = version;
    this.validation = validation;
    for (const [type, fields] of Object.entries(FIELDS)) {
      for (const field of fields.trim().split(/\s+/))
        this.#types[Number(field.split("=")[1])] = type as FieldType;
    }
    for (const [key, values] of Object.entries(FIELD_VALUES)) {
      const [tag, only] = key.split("@");
      if (only !== undefined && only !== version) continue;
      this.#values[Number(tag)] = new Set(values.trim().split(/\s+/));
    }
    const { header, trailer, components, messages } = VERSION_TABLES[version];
    this.#header = parseFieldSet(header, components);
    this.#trailer = parseFieldSet(trailer, components);
    for (const [type, { fields }] of Object.entries(messages))
      this.#messages.set(type, parseFieldSet(fields, components));
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
      if (!this.#known(tag)) {
        if (this.#refuses(tag)) return violation.set(REJECT.invalidTagNumber, tag);
        this.#at += 1;
        continue;
      }
      const belongsTo = this.#sectionOf(tag, body);
      if (this.validation.order && rank(belongsTo, this.#header, body) < rank(section, this.#header, body))
        return violation.set(REJECT.tagOutOfRequiredOrder, tag);
      section = belongsTo;
      if (message.lengths[this.#at] === 0) return violation.set(REJECT.tagWithoutValue, tag);
      if (!section.tags.has(tag)) {
        if (this.validation.unknown) return violation.set(REJECT.tagNotDefinedForMessageType, tag);
        this.#at += 1;
        continue;
      }
      if (seen[tag] === stamp) return violation.set(REJECT.tagAppearsMoreThanOnce, tag);
      seen[tag] = stamp;
      if (!this.#field(message, tag, section, 1, violation)) return false;
    }
    return (
      this.#complete(this.#header, seen, stamp, violation) && this.#complete(body, seen, stamp, violation)
    );
  }

  #sectionOf(tag: number, body: FieldSet): FieldSet {
    if (this.#header.tags.has(tag)) return this.#header;
    return this.#trailer.tags.has(tag) ? this.#trailer : body;
  }

  #known(tag: number): boolean {
    return tag > 0 && tag <= LAST_TAG && this.#types[tag] !== undefined;
  }

  /** An unknown field is a fault. Tag 0 and negative tags are so always. */
  #refuses(tag: number): boolean {
    if (tag <= 0) return true;
    return tag >= FIRST_USER_DEFINED ? this.validation.userDefined : this.validation.unknown;
  }

  #complete(set: FieldSet, seen: Float64Array, stamp: number, violation: Violation): boolean {
    if (!this.validation.required) return true;
    for (const tag of set.required) {
      if (seen[tag] !== stamp) return violation.set(REJECT.requiredTagMissing, tag);
    }
    return true;
  }

  /** Checks the value at `#at` and goes past it, and past the group it counts. */
  #field(message: FixMessage, tag: number, set: FieldSet, depth: number, violation: Violation): boolean {
    const index = this.#at;
    if (!this.#value(message, index, tag, violation)) return false;
    this.#at = index + 1;
    const group = set.groups.get(tag);
    if (group === undefined) return true;
    if (!this.validation.groups) return this.#passOver(message, group, violation);
    return this.#group(message, tag, message.uintAt(index), group, depth, violation);
  }

  #value(message: FixMessage, index: number, tag: number, violation: Violation): boolean {
    if (!this.validation.values) return true;
    const type = this.#types[tag];
    invariant(type !== undefined, `field ${tag} of a known message has a type`);
    if (!isValidFormat(type, message.bytes, message.offsets[index], message.lengths[index]))
      return violation.set(REJECT.incorrectDataFormat, tag);
    const values = this.#values[tag];
    return (
      values === undefined || values.has(message.textAt(index)) || violation.set(REJECT.valueOutOfRange, tag)
    );
  }

  /** Goes past a group whose shape is not checked. */
  #passOver(message: FixMessage, group: FieldSet, violation: Violation): boolean {
    while (this.#at < message.count && belongsToGroup(group, message.tags[this.#at])) {
      const tag = message.tags[this.#at];
      if (message.lengths[this.#at] === 0) return violation.set(REJECT.tagWithoutValue, tag);
      if (!this.#value(message, this.#at, tag, violation)) return false;
      this.#at += 1;
    }
    return true;
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

/** Place of a section in a message. */
function rank(section: FieldSet, header: FieldSet, body: FieldSet): number {
  if (section === header) return 0;
  return section === body ? 1 : 2;
}

function belongsToGroup(group: FieldSet, tag: number): boolean {
  if (group.tags.has(tag)) return true;
  for (const nested of group.groups.values()) if (belongsToGroup(nested, tag)) return true;
  return false;
}

const SHAPES = new Map<string, FieldSet | undefined>();

/** Fields and groups of a message type; undefined when the dictionary does not have it. */
export function messageShape(version: FixVersion, type: string): FieldSet | undefined {
  const key = `${version} ${type}`;
  if (!SHAPES.has(key)) {
    const { components, messages } = VERSION_TABLES[version];
    const text = messages[type]?.fields;
    SHAPES.set(key, text === undefined ? undefined : parseFieldSet(text, components));
  }
  return SHAPES.get(key);
}
