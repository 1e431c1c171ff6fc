/**
 * What the dashboard's server and its page say to each other over `/dashboard/live`, as JSON text. The page names what it looks
 * at; the server sends that, first whole and then what has changed. `keel top` reads the same sections over `/dashboard/view`.
 *
 * @module
 */

import type { LoadStageName } from "../../risk/load-shedder.ts";

/** Rows that one client may look at, updates a second that it may ask for, and clients at one time. */
export const WATCHED_ROWS_MAX = 128;
export const RATE_MAX = 60;
export const CLIENTS_MAX = 8;

export const SECTIONS = [
  "pulse",
  "overview",
  "risk",
  "profit",
  "latency",
  "feeds",
  "surface",
  "model",
  "alerts",
] as const;
export type SectionName = (typeof SECTIONS)[number];

/** All that a client looks at; each message replaces the one before. */
export interface Watch {
  /** Updates a second. */
  readonly rate: number;
  readonly sections: readonly SectionName[];
  /** Instruments whose rows are shown. */
  readonly rows: readonly number[];
  /** Instrument whose depth and quotes are shown in full; null = none. */
  readonly detail: number | null;
  /** Of the surface: which underlying and which expiry; null = the first. */
  readonly underlying: number;
  readonly expiryMs: number | null;
}

/**
 * Columns of an instrument's row after its number. Prices are in ticks, sizes in lots; −1 and 0 on an empty side, null where a
 * value is not known.
 */
export const COLUMNS = [
  "state",
  "bidTicks",
  "bidLots",
  "askTicks",
  "askLots",
  "quoteBidTicks",
  "quoteBidLots",
  "quoteAskTicks",
  "quoteAskLots",
  /** Fair value, in ticks to a hundredth. */
  "fairTicks",
  "widenBp",
  "sizeFactor",
  "volatility",
  "delta",
  /** Bits of `REASON`. */
  "reasons",
] as const;
export type ColumnName = (typeof COLUMNS)[number];

/** An instrument: number, venue, symbol, kind, base, expiry (ms; null: none), strike (null: none), tick, lot, whether it is quoted. */
export type DirectoryEntry = readonly [
  id: number,
  venue: string,
  symbol: string,
  kind: string,
  base: string,
  expiryMs: number | null,
  strike: number | null,
  tick: number,
  lot: number,
  quoted: 0 | 1,
];

/** What has changed of a row: the instrument, a bit for each column that follows, and their values. */
export type RowChange = readonly (number | null)[];

/** Who looks on. */
export interface Viewer {
  /** Actions can be had at all: there is a token for them. */
  readonly canUnlock: boolean;
  /** How long actions are unlocked for still, ms; 0 = they are locked. */
  readonly unlockedMs: number;
  /** How the viewer was let in. */
  readonly by: "token" | "certificate" | "local";
}

export interface Hello {
  readonly name: string;
  readonly version: string;
  readonly reasons: readonly string[];
  readonly states: readonly string[];
  readonly heads: readonly string[];
  /** One sample a second: time (ms), profit, profit of the day, quotes sent, events. */
  readonly history: readonly (readonly number[])[];
}

export interface PulseSection {
  /** By underlying: price, why its model is not in force (bits), probabilities by head. */
  readonly underlyings: readonly {
    readonly base: string;
    readonly reference: number;
    readonly price: number | null;
    readonly status: number;
    readonly probabilities: readonly (number | null)[];
  }[];
}

export interface OverviewSection {
  readonly state: "active" | "reducing" | "halted";
  readonly killed: string | null;
  readonly reducing: string | null;
  /** What quoting waits for. */
  readonly waiting: readonly string[];
  readonly sessionUp: boolean;
  readonly seconds: number;
  readonly profit: number;
  readonly dayProfit: number;
  readonly held: number;
  readonly instruments: number;
  readonly quoted: number;
  readonly feedStates: Readonly<Record<string, number>>;
  readonly frames: number;
  readonly events: number;
  readonly predictions: number;
  readonly quotesSent: number;
  readonly quotesAcked: number;
  readonly quotesRejected: number;
  readonly widened: number;
  readonly fills: number;
  readonly gaps: number;
  readonly alerts: number;
  readonly critical: number;
  /** Receipt of an event to the end of the turn that answers it, over the last seconds, µs; null while there were none. */
  readonly p50Us: number | null;
  readonly p99Us: number | null;
  readonly loopLagMs: number;
  /** What is done about load: `normal`, `conflate`, `widen` or `pull`. */
  readonly load: LoadStageName;
  readonly residentMb: number;
}

export interface LimitUse {
  readonly name: string;
  /** `BTC`, `all`, or an instrument. */
  readonly of: string;
  readonly used: number;
  readonly limit: number;
  readonly unit: string;
}

