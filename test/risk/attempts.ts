import { QuoteBatch } from "../../src/quote/quote-batch.ts";
import type { LimitName } from "../../src/risk/gate.ts";
import { DEFAULT_RISK_LIMITS, type RiskLimits } from "../../src/risk/limits.ts";
import { FAIR_TICKS, LOT_NOTIONAL, NOW_US, type Over, type Path, type PathDesk } from "./path-desk.ts";

/** A limit, and how to come to where it must refuse. */
export interface Attempt {
  readonly limit: LimitName;
  readonly paths: readonly Path[];
  /** Brings the desk to where the attempt must fail. */
  readonly arrange: (desk: PathDesk) => void;
  readonly over?: (desk: PathDesk) => Over;
}

export const ALL: readonly Path[] = ["quote", "order", "hedge", "request"];
/** What stands already is not sent: it has been counted, and its id is known. */
export const STANDING: readonly (readonly [path: Path, like: Path])[] = [
  ["reload", "quote"],
  ["block", "request"],
];
const ORDERS: readonly Path[] = ["order", "hedge"];
const nothing = (): void => {};

/** The Greek that 10 lots add is far above a limit of 1, whatever is held. */
const GREEK_LIMITS: readonly (readonly [LimitName, keyof RiskLimits])[] = [
  ["delta", "maxDeltaNotional"],
  ["deltaGross", "maxGrossDeltaNotional"],
  ["deltaTotal", "maxTotalDeltaNotional"],
  ["deltaTotalGross", "maxTotalGrossDeltaNotional"],
  ["gamma", "maxGamma"],
  ["gammaGross", "maxGrossGamma"],
  ["gammaTotal", "maxTotalGamma"],
  ["gammaTotalGross", "maxTotalGrossGamma"],
  ["vega", "maxVega"],
  ["vegaGross", "maxGrossVega"],
  ["vegaTotal", "maxTotalVega"],
  ["vegaTotalGross", "maxTotalGrossVega"],
  ["theta", "maxTheta"],
  ["thetaGross", "maxGrossTheta"],
  ["thetaTotal", "maxTotalTheta"],
  ["thetaTotalGross", "maxTotalGrossTheta"],
];

