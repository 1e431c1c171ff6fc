import type { FixMessage } from "./message.ts";
import type { Violation } from "./reject-reason.ts";

/** What a received message may look like. */
export interface Dictionary {
  /** Checks MsgType and every field. @returns false with `violation` filled at the first fault. */
  check(message: FixMessage, violation: Violation): boolean;
}
