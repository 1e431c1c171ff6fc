import type { AdminMessages } from "./admin-messages.ts";
import { HeaderCheck } from "./header-check.ts";
import type { Lifecycle } from "./lifecycle.ts";
import type { FixMessage } from "./message.ts";
import type { Outgoing } from "./outgoing.ts";
import { NO_TAG, REJECT, rejectText, Violation } from "./reject-reason.ts";
import type { SessionOptions } from "./session-options.ts";
import type { SessionStore } from "./store.ts";
import { TAG } from "./tags.ts";

export interface MessageCheckOptions {
  readonly options: SessionOptions;
  readonly store: SessionStore;
  readonly port: Outgoing;
  readonly admin: AdminMessages;
  readonly lifecycle: Lifecycle;
}

/** Whether a message is what it has to be, and what its sender is told when it is not (FIX 4.4, volume 2; session test cases 2). */
export class MessageCheck {
  /** What was wrong with the last message that was not sound. */
  readonly violation = new Violation();
  readonly #parts: MessageCheckOptions;
  readonly #header: HeaderCheck;

  constructor(parts: MessageCheckOptions) {
    this.#parts = parts;
    this.#header = new HeaderCheck(parts.options);
  }

  /** @returns why a Logon that begins a connection is refused; null when it is sound */
  logon(message: FixMessage): string | null {
    const { violation } = this;
    if (
      this.#header.fields(message, violation) &&
      this.#header.identity(message, violation) &&
      this.#header.sendingTime(message, this.#parts.port.timeUs, violation) &&
      this.sound(message)
    ) {
      return null;
    }
    const where = violation.tag === NO_TAG ? "" : ` (tag ${violation.tag})`;
    return `logon refused: ${rejectText(violation.reason)}${where}`;
  }

  /** @returns false when the header is not sound: the message has been rejected, and who is not our peer logged out */
  header(message: FixMessage, seq: number): boolean {
    const { violation } = this;
    if (!this.#header.fields(message, violation)) {
      this.reject(message, seq, true);
      return false;
    }
    if (
      this.#header.identity(message, violation) &&
      this.#header.sendingTime(message, this.#parts.port.timeUs, violation)
    ) {
      return true;
    }
    this.reject(message, seq, true);
    this.#parts.lifecycle.sendLogout("", rejectText(violation.reason));
    return false;
  }

  /** @returns false when a possible duplicate does not say soundly when it was sent first; it has been rejected */
  possDup(message: FixMessage): boolean {
    const { violation } = this;
    if (this.#header.possDup(message, violation)) return true;
    this.reject(message, message.uint(TAG.msgSeqNum), true);
    if (violation.reason === REJECT.sendingTimeAccuracy) {
      this.#parts.lifecycle.sendLogout("", "OrigSendingTime after SendingTime");
    }
    return false;
  }

  /** The fields are those of the dictionary, where one is in use. */
  sound(message: FixMessage): boolean {
    const { dictionary } = this.#parts.options;
    return dictionary === null || dictionary.check(message, this.violation);
  }

  /** Session-level reject for {@link violation}. `consume` = the message's number counts as received if it was its turn. */
  reject(message: FixMessage, seq: number, consume: boolean): void {
    const { store, admin, port } = this.#parts;
    if (consume && seq === store.nextIncoming) store.setNextIncoming(seq + 1);
    admin.reject(message, seq, this.violation, port.timeUs);
  }
}
