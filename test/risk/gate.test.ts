import { expect, test } from "bun:test";
import { parameterViolations } from "../../src/core/parameter.ts";
import { QuoteBatch, REASON } from "../../src/quote/quote-batch.ts";
import { LIMITS, type LimitName } from "../../src/risk/gate.ts";
import { DEFAULT_RISK_LIMITS, RISK_LIMITS } from "../../src/risk/limits.ts";
import { GateBed, LOT_NOTIONAL } from "./gate-bed.ts";

const BOTH = { bid: 10, ask: 10 };
const NONE = { bid: 0, ask: 0 };

test("the default limits lie within their bounds", () => {
  expect(parameterViolations(RISK_LIMITS, DEFAULT_RISK_LIMITS)).toEqual([]);
});

test("a sound quote passes untouched", () => {
  const bed = new GateBed();
  expect(bed.check()).toEqual({ ...BOTH, reasons: REASON.base, rows: 1 });
  expect(bed.gate.refusals.every((count) => count === 0)).toBe(true);
});

test("approval is given for the batch itself, and for every batch its own", () => {
  const bed = new GateBed();
  const approved = bed.gate.check(bed.batch, bed.timeUs);
  expect(approved.batch).toBe(bed.batch);
  expect(bed.gate.check(bed.batch, bed.timeUs)).toBe(approved);
  expect(bed.gate.check(new QuoteBatch(1), bed.timeUs)).not.toBe(approved);
});

test("a tripped kill switch pulls everything, whatever else is true", () => {
  const bed = new GateBed({}, { tripped: true, reason: "signal", timeUs: 1 });
  expect(bed.check()).toEqual({ ...NONE, reasons: REASON.base | REASON.pulled | REASON.killed, rows: 1 });
  expect(bed.gate.refused("killed")).toBe(2);
});

const refusals: readonly (readonly [
  LimitName,
  string,
  number,
  (bed: GateBed) => ReturnType<GateBed["check"]>,
])[] = [
  ["unknownInstrument", "an instrument never registered", REASON.riskLimit, (bed) => bed.check({}, 7)],
  [
    "feed",
    "an instrument whose feed is not live",
    REASON.bookUnsound,
    (bed) => {
      bed.gate.onFeedState(bed.option.id, false);
      return bed.check();
    },
  ],
  [
    "stale",
    "an underlying whose price is too old",
    REASON.stale,
    (bed) => {
      bed.timeUs += DEFAULT_RISK_LIMITS.maxDataAgeMs * 1_000 + 1;
      return bed.check();
    },
  ],
  [
    "stale",
    "an underlying that has no price any more",
    REASON.stale,
    (bed) => {
      bed.gate.onReference(0, Number.NaN, bed.timeUs);
      return bed.check();
    },
  ],
  [
    "malformed",
    "a fair value that is none",
    REASON.riskLimit | REASON.noFair,
    (bed) => bed.check({ fair: Number.NaN }),
  ],
  ["malformed", "a delta beyond one", REASON.riskLimit | REASON.noFair, (bed) => bed.check({ delta: 1.01 })],
  ["selfCross", "a bid at its own ask", REASON.riskLimit, (bed) => bed.check({ bidTicks: 305 })],
  ["duplicate", "an id that was seen before", REASON.riskLimit, (bed) => bed.check({ quoteId: 0 })],
];

test.each(refusals)("%s: %s is pulled", (limit, _what, reason, act) => {
  const bed = new GateBed();
  expect(act(bed)).toEqual({ ...NONE, reasons: REASON.base | REASON.pulled | reason, rows: 1 });
  expect(bed.gate.refused(limit)).toBe(2);
});

test("of two rows of one instrument the second is pulled", () => {
  const bed = new GateBed();
  bed.row(bed.option.id);
  bed.row(bed.option.id);
  bed.gate.check(bed.batch, bed.timeUs);
  expect([...bed.batch.bidLots.subarray(0, 2)]).toEqual([10, 0]);
  expect(bed.gate.refused("duplicate")).toBe(2);
});

test("sizes and prices that are no positive whole numbers do not leave", () => {
  for (const bad of [
    { bidLots: 1.5 },
    { bidLots: -1 },
    { bidLots: Number.NaN },
    { bidLots: Number.POSITIVE_INFINITY },
    { bidTicks: 0 },
  ]) {
    const bed = new GateBed();
    expect(bed.check(bad)).toMatchObject({ bid: 0, ask: 10 });
    expect(bed.gate.refused("malformed")).toBe(1);
  }
});

