import { asciiBytes, parseUint } from "../ascii.ts";
import { messageShape } from "../dictionary/dictionary.ts";
import type { FieldSet } from "../dictionary/notation.ts";
import type { FixMessage } from "../message.ts";
import type { FixVersion } from "../tags.ts";
import { parseTimestampUs } from "../timestamp.ts";

/** A plain decimal as FIX writes it, kept as text so that it goes through no binary fraction. */
export type DecimalText = string;

const DECIMAL = /^-?(?:\d+\.?\d*|\.\d+)$/;

/**
 * A received message with its repeating groups unfolded, for messages off the line: what it holds stays valid when the message's
 * buffer is written to again. Of a field that comes twice in one place the first counts.
 */
export class FieldTree {
  readonly #values = new Map<number, string>();
  readonly #groups = new Map<number, FieldTree[]>();

  /** Unfolds by the dictionary's groups; a type that it does not have is taken as flat. */
  static read(message: FixMessage, version: FixVersion): FieldTree {
    const tree = new FieldTree();
    tree.#fill(message, 0, messageShape(version, message.textAt(0)), true);
    return tree;
  }

  text(tag: number): string | undefined {
    return this.#values.get(tag);
  }

  /** Entries of the group counted by this field; none when it is absent. */
  group(countTag: number): readonly FieldTree[] {
    return this.#groups.get(countTag) ?? [];
  }

  /** NaN when absent or no plain unsigned integer. */
  uint(tag: number): number {
    const bytes = asciiBytes(this.#values.get(tag)?.replace(/[^\x20-\x7e]/g, "?") ?? "", `tag ${tag}`);
    return parseUint(bytes, 0, bytes.length);
  }

  /** µs since the epoch; NaN when absent or malformed. */
  timeUs(tag: number): number {
    const bytes = asciiBytes(this.#values.get(tag)?.replace(/[^\x20-\x7e]/g, "?") ?? "", `tag ${tag}`);
    return parseTimestampUs(bytes, 0, bytes.length);
  }

  /** Undefined when absent or no plain decimal. */
  decimal(tag: number): DecimalText | undefined {
    const text = this.#values.get(tag);
    return text !== undefined && DECIMAL.test(text) ? text : undefined;
  }

  /** @returns the index behind the last field taken. */
  #fill(message: FixMessage, from: number, shape: FieldSet | undefined, whole: boolean): number {
    let at = from;
    while (at < message.count) {
      const tag = message.tags[at];
      if (!whole && (shape?.tags.has(tag) !== true || (at > from && tag === shape.first))) break;
      if (!this.#values.has(tag)) this.#values.set(tag, message.textAt(at));
      at += 1;
      const group = shape?.groups.get(tag);
      if (group === undefined) continue;
      const entries = this.#groups.get(tag) ?? [];
      this.#groups.set(tag, entries);
      while (at < message.count && message.tags[at] === group.first) {
        const entry = new FieldTree();
        at = entry.#fill(message, at, group, false);
        entries.push(entry);
      }
    }
    return at;
  }
}
