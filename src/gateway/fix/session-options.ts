import type { SessionIdentity } from "./builder.ts";
import type { Dictionary } from "./dictionary/dictionary.ts";
import type { FixMessage } from "./message.ts";
import type { MessageLog } from "./message-log.ts";
import type { Schedule } from "./schedule.ts";

/** How a session behaves. Times of the protocol are in seconds or milliseconds as their names say. */
export interface SessionOptions extends SessionIdentity {
  readonly role: "initiator" | "acceptor";
  /** HeartBtInt (108) the initiator asks for; an acceptor takes the peer's. 0 = no heartbeats. */
  readonly heartbeatSeconds: number;
  /** Initiator: log on with ResetSeqNumFlag. Acceptor: start every session at 1. */
  readonly resetOnLogon: boolean;
  /** FIX 4.4 only: exchange NextExpectedMsgSeqNum (789) at logon in place of resend requests. */
  readonly nextExpected: boolean;
  /** Further fields of our Logon, in order, e.g. Username (553) and Password (554). */
  readonly logonFields: readonly (readonly [tag: number, value: string])[];
  /** SendingTime may be this far from our clock, either way; `Infinity` = not checked. */
  readonly sendingTimeToleranceMs: number;
  readonly logonTimeoutMs: number;
  readonly logoutTimeoutMs: number;
  /** Messages longer than this are garbled, in both directions. */
  readonly maxMessageBytes: number;
  readonly maxFields: number;
  /** Messages received ahead of a gap that are kept until it is filled; what does not fit comes again with the resend. */
  readonly maxQueued: number;
  /** Checks fields of received messages; null = only what the session itself needs. */
  readonly dictionary: Dictionary | null;
  /** When the session may be logged on; with each of its sessions both sequences begin at 1. null = always, without a reset. */
  readonly schedule: Schedule | null;
  /** A peer that sends more, beyond a second's worth at once, is logged out. `Infinity` = no bound. */
  readonly maxMessagesPerSecond: number;
  /** A peer of which so many messages in a row are garbled is cut off. */
  readonly maxGarbledInRow: number;
  /** Acceptor: fields that the peer's Logon must have with these values, e.g. Username (553) and Password (554). */
  readonly requiredLogonFields: readonly (readonly [tag: number, value: string])[];
  readonly messageLog: MessageLog | null;
}

export const SESSION_DEFAULTS = {
  heartbeatSeconds: 30,
  resetOnLogon: false,
  nextExpected: false,
  logonFields: [],
  sendingTimeToleranceMs: 120_000,
  logonTimeoutMs: 10_000,
  logoutTimeoutMs: 2_000,
  maxMessageBytes: 64 << 10,
  maxFields: 4_096,
  maxQueued: 256,
  dictionary: null,
  schedule: null,
  maxMessagesPerSecond: Number.POSITIVE_INFINITY,
  maxGarbledInRow: 64,
  requiredLogonFields: [],
  messageLog: null,
} as const satisfies Partial<SessionOptions>;

/** Where a session's bytes go. */
export interface SessionPort {
  /** Takes `bytes[start, end)`, in order; they may be overwritten when the call returns. */
  write(bytes: Uint8Array, start: number, end: number): void;
  /** Bytes taken but not yet handed to the peer. */
  readonly pendingBytes: number;
  /** Closes the connection once what was written has gone out. */
  disconnect(reason: string): void;
}

/** The application above a session. It must not keep the message. */
export interface SessionApplication {
  onLogon(timeUs: number): void;
  /** Once for every end of an established session, and for every logon that failed. */
  onLogout(reason: string, timeUs: number): void;
  /** An application message in sequence. @returns false when its type is not supported: the peer is told with a business reject. */
  onMessage(message: FixMessage, timeUs: number): boolean;
  /**
   * The peer has asked for our messages `begin … end` again, and has been sent those that were kept. The others are lost to it,
   * even those it had received: a gap fill passes over what it holds back until the gap is filled.
   */
  onResend(begin: number, end: number, timeUs: number): void;
  /** The peer refused one of our messages (35=3 or 35=j). */
  onReject(refSeq: number, reason: string, timeUs: number): void;
}

/** Counters of one session since the process started. */
export interface SessionCounters {
  messagesIn: number;
  messagesOut: number;
  garbled: number;
  rejectsSent: number;
  rejectsReceived: number;
  resendRequestsSent: number;
  resendRequestsReceived: number;
  resent: number;
  gapFills: number;
  testRequestsSent: number;
  heartbeatsSent: number;
  duplicates: number;
  queued: number;
  queueOverflows: number;
  logons: number;
  /** Connections ended because the peer broke a bound: rate, garbled messages in a row. */
  cutOff: number;
}

export function newSessionCounters(): SessionCounters {
  return {
    messagesIn: 0,
    messagesOut: 0,
    garbled: 0,
    rejectsSent: 0,
    rejectsReceived: 0,
    resendRequestsSent: 0,
    resendRequestsReceived: 0,
    resent: 0,
    gapFills: 0,
    testRequestsSent: 0,
    heartbeatsSent: 0,
    duplicates: 0,
    queued: 0,
    queueOverflows: 0,
    logons: 0,
    cutOff: 0,
  };
}
