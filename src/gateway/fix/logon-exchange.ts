import type { AdminMessages } from "./admin-messages.ts";
import type { IncomingSequence } from "./incoming-sequence.ts";
import type { Lifecycle } from "./lifecycle.ts";
import type { Liveness } from "./liveness.ts";
import { credentialFault, logonFault, logonNumberFault } from "./logon.ts";
import type { FixMessage } from "./message.ts";
import type { Outgoing } from "./outgoing.ts";
import type { Resender } from "./resend.ts";
import type { SessionApplication, SessionCounters, SessionOptions } from "./session-options.ts";
import type { SessionStore } from "./store.ts";
import { TAG } from "./tags.ts";

export interface LogonExchangeOptions {
  readonly options: SessionOptions;
  readonly store: SessionStore;
  readonly port: Outgoing;
  readonly admin: AdminMessages;
  readonly lifecycle: Lifecycle;
  readonly liveness: Liveness;
  readonly incoming: IncomingSequence;
  readonly resender: Resender;
  readonly counters: SessionCounters;
  readonly application: SessionApplication;
}

/** Logons both ways: who begins, whether the sequences start anew, and what either side then misses (FIX 4.4, volume 2). */
export class LogonExchange {
  readonly #parts: LogonExchangeOptions;
  /** Our Logon asked for both sequences to start at 1. */
  #resetSent = false;
  #resetAsked = false;

  constructor(parts: LogonExchangeOptions) {
    this.#parts = parts;
  }

  /** Our next Logon asks for both sequences to start at 1. */
  askReset(): void {
    this.#resetAsked = true;
  }

  /** A connection is made: the initiator speaks first. */
  begin(): void {
    const { options, store, admin, lifecycle, port } = this.#parts;
    this.#resetSent = false;
    if (options.role === "acceptor") {
      lifecycle.enter("logon-awaited");
      return;
    }
    lifecycle.enter("logon-sent");
    if (options.resetOnLogon || this.#resetAsked) {
      this.#resetAsked = false;
      store.reset(port.timeUs);
      this.#resetSent = true;
    }
    admin.logon(options.heartbeatSeconds, this.#resetSent, store.nextIncoming, port.timeUs);
  }

  /** The peer's Logon, at the start of a connection or, with ResetSeqNumFlag, in its middle. */
  receive(message: FixMessage, seq: number): void {
    const { options, store, admin, lifecycle, port, liveness, incoming, application } = this.#parts;
    const { timeUs } = port;
    const acceptor = options.role === "acceptor";
    const reset = message.isYes(TAG.resetSeqNumFlag);
    const asked = reset && !this.#resetSent;
    const again = lifecycle.is("active");
    const fault = logonFault(message, seq) ?? (acceptor ? credentialFault(message, options) : null);
    if (fault !== null) {
      lifecycle.refuse(fault);
      return;
    }
    if (asked || (acceptor && options.resetOnLogon && !again)) {
      store.reset(timeUs);
      incoming.clear();
      this.#parts.resender.clear();
    }
    const nextWanted = options.nextExpected ? message.uint(TAG.nextExpectedMsgSeqNum) : Number.NaN;
    const numberFault = logonNumberFault(seq, nextWanted, store);
    if (numberFault !== null) {
      lifecycle.refuse(numberFault);
      return;
    }
    const expected = store.nextIncoming;
    const sentSoFar = store.nextOutgoing;
    const heartbeatSeconds = message.uint(TAG.heartBtInt);
    if (seq === expected) store.setNextIncoming(expected + 1);
    if (acceptor || asked) admin.logon(heartbeatSeconds, reset, store.nextIncoming, timeUs);
    if (lifecycle.is("disconnected")) return;
    this.#resetSent = false;
    liveness.start(heartbeatSeconds, timeUs);
    lifecycle.enter("active");
    this.#parts.counters.logons += 1;
    if (nextWanted < sentSoFar) this.resend(Math.max(nextWanted, 1), sentSoFar - 1);
    if (again) application.onLogout("peer reset the session", timeUs);
    application.onLogon(timeUs);
    if (seq === expected || !lifecycle.alive) return;
    incoming.logonEarly(seq, !Number.isNaN(nextWanted), timeUs);
  }

  /** Sends again what the peer misses, and tells the application. */
  resend(begin: number, end: number): void {
    if (end < begin) return;
    const { resender, application, port } = this.#parts;
    resender.start(begin, end, port.timeUs);
    application.onResend(begin, end, port.timeUs);
  }
}