export interface RiskSection {
  readonly reconciled: boolean;
  readonly limits: readonly LimitUse[];
  readonly greeks: readonly {
    readonly underlying: string;
    readonly price: number | null;
    readonly net: readonly number[];
    readonly gross: readonly number[];
    readonly worstLoss: number;
    readonly scenario: string | null;
  }[];
  readonly positions: readonly {
    readonly symbol: string;
    readonly venue: string;
    readonly lots: number;
    readonly average: number | null;
    readonly mark: number | null;
    readonly profit: number;
  }[];
  /** Positions that did not fit. */
  readonly morePositions: number;
  readonly refusals: Readonly<Record<string, number>>;
  readonly openOrders: number;
  readonly unknownOrders: number;
  readonly protections: number;
  readonly budgetUsed: number;
}

export interface ProfitSection {
  readonly profit: number;
  readonly dayProfit: number;
  readonly sources: Readonly<Record<string, number>>;
  readonly cash: Readonly<Record<string, number>>;
  readonly horizonsMs: readonly number[];
  readonly fills: readonly {
    readonly by: string;
    readonly fills: number;
    readonly notional: number;
    readonly spread: number;
    readonly fees: number;
    readonly markout: readonly number[];
    readonly adverse: readonly number[];
  }[];
  /** As `GET /outcomes`; null where outcomes are not followed. */
  readonly outcomes: unknown;
}

export interface StageView {
  readonly stage: string;
  readonly count: number;
  readonly p50: number | null;
  readonly p99: number | null;
  readonly p999: number | null;
  readonly max: number | null;
  /** Events by {@link LatencySection.boundsUs}. */
  readonly bins: readonly number[];
  /** Percentiles since the start. */
  readonly all: { readonly count: number; readonly p50: number; readonly p99: number; readonly max: number };
}

export interface LatencySection {
  readonly windowSeconds: number;
  /** Upper bounds of the bins, µs; the last bin has none. */
  readonly boundsUs: readonly number[];
  readonly stages: readonly StageView[];
}

export interface FeedsSection {
  readonly feeds: readonly {
    readonly venue: string;
    readonly line: number;
    readonly instruments: number;
    readonly live: number;
    readonly frames: number;
    readonly gaps: number;
    readonly resyncs: number;
    readonly reconnects: number;
    readonly silences: number;
    readonly unparsable: number;
    readonly delayMs: number | null;
    readonly jitterMs: number | null;
    readonly problem: string;
  }[];
  /** Sessions with counterparties and clients, as they describe themselves. */
  readonly sessions: Readonly<Record<string, unknown>>;
  readonly journal: Readonly<Record<string, unknown>> | null;
  readonly dashboard: Readonly<Record<string, number>>;
}

export interface SurfaceSection {
  readonly underlyings: readonly string[];
  readonly underlying: number;
  readonly ageSeconds: number | null;
  readonly expiries: readonly {
    readonly expiryMs: number;
    readonly source: string;
    readonly atm: number | null;
    readonly forward: number | null;
  }[];
  readonly expiryMs: number | null;
  /** Of that expiry: strike, volatility of the surface, of the market's bid and ask, and of our own bid and ask. */
  readonly points: readonly (readonly [number, ...(readonly (number | null)[])])[];
}

export interface ModelSection {
  readonly name: string;
  readonly version: string;
  readonly sha256: string;
  readonly engine: string;
  readonly predictions: number;
  readonly conflated: number;
  /** Quality by head, where outcomes are followed. */
  readonly heads: Readonly<Record<string, unknown>> | null;
  /** Models that run in the shadow of this one, as they describe themselves; null where there are none. */
  readonly shadow: unknown;
}

export interface AlertView {
  readonly name: string;
  readonly severity: string;
  readonly summary: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
  readonly startsUs: number;
}

export interface Sections {
  readonly pulse: PulseSection;
  readonly overview: OverviewSection;
  readonly risk: RiskSection;
  readonly profit: ProfitSection;
  readonly latency: LatencySection;
  readonly feeds: FeedsSection;
  readonly surface: SurfaceSection;
  readonly model: ModelSection;
  readonly alerts: readonly AlertView[];
}

/** One term of a quote, as `keel explain` shows it. */
export interface DetailQuote {
  readonly level: number;
  readonly quoteId: number;
  readonly bid: number | null;
  readonly bidSize: number;
  readonly ask: number | null;
  readonly askSize: number;
  readonly fair: number;
  readonly widenBp: number;
  readonly sizeFactor: number;
  readonly reasons: readonly string[];
  readonly terms: readonly {
    readonly term: string;
    readonly bid: number;
    readonly ask: number;
    readonly why: string;
  }[];
  readonly sizes: { readonly bid: readonly number[]; readonly ask: readonly number[] };
  readonly greeks: Readonly<Record<string, number>> | null;
}

export interface Detail {
  readonly id: number;
  /** Price in ticks, size in lots, best first. */
  readonly bids: readonly (readonly [number, number])[];
  readonly asks: readonly (readonly [number, number])[];
  readonly ageMs: number | null;
  readonly quotes: readonly DetailQuote[];
}

/** One message of the server. What is left out has not changed. */
export interface Update {
  /** Time of the server, µs since the epoch. */
  readonly us: number;
  readonly hello?: Hello;
  readonly viewer?: Viewer;
  readonly directory?: readonly DirectoryEntry[];
  readonly rows?: readonly RowChange[];
  readonly sections?: Partial<Sections>;
  readonly detail?: Detail;
}
