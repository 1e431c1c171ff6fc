import { describeParameters, type ParameterRow, parameterDefaults } from "../core/parameter.ts";

const ROWS = {
  bandNotional: [
    "BAND_NOTIONAL",
    "quote currency",
    250_000,
    0,
    1e12,
    "Net delta of an underlying, as notional, up to which nothing is hedged; the least width of the band.",
  ],
  riskAversion: [
    "RISK_AVERSION",
    "1/quote currency",
    1e-6,
    1e-12,
    1,
    "Aversion to variance from which the band widens with gamma and cost (Whalley and Wilmott); smaller = wider.",
  ],
  costBp: [
    "COST_BP",
    "bp",
    5,
    0,
    1_000,
    "Fee of taking, on top of half the spread of the hedge's book, in the cost of a hedge.",
  ],
  targetFraction: [
    "TARGET_FRACTION",
    "fraction",
    0.5,
    0,
    1,
    "How far a hedge brings the delta back, as a share of the band: 1 = to its edge, 0 = to nothing.",
  ],
  maxOrderNotional: [
    "MAX_ORDER_NOTIONAL",
    "quote currency",
    500_000,
    0,
    1e12,
    "Largest single hedge order, as notional.",
  ],
  intervalMs: [
    "INTERVAL_MS",
    "ms",
    250,
    0,
    3_600_000,
    "Least time between two hedge orders of one underlying.",
  ],
  patienceMs: [
    "PATIENCE_MS",
    "ms",
    2_000,
    0,
    3_600_000,
    "How long a hedge rests at the best price of its own side before it crosses the spread; 0 = it crosses at once.",
  ],
  urgentBp: [
    "URGENT_BP",
    "bp",
    4,
    0,
    1_000,
    "Move against the open delta, as the model expects it, from which a hedge crosses at once and the band is halved; as much in its favour holds a crossing back.",
  ],
  slippageTicks: [
    "SLIPPAGE_TICKS",
    "ticks",
    2,
    0,
    1_000_000,
    "How far beyond the best opposite price a crossing order may trade.",
  ],
} as const satisfies Record<string, ParameterRow>;

type Key = keyof typeof ROWS;

/** How hedges are made; the meaning and unit of each stand in {@link HEDGE_PARAMETERS}. */
export type HedgeParameters = Readonly<Record<Key, number>>;

/** Every hedge parameter with its environment variable `KEEL_HEDGE_…`. */
export const HEDGE_PARAMETERS = describeParameters("HEDGE", ROWS);

export const DEFAULT_HEDGE_PARAMETERS: HedgeParameters = parameterDefaults(HEDGE_PARAMETERS);

/** What hedges which underlying: `venue` and `symbol` of a perpetual or future. */
export interface HedgeInstrument {
  readonly venue: string;
  readonly symbol: string;
}

/** What is hedged with what, and how. */
export interface HedgeSettings {
  readonly instruments: readonly HedgeInstrument[];
  readonly parameters: HedgeParameters;
}
