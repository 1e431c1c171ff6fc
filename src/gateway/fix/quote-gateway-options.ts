import type { TLSOptions } from "bun";
import type { Clock } from "../../core/clock.ts";
import type { InstrumentTable } from "../../market/instrument.ts";
import type { WireFence } from "../wire-fence.ts";
import type { Dictionary } from "./dictionary/dictionary.ts";
import type { SessionFollower } from "./followed-store.ts";
import type { MessageLog } from "./message-log.ts";
import type { Schedule } from "./schedule.ts";
import type { SessionState } from "./session.ts";
import { SESSION_DEFAULTS, type SessionOptions } from "./session-options.ts";
import type { FixVersion } from "./tags.ts";

export interface FixQuoteGatewayOptions {
  readonly host: string;
  readonly port: number;
  readonly version: FixVersion;
  readonly senderCompId: string;
  readonly targetCompId: string;
  readonly heartbeatSeconds: number;
  readonly resetOnLogon: boolean;
  /** Folder under which the session's store has its own folder; null = sequence numbers live as long as the process. */
  readonly storeDir: string | null;
  readonly instruments: InstrumentTable;
  readonly seed: number;
  readonly clock: Clock;
  /** true or options = TLS, with the peer's certificate verified unless the options say otherwise. */
  readonly tls?: boolean | TLSOptions;
  /** Further fields of the Logon, e.g. Username and Password. */
  readonly logonFields?: readonly (readonly [tag: number, value: string])[];
  readonly nextExpected?: boolean;
  readonly logonTimeoutMs?: number;
  readonly dictionary?: Dictionary | null;
  readonly schedule?: Schedule | null;
  readonly sendingTimeToleranceMs?: number;
  readonly maxMessageBytes?: number;
  readonly maxMessagesPerSecond?: number;
  /** Closed with the gateway. */
  readonly messageLog?: MessageLog | null;
  readonly maxEntriesPerMessage?: number;
  /** Levels quoted on each side; 1 when left out. */
  readonly levels?: number;
  /** Bytes that may wait for a socket that does not drain, before the connection is cut. */
  readonly maxPendingBytes?: number;
  readonly reconnectFirstMs?: number;
  readonly reconnectCapMs?: number;
  /** One of a pair: connects only while it leads, and the fence has the last word on every write. Wants a `storeDir`. */
  readonly pair?: { readonly fence: WireFence; readonly follower: SessionFollower };
  /** Told of the signals in News (35=B), each as a frame of the signal feed; absent = News is refused as unsupported. */
  readonly onSignal?: (frame: string) => void;
  /** Told of every message that could not be used, in words. */
  readonly onProblem?: (text: string, timeUs: number) => void;
}

export interface FixQuoteGatewayCounters {
  connects: number;
  connectFailures: number;
  massQuotes: number;
  entries: number;
  cancels: number;
  acks: number;
  executions: number;
  duplicateExecutions: number;
  roundedExecutions: number;
  badMessages: number;
  news: number;
}

/** A session as the console shows it. */
export interface FixSessionDescription {
  readonly session: string;
  readonly version: string;
  readonly senderCompId: string;
  readonly targetCompId: string;
  readonly counterparty: string;
  readonly state: SessionState;
  readonly nextOutgoing: number;
  readonly nextIncoming: number;
  /** NaN = not known. */
  readonly startedUs: number;
  readonly counters: Readonly<Record<string, number>>;
}

/** Options of the one session that the gateway begins. */
export function initiatorOptions(options: FixQuoteGatewayOptions): SessionOptions {
  return {
    ...SESSION_DEFAULTS,
    role: "initiator",
    version: options.version,
    senderCompId: options.senderCompId,
    targetCompId: options.targetCompId,
    heartbeatSeconds: options.heartbeatSeconds,
    resetOnLogon: options.resetOnLogon,
    nextExpected: options.nextExpected ?? false,
    logonFields: options.logonFields ?? [],
    logonTimeoutMs: options.logonTimeoutMs ?? SESSION_DEFAULTS.logonTimeoutMs,
    dictionary: options.dictionary ?? null,
    schedule: options.schedule ?? null,
    sendingTimeToleranceMs: options.sendingTimeToleranceMs ?? SESSION_DEFAULTS.sendingTimeToleranceMs,
    maxMessageBytes: options.maxMessageBytes ?? SESSION_DEFAULTS.maxMessageBytes,
    maxMessagesPerSecond: options.maxMessagesPerSecond ?? SESSION_DEFAULTS.maxMessagesPerSecond,
    messageLog: options.messageLog ?? null,
  };
}
