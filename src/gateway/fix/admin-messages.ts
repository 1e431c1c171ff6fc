import { invariant } from "../../core/invariant.ts";
import type { MessageBuilder } from "./builder.ts";
import type { FixMessage } from "./message.ts";
import { LAST_REASON_42, NO_TAG, rejectText, type Violation } from "./reject-reason.ts";
import type { SessionCounters, SessionOptions, SessionPort } from "./session-options.ts";
import type { SessionStore } from "./store.ts";
import { MSG, TAG } from "./tags.ts";

const TEST_REQUEST_ID = "TEST";
const UNSUPPORTED_MESSAGE_TYPE = 3;
const LONGEST_ROUTE_FIELD = 64;
const LONGEST_ECHO = 8;

/** Routing fields of a message and the fields in which a reject sends them back (FIX 4.4 volume 2, "Third party routing"). */
const REVERSE_ROUTE: readonly (readonly [from: number, to: number])[] = [
  [TAG.onBehalfOfCompId, TAG.deliverToCompId],
  [TAG.onBehalfOfSubId, TAG.deliverToSubId],
  [TAG.onBehalfOfLocationId, TAG.deliverToLocationId],
  [TAG.deliverToCompId, TAG.onBehalfOfCompId],
  [TAG.deliverToSubId, TAG.onBehalfOfSubId],
  [TAG.deliverToLocationId, TAG.onBehalfOfLocationId],
];

/** Writes a session's own messages, each with the next outgoing number. */
export class AdminMessages {
  readonly #options: SessionOptions;
  readonly #builder: MessageBuilder;
  readonly #store: SessionStore;
  readonly #port: SessionPort;
  readonly #counters: SessionCounters;

  constructor(
    options: SessionOptions,
    builder: MessageBuilder,
    store: SessionStore,
    port: SessionPort,
    counters: SessionCounters,
  ) {
    this.#options = options;
    this.#builder = builder;
    this.#store = store;
    this.#port = port;
    this.#counters = counters;
  }

  logon(heartbeatSeconds: number, reset: boolean, nextExpected: number, timeUs: number): void {
    const builder = this.#begin(MSG.logon, timeUs);
    builder.uint(TAG.encryptMethod, 0).uint(TAG.heartBtInt, heartbeatSeconds);
    if (reset) builder.flag(TAG.resetSeqNumFlag);
    for (const [tag, value] of this.#options.logonFields) builder.text(tag, value);
    if (this.#options.nextExpected && this.#options.version === "4.4") {
      builder.uint(TAG.nextExpectedMsgSeqNum, nextExpected);
    }
    this.#end();
  }

  logout(text: string, timeUs: number): void {
    const builder = this.#begin(MSG.logout, timeUs);
    if (text !== "") builder.text(TAG.text, text);
    this.#end();
  }

  /** `answering` = the test request that asked for it; null when it is only due. */
  heartbeat(answering: FixMessage | null, timeUs: number): void {
    const builder = this.#begin(MSG.heartbeat, timeUs);
    const index = answering === null ? -1 : answering.indexOf(TAG.testReqId);
    if (answering !== null && index >= 0) builder.copy(TAG.testReqId, answering, index);
    this.#counters.heartbeatsSent += 1;
    this.#end();
  }

  testRequest(timeUs: number): void {
    this.#begin(MSG.testRequest, timeUs).text(TAG.testReqId, TEST_REQUEST_ID);
    this.#counters.testRequestsSent += 1;
    this.#end();
  }

  /** Asks for everything from `beginSeqNo` on: EndSeqNo 0 stands for infinity. */
  resendRequest(beginSeqNo: number, timeUs: number): void {
    this.#begin(MSG.resendRequest, timeUs).uint(TAG.beginSeqNo, beginSeqNo).uint(TAG.endSeqNo, 0);
    this.#counters.resendRequestsSent += 1;
    this.#end();
  }

  /** Session-level reject (35=3). */
  reject(message: FixMessage, seq: number, violation: Violation, timeUs: number): void {
    const { reason, tag } = violation;
    const builder = this.#begin(MSG.reject, timeUs);
    this.#reverseRoute(message, builder);
    builder.uint(TAG.refSeqNum, seq).text(TAG.text, rejectText(reason));
    if (tag !== NO_TAG) builder.int(TAG.refTagId, tag);
    this.#refMsgType(message, builder);
    if (this.#options.version !== "4.2" || reason <= LAST_REASON_42) {
      builder.uint(TAG.sessionRejectReason, reason);
    }
    this.#counters.rejectsSent += 1;
    this.#end();
  }

  /** Business-level reject (35=j) of a message type that the application does not know. */
  unsupported(message: FixMessage, seq: number, timeUs: number): void {
    const builder = this.#begin(MSG.businessReject, timeUs);
    this.#reverseRoute(message, builder);
    builder.uint(TAG.refSeqNum, seq).text(TAG.text, "Unsupported Message Type");
    this.#refMsgType(message, builder);
    builder.uint(TAG.businessRejectReason, UNSUPPORTED_MESSAGE_TYPE);
    this.#counters.rejectsSent += 1;
    this.#end();
  }

  #refMsgType(message: FixMessage, builder: MessageBuilder): void {
    if (message.lengths[0] > 0) builder.text(TAG.refMsgType, message.textAt(0).slice(0, LONGEST_ECHO));
  }

  #reverseRoute(message: FixMessage, builder: MessageBuilder): void {
    for (const [from, to] of REVERSE_ROUTE) {
      const index = message.indexOf(from);
      if (index < 0) continue;
      const length = message.lengths[index];
      if (length > 0 && length <= LONGEST_ROUTE_FIELD) builder.copy(to, message, index);
    }
  }

  #begin(msgType: number, timeUs: number): MessageBuilder {
    return this.#builder.begin(msgType, this.#store.claimOutgoing(), timeUs);
  }

  #end(): void {
    invariant(this.#builder.finish(), "an administrative message fits the buffer");
    const { bytes, start, at } = this.#builder.writer;
    this.#port.write(bytes, start, at);
  }
}
