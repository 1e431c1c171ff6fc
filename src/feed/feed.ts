import type { Histogram } from "../core/histogram.ts";
import type { NativeFunctions } from "../core/native.ts";
import type { EventBatch } from "../market/event-batch.ts";
import type { Instrument, InstrumentTable, VenueName } from "../market/instrument.ts";
import type { OrderWatcher } from "./order-change.ts";

/**
 * What a feed may ask of the outside. The live runtime does it with sockets, the replay records it; the feed itself does no
 * I/O, reads no clock and draws randomness only from its seeded generator, so the same inputs give the same requests.
 */
export interface FeedPort {
  /** Open the feed's WebSocket; the answer is `onOpen` or `onClose`. */
  connect(feed: number): void;
  send(feed: number, text: string): void;
  disconnect(feed: number, reason: string): void;
  /** HTTP GET of a path (with query) under the venue's REST base; the answer is `onResponse` with the same `request`. */
  request(feed: number, request: number, path: string): void;
}

/** What became of a frame. Anything but `ok` and `control` is counted and answered as the venue's recovery rule says. */
export const FRAME = { ok: 0, control: 1, unparsable: 2, ignored: 3, overflow: 4 } as const;
export type FrameOutcome = (typeof FRAME)[keyof typeof FRAME];

/** Counters of one feed since start. */
export interface FeedCounters {
  frames: number;
  unparsable: number;
  /** Frames of kinds or instruments that were not asked for, and subscriptions that the venue does not know. */
  ignored: number;
  gaps: number;
  /** Books that did not have the checksum that the venue sent. */
  checksums: number;
  crossed: number;
  /** Times that an instrument became live again after it had been live and was not any more. */
  resyncs: number;
  /** Connections opened after the first one. */
  reconnects: number;
  silences: number;
  overflows: number;
  /** Data frames that the native decoder left to JSON.parse: of a form that it does not know, or off the grid. */
  decodeFallbacks: number;
  /** How long the last resync took, from unsound to live; NaN before the first. */
  lastResyncUs: number;
}

/** What a feed is built from. */
export interface FeedOptions {
  /** Dense number of the feed in this process. */
  readonly id: number;
  readonly venue: VenueName;
  /** Subscriptions as written in `KEEL_FEEDS` after the venue: `BTCUSDT`, `BTC-PERPETUAL`, `options:BTC`. */
  readonly subscriptions: readonly string[];
  readonly instruments: InstrumentTable;
  readonly port: FeedPort;
  readonly seed: number;
  /** No data for this long on a live instrument's connection = silence. Heartbeats are not data. */
  readonly silenceMs: number;
  /**
   * Deribit's notification interval; default `raw`, and `100ms` from the moment the venue says that raw is for
   * authenticated connections only.
   */
  readonly interval?: "raw" | "100ms";
  /** The native decoders to use, null for none; default those that are loaded. They give what the others give. */
  readonly native?: NativeFunctions | null;
  /** Sees every change of a single order, where books are kept by order; left out = nobody looks. */
  readonly onOrder?: OrderWatcher | undefined;
}

/** What is told of a feed, wherever it is kept. */
export interface FeedReport {
  readonly id: number;
  readonly venue: VenueName;
  readonly counters: Readonly<FeedCounters>;
  /** How long each resync took, from unsound to live, µs. */
  readonly healingUs: Histogram;
  /** Instruments this feed carries, known once the venue has described them. */
  readonly carried: readonly Instrument[];
  /** The last thing that went wrong, for people: what, where, what was expected; empty when nothing has. */
  readonly problem: string;
}

/**
 * One connection to one venue, as a state machine without I/O: discovers instruments, subscribes, answers heartbeats, checks
 * sequences, joins snapshots, resynchronises and reconnects with capped exponential backoff and jitter.
 *
 * Every `on…` call appends to `out` what the desk must see, in order: book and top events of instruments that are live,
 * trades and tickers (which need no book) always, and `status` events whenever an instrument's state changes. A delta that breaks the sequence is not emitted;
 * in its place comes `status unsound` with the reason, in the same call.
 */
export interface Feed extends FeedReport {
  /**
   * Where the feed is one of several lines and the venue numbers its events for all alike: by instrument, the number that the desk's book
   * has come to; NaN while there is none. A book event of a live book that does not go beyond may be told without its levels.
   */
  brought?: Float64Array | undefined;
  start(timeUs: number): void;
  onOpen(timeUs: number, out: EventBatch): void;
  onFrame(frame: string, timeUs: number, out: EventBatch): FrameOutcome;
  onClose(code: number, reason: string, timeUs: number, out: EventBatch): void;
  /** `status` 0 = the request failed before an answer came; `retryAfterMs` NaN when the answer carried none. */
  onResponse(
    request: number,
    status: number,
    body: string,
    retryAfterMs: number,
    timeUs: number,
    out: EventBatch,
  ): void;
  onTimer(timeUs: number, out: EventBatch): void;
  /** The desk found the instrument's book crossed (or otherwise unsound) after applying an event: resynchronise it. */
  onUnsound(instrument: number, reason: number, timeUs: number, out: EventBatch): void;
}
