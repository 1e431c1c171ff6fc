import { type ParameterDescription, parameterDefaults } from "../core/parameter.ts";

type Row = readonly [
  suffix: string,
  unit: string,
  value: number,
  minimum: number,
  maximum: number,
  description: string,
];

const ROWS = {
  maxPositionNotional: [
    "MAX_POSITION_NOTIONAL",
    "quote currency",
    10_000_000,
    0,
    1e12,
    "Position in one instrument, as notional of its underlying; only sides that reduce it pass beyond.",
  ],
  maxGrossNotional: [
    "MAX_GROSS_NOTIONAL",
    "quote currency",
    100_000_000,
    0,
    1e12,
    "Sum of |position| over all instruments, as notional; only sides that reduce pass beyond.",
  ],
  maxDeltaNotional: [
    "MAX_DELTA_NOTIONAL",
    "quote currency",
    20_000_000,
    0,
    1e12,
    "Net delta of one underlying, as notional; only sides that bring it nearer to zero pass beyond.",
  ],
  hardLimitMultiple: [
    "HARD_LIMIT_MULTIPLE",
    "1",
    1.5,
    1,
    100,
    "Multiple of a position or delta limit at which the kill switch trips.",
  ],
  maxQuoteNotional: [
    "MAX_QUOTE_NOTIONAL",
    "quote currency",
    2_000_000,
    0,
    1e12,
    "Size of one side of one quote, as notional of the underlying (fat finger).",
  ],
  collarFairBp: [
    "COLLAR_FAIR_BP",
    "bp",
    50,
    0,
    10_000,
    "How far a bid may stand above, or an ask below, fair value: of the underlying's price, per unit of |delta| …",
  ],
  collarFairVol: [
    "COLLAR_FAIR_VOL",
    "vol points",
    3,
    0,
    1_000,
    "… plus this many volatility points times vega …",
  ],
  collarFairTicks: ["COLLAR_FAIR_TICKS", "ticks", 1, 0, 1_000_000, "… plus this many ticks."],
  collarMarketTicks: [
    "COLLAR_MARKET_TICKS",
    "ticks",
    1,
    0,
    1_000_000,
    "How far a bid must stay below the venue's best ask, and an ask above its best bid.",
  ],
  maxMessagesPerSecond: [
    "MAX_MESSAGES_PER_SECOND",
    "quotes/s",
    20_000,
    1,
    1e7,
    "Quotes sent to the counterparty; pulls always pass.",
  ],
  maxMessageBurst: [
    "MAX_MESSAGE_BURST",
    "quotes",
    10_000,
    1,
    1e7,
    "Quotes that may be sent at once from a full budget.",
  ],
  maxDataAgeMs: [
    "MAX_DATA_AGE_MS",
    "ms",
    5_000,
    1,
    600_000,
    "Age of the data of the underlying beyond which its quotes are pulled.",
  ],
  maxRejectsPerMinute: [
    "MAX_REJECTS_PER_MINUTE",
    "quotes/min",
    600,
    1,
    1e6,
    "Quotes rejected by the counterparty within a minute at which the kill switch trips.",
  ],
  maxBreachesPerSecond: [
    "MAX_BREACHES_PER_SECOND",
    "sides/s",
    5_000,
    1,
    1e7,
    "Sides refused for their price or size within a second at which the kill switch trips: quoting is out of control.",
  ],
  protectionFills: [
    "PROTECTION_FILLS",
    "fills",
    50,
    1,
    1e6,
    "Fills of one underlying within the protection window after which its quotes are pulled (market-maker protection).",
  ],
  protectionDeltaNotional: [
    "PROTECTION_DELTA_NOTIONAL",
    "quote currency",
    10_000_000,
    1,
    1e12,
    "Net delta traded in one underlying within the protection window after which its quotes are pulled.",
  ],
  protectionWindowMs: [
    "PROTECTION_WINDOW_MS",
    "ms",
    1_000,
    1,
    600_000,
    "Window in which fills are counted for market-maker protection.",
  ],
  protectionFrozenMs: [
    "PROTECTION_FROZEN_MS",
    "ms",
    5_000,
    0,
    3_600_000,
    "Time the quotes of an underlying stay pulled after its protection was set off.",
  ],
} as const satisfies Record<string, Row>;

type Key = keyof typeof ROWS;

/** Limits of the risk gate; the meaning and unit of each stand in {@link RISK_LIMITS}. */
export type RiskLimits = Readonly<Record<Key, number>>;

const INTEGERS: readonly Key[] = ["maxRejectsPerMinute", "maxBreachesPerSecond", "protectionFills"];

/** Every risk limit with its environment variable `KEEL_RISK_…`, unit, default, bounds and description. */
export const RISK_LIMITS: readonly ParameterDescription<Key>[] = (Object.keys(ROWS) as Key[]).map((key) => {
  const [suffix, unit, value, minimum, maximum, description] = ROWS[key];
  return {
    key,
    variable: `KEEL_RISK_${suffix}`,
    unit,
    default: value,
    minimum,
    maximum,
    integer: INTEGERS.includes(key),
    description,
  };
});

export const DEFAULT_RISK_LIMITS: RiskLimits = parameterDefaults(RISK_LIMITS);
