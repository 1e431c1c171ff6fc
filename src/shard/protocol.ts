import { loadedNative } from "../core/native.ts";
import type { DeskFeed } from "../desk/desk-options.ts";
import type { FeedCounters } from "../feed/feed.ts";
import type { FeedEndpoint } from "../feed/live-port.ts";
import type { InstrumentSpec, VenueName } from "../market/instrument.ts";

/** Kinds of ring record beside a feed's inputs, which have their number in the journal (`RECORD`). */
export const SHARD_RECORD = {
  /** Payload: JSON {@link Described}: instruments that the next inputs name. */
  described: 200,
  /** Payload: JSON {@link FeedNews}: counters and troubles of the shard's feeds, for people and metrics. */
  news: 201,
  /** A recording has been played to its end. */
  end: 202,
} as const;

/** 32-bit words shared by a shard's thread and the quoting thread. */
export const CONTROL = {
  /** Grows about every 10 ms while the shard's event loop turns. */
  beat: 0,
  /** One of {@link FAILURE}; once it is set the shard adds nothing more to its ring. */
  failure: 1,
  /** Times that the shard waited for room in its ring. */
  waits: 2,
  /** 1: the shard's thread ends by itself. */
  stop: 3,
  /** The shard sleeps on this word while its ring is full. */
  room: 4,
} as const;
export const CONTROL_BYTES = 64;

/** Why a shard's thread gave up. */
export const FAILURE = { none: 0, overflow: 1 } as const;

/** 1 while the quoting thread waits to be woken by whichever shard publishes next; shared by all shards. */
export const WAKE_BYTES = 4;

/** A feed that a shard keeps. */
export interface ShardFeed extends DeskFeed {
  /** The feed's number in the process. */
  readonly id: number;
  readonly seed: number;
  readonly endpoint: FeedEndpoint;
}

/** Keys of feeds whose venues ask for a login, as plain values: a thread is given copies. */
export interface PlainKeys {
  readonly deribit: {
    readonly clientId: string;
    readonly clientSecret: string;
    readonly grant: "signature" | "credentials";
  } | null;
  readonly coinbase: { readonly key: string; readonly secret: string; readonly passphrase: string } | null;
}

/** What a shard's thread is told when it begins. */
export interface ShardStart {
  readonly feeds: readonly ShardFeed[];
  readonly keys: PlainKeys;
  readonly silenceMs: number;
  readonly requestTimeoutMs: number;
  readonly instrumentCapacity: number;
  readonly ring: SharedArrayBuffer;
  readonly control: SharedArrayBuffer;
  readonly wake: SharedArrayBuffer;
  /** See {@link wallOriginOf}: all threads tell the time alike. */
  readonly wallOriginUs: number;
  /** Time at which the feeds start, µs. */
  readonly startUs: number;
  /** Whether inputs are wanted as they came in, for a journal. */
  readonly keepsPayloads: boolean;
  /** Whether the shard makes the features of the books that may lead an underlying. */
  readonly makesFeatures: boolean;
  /** A ring of inputs that is played in place of the network; null: sockets. */
  readonly recording: SharedArrayBuffer | null;
}

export interface Described {
  /** In the order of the shard's own numbers, the first of which is `first`. */
  readonly first: number;
  readonly specs: readonly WireSpec[];
  /** Instruments that the feed has taken on, by the shard's own numbers. */
  readonly carried: readonly number[];
}

/** JSON has neither Infinity nor NaN: null stands for an expiry that never comes, and for no strike. */
export interface WireSpec extends Omit<InstrumentSpec, "expiryMs" | "strike"> {
  readonly venue: VenueName;
  readonly expiryMs: number | null;
  readonly strike: number | null;
}

/** By feed of the shard, in its order. */
export type FeedNews = readonly {
  readonly counters: Omit<FeedCounters, "lastResyncUs"> & { readonly lastResyncUs: number | null };
  readonly problem: string;
  readonly live: number;
  readonly first: number;
  readonly duplicates: number;
  readonly covered: number;
}[];

/**
 * The wall clock of the thread that gave `wallOriginUs`, read on this one. Threads have origins of their own for their clocks, so a
 * step of the host's clock between their starts would set them apart; CLOCK_MONOTONIC, which is the same everywhere, joins them.
 * Without the native library a thread goes by its own clock.
 */
export function wallClock(wallOriginUs: number): () => number {
  const monotonicUs = hostMonotonicUs();
  const originUs =
    Number.isNaN(wallOriginUs) || Number.isNaN(monotonicUs)
      ? performance.timeOrigin * 1_000
      : wallOriginUs + monotonicUs - performance.now() * 1_000;
  return () => originUs + performance.now() * 1_000;
}

/** Wall time, by this thread's clock, at the origin of the host's monotonic clock, µs; NaN when that cannot be read. */
export function wallOriginOf(wallUs: () => number): number {
  return wallUs() - hostMonotonicUs();
}

function hostMonotonicUs(): number {
  const native = loadedNative();
  return native === null ? Number.NaN : native.keel_monotonic_ns() / 1_000;
}

export function toWire({ expiryMs, strike, ...spec }: InstrumentSpec): WireSpec {
  return {
    ...spec,
    expiryMs: expiryMs === Infinity ? null : expiryMs,
    strike: Number.isNaN(strike) ? null : strike,
  };
}

export function fromWire({ expiryMs, strike, ...spec }: WireSpec): InstrumentSpec {
  return { ...spec, expiryMs: expiryMs ?? Infinity, strike: strike ?? Number.NaN };
}
