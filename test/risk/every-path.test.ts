import { describe, expect, test } from "bun:test";
import { type Instrument, type InstrumentSpec, InstrumentTable } from "../../src/market/instrument.ts";
import { QuoteBatch } from "../../src/quote/quote-batch.ts";
import { LIMITS, type LimitName, RiskGate } from "../../src/risk/gate.ts";
import { NOT_TRIPPED } from "../../src/risk/kill-switch.ts";
import { DEFAULT_RISK_LIMITS, type RiskLimits } from "../../src/risk/limits.ts";
import { ORDER_STATE, type OrderIntent, type StructureQuote } from "../../src/risk/order.ts";
import { LIMIT_MEANING } from "../../src/risk/refusal.ts";
import { PERPETUAL } from "../support/perpetuals.ts";

const NOW_US = 1_700_000_000_000_000;
const PRICE = 50_000;
const FAIR_TICKS = 300;
const VOLATILITY = 0.6;
/** One lot of an option is 0.1 coin: a notional of 5,000. One of the perpetual is 10 dollars. */
const LOT_NOTIONAL = 5_000;

const OPTION: InstrumentSpec = {
  venue: "deribit",
  symbol: "OPTION",
  kind: "option",
  base: "BTC",
  quote: "BTC",
  settle: "BTC",
  tick: { mantissa: 1, scale: 4 },
  tickSteps: [],
  lot: { mantissa: 1, scale: 1 },
  minSizeLots: 1,
  inverse: true,
  contractSize: 1,
  expiryMs: NOW_US / 1_000 + 30 * 86_400_000,
  strike: PRICE,
  optionType: "call",
};

/** `reload` = a quote that stands when limits or the state change, `block` = one that stands at a venue without a last look. */
type Path = "quote" | "order" | "hedge" | "request" | "reload" | "block";

/** A gate with two underlyings, an option and a perpetual of each. */
class Desk {
  readonly instruments = new InstrumentTable(8);
  gate: RiskGate;
  readonly option: Instrument;
  readonly twin: Instrument;
  readonly perpetual: Instrument;
  readonly etherOption: Instrument;
  timeUs = NOW_US;
  id = 1;

  constructor() {
    this.option = this.#list(OPTION);
    this.twin = this.#list({ ...OPTION, symbol: "TWIN" });
    this.perpetual = this.#list(PERPETUAL);
    this.etherOption = this.#list({ ...OPTION, symbol: "ETHER", base: "ETH", settle: "ETH" });
    this.gate = this.open(DEFAULT_RISK_LIMITS);
  }

  open(limits: RiskLimits): RiskGate {
    const gate = new RiskGate({ instruments: this.instruments, limits, kill: NOT_TRIPPED });
    this.#fill(gate);
    this.gate = gate;
    return gate;
  }

