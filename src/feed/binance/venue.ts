import type { VenueName } from "../../market/instrument.ts";

/** Those of Binance's venues that have diffs joined to REST snapshots in common. */
export type BinanceVenueName = Extract<VenueName, `binance-${string}`>;

export function isBinanceVenue(venue: VenueName): venue is BinanceVenueName {
  return Object.hasOwn(BINANCE_VENUES, venue);
}

/**
 * How a depth event (`U` first, `u` last, `pu` previous event's last update id) relates to a book that stands at `book`.
 */
export interface SequenceRule {
  /** Tells nothing that the book does not hold. */
  isOld(u: number, book: number): boolean;
  /** May be the first event on a fresh snapshot. */
  joins(U: number, u: number, pu: number, book: number): boolean;
  /** Is the next event of a book in step. */
  follows(U: number, u: number, pu: number, book: number): boolean;
}

/**
 * Spot: drop `u <= lastUpdateId`; the first event has `U <= lastUpdateId + 1 <= u`, each next one `U == previous u + 1`.
 * Source: Binance Spot API, "How to manage a local order book correctly".
 */
export const SPOT_SEQUENCE: SequenceRule = {
  isOld: (u, book) => u <= book,
  joins: (U, u, _pu, book) => U <= book + 1 && u > book,
  follows: (U, u, _pu, book) => U <= book + 1 && u > book,
};

/**
 * Futures: drop `u < lastUpdateId`; the first event has `U <= lastUpdateId <= u`, each next one `pu == previous u`. Update ids are
 * shared by all symbols of the engine, so a snapshot may also fall between an event's `pu` and its `U`: nothing of this symbol
 * changed in there, and the event joins as well.
 * Source: Binance USDⓈ-M and COIN-M Futures, "How to manage a local order book correctly".
 */
export const FUTURES_SEQUENCE: SequenceRule = {
  isOld: (u, book) => u < book,
  joins: (U, u, pu, book) => (U <= book || pu <= book) && u >= book,
  follows: (_U, _u, pu, book) => pu === book,
};

/** The combined streams' path on every Binance server that is given by host alone. */
export const STREAM_PATH = "/stream";

/**
 * What tells Binance's venues apart.
 *
 * Since April 2026 the USDⓈ-M exchange serves depth, bookTicker and trades under `/public` and mark prices under `/market` only; a
 * subscription in the wrong place is acknowledged and stays silent. The feed keeps one connection, to `/public`, and asks
 * for mark prices by REST wherever none come by stream.
 * Source: Binance USDⓈ-M Futures, "Important WebSocket Change Notice", 2026-03-06.
 */
export interface BinanceVenue {
  readonly name: BinanceVenueName;
  readonly webSocketUrl: string;
  readonly restUrl: string;
  /** The whole venue's exchange information, or one symbol's where the venue can be asked so. */
  infoPath(symbol: string): string;
  /** One answer of `infoPath` describes all symbols. */
  readonly infoIsWhole: boolean;
  depthPath(symbol: string): string;
  /** Mark price, index and funding by REST, for when the stream brings none; null where there is no such thing. */
  markPath(symbol: string): string | null;
  /** Marks of all options and the index of one underlying by REST, on the options exchange. */
  readonly optionMarks?: { readonly path: string; indexPath(underlying: string): string };
  /** A symbol may have no depth event for minutes: its snapshot alone makes it live when none has come for a while. */
  readonly mayBeQuiet?: boolean;
  /** Stream names after `<symbol>@`. */
  readonly streams: readonly string[];
  readonly sequence: SequenceRule;
}

/** Levels a side asked for in a snapshot: the most that costs the low request weight on all three venues. */
const SNAPSHOT_LEVELS = 1_000;

const FUTURES_STREAMS = ["depth@0ms", "bookTicker", "trade", "markPrice@1s"];

export const BINANCE_VENUES: Readonly<Record<BinanceVenueName, BinanceVenue>> = {
  "binance-spot": {
    name: "binance-spot",
    webSocketUrl: "wss://stream.binance.com:9443/stream",
    restUrl: "https://api.binance.com",
    infoPath: (symbol) => `/api/v3/exchangeInfo?symbol=${symbol}`,
    infoIsWhole: false,
    depthPath: (symbol) => `/api/v3/depth?symbol=${symbol}&limit=${SNAPSHOT_LEVELS}`,
    markPath: () => null,
    streams: ["depth@100ms", "bookTicker", "trade"],
    sequence: SPOT_SEQUENCE,
  },
  "binance-usdm": {
    name: "binance-usdm",
    webSocketUrl: "wss://fstream.binance.com/public/stream",
    restUrl: "https://fapi.binance.com",
    infoPath: () => "/fapi/v1/exchangeInfo",
    infoIsWhole: true,
    depthPath: (symbol) => `/fapi/v1/depth?symbol=${symbol}&limit=${SNAPSHOT_LEVELS}`,
    markPath: (symbol) => `/fapi/v1/premiumIndex?symbol=${symbol}`,
    streams: FUTURES_STREAMS,
    sequence: FUTURES_SEQUENCE,
  },
  "binance-coinm": {
    name: "binance-coinm",
    webSocketUrl: "wss://dstream.binance.com/stream",
    restUrl: "https://dapi.binance.com",
    infoPath: () => "/dapi/v1/exchangeInfo",
    infoIsWhole: true,
    depthPath: (symbol) => `/dapi/v1/depth?symbol=${symbol}&limit=${SNAPSHOT_LEVELS}`,
    markPath: (symbol) => `/dapi/v1/premiumIndex?symbol=${symbol}`,
    streams: FUTURES_STREAMS,
    sequence: FUTURES_SEQUENCE,
  },
  "binance-option": {
    name: "binance-option",
    webSocketUrl: "wss://fstream.binance.com/public/stream",
    restUrl: "https://eapi.binance.com",
    infoPath: () => "/eapi/v1/exchangeInfo",
    infoIsWhole: true,
    depthPath: (symbol) => `/eapi/v1/depth?symbol=${symbol}&limit=${SNAPSHOT_LEVELS}`,
    markPath: () => null,
    optionMarks: {
      path: "/eapi/v1/mark",
      indexPath: (underlying) => `/eapi/v1/index?underlying=${underlying}`,
    },
    mayBeQuiet: true,
    streams: ["depth@100ms", "bookTicker", "optionTrade"],
    sequence: FUTURES_SEQUENCE,
  },
};