/** Every limit by every path that it guards. */
export const ATTEMPTS: readonly Attempt[] = [
  { limit: "killed", paths: ALL, arrange: ({ gate }) => void gate.kill.trip("signal", NOW_US) },
  { limit: "unknownInstrument", paths: ALL, arrange: nothing, over: () => ({ instrument: 7 }) },
  {
    limit: "duplicate",
    paths: ALL,
    arrange: (desk) => void desk.buy("quote", { id: 50 }),
    over: () => ({ id: 0 }),
  },
  {
    limit: "unreconciled",
    paths: ALL,
    arrange: ({ gate }) => {
      gate.reconciled = false;
    },
  },
  { limit: "feed", paths: ALL, arrange: ({ gate, option }) => gate.onFeedState(option.id, false) },
  {
    limit: "stale",
    paths: ALL,
    arrange: (desk) => {
      desk.timeUs += 6_000_000;
    },
  },
  {
    limit: "protection",
    paths: ["quote", "order", "request"],
    arrange: ({ gate, option }) => {
      for (let i = 0; i < DEFAULT_RISK_LIMITS.protectionFills; i += 1)
        gate.onExecution(option.id, 0, 300, 1, NOW_US);
    },
  },
  { limit: "malformed", paths: ALL, arrange: nothing, over: () => ({ lots: 1.5 }) },
  {
    limit: "selfCross",
    paths: ORDERS,
    arrange: ({ gate, option }) => {
      const batch = new QuoteBatch(1);
      batch.count = 1;
      batch.instrument[0] = option.id;
      batch.quoteId[0] = 2;
      batch.bidTicks[0] = -1;
      batch.askTicks[0] = FAIR_TICKS;
      batch.askLots[0] = 1;
      batch.fair[0] = FAIR_TICKS * 1e-4;
      batch.delta[0] = 0.5;
      gate.check(batch, NOW_US);
    },
    over: () => ({ ticks: FAIR_TICKS }),
  },
  {
    limit: "selfCross",
    paths: ["quote", "order"],
    arrange: (desk) => {
      const { gate, option } = desk;
      desk.id = 10;
      const sell = {
        orderId: 2,
        instrument: option.id,
        side: 1,
        priceTicks: FAIR_TICKS,
        sizeLots: 1,
      } as const;
      gate.checkOrder({ ...sell, timeInForce: "day", fair: 0.03, delta: 0.5, hedge: false }, NOW_US);
    },
    over: () => ({ ticks: FAIR_TICKS }),
  },
  { limit: "collarFair", paths: ALL, arrange: nothing, over: () => ({ ticks: FAIR_TICKS + 40 }) },
  {
    limit: "collarPct",
    paths: ["quote", "order", "hedge"],
    arrange: (desk) => desk.limit({ collarFairPct: 1, collarFairTicks: 0 }),
    over: () => ({ ticks: FAIR_TICKS + 5 }),
  },
  {
    limit: "collarLast",
    paths: ["quote", "order", "hedge"],
    arrange: ({ gate, option }) => gate.onTrade(option.id, 100, NOW_US),
  },
  {
    limit: "collarMarket",
    paths: ["quote"],
    arrange: ({ gate, option }) => gate.onBook(option.id, 200, FAIR_TICKS - 5),
  },
  {
    limit: "quoteSize",
    paths: ["quote", "order", "hedge"],
    arrange: (desk) => desk.limit({ maxQuoteSize: 0.9 }),
  },
  {
    limit: "quoteNotional",
    paths: ["quote"],
    arrange: (desk) => desk.limit({ maxQuoteNotional: 9 * LOT_NOTIONAL }),
  },
  {
    limit: "orderNotional",
    paths: ORDERS,
    arrange: (desk) => desk.limit({ maxOrderNotional: 9 * LOT_NOTIONAL }),
  },
  {
    limit: "structureNotional",
    paths: ["request"],
    arrange: (desk) => desk.limit({ maxStructureNotional: 9 * LOT_NOTIONAL }),
  },
  {
    limit: "position",
    paths: ALL,
    arrange: (desk) => {
      desk.limit({ maxPositionNotional: 12 * LOT_NOTIONAL });
      desk.hold(desk.option, 12);
    },
  },
  {
    limit: "expiry",
    paths: ALL,
    arrange: (desk) => {
      desk.limit({ maxExpiryNotional: 12 * LOT_NOTIONAL });
      desk.hold(desk.twin, 12);
    },
  },
  {
    limit: "gross",
    paths: ALL,
    arrange: (desk) => {
      desk.limit({ maxGrossNotional: 12 * LOT_NOTIONAL });
      desk.hold(desk.etherOption, 12);
    },
  },
  ...GREEK_LIMITS.map(
    ([limit, key]): Attempt => ({ limit, paths: ALL, arrange: (desk) => desk.limit({ [key]: 1 }) }),
  ),
  { limit: "stress", paths: ALL, arrange: (desk) => desk.limit({ maxStressLoss: 100 }) },
  { limit: "stressTotal", paths: ALL, arrange: (desk) => desk.limit({ maxTotalStressLoss: 100 }) },
  {
    limit: "loss",
    paths: ALL,
    arrange: (desk) => {
      desk.limit({ maxLoss: 1_000, maxDrawdown: 1e12 });
      desk.gate.onProfit(-1_200, 0, NOW_US);
    },
  },
  {
    limit: "drawdown",
    paths: ALL,
    arrange: (desk) => {
      desk.limit({ maxDrawdown: 1_000 });
      desk.gate.onProfit(4_000, 5_200, NOW_US);
    },
  },
  {
    limit: "reduceOnly",
    paths: ALL,
    arrange: ({ gate }) => void gate.reduce("reduceOnly", "operator", NOW_US),
  },
  {
    limit: "messageRate",
    paths: ["quote", "request"],
    arrange: (desk) => {
      desk.limit({ maxMessagesPerSecond: 1, maxMessageBurst: 1 });
      desk.buy("quote", { instrument: desk.twin.id });
    },
  },
  {
    limit: "orderRate",
    paths: ORDERS,
    arrange: (desk) => {
      desk.limit({ maxOrdersPerSecond: 1, maxOrderBurst: 1 });
      desk.buy("order", { instrument: desk.twin.id });
    },
  },
  { limit: "openOrders", paths: ORDERS, arrange: (desk) => desk.limit({ maxOpenOrders: 0 }) },
  {
    limit: "unknownOutcome",
    paths: ORDERS,
    arrange: (desk) => {
      const buy = { orderId: 2, instrument: desk.option.id, side: 0, priceTicks: 290, sizeLots: 1 } as const;
      desk.gate.checkOrder({ ...buy, timeInForce: "day", fair: 0.03, delta: 0.5, hedge: true }, NOW_US);
      desk.timeUs += 2_100_000;
      desk.gate.onTimer(desk.timeUs);
      desk.id = 10;
    },
  },
];