  #fill(gate: RiskGate): void {
    gate.onReference(0, PRICE, this.timeUs);
    gate.onReference(1, PRICE, this.timeUs);
    for (const instrument of this.instruments.all()) {
      gate.add(instrument, instrument.base === "ETH" ? 1 : 0);
      gate.onFeedState(instrument.id, true);
      gate.onTicker(instrument.id, VOLATILITY, PRICE, this.timeUs, this.timeUs);
    }
  }

  /** A process that starts in place of this one, with what outlives a process: limits, switches, books. Not reconciled. */
  restart(): void {
    const { limits, kill, reducing, positions } = this.gate;
    const held = this.instruments.all().map(({ id }) => positions.lots(id));
    const gate = new RiskGate({ instruments: this.instruments, limits, kill: kill.state, reducing });
    this.#fill(gate);
    for (const [id, lots] of held.entries()) if (lots !== 0) gate.positions.set(id, lots);
    gate.reconciled = false;
    this.gate = gate;
  }

  #list(spec: InstrumentSpec): Instrument {
    const instrument = this.instruments.add(spec);
    if (instrument === undefined) throw new Error("the table is full");
    return instrument;
  }

  /** Tries to get 10 lots bought of the option by a path. @returns the limits that refused, none when it left */
  buy(path: Path, over: { instrument?: number; lots?: number; ticks?: number; id?: number } = {}): string[] {
    const before = [...this.gate.refusals];
    if (path === "block") {
      const limit = this.gate.standingStructure(this.#structure(over), this.timeUs);
      return limit === null ? [] : [limit];
    }
    const left = this.#send(path, over);
    const named = LIMITS.filter((_name, limit) => this.gate.refusals[limit] > (before[limit] ?? 0));
    if (left && named.length > 0) return [`left in spite of ${named.join(", ")}`];
    return left ? [] : named;
  }

  #send(path: Path, over: { instrument?: number; lots?: number; ticks?: number; id?: number }): boolean {
    const instrument = over.instrument ?? this.option.id;
    const lots = over.lots ?? 10;
    const ticks = over.ticks ?? FAIR_TICKS - 5;
    this.id += 1;
    const id = over.id ?? this.id;
    if (path === "quote" || path === "reload") {
      const batch = new QuoteBatch(2);
      batch.count = 1;
      batch.instrument[0] = instrument;
      batch.quoteId[0] = id;
      batch.bidTicks[0] = ticks;
      batch.bidLots[0] = lots;
      batch.askTicks[0] = -1;
      batch.fair[0] = FAIR_TICKS * 1e-4;
      batch.delta[0] = 0.5;
      batch.standing[0] = 1;
      if (path === "reload") {
        this.gate.recheck(batch, this.timeUs);
        return batch.count === 0;
      }
      this.gate.check(batch, this.timeUs);
      return batch.bidLots[0] === lots;
    }
    if (path === "request")
      return typeof this.gate.checkStructure(this.#structure({ ...over, id }), this.timeUs) !== "string";
    const order: OrderIntent = {
      orderId: id,
      instrument,
      side: 0,
      priceTicks: ticks,
      sizeLots: lots,
      timeInForce: "ioc",
      fair: FAIR_TICKS * 1e-4,
      delta: 0.5,
      hedge: path === "hedge",
    };
    const passed = this.gate.checkOrder(order, this.timeUs);
    if (typeof passed === "string") return false;
    this.gate.onOrderState(id, ORDER_STATE.done, 0);
    return true;
  }

  #structure(over: { instrument?: number; lots?: number; ticks?: number; id?: number }): StructureQuote {
    const { instrument = this.option.id, lots = 10, ticks = FAIR_TICKS - 5, id = this.id } = over;
    const leg = { instrument, ratio: 1, fair: FAIR_TICKS * 1e-4, delta: 0.5, vega: 0 };
    return { structureId: id, legs: [leg], lots, bid: ticks * 1e-4, ask: null };
  }

  hold(instrument: Instrument, lots: number): void {
    this.gate.positions.set(instrument.id, lots);
  }

  limit(limits: Partial<RiskLimits>): void {
    this.gate.setLimits({ ...this.gate.limits, ...limits }, this.timeUs);
  }
}

interface Attempt {
  readonly limit: LimitName;
  readonly paths: readonly Path[];
  /** Brings the desk to where the attempt must fail. */
  readonly arrange: (desk: Desk) => void;
  readonly over?: (desk: Desk) => { instrument?: number; lots?: number; ticks?: number; id?: number };
}

const ALL: readonly Path[] = ["quote", "order", "hedge", "request"];
/** What stands already is not sent: it has been counted, and its id is known. */
const STANDING: readonly (readonly [path: Path, like: Path])[] = [
  ["reload", "quote"],
  ["block", "request"],
];
const OF_SENDING: ReadonlySet<LimitName> = new Set(["messageRate", "duplicate"]);
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