test("a side too far on the wrong side of fair value is refused, the other one passes", () => {
  const bed = new GateBed({ collarFairBp: 10, collarFairVol: 0, collarFairTicks: 1 });
  // 10 bp of the underlying × delta 0.5 = 5 ticks of a ten-thousandth coin, and one more tick.
  expect(bed.check({ bidTicks: 306, askTicks: 310 })).toMatchObject(BOTH);
  expect(bed.check({ bidTicks: 307, askTicks: 310 })).toMatchObject({ bid: 0, ask: 10 });
  expect(bed.check({ bidTicks: 290, askTicks: 293 })).toMatchObject({ bid: 10, ask: 0 });
  expect(bed.gate.refused("collarFair")).toBe(2);
});

test("vega widens the collar", () => {
  const bed = new GateBed({ collarFairBp: 0, collarFairVol: 2, collarFairTicks: 0 });
  // 2 points × 2,500 per 1.00 / 50,000 = 10 ticks.
  expect(bed.check({ bidTicks: 310, askTicks: 320, vega: 2_500 })).toMatchObject(BOTH);
  expect(bed.check({ bidTicks: 311, askTicks: 320, vega: 2_500 })).toMatchObject({ bid: 0 });
});

test("a side that reaches the venue's best opposite price is refused", () => {
  const bed = new GateBed();
  bed.gate.onBook(bed.option.id, 290, 295);
  expect(bed.check()).toMatchObject({ bid: 0, ask: 10 });
  bed.gate.onBook(bed.option.id, 305, 320);
  expect(bed.check()).toMatchObject({ bid: 10, ask: 0 });
  bed.gate.onBook(bed.option.id, 304, 306);
  expect(bed.check()).toMatchObject(BOTH);
  expect(bed.gate.refused("collarMarket")).toBe(2);
});

test("a size beyond the fat-finger limit is refused, not cut", () => {
  const bed = new GateBed({ maxQuoteNotional: 10 * LOT_NOTIONAL });
  expect(bed.check({ bidLots: 11 })).toMatchObject({ bid: 0, ask: 10 });
  expect(bed.gate.refused("quoteNotional")).toBe(1);
});

test("the side that adds to a position is cut to the room that is left, the other one passes", () => {
  const bed = new GateBed({ maxPositionNotional: 12 * LOT_NOTIONAL });
  bed.gate.onExecution(bed.option.id, 0, 300, 8, bed.timeUs);
  expect(bed.check()).toMatchObject({ bid: 4, ask: 10 });
  bed.gate.onExecution(bed.option.id, 0, 300, 4, bed.timeUs);
  expect(bed.check()).toMatchObject({ bid: 0, ask: 10 });
  expect(bed.gate.refused("position")).toBe(2);
});

test("beyond the limit only what reduces the position passes, and no more than the position", () => {
  const bed = new GateBed({ maxPositionNotional: 5 * LOT_NOTIONAL, hardLimitMultiple: 100 });
  bed.gate.onExecution(bed.option.id, 1, 300, 7, bed.timeUs);
  expect(bed.check()).toMatchObject({ bid: 7, ask: 0 });
});

test("in reduce-only nothing but reductions passes", () => {
  const bed = new GateBed();
  bed.gate.reduce("reduceOnly", "operator", bed.timeUs);
  expect(bed.check()).toMatchObject(NONE);
  bed.gate.onExecution(bed.option.id, 0, 300, 6, bed.timeUs);
  expect(bed.check()).toMatchObject({ bid: 0, ask: 6 });
});

test("at the gross limit only reductions pass", () => {
  const bed = new GateBed({ maxGrossNotional: 20 * LOT_NOTIONAL });
  bed.gate.onExecution(bed.other.id, 0, 300, 15, bed.timeUs);
  expect(bed.check()).toMatchObject(NONE);
  expect(bed.check({}, bed.other.id)).toMatchObject({ bid: 0, ask: 10 });
  expect(bed.gate.refused("gross")).toBe(3);
});

test("at the delta limit only what brings the delta nearer to zero passes", () => {
  const bed = new GateBed({ maxDeltaNotional: 10 * LOT_NOTIONAL });
  bed.check({ delta: 1 });
  bed.gate.onExecution(bed.option.id, 0, 300, 8, bed.timeUs);
  expect(bed.check({ delta: 1 }, bed.other.id)).toMatchObject({ bid: 0, ask: 10 });
  expect(bed.check({ delta: -1 }, bed.other.id)).toMatchObject({ bid: 10, ask: 0 });
  expect(bed.check({ delta: 0.1 }, bed.other.id)).toMatchObject(BOTH);
});

test("a position whose delta is unknown counts with the worst one", () => {
  const bed = new GateBed({ maxDeltaNotional: 10 * LOT_NOTIONAL });
  bed.gate.positions.set(bed.other.id, 9);
  expect(bed.check({ delta: 0.5 })).toMatchObject({ bid: 0, ask: 10 });
});

