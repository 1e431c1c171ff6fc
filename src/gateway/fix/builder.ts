import { invariant } from "../../core/invariant.ts";
import { asciiBytes, SOH, type Template, YES } from "./ascii.ts";
import { FieldWriter, HEADROOM_BYTES } from "./field-writer.ts";
import type { FixMessage } from "./message.ts";
import { BEGIN_STRING, type FixVersion, msgTypeText, TAG } from "./tags.ts";
import { TimestampBytes } from "./timestamp.ts";

/** Who speaks on a session. */
export interface SessionIdentity {
  readonly version: FixVersion;
  readonly senderCompId: string;
  readonly targetCompId: string;
}

function field(tag: number, value: string): Template {
  const bytes = asciiBytes(`${tag}=${value} `, `tag ${tag}`);
  bytes[bytes.length - 1] = SOH;
  return { bytes, sum: bytes.reduce((total, byte) => total + byte, 0) };
}

/**
 * Builds any message field by field into one reused buffer: {@link begin}, fields in the order they shall have, {@link finish}.
 * For messages off the line; quotes have their own encoder.
 */
export class MessageBuilder {
  readonly writer: FieldWriter;
  readonly #buffer: Uint8Array;
  readonly #sender: Template;
  readonly #target: Template;
  readonly #now = new TimestampBytes();
  readonly #other = new TimestampBytes();
  #open = false;
  #msgType = 0;
  #overflowed = false;

  constructor(identity: SessionIdentity, maxMessageBytes: number) {
    this.writer = new FieldWriter(BEGIN_STRING[identity.version]);
    this.#buffer = new Uint8Array(maxMessageBytes + HEADROOM_BYTES);
    this.#sender = field(TAG.senderCompId, identity.senderCompId);
    this.#target = field(TAG.targetCompId, identity.targetCompId);
  }

  /**
   * Writes the standard header. `origSendingTimeUs` NaN = not a possible duplicate; otherwise PossDupFlag goes out with it, and never later than
   * `timeUs`, where a clock was put back: peers refuse that (FIX 4.4, volume 2, "SendingTime accuracy problem").
   */
  begin(msgType: number, seq: number, timeUs: number, origSendingTimeUs = Number.NaN): this {
    invariant(!this.#open, `a ${msgTypeText(this.#msgType)} message is finished before the next is begun`);
    this.#open = true;
    this.#overflowed = false;
    this.#msgType = msgType;
    const writer = this.writer;
    writer.open(this.#buffer);
    writer.tag(TAG.msgType);
    writer.text(msgTypeText(msgType));
    writer.end();
    this.uint(TAG.msgSeqNum, seq);
    const possDup = !Number.isNaN(origSendingTimeUs);
    if (possDup) this.flag(TAG.possDupFlag);
    writer.template(this.#sender);
    this.#now.update(timeUs);
    writer.tag(TAG.sendingTime);
    writer.timestamp(this.#now);
    writer.end();
    writer.template(this.#target);
    if (possDup) this.time(TAG.origSendingTime, Math.min(origSendingTimeUs, timeUs));
    return this;
  }

  uint(tag: number, value: number): this {
    if (this.#fits(40)) {
      this.writer.tag(tag);
      this.writer.uint(value);
      this.writer.end();
    }
    return this;
  }

  /** A tag's number as a value, negative ones included. */
  int(tag: number, value: number): this {
    return value < 0 ? this.text(tag, String(value)) : this.uint(tag, value);
  }

  decimal(tag: number, units: number, scale: number): this {
    if (this.#fits(48)) {
      this.writer.tag(tag);
      this.writer.decimal(units, scale);
      this.writer.end();
    }
    return this;
  }

  /** Text; characters that would break the message are replaced by `?`. */
  text(tag: number, value: string): this {
    const clean = /^[\x20-\x7e]*$/.test(value) ? value : value.replace(/[^\x20-\x7e]/g, "?");
    if (this.#fits(clean.length + 12)) {
      this.writer.tag(tag);
      this.writer.text(clean);
      this.writer.end();
    }
    return this;
  }

  /** A boolean field that is `Y`. */
  flag(tag: number): this {
    if (this.#fits(14)) {
      this.writer.tag(tag);
      this.writer.byte(YES);
      this.writer.end();
    }
    return this;
  }

  time(tag: number, timeUs: number): this {
    if (this.#fits(34)) {
      this.#other.update(timeUs);
      this.writer.tag(tag);
      this.writer.timestamp(this.#other);
      this.writer.end();
    }
    return this;
  }

  /** Copies a field of a received or stored message. */
  copy(tag: number, from: FixMessage, index: number): this {
    const length = from.lengths[index];
    if (this.#fits(length + 12)) {
      this.writer.tag(tag);
      this.writer.range(from.bytes, from.offsets[index], length);
      this.writer.end();
    }
    return this;
  }

  /** @returns false when the message did not fit and is discarded; else it is `writer.bytes[writer.start, writer.at)`. */
  finish(): boolean {
    invariant(this.#open, "a message is begun before it is finished");
    this.#open = false;
    if (this.#overflowed) return false;
    this.writer.finish();
    return true;
  }

  #fits(bytes: number): boolean {
    if (this.writer.room >= bytes) return !this.#overflowed;
    this.#overflowed = true;
    return false;
  }
}

/** Fields of the header that the builder writes itself; the rest of a stored message is copied when it is resent. */
export function isRewrittenOnResend(tag: number): boolean {
  return (
    tag === TAG.msgType ||
    tag === TAG.msgSeqNum ||
    tag === TAG.possDupFlag ||
    tag === TAG.senderCompId ||
    tag === TAG.sendingTime ||
    tag === TAG.targetCompId ||
    tag === TAG.origSendingTime
  );
}
