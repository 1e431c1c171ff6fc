import { asciiBytes } from "./ascii.ts";
import type { SessionIdentity } from "./builder.ts";
import type { FixMessage } from "./message.ts";
import { NO_TAG, REJECT, type Violation } from "./reject-reason.ts";
import { MSG, TAG } from "./tags.ts";
import { parseTimestampUs } from "./timestamp.ts";

/** What every message's header must have, whether or not a dictionary is in use. */
export class HeaderCheck {
  readonly #peer: Uint8Array;
  readonly #self: Uint8Array;
  readonly #toleranceUs: number;

  constructor(options: SessionIdentity & { readonly sendingTimeToleranceMs: number }) {
    this.#peer = asciiBytes(options.targetCompId, "TargetCompID");
    this.#self = asciiBytes(options.senderCompId, "SenderCompID");
    this.#toleranceUs = options.sendingTimeToleranceMs * 1_000;
  }

  /** Sender, target, number and time are there and have values. */
  fields(message: FixMessage, violation: Violation): boolean {
    for (const tag of [TAG.senderCompId, TAG.targetCompId, TAG.msgSeqNum, TAG.sendingTime]) {
      const index = message.indexOf(tag);
      if (index < 0) return violation.set(REJECT.requiredTagMissing, tag);
      if (message.lengths[index] === 0) return violation.set(REJECT.tagWithoutValue, tag);
    }
    const time = message.indexOf(TAG.sendingTime);
    if (Number.isNaN(parseTimestampUs(message.bytes, message.offsets[time], message.lengths[time]))) {
      return violation.set(REJECT.incorrectDataFormat, TAG.sendingTime);
    }
    return Number.isNaN(message.uint(TAG.msgSeqNum))
      ? violation.set(REJECT.incorrectDataFormat, TAG.msgSeqNum)
      : true;
  }

  /** The message is from our peer and for us. */
  identity(message: FixMessage, violation: Violation): boolean {
    return (
      (message.valueEquals(message.indexOf(TAG.senderCompId), this.#peer) &&
        message.valueEquals(message.indexOf(TAG.targetCompId), this.#self)) ||
      violation.set(REJECT.compIdProblem, NO_TAG)
    );
  }

  sendingTime(message: FixMessage, timeUs: number, violation: Violation): boolean {
    return (
      Math.abs(message.timestampUs(TAG.sendingTime) - timeUs) <= this.#toleranceUs ||
      violation.set(REJECT.sendingTimeAccuracy, NO_TAG)
    );
  }

  /** A possible duplicate says when it was sent first, and that is not later than now (session test cases 2f, 2g). */
  possDup(message: FixMessage, violation: Violation): boolean {
    if (message.msgType === MSG.sequenceReset) return true;
    if (message.indexOf(TAG.origSendingTime) < 0) {
      return violation.set(REJECT.requiredTagMissing, TAG.origSendingTime);
    }
    const originalUs = message.timestampUs(TAG.origSendingTime);
    if (Number.isNaN(originalUs)) return violation.set(REJECT.incorrectDataFormat, TAG.origSendingTime);
    return (
      originalUs <= message.timestampUs(TAG.sendingTime) || violation.set(REJECT.sendingTimeAccuracy, NO_TAG)
    );
  }
}
