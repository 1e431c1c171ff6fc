import type { FixMessage } from "../../../src/gateway/fix/message.ts";
import { FixSession } from "../../../src/gateway/fix/session.ts";
import {
  SESSION_DEFAULTS,
  type SessionApplication,
  type SessionOptions,
  type SessionPort,
} from "../../../src/gateway/fix/session-options.ts";
import { MemoryStore, type SessionStore } from "../../../src/gateway/fix/store.ts";
import { utcTimestamp } from "./reference-mass-quote.ts";
import { fix } from "./script.ts";

export const START_US = Date.UTC(2026, 0, 5, 12) * 1_000;

/** A session whose other end is the test: messages in and out are `tag=value|…` without header times and lengths. */
export class SessionHarness implements SessionPort, SessionApplication {
  readonly session: FixSession;
  readonly events: string[] = [];
  timeUs = START_US;
  pendingBytes = 0;
  closed: string | null = null;
  supported = true;
  readonly #begin: string;
  #sent: string[] = [];
  #peerSeq = 1;

  constructor(options: Partial<SessionOptions> = {}, store: SessionStore = new MemoryStore()) {
    const full: SessionOptions = {
      ...SESSION_DEFAULTS,
      role: "acceptor",
      version: "4.4",
      senderCompId: "US",
      targetCompId: "PEER",
      ...options,
    };
    this.#begin = `FIX.${full.version}`;
    this.session = new FixSession(full, store, this, this);
  }

  write(bytes: Uint8Array, start: number, end: number): void {
    const text = Buffer.from(bytes.subarray(start, end)).toString("latin1");
    const fields = text.split("\x01").slice(0, -1);
    const dull = /^(8|9|49|56|52|10)=/;
    this.#sent.push(fields.filter((field) => !dull.test(field)).join("|"));
  }

  disconnect(reason: string): void {
    this.closed = reason;
  }

  onLogon(): void {
    this.events.push("logon");
  }

  onLogout(reason: string): void {
    this.events.push(`logout: ${reason}`);
  }

  onMessage(message: FixMessage): boolean {
    this.events.push(`${message.textAt(0)}:${message.uint(34)}`);
    return this.supported;
  }

  onResend(begin: number, end: number): void {
    this.events.push(`resend ${begin} ${end}`);
  }

  onReject(refSeq: number, reason: string): void {
    this.events.push(`reject ${refSeq}: ${reason}`);
  }

  connect(): this {
    this.closed = null;
    this.#peerSeq = 1;
    this.session.onConnected(this.timeUs);
    return this;
  }

  /** Connects and logs on as the peer; forgets what has been sent until then. */
  logon(heartbeatSeconds = 30): this {
    this.connect();
    this.receive(`35=A|98=0|108=${heartbeatSeconds}`);
    this.sent();
    return this;
  }

  /** Number the peer's next message gets unless it states its own. */
  set peerSeq(seq: number) {
    this.#peerSeq = seq;
  }

  /** The peer sends a message: MsgType and body; MsgSeqNum where it is not given. */
  receive(body: string): this {
    const [type, ...rest] = body.split("|");
    const stated = rest.find((field) => field.startsWith("34="));
    const seq = stated === undefined ? this.#peerSeq : Number(stated.slice(3));
    if (stated === undefined) this.#peerSeq += 1;
    const fields = [type, `34=${seq}`, "49=PEER", `52=${utcTimestamp(this.timeUs)}`, "56=US"];
    return this.receiveRaw(
      fix([...fields, ...rest.filter((field) => field !== stated)].join("|"), this.#begin),
    );
  }

  receiveRaw(text: string): this {
    this.session.onBytes(Uint8Array.from(Buffer.from(text, "latin1")), this.timeUs);
    return this;
  }

  wait(seconds: number): this {
    this.timeUs += seconds * 1e6;
    this.session.onTimer(this.timeUs);
    return this;
  }

  /** What has gone out since the last call. */
  sent(): string[] {
    const sent = this.#sent;
    this.#sent = [];
    return sent;
  }

  /** Sends an application message (35=D with Text). */
  order(text: string, resendable: boolean): void {
    this.session.begin(0x44, this.timeUs).text(58, text);
    this.session.send(resendable);
  }
}