test("beyond the message rate quotes are pulled, and the rate recovers", () => {
  const bed = new GateBed({ maxMessagesPerSecond: 10, maxMessageBurst: 2 });
  expect(bed.check()).toMatchObject(BOTH);
  expect(bed.check()).toMatchObject(BOTH);
  expect(bed.check()).toMatchObject(NONE);
  expect(bed.gate.refused("messageRate")).toBe(2);
  bed.timeUs += 100_001;
  expect(bed.check()).toMatchObject(BOTH);
});

test("a pull that the gate makes of a quote that does not stand is left out", () => {
  const bed = new GateBed();
  bed.gate.onFeedState(bed.option.id, false);
  bed.row(bed.option.id, { standing: false });
  bed.row(bed.other.id);
  bed.gate.check(bed.batch, bed.timeUs);
  expect(bed.batch.count).toBe(1);
  expect(bed.batch.instrument[0]).toBe(bed.other.id);
});

test("a position beyond the hard limit trips the kill switch", () => {
  const bed = new GateBed({ maxPositionNotional: 10 * LOT_NOTIONAL, hardLimitMultiple: 1.5 });
  bed.gate.onExecution(bed.option.id, 0, 300, 15, bed.timeUs);
  expect(bed.gate.kill.tripped).toBe(false);
  bed.gate.onExecution(bed.option.id, 0, 300, 1, bed.timeUs);
  expect(bed.gate.kill.state).toEqual({ tripped: true, reason: "limit:position", timeUs: bed.timeUs });
  expect(bed.check()).toMatchObject(NONE);
});

test("a delta beyond the hard limit trips the kill switch", () => {
  const bed = new GateBed({ maxDeltaNotional: 10 * LOT_NOTIONAL, hardLimitMultiple: 1 });
  bed.gate.onExecution(bed.option.id, 1, 300, 11, bed.timeUs);
  expect(bed.gate.kill.state.reason).toBe("limit:delta");
});

test("a fill of what was never quoted trips the kill switch", () => {
  const bed = new GateBed();
  bed.gate.onExecution(7, 0, 300, 1, bed.timeUs);
  expect(bed.gate.kill.state.reason).toBe("limit:unknownExecution");
});

test("too many rejects within a minute trip the kill switch, the same spread over time do not", () => {
  const calm = new GateBed({ maxRejectsPerMinute: 10 });
  for (let i = 0; i < 30; i += 1) {
    calm.timeUs += 10_000_000;
    calm.gate.onRejected(1, calm.timeUs);
  }
  expect(calm.gate.kill.tripped).toBe(false);
  const storm = new GateBed({ maxRejectsPerMinute: 10 });
  storm.gate.onRejected(9, storm.timeUs);
  expect(storm.gate.kill.tripped).toBe(false);
  storm.gate.onRejected(1, storm.timeUs + 1_000_000);
  expect(storm.gate.kill.state.reason).toBe("limit:rejects");
});

test("quoting out of control trips the kill switch within the batch, and nothing of the batch leaves", () => {
  const bed = new GateBed({ maxBreachesPerSecond: 2 });
  bed.row(bed.other.id);
  bed.row(bed.option.id, { bidTicks: 305 });
  bed.gate.check(bed.batch, bed.timeUs);
  expect(bed.gate.kill.state.reason).toBe("limit:selfCross");
  expect([...bed.batch.bidLots.subarray(0, bed.batch.count)]).toEqual([0, 0]);
  expect([...bed.batch.askLots.subarray(0, bed.batch.count)]).toEqual([0, 0]);
});

test("fills in quick succession pull the underlying for a while", () => {
  const bed = new GateBed({ protectionFills: 3, protectionFrozenMs: 1_000 });
  for (let i = 0; i < 3; i += 1) bed.gate.onExecution(bed.option.id, 0, 300, 1, bed.timeUs + i);
  expect(bed.check({}, bed.other.id)).toMatchObject(NONE);
  expect(bed.gate.refused("protection")).toBe(2);
  bed.timeUs += 1_001_000;
  expect(bed.check({}, bed.other.id)).toMatchObject(BOTH);
});

test("much delta traded at once pulls the underlying", () => {
  const bed = new GateBed({ protectionDeltaNotional: 10 * LOT_NOTIONAL });
  bed.gate.onExecution(bed.option.id, 1, 300, 10, bed.timeUs);
  expect(bed.check({}, bed.other.id)).toMatchObject(NONE);
});

test("limits have one name each", () => {
  expect(new Set(LIMITS).size).toBe(LIMITS.length);
});
