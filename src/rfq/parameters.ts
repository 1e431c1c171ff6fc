import { describeParameters, type ParameterRow, parameterDefaults } from "../core/parameter.ts";

const ROWS = {
  quoteLifeMs: ["QUOTE_LIFE_MS", "ms", 5_000, 50, 600_000, "Time for which an RFQ's quote is firm, at most."],
  leastLifeMs: ["LEAST_LIFE_MS", "ms", 50, 0, 600_000, "Requests that run out sooner are refused."],
  lastLookMs: [
    "LAST_LOOK_MS",
    "ms",
    0,
    0,
    1_000,
    "Time for which a hit is held before it is decided; 0 = it is decided in the turn in which it comes in.",
  ],
  lastLookTolerance: [
    "LAST_LOOK_TOLERANCE",
    "1",
    0.5,
    0,
    10,
    "Move of the value against us since the quote, as a share of its half-spread, beyond which a hit is refused.",
  ],
  lastLookSymmetric: [
    "LAST_LOOK_SYMMETRIC",
    "0 or 1",
    1,
    0,
    1,
    "Whether a move in our favour beyond the tolerance refuses a hit too, so that the last look favours nobody.",
  ],
  maxOpen: ["MAX_OPEN", "RFQs", 256, 1, 4_096, "RFQs that may be alive at a time."],
  maxOpenPerClient: [
    "MAX_OPEN_PER_CLIENT",
    "RFQs",
    32,
    1,
    1_024,
    "RFQs of one client that may be alive at a time.",
  ],
  maxInputsPerSecond: [
    "MAX_INPUTS_PER_SECOND",
    "messages/s",
    50,
    1,
    10_000,
    "Requests, responses and orders of one client, beyond a second's worth at once; more is refused.",
  ],
  maxLegs: ["MAX_LEGS", "legs", 8, 1, 16, "Legs of one structure."],
  maxRatio: ["MAX_RATIO", "1", 20, 1, 1_000, "Largest ratio of a leg that a structure's price is made of."],
  maxNotional: [
    "MAX_NOTIONAL",
    "quote currency",
    5_000_000,
    0,
    1e12,
    "Size of one RFQ, as notional of the underlying over its legs; the counterparty's tier cuts it.",
  ],
  maxCounters: [
    "MAX_COUNTERS",
    "counters",
    3,
    0,
    100,
    "Counters that are answered in one RFQ; then we pass.",
  ],
  maxConcession: [
    "MAX_CONCESSION",
    "1",
    0.25,
    0,
    0.9,
    "Share of the half-spread that a counter can get, at most.",
  ],
  legShare: [
    "LEG_SHARE",
    "1",
    0.25,
    0,
    1,
    "Share of the base half-spread that legs are charged by themselves, although others offset them.",
  ],
  impactBp: [
    "IMPACT_BP",
    "bp",
    1,
    0,
    1_000,
    "Expected impact of hedging the reference delta, per unit of |delta|; grows with the root of the delta.",
  ],
  impactNotional: [
    "IMPACT_NOTIONAL",
    "quote currency",
    500_000,
    1,
    1e12,
    "Delta at which the impact is `KEEL_RFQ_IMPACT_BP`.",
  ],
  inventoryNotional: [
    "INVENTORY_NOTIONAL",
    "quote currency",
    2_000_000,
    1,
    1e12,
    "Net delta of the underlying, half of the RFQ's own included, at which the price is skewed in full.",
  ],
  inventoryVega: [
    "INVENTORY_VEGA",
    "quote currency per vol point",
    100_000,
    1,
    1e12,
    "Net vega of the underlying, half of the RFQ's own included, at which the price is skewed in full.",
  ],
  inventorySkewBp: [
    "INVENTORY_SKEW_BP",
    "bp",
    3,
    0,
    1_000,
    "Largest skew for delta, of the underlying's price per unit of delta.",
  ],
  inventorySkewVol: [
    "INVENTORY_SKEW_VOL",
    "vol points",
    0.5,
    0,
    100,
    "Largest skew for vega, in volatility points times vega.",
  ],
  markoutMs: [
    "MARKOUT_MS",
    "ms",
    10_000,
    100,
    600_000,
    "Time after a trade at which it is marked out for the counterparty's tier.",
  ],
  tierStep: [
    "TIER_STEP",
    "1",
    0.35,
    0,
    2,
    "Half-spread that each tier below the second adds, as a share; the first tier gets a third of it off.",
  ],
  tierLeastTrades: [
    "TIER_LEAST_TRADES",
    "trades",
    10,
    1,
    1_000,
    "Trades that weigh as much as the prior of an average counterparty in its markout.",
  ],
} as const satisfies Record<string, ParameterRow>;

type Key = keyof typeof ROWS;

/** How RFQs are answered; the meaning and unit of each stand in {@link RFQ_PARAMETERS}. */
export type RfqParameters = Readonly<Record<Key, number>>;

const INTEGERS: readonly Key[] = [
  "lastLookSymmetric",
  "maxOpen",
  "maxOpenPerClient",
  "maxLegs",
  "maxRatio",
  "maxCounters",
  "tierLeastTrades",
];

/** Every RFQ parameter with its environment variable `KEEL_RFQ_…`, unit, default, bounds and description. */
export const RFQ_PARAMETERS = describeParameters("RFQ", ROWS, INTEGERS);

export const DEFAULT_RFQ_PARAMETERS: RfqParameters = parameterDefaults(RFQ_PARAMETERS);
