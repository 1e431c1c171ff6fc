import type { FeedReport } from "../feed/feed.ts";
import type { LineReport } from "../feed/lines.ts";
import type { HedgeSettings } from "../hedge/parameters.ts";
import type { StepEngine } from "../inference/engine.ts";
import type { InstrumentSpec, VenueName } from "../market/instrument.ts";
import type { SurfaceParameters } from "../option/surface/parameters.ts";
import type { FeeRates } from "../position/fees.ts";
import type { BookSnapshot } from "../position/snapshot.ts";
import type { QuoteParameters } from "../quote/parameters.ts";
import type { SavedSides } from "../quote/sides-store.ts";
import type { SavedCounterparty } from "../rfq/counterparty-store.ts";
import type { RfqParameters } from "../rfq/parameters.ts";
import type { KillState } from "../risk/kill-switch.ts";
import type { RiskLimits } from "../risk/limits.ts";
import type { MismatchRule } from "../risk/reconciliation.ts";
import type { ReducingState } from "../risk/trading-state.ts";
import type { DeskPort } from "./desk-port.ts";
import type { StageTimer } from "./latency.ts";

export interface DeskFeed {
  readonly venue: VenueName;
  /** As written in `KEEL_FEEDS` after the venue. */
  readonly subscriptions: readonly string[];
}

/** An input of a feed that another thread has decoded. */
export interface DecodedTurn {
  readonly feed: number;
  readonly timeUs: number;
  readonly isFrame: boolean;
  /** The input was decoded to events, whether or not any of them was left for the desk. */
  readonly hadEvents: boolean;
  /** Exchange time of the first event that a frame was decoded to, µs; NaN when there is none. */
  readonly exchangeUs: number;
}

/** Feeds that are kept on other threads, as they are told of here. */
export interface RemoteFeeds {
  readonly feeds: readonly FeedReport[];
  readonly lines: LineReport;
  /** Features of the books that lead are made there and come with each turn. For synchronous engines only. */
  readonly makesFeatures: boolean;
}

export interface DeskOptions {
  readonly feeds: readonly DeskFeed[];
  /** Threads over which the feeds are spread; with more than one each feed has its own timer. Default 1. */
  readonly shards?: number | undefined;
  /** Left out: the feeds are kept here. */
  readonly remote?: RemoteFeeds | undefined;
  /** Names of external signals in the order of the schema's signals; empty = no signal feed. */
  readonly signals: readonly string[];
  /** The gateway's venue, whose instruments alone are quoted; null or left out: all that are no spot. */
  readonly quotedVenue?: VenueName | null | undefined;
  /** What leads an underlying when its first book is lost: nothing, or the next live book by rank. Default `first`. */
  readonly reference?: "first" | "next" | undefined;
  readonly instrumentCapacity: number;
  /** What an instrument is taken for, in place of what its venue says it is; left out = for what it is. */
  readonly describe?: ((spec: InstrumentSpec) => InstrumentSpec) | undefined;
  readonly silenceMs: number;
  /**
   * Quotes for what venues' frames changed are decided by `Desk.onBatchEnd`, once for all frames since the last; false or left
   * out: in the turn of each frame.
   */
  readonly conflate?: boolean | undefined;
  readonly seed: number;
  /** Null: no model; the desk quotes defensively. */
  readonly engine: StepEngine | null;
  readonly quote: QuoteParameters;
  /** Fitted surfaces give the options' fair values; null or left out: the venue's volatilities do. */
  readonly surface?: SurfaceParameters | null;
  readonly risk: RiskLimits;
  readonly kill: KillState;
  /** As it was left by the last run; null or left out = free. */
  readonly reducing?: ReducingState | null;
  /** As they were left by the last run; left out: as the parameters have them. */
  readonly sides?: SavedSides | undefined;
  /** Null or left out: nothing is hedged. */
  readonly hedge?: HedgeSettings | null;
  readonly fees?: FeeRates;
  /** Null or left out: requests for quotes are not answered. */
  readonly rfq?: RfqParameters | null | undefined;
  /** What earlier runs have learnt of those who ask for quotes (RFQ). */
  readonly rfqCounterparties?: readonly SavedCounterparty[] | undefined;
  /** The books as the last run left them; null or left out: empty. */
  readonly opening?: BookSnapshot | null;
  /** Nothing is quoted before `Desk.onReconciliation`, in every session; null or left out: the counterparty cannot be asked. */
  readonly reconcile?: MismatchRule | null;
  readonly port: DeskPort;
  readonly timer: StageTimer;
}

/** Underlyings a desk can lead; each has a slot of model state. */
export const UNDERLYING_CAPACITY = 16;
/** Quotes that leave in one turn; what does not fit leaves in the next. */
export const QUOTE_CAPACITY = 4_096;
