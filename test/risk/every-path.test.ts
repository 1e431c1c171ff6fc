import { describe, expect, test } from "bun:test";
import type { Instrument } from "../../src/market/instrument.ts";
import type { LimitName } from "../../src/risk/gate.ts";
import { ORDER_STATE } from "../../src/risk/order.ts";
import { LIMIT_MEANING } from "../../src/risk/refusal.ts";
import { ALL, ATTEMPTS, STANDING } from "./attempts.ts";
import { FAIR_TICKS, LOT_NOTIONAL, NOW_US, PathDesk } from "./path-desk.ts";

/** Of sending alone: what stands already has been counted, and its id is known. */
const OF_SENDING: ReadonlySet<LimitName> = new Set(["messageRate", "duplicate"]);

describe.each(ALL)("by the path of a %s", (path) => {
  test("what keeps every limit leaves", () => {
    expect(new PathDesk().buy(path)).toEqual([]);
  });

  test.each(
    ATTEMPTS.filter(({ paths }) => paths.includes(path)).map((attempt) => [attempt.limit, attempt] as const),
  )("%s refuses", (limit, { arrange, over }) => {
    const desk = new PathDesk();
    arrange(desk);
    expect(desk.buy(path, over?.(desk) ?? {})).toEqual([limit]);
  });
});

describe.each(STANDING)("what stands, by the path of a %s", (path, like) => {
  test("may stand while it keeps every limit", () => {
    expect(new PathDesk().buy(path)).toEqual([]);
  });

  test.each(
    ATTEMPTS.filter(({ paths, limit }) => paths.includes(like) && !OF_SENDING.has(limit)).map(
      (attempt) => [attempt.limit, attempt] as const,
    ),
  )("%s takes it back", (limit, { arrange, over }) => {
    const desk = new PathDesk();
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
      const desk = new PathDesk();
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
    const desk = new PathDesk();
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
  const desk = new PathDesk();
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
    const desk = new PathDesk();
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
    const { gate } = new PathDesk();
    gate.onProfit(profit, peak, NOW_US);
    expect([gate.tradingState, gate.kill.state.reason]).toEqual(["halted", reason]);
  }
});

test("protection counts vega too, and hedges pass while quotes are pulled", () => {
  const desk = new PathDesk();
  desk.limit({ protectionVega: 10 });
  desk.gate.onExecution(desk.option.id, 0, FAIR_TICKS, 10, NOW_US);
  expect(desk.buy("quote", { instrument: desk.twin.id })).toEqual(["protection"]);
  expect(desk.buy("hedge", { instrument: desk.twin.id })).toEqual([]);
  expect(desk.gate.protectionTriggered).toBe(1);
});

test("orders at work, also of unknown outcome, count as filled until the counterparty has spoken", () => {
  const desk = new PathDesk();
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
  const desk = new PathDesk();
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