const ATTEMPTS: readonly Attempt[] = [
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

describe.each(ALL)("by the path of a %s", (path) => {
  test("what keeps every limit leaves", () => {
    expect(new Desk().buy(path)).toEqual([]);
  });

  test.each(
    ATTEMPTS.filter(({ paths }) => paths.includes(path)).map((attempt) => [attempt.limit, attempt] as const),
  )("%s refuses", (limit, { arrange, over }) => {
    const desk = new Desk();
    arrange(desk);
    expect(desk.buy(path, over?.(desk) ?? {})).toEqual([limit]);
  });
});

describe.each(STANDING)("what stands, by the path of a %s", (path, like) => {
  test("may stand while it keeps every limit", () => {
    expect(new Desk().buy(path)).toEqual([]);
  });

  test.each(
    ATTEMPTS.filter(({ paths, limit }) => paths.includes(like) && !OF_SENDING.has(limit)).map(
      (attempt) => [attempt.limit, attempt] as const,
    ),
  )("%s takes it back", (limit, { arrange, over }) => {
    const desk = new Desk();
    arrange(desk);
    expect(desk.buy(path, over?.(desk) ?? {})).toEqual([limit]);
  });
});

/** Of the moment: a process that starts has not sent, seen or been hit by anything, and asks the counterparty before it sends. */
const OF_THE_MOMENT: ReadonlySet<LimitName> = new Set([
  ...["duplicate", "unreconciled", "feed", "stale", "protection", "selfCross", "unknownOutcome"],
  ...["collarLast", "collarMarket", "messageRate", "orderRate"],
] as const);

describe.each(ALL)("after a restart, by the path of a %s", (path) => {
  const tried = ATTEMPTS.filter(({ paths }) => paths.includes(path));

  test.each(tried.map((attempt) => [attempt.limit, attempt] as const))(
    "nothing leaves before the counterparty has told what it holds: %s",
    (_limit, { arrange, over }) => {
      const desk = new Desk();
      arrange(desk);
      desk.restart();
      expect(desk.buy(path, over?.(desk) ?? {})).not.toEqual([]);
    },
  );

  test.each(
    tried
      .filter(({ limit }) => !OF_THE_MOMENT.has(limit))
      .map((attempt) => [attempt.limit, attempt] as const),
  )("%s refuses still", (limit, { arrange, over }) => {
    const desk = new Desk();
    arrange(desk);
    desk.restart();
    desk.gate.reconciled = true;
    expect(desk.buy(path, over?.(desk) ?? {})).toEqual([limit]);
  });
});

test("every limit has been tried", () => {
  const tried = new Set<string>(ATTEMPTS.map(({ limit }) => limit));
  expect(Object.keys(LIMIT_MEANING).filter((name) => !tried.has(name))).toEqual([]);
});

test("a reload tightens at once, and forgets nothing that was counted", () => {
  const desk = new Desk();
  expect(desk.buy("quote")).toEqual([]);
  desk.hold(desk.option, 20);
  desk.limit({ maxPositionNotional: 15 * LOT_NOTIONAL });
  expect(desk.gate.positionLots(desk.option.id)).toBe(20);
  expect(desk.buy("quote")).toEqual(["position"]);
  desk.gate.reduce("reduceOnly", "operator", NOW_US);
  desk.limit({ maxPositionNotional: 1e9 });
  expect(desk.buy("quote")).toEqual(["reduceOnly"]);
});

test("what reduces passes while the desk reduces only, by every path", () => {
  for (const path of [...ALL, ...STANDING.map(([standing]) => standing)]) {
    const desk = new Desk();
    desk.hold(desk.option, -30);
    desk.gate.reduce("reduceOnly", "operator", NOW_US);
    expect([path, desk.buy(path)]).toEqual([path, []]);
  }
});

test("a loss and a drawdown beyond the hard multiple halt", () => {
  for (const [profit, peak, reason] of [
    [-1_600_000, 0, "limit:loss"],
    [0, 1_600_000, "limit:drawdown"],
  ] as const) {
    const { gate } = new Desk();
    gate.onProfit(profit, peak, NOW_US);
    expect([gate.tradingState, gate.kill.state.reason]).toEqual(["halted", reason]);
  }
});

test("protection counts vega too, and hedges pass while quotes are pulled", () => {
  const desk = new Desk();
  desk.limit({ protectionVega: 10 });
  desk.gate.onExecution(desk.option.id, 0, FAIR_TICKS, 10, NOW_US);
  expect(desk.buy("quote", { instrument: desk.twin.id })).toEqual(["protection"]);
  expect(desk.buy("hedge", { instrument: desk.twin.id })).toEqual([]);
  expect(desk.gate.protectionTriggered).toBe(1);
});

test("orders at work, also of unknown outcome, count as filled until the counterparty has spoken", () => {
  const desk = new Desk();
  desk.limit({ maxPositionNotional: 15 * LOT_NOTIONAL });
  const order = { orderId: 5, instrument: desk.option.id, side: 0, priceTicks: 290, sizeLots: 10 } as const;
  desk.gate.checkOrder({ ...order, timeInForce: "day", fair: 0.03, delta: 0.5, hedge: false }, NOW_US);
  expect(desk.buy("quote")).toEqual(["position"]);
  desk.gate.onSessionDown();
  expect(desk.gate.orders.unknown).toBe(1);
  expect(desk.buy("quote")).toEqual(["position"]);
  desk.gate.onOrderState(5, ORDER_STATE.done, 0);
  expect(desk.gate.orders.unknown).toBe(0);
  expect(desk.buy("quote")).toEqual([]);
});

test("a structure of two legs that hedge each other passes where one leg alone does not", () => {
  const desk = new Desk();
  desk.limit({ maxDeltaNotional: 5_000 });
  const leg = (instrument: Instrument, ratio: number) => ({
    instrument: instrument.id,
    ratio,
    fair: 0.03,
    delta: 0.5,
    vega: 0,
  });
  const { option, twin } = desk;
  const one = { structureId: 1, legs: [leg(option, 1)], lots: 10, bid: 0.0295, ask: null };
  expect(desk.gate.checkStructure(one, NOW_US)).toBe("delta");
  const both = { structureId: 2, legs: [leg(option, 1), leg(twin, -1)], lots: 10, bid: -0.0005, ask: 0.0005 };
  expect(desk.gate.checkStructure(both, NOW_US)).not.toBeString();
});
