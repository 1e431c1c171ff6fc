import { createHash, timingSafeEqual } from "node:crypto";
import { ZERO } from "./ascii.ts";
import type { FixMessage } from "./message.ts";
import type { SessionStore } from "./store.ts";
import { MSG, msgTypeText, TAG } from "./tags.ts";

const LONGEST_HEARTBEAT_SECONDS = 86_400;

/** Why the first message of a connection is no logon; null when it is one. Such a connection is cut without an answer. */
export function whyNoLogon(message: FixMessage, beginString: Uint8Array): string | null {
  const text = message.text(TAG.text) ?? "no reason given";
  if (!message.beginStringEquals(beginString)) return `logon with BeginString ${message.beginString()}`;
  switch (message.msgType) {
    case MSG.logon:
      return null;
    case MSG.logout:
      return `logon refused: ${text}`;
    case MSG.reject:
      return `logon rejected: ${text}`;
    default:
      return `first message is ${msgTypeText(message.msgType)}, not a logon`;
  }
}

/** What is wrong with a logon from the right peer; null when nothing is. It is answered with a Logout that says so. */
export function logonFault(message: FixMessage, seq: number): string | null {
  if (message.char(TAG.encryptMethod) !== ZERO) return "EncryptMethod must be 0 (none)";
  if (!(message.uint(TAG.heartBtInt) <= LONGEST_HEARTBEAT_SECONDS)) {
    return "HeartBtInt must be a number of seconds";
  }
  return message.isYes(TAG.resetSeqNumFlag) && seq !== 1 ? "ResetSeqNumFlag needs MsgSeqNum 1" : null;
}

/** What is wrong with the credentials of a peer's logon; null when nothing is. It does not tell which of them is wrong. */
export function credentialFault(
  message: FixMessage,
  options: { readonly requiredLogonFields: readonly (readonly [tag: number, value: string])[] },
): string | null {
  let right = true;
  for (const [tag, value] of options.requiredLogonFields) {
    const given = createHash("sha256")
      .update(message.text(tag) ?? "")
      .digest();
    right = timingSafeEqual(given, createHash("sha256").update(value).digest()) && right;
  }
  return right ? null : "credentials refused";
}

/** What is wrong with the numbers of a logon; null when nothing is, or when a gap can be filled. */
export function logonNumberFault(
  seq: number,
  nextWanted: number,
  store: Pick<SessionStore, "nextIncoming" | "nextOutgoing">,
): string | null {
  if (seq < store.nextIncoming) return tooLowText(store.nextIncoming, seq);
  return nextWanted > store.nextOutgoing
    ? `NextExpectedMsgSeqNum too high, at most ${store.nextOutgoing} but received ${nextWanted}`
    : null;
}

export function tooLowText(expected: number, received: number): string {
  return `MsgSeqNum too low, expecting ${expected} but received ${received}`;
}
