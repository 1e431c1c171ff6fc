import { invariant } from "../../core/invariant.ts";
import { AdminMessages } from "./admin-messages.ts";
import { asciiBytes } from "./ascii.ts";
import { MessageBuilder } from "./builder.ts";
import { IncomingSequence, PLACE } from "./incoming-sequence.ts";
import { Lifecycle, type SessionState } from "./lifecycle.ts";
import { DUE, Liveness } from "./liveness.ts";
import { tooLowText, whyNoLogon } from "./logon.ts";
import { LogonExchange } from "./logon-exchange.ts";
import { FixMessage } from "./message.ts";
import { MessageCheck } from "./message-check.ts";
import { Outgoing } from "./outgoing.ts";
import { FixParser } from "./parser.ts";
import { PeerBounds } from "./peer-bounds.ts";
import { type MessageSink, ReceiveBuffer } from "./receive-buffer.ts";
import { NO_TAG, REJECT } from "./reject-reason.ts";
import { Resender } from "./resend.ts";
import { SessionHours } from "./session-hours.ts";
import {
  newSessionCounters,
  type SessionApplication,
  type SessionCounters,
  type SessionOptions,
  type SessionPort,
} from "./session-options.ts";
import type { SessionStore } from "./store.ts";
import { BEGIN_STRING, MSG, TAG } from "./tags.ts";

export type { SessionState } from "./lifecycle.ts";

/**
 * One FIX session, 4.2 or 4.4, initiator or acceptor, as a state machine without I/O: bytes and times come in, bytes go out
 * through the port. Outlives connections; the store outlives the process.
 *
 * Rules: FIX 4.4 specification, volume 2 (session protocol), and the FIX session test cases. What the specification leaves
 * open: a message that comes too early is kept and acted on when the gap before it is filled; resend requests, logouts and
 * sequence resets in reset mode are acted on whatever their number; an application message is counted as received only after
 * the application has had it, so that after a crash it comes again as a possible duplicate rather than not at all.
 */
export class FixSession implements MessageSink {
  readonly options: SessionOptions;
  readonly store: SessionStore;
  readonly counters: SessionCounters = newSessionCounters();
  readonly #port: Outgoing;
  readonly #admin: AdminMessages;
  readonly #application: SessionApplication;
  readonly #builder: MessageBuilder;
  readonly #receive: ReceiveBuffer;
  readonly #check: MessageCheck;
  readonly #liveness = new Liveness();
  readonly #incoming: IncomingSequence;
  readonly #resender: Resender;
  readonly #beginString: Uint8Array;
  readonly #bounds: PeerBounds;
  readonly #hours: SessionHours;
  readonly #lifecycle: Lifecycle;
  readonly #logon: LogonExchange;

  constructor(
    options: SessionOptions,
    store: SessionStore,
    port: SessionPort,
    application: SessionApplication,
  ) {
    this.options = options;
    this.store = store;
    this.#port = new Outgoing(port, this.#liveness, this.counters, options.messageLog);
    this.#application = application;
    this.#builder = new MessageBuilder(options, options.maxMessageBytes);
    this.#receive = new ReceiveBuffer(
      new FixParser(options.maxMessageBytes),
      new FixMessage(options.maxFields),
    );
    this.#resender = new Resender(this.#builder, store, this.#port, this.counters, options);
    this.#admin = new AdminMessages(options, this.#builder, store, this.#port, this.counters);
    this.#incoming = new IncomingSequence(options, store, this.#admin, this.counters);
    this.#bounds = new PeerBounds(options);
    this.#hours = new SessionHours(options.schedule, store);
    const shared = { port: this.#port, admin: this.#admin, application, counters: this.counters };
    this.#lifecycle = new Lifecycle({ ...shared, onLeave: () => this.#onLeave() });
    this.#check = new MessageCheck({ ...shared, options, store, lifecycle: this.#lifecycle });
    this.#logon = new LogonExchange({
      ...{ ...shared, options, store, lifecycle: this.#lifecycle, liveness: this.#liveness },
      ...{ incoming: this.#incoming, resender: this.#resender },
    });
    this.#beginString = asciiBytes(BEGIN_STRING[options.version], "BeginString");
  }

