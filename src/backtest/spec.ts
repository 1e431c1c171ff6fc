import type { HedgeSettings } from "../hedge/parameters.ts";
import { DEFAULT_SURFACE_PARAMETERS, type SurfaceParameters } from "../option/surface/parameters.ts";
import { DEFAULT_FEE_RATES, type FeeRates } from "../position/fees.ts";
import { DEFAULT_QUOTE_PARAMETERS, type QuoteParameters } from "../quote/parameters.ts";
import { DEFAULT_RISK_LIMITS, type RiskLimits } from "../risk/limits.ts";
import type { FlowOptions } from "./flow.ts";
import { DEFAULT_LATENCY, type LatencyOptions } from "./latency.ts";
import { DEFAULT_MATCHING, type MatchingOptions } from "./matching.ts";
import type { QueueModelName } from "./queue.ts";
import type { Strategy } from "./strategy.ts";

/** How the venue matches, and how the queue before ours is estimated where it is not recorded. */
export interface MatchingSpec extends Omit<MatchingOptions, "queue"> {
  readonly queue: QueueModelName;
  /** n of the power models. */
  readonly queueExponent: number;
}

/**
 * All that decides what a backtest does, as plain JSON: the same spec over the same recording gives the same fills and the same
 * profit, bit for bit.
 */
export interface BacktestSpec {
  /** Captures or sessions to be played together, or one journal; see `openRecording`. */
  readonly recordings: readonly string[];
  readonly strategy: Strategy;
  readonly seed: number;
  /** Trading begins and the run ends then, local µs; null = with the recording. Before it the market is heard, and nothing quoted. */
  readonly fromUs: number | null;
  readonly toUs: number | null;
  readonly latency: LatencyOptions;
  readonly matching: MatchingSpec;
  /** Counterparties beyond the recording, for options; null = none. */
  readonly flow: FlowOptions | null;
  readonly quote: QuoteParameters;
  readonly risk: RiskLimits;
  readonly fees: FeeRates;
  readonly surface: SurfaceParameters | null;
  readonly hedge: HedgeSettings | null;
  /** Spot instruments are quoted too, as if they could be sold short: a perpetual without funding. */
  readonly quoteSpot: boolean;
  readonly silenceMs: number;
  readonly intervalMs: number;
}

export const DEFAULT_SPEC: Omit<BacktestSpec, "recordings"> = {
  strategy: "model",
  seed: 1,
  fromUs: null,
  toUs: null,
  latency: DEFAULT_LATENCY,
  matching: { ...DEFAULT_MATCHING, queue: "power", queueExponent: 2 },
  flow: null,
  quote: DEFAULT_QUOTE_PARAMETERS,
  risk: DEFAULT_RISK_LIMITS,
  fees: DEFAULT_FEE_RATES,
  surface: DEFAULT_SURFACE_PARAMETERS,
  hedge: null,
  quoteSpot: false,
  silenceMs: 10_000,
  intervalMs: 1_000,
};