  get state(): SessionState {
    return this.#lifecycle.state;
  }

  /** Logged on both ways; application messages may be sent. */
  get established(): boolean {
    return this.#lifecycle.is("active");
  }

  /** The socket does not take what has been written: better wait than write more. */
  get congested(): boolean {
    return this.#port.pendingBytes > 0;
  }

  get #timeUs(): number {
    return this.#port.timeUs;
  }

  // What comes from outside.

  onConnected(timeUs: number): void {
    invariant(this.#lifecycle.is("disconnected"), "a session has one connection at a time");
    this.#port.timeUs = timeUs;
    this.#receive.clear();
    this.#incoming.clear();
    this.#resender.clear();
    this.#bounds.reset(timeUs);
    this.#lifecycle.begin();
    if (this.#hours.enter(timeUs)) this.#logon.begin();
    else {
      this.#port.disconnect("outside of the session's hours");
      this.#application.onLogout("outside of the session's hours", timeUs);
    }
  }

  onDisconnected(reason: string, timeUs: number): void {
    this.#port.timeUs = timeUs;
    this.#lifecycle.leave(reason);
  }

  onBytes(chunk: Uint8Array, timeUs: number): void {
    if (this.#lifecycle.is("disconnected")) return;
    this.#port.timeUs = timeUs;
    this.#receive.receive(chunk, this);
    this.store.flush();
  }

  onTimer(timeUs: number): void {
    this.#port.timeUs = timeUs;
    this.store.flush();
    this.options.messageLog?.flush();
    const lifecycle = this.#lifecycle;
    const sinceMs = (timeUs - lifecycle.sinceUs) / 1_000;
    switch (lifecycle.state) {
      case "disconnected":
        return;
      case "logon-sent":
      case "logon-awaited":
        if (sinceMs >= this.options.logonTimeoutMs) lifecycle.drop("no logon in time");
        return;
      case "logout-sent":
        if (sinceMs >= this.options.logoutTimeoutMs)
          lifecycle.drop(lifecycle.logoutReason || "logout not answered in time");
        return;
      case "active":
        this.#keepAlive(timeUs);
    }
  }

  /** The socket takes bytes again: a resend that paused goes on. */
  onWritable(timeUs: number): void {
    this.#port.timeUs = timeUs;
    if (!this.#lifecycle.is("disconnected")) this.#resender.resume(timeUs);
  }

  // What the application asks for.

  /** Starts an application message with the next number. Fields follow; {@link send} ends it. Only while established. */
  begin(msgType: number, timeUs: number): MessageBuilder {
    invariant(this.established, "application messages are sent on an established session");
    this.#port.timeUs = timeUs;
    return this.#builder.begin(msgType, this.store.claimOutgoing(), timeUs);
  }

  /**
   * Ends the message begun and hands it to the socket. `resendable` = kept, to be sent again when the peer asks.
   *
   * @returns false when it was longer than a message may be: its number is then gap-filled.
   */
  send(resendable: boolean): boolean {
    const seq = this.store.nextOutgoing - 1;
    if (!this.#builder.finish()) {
      this.#resender.start(seq, seq, this.#timeUs);
      return false;
    }
    const { bytes, start, at } = this.#builder.writer;
    if (resendable) this.store.keep(seq, this.#timeUs, bytes, start, at);
    this.#port.write(bytes, start, at);
    return true;
  }

  /** Writes a message that was encoded elsewhere with a number claimed from the store. It is never resent. */
  sendEncoded(bytes: Uint8Array, start: number, end: number, timeUs: number): void {
    invariant(this.established, "application messages are sent on an established session");
    this.#port.timeUs = timeUs;
    this.#port.write(bytes, start, end);
  }

  /** Starts the logout handshake; the connection closes when the peer has answered or has taken too long. */
  logout(text: string, timeUs: number): void {
    this.#port.timeUs = timeUs;
    if (this.established) this.#lifecycle.sendLogout(text, text || "logged out");
    else if (!this.#lifecycle.is("logout-sent")) this.#lifecycle.drop(text || "logged out");
  }

  /** Initiator: logs out, and starts both sequences at 1 with the next logon (141=Y). */
  resetAtNextLogon(timeUs: number): void {
    invariant(this.options.role === "initiator", "the initiator asks for a reset");
    this.#logon.askReset();
    this.logout("sequence numbers are to be reset", timeUs);
  }

  // Messages.

  onGarbled(problem: string, bytes: Uint8Array, start: number, end: number): boolean {
    this.counters.garbled += 1;
    this.options.messageLog?.garbled(problem, bytes, start, end, this.#timeUs);
    const tooMuch = this.#bounds.garbled(problem);
    if (!this.#lifecycle.alive) {
      this.#lifecycle.drop(`garbled message before logon: ${problem}`);
      return false;
    }
    if (tooMuch === null) return true;
    this.#lifecycle.cutOff(tooMuch);
    return false;
  }

  onMessage(message: FixMessage): boolean {
    this.counters.messagesIn += 1;
    this.options.messageLog?.incoming(message.bytes, message.start, message.end, this.#timeUs);
    const tooMuch = this.#bounds.message(this.#timeUs);
    if (tooMuch !== null) {
      this.#lifecycle.cutOff(tooMuch);
      return false;
    }
    this.#liveness.received(this.#timeUs);
    if (this.#lifecycle.alive) this.#laterMessage(message);
    else this.#firstMessage(message);
    return this.#lifecycle.alive;
  }

  #firstMessage(message: FixMessage): void {
    const refused = whyNoLogon(message, this.#beginString) ?? this.#check.logon(message);
    if (refused === null) this.#logon.receive(message, message.uint(TAG.msgSeqNum));
    else this.#lifecycle.drop(refused);
  }

  #laterMessage(message: FixMessage): void {
    if (!message.beginStringEquals(this.#beginString)) {
      this.#lifecycle.sendLogout("Incorrect BeginString", "peer sent another BeginString");
      return;
    }
    const seq = message.uint(TAG.msgSeqNum);
    if (Number.isNaN(seq)) {
      this.#lifecycle.sendLogout("MsgSeqNum missing or malformed", "peer sent no MsgSeqNum");
      this.#lifecycle.drop("peer sent no MsgSeqNum");
      return;
    }
    if (!this.#check.header(message, seq)) return;
    switch (message.msgType) {
      case MSG.logout:
        this.#onLogout(message, seq);
        return;
      case MSG.resendRequest:
        this.#onResendRequest(message, seq);
        return;
      case MSG.logon:
        if (message.isYes(TAG.resetSeqNumFlag) && this.#lifecycle.is("active")) {
          this.#logon.receive(message, seq);
          return;
        }
        break;
      case MSG.sequenceReset:
        if (!message.isYes(TAG.gapFillFlag)) {
          if (this.#check.sound(message)) this.#setExpected(message, seq, this.store.nextIncoming);
          else this.#check.reject(message, seq, false);
          this.#takeQueued();
          return;
        }
    }
    if (this.#inSequence(message, seq)) {
      this.#process(message, seq);
      this.#takeQueued();
    }
  }

  /** A message whose turn it is. Its number counts as received once it has been handled. */
  #process(message: FixMessage, seq: number): void {
    if (message.isYes(TAG.possDupFlag) && !this.#check.possDup(message)) return;
    if (!this.#check.sound(message)) {
      this.#check.reject(message, seq, true);
      return;
    }
    switch (message.msgType) {
      case MSG.sequenceReset:
        this.#setExpected(message, seq, seq + 1);
        return;
      case MSG.heartbeat:
      case MSG.logon:
        break;
      case MSG.testRequest:
        this.#admin.heartbeat(message, this.#timeUs);
        break;
      case MSG.reject:
      case MSG.businessReject:
        this.counters.rejectsReceived += 1;
        this.#application.onReject(
          message.uint(TAG.refSeqNum),
          message.text(TAG.text) ?? "no reason given",
          this.#timeUs,
        );
        break;
      default:
        if (!this.#application.onMessage(message, this.#timeUs))
          this.#admin.unsupported(message, seq, this.#timeUs);
    }
    this.store.setNextIncoming(seq + 1);
  }

  /** Acts on what came before its turn, as long as it is in sequence now. */
  #takeQueued(): void {
    while (this.#lifecycle.alive) {
      const message = this.#incoming.takeNext();
      if (message === null) return;
      this.#process(message, this.store.nextIncoming);
    }
  }

  /** @returns true when the message has the expected number; answers it when it is too high or too low. */
  #inSequence(message: FixMessage, seq: number): boolean {
    switch (this.#incoming.place(message, seq, this.#timeUs)) {
      case PLACE.now:
        return true;
      case PLACE.tooLow:
        this.#lifecycle.refuse(tooLowText(this.store.nextIncoming, seq));
        return false;
      case PLACE.duplicate:
        this.#check.possDup(message);
    }
    return false;
  }

  #setExpected(message: FixMessage, seq: number, atLeast: number): void {
    const newSeqNo = message.uint(TAG.newSeqNo);
    if (newSeqNo >= atLeast) {
      this.store.setNextIncoming(newSeqNo);
      return;
    }
    const missing = message.indexOf(TAG.newSeqNo) < 0;
    this.#check.violation.set(
      missing ? REJECT.requiredTagMissing : REJECT.valueOutOfRange,
      missing ? TAG.newSeqNo : NO_TAG,
    );
    this.#check.reject(message, seq, false);
  }

  #onLogout(message: FixMessage, seq: number): void {
    if (seq === this.store.nextIncoming) this.store.setNextIncoming(seq + 1);
    const text = message.text(TAG.text);
    if (this.established) {
      this.#lifecycle.sendLogout("", "");
      this.#lifecycle.drop(text === undefined ? "peer logged out" : `peer logged out: ${text}`);
    } else {
      this.#lifecycle.drop(this.#lifecycle.logoutReason);
    }
  }

  /** Answered whatever its number, or two sides that both miss something would wait for each other. */
  #onResendRequest(message: FixMessage, seq: number): void {
    if (this.#check.sound(message) && this.#resender.inRange(message, this.#check.violation)) {
      this.counters.resendRequestsReceived += 1;
      const end = message.uint(TAG.endSeqNo);
      const last = this.store.nextOutgoing - 1;
      this.#logon.resend(message.uint(TAG.beginSeqNo), end === 0 ? last : Math.min(end, last));
    } else {
      this.#check.reject(message, seq, true);
    }
    this.#incoming.actedOn(seq, this.#timeUs);
    this.#takeQueued();
  }

  // What goes out.

  #keepAlive(timeUs: number): void {
    if (this.#hours.isOver(timeUs)) {
      this.#lifecycle.sendLogout("session time is over", "session time is over");
      return;
    }
    this.#resender.resume(timeUs);
    const due = this.#liveness.due(timeUs);
    if (due === DUE.timeout) {
      this.#lifecycle.drop("peer silent: no answer to the test request");
      return;
    }
    if (due === DUE.testRequest) {
      this.#liveness.asked();
      this.#admin.testRequest(timeUs);
    } else if (due === DUE.heartbeat) this.#admin.heartbeat(null, timeUs);
    if (!this.#incoming.askAgain(timeUs)) {
      this.#lifecycle.sendLogout("Resend request not answered", "peer does not resend what is missing");
    }
  }

  /** Nothing of a connection outlasts it but what the store holds. */
  #onLeave(): void {
    this.#receive.clear();
    this.#incoming.clear();
    this.#resender.clear();
    this.store.flush();
    this.options.messageLog?.flush();
  }
}
