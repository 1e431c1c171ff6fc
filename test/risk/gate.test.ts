import { expect, test } from "bun:test";
import fc from "fast-check";
import { parameterViolations } from "../../src/core/parameter.ts";
import { type Instrument, type InstrumentSpec, InstrumentTable } from "../../src/market/instrument.ts";
import { QuoteBatch, REASON } from "../../src/quote/quote-batch.ts";
import { LIMITS, type LimitName, RiskGate } from "../../src/risk/gate.ts";
import { type KillState, NOT_TRIPPED } from "../../src/risk/kill-switch.ts";
import { DEFAULT_RISK_LIMITS, RISK_LIMITS, type RiskLimits } from "../../src/risk/limits.ts";

const START_US = 1_700_000_000_000_000;
const PRICE = 50_000;
/** One lot is 0.1 coin: a notional of 5,000. */
const LOT_NOTIONAL = 5_000;
const FAIR_TICKS = 300;

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
  expiryMs: START_US / 1_000 + 86_400_000,
  strike: PRICE,
  optionType: "call",
};

interface Row {
  bidTicks?: number;
  bidLots?: number;
  askTicks?: number;
  askLots?: number;
  fair?: number;
  delta?: number;
  vega?: number;
  standing?: boolean;
  quoteId?: number;
}

class Bench {
  readonly instruments = new InstrumentTable(8);
  readonly gate: RiskGate;
  readonly batch = new QuoteBatch(16);
  readonly option: Instrument;
  readonly other: Instrument;
  timeUs = START_US;
  #quoteId = 0;

  constructor(limits: Partial<RiskLimits> = {}, kill: KillState = NOT_TRIPPED) {
    this.gate = new RiskGate({
      instruments: this.instruments,
      limits: { ...DEFAULT_RISK_LIMITS, ...limits },
      kill,
    });
    this.option = this.#added("OPTION");
    this.other = this.#added("OTHER");
    this.gate.onReference(0, PRICE, this.timeUs);
  }

  row(instrument: number, row: Row = {}): void {
    const at = this.batch.count;
    this.#quoteId += 1;
    this.batch.count = at + 1;
    this.batch.instrument[at] = instrument;
    this.batch.quoteId[at] = row.quoteId ?? this.#quoteId;
    this.batch.bidTicks[at] = row.bidTicks ?? FAIR_TICKS - 5;
    this.batch.bidLots[at] = row.bidLots ?? 10;
    this.batch.askTicks[at] = row.askTicks ?? FAIR_TICKS + 5;
    this.batch.askLots[at] = row.askLots ?? 10;
    this.batch.fair[at] = row.fair ?? FAIR_TICKS * 1e-4;
    this.batch.delta[at] = row.delta ?? 0.5;
    this.batch.vega[at] = row.vega ?? 0;
    this.batch.standing[at] = (row.standing ?? true) ? 1 : 0;
    this.batch.reasons[at] = REASON.base;
  }

  /** Passes one row through the gate. */
  check(
    row: Row = {},
    instrument = this.option.id,
  ): { bid: number; ask: number; reasons: number; rows: number } {
    this.batch.clear();
    this.row(instrument, row);
    this.gate.check(this.batch, this.timeUs);
    const [bid, ask, reasons] = [this.batch.bidLots[0], this.batch.askLots[0], this.batch.reasons[0]];
    return { bid, ask, reasons, rows: this.batch.count };
  }

  #added(symbol: string): Instrument {
    const instrument = this.instruments.add({ ...OPTION, symbol });
    if (instrument === undefined) throw new Error("the table of instruments is full");
    this.gate.add(instrument, 0);
    this.gate.onFeedState(instrument.id, true);
    return instrument;
  }
}

const BOTH = { bid: 10, ask: 10 };
const NONE = { bid: 0, ask: 0 };

test("the default limits lie within their bounds", () => {
  expect(parameterViolations(RISK_LIMITS, DEFAULT_RISK_LIMITS)).toEqual([]);
});

test("a sound quote passes untouched", () => {
  const bench = new Bench();
  expect(bench.check()).toEqual({ ...BOTH, reasons: REASON.base, rows: 1 });
  expect(bench.gate.refusals.every((count) => count === 0)).toBe(true);
});

test("approval is given for the batch itself, and for every batch its own", () => {
  const bench = new Bench();
  const approved = bench.gate.check(bench.batch, bench.timeUs);
  expect(approved.batch).toBe(bench.batch);
  expect(bench.gate.check(bench.batch, bench.timeUs)).toBe(approved);
  expect(bench.gate.check(new QuoteBatch(1), bench.timeUs)).not.toBe(approved);
});

test("a tripped kill switch pulls everything, whatever else is true", () => {
  const bench = new Bench({}, { tripped: true, reason: "signal", timeUs: 1 });
  expect(bench.check()).toEqual({ ...NONE, reasons: REASON.base | REASON.pulled | REASON.killed, rows: 1 });
  expect(bench.gate.refused("killed")).toBe(2);
});

const refusals: readonly (readonly [
  LimitName,
  string,
  number,
  (bench: Bench) => ReturnType<Bench["check"]>,
])[] = [
  ["unknownInstrument", "an instrument never registered", REASON.riskLimit, (bench) => bench.check({}, 7)],
  [
    "feed",
    "an instrument whose feed is not live",
    REASON.bookUnsound,
    (bench) => {
      bench.gate.onFeedState(bench.option.id, false);
      return bench.check();
    },
  ],
  [
    "stale",
    "an underlying whose price is too old",
    REASON.stale,
    (bench) => {
      bench.timeUs += DEFAULT_RISK_LIMITS.maxDataAgeMs * 1_000 + 1;
      return bench.check();
    },
  ],
  [
    "stale",
    "an underlying that has no price any more",
    REASON.stale,
    (bench) => {
      bench.gate.onReference(0, Number.NaN, bench.timeUs);
      return bench.check();
    },
  ],
  [
    "malformed",
    "a fair value that is none",
    REASON.riskLimit | REASON.noFair,
    (bench) => bench.check({ fair: Number.NaN }),
  ],
  [
    "malformed",
    "a delta beyond one",
    REASON.riskLimit | REASON.noFair,
    (bench) => bench.check({ delta: 1.01 }),
  ],
  ["selfCross", "a bid at its own ask", REASON.riskLimit, (bench) => bench.check({ bidTicks: 305 })],
  ["duplicate", "an id that was seen before", REASON.riskLimit, (bench) => bench.check({ quoteId: 0 })],
];

test.each(refusals)("%s: %s is pulled", (limit, _what, reason, act) => {
  const bench = new Bench();
  expect(act(bench)).toEqual({ ...NONE, reasons: REASON.base | REASON.pulled | reason, rows: 1 });
  expect(bench.gate.refused(limit)).toBe(2);
});

test("of two rows of one instrument the second is pulled", () => {
  const bench = new Bench();
  bench.row(bench.option.id);
  bench.row(bench.option.id);
  bench.gate.check(bench.batch, bench.timeUs);
  expect([...bench.batch.bidLots.subarray(0, 2)]).toEqual([10, 0]);
  expect(bench.gate.refused("duplicate")).toBe(2);
});

test("sizes and prices that are no positive whole numbers do not leave", () => {
  for (const bad of [
    { bidLots: 1.5 },
    { bidLots: -1 },
    { bidLots: Number.NaN },
    { bidLots: Number.POSITIVE_INFINITY },
    { bidTicks: 0 },
  ]) {
    const bench = new Bench();
    expect(bench.check(bad)).toMatchObject({ bid: 0, ask: 10 });
    expect(bench.gate.refused("malformed")).toBe(1);
  }
});

test("a side too far on the wrong side of fair value is refused, the other one passes", () => {
  const bench = new Bench({ collarFairBp: 10, collarFairVol: 0, collarFairTicks: 1 });
  // 10 bp of the underlying × delta 0.5 = 5 ticks of a ten-thousandth coin, and one more tick.
  expect(bench.check({ bidTicks: 306, askTicks: 310 })).toMatchObject(BOTH);
  expect(bench.check({ bidTicks: 307, askTicks: 310 })).toMatchObject({ bid: 0, ask: 10 });
  expect(bench.check({ bidTicks: 290, askTicks: 293 })).toMatchObject({ bid: 10, ask: 0 });
  expect(bench.gate.refused("collarFair")).toBe(2);
});

test("vega widens the collar", () => {
  const bench = new Bench({ collarFairBp: 0, collarFairVol: 2, collarFairTicks: 0 });
  // 2 points × 2,500 per 1.00 / 50,000 = 10 ticks.
  expect(bench.check({ bidTicks: 310, askTicks: 320, vega: 2_500 })).toMatchObject(BOTH);
  expect(bench.check({ bidTicks: 311, askTicks: 320, vega: 2_500 })).toMatchObject({ bid: 0 });
});

test("a side that reaches the venue's best opposite price is refused", () => {
  const bench = new Bench();
  bench.gate.onBook(bench.option.id, 290, 295);
  expect(bench.check()).toMatchObject({ bid: 0, ask: 10 });
  bench.gate.onBook(bench.option.id, 305, 320);
  expect(bench.check()).toMatchObject({ bid: 10, ask: 0 });
  bench.gate.onBook(bench.option.id, 304, 306);
  expect(bench.check()).toMatchObject(BOTH);
  expect(bench.gate.refused("collarMarket")).toBe(2);
});

test("a size beyond the fat-finger limit is refused, not cut", () => {
  const bench = new Bench({ maxQuoteNotional: 10 * LOT_NOTIONAL });
  expect(bench.check({ bidLots: 11 })).toMatchObject({ bid: 0, ask: 10 });
  expect(bench.gate.refused("quoteNotional")).toBe(1);
});

test("the side that adds to a position is cut to the room that is left, the other one passes", () => {
  const bench = new Bench({ maxPositionNotional: 12 * LOT_NOTIONAL });
  bench.gate.onExecution(bench.option.id, 0, 300, 8, bench.timeUs);
  expect(bench.check()).toMatchObject({ bid: 4, ask: 10 });
  bench.gate.onExecution(bench.option.id, 0, 300, 4, bench.timeUs);
  expect(bench.check()).toMatchObject({ bid: 0, ask: 10 });
  expect(bench.gate.refused("position")).toBe(2);
});

test("beyond the limit only what reduces the position passes, and no more than the position", () => {
  const bench = new Bench({ maxPositionNotional: 5 * LOT_NOTIONAL, hardLimitMultiple: 100 });
  bench.gate.onExecution(bench.option.id, 1, 300, 7, bench.timeUs);
  expect(bench.check()).toMatchObject({ bid: 7, ask: 0 });
});

test("in reduce-only nothing but reductions passes", () => {
  const bench = new Bench();
  bench.gate.reduce("reduceOnly", "operator", bench.timeUs);
  expect(bench.check()).toMatchObject(NONE);
  bench.gate.onExecution(bench.option.id, 0, 300, 6, bench.timeUs);
  expect(bench.check()).toMatchObject({ bid: 0, ask: 6 });
});

test("at the gross limit only reductions pass", () => {
  const bench = new Bench({ maxGrossNotional: 20 * LOT_NOTIONAL });
  bench.gate.onExecution(bench.other.id, 0, 300, 15, bench.timeUs);
  expect(bench.check()).toMatchObject(NONE);
  expect(bench.check({}, bench.other.id)).toMatchObject({ bid: 0, ask: 10 });
  expect(bench.gate.refused("gross")).toBe(3);
});

test("at the delta limit only what brings the delta nearer to zero passes", () => {
  const bench = new Bench({ maxDeltaNotional: 10 * LOT_NOTIONAL });
  bench.check({ delta: 1 });
  bench.gate.onExecution(bench.option.id, 0, 300, 8, bench.timeUs);
  expect(bench.check({ delta: 1 }, bench.other.id)).toMatchObject({ bid: 0, ask: 10 });
  expect(bench.check({ delta: -1 }, bench.other.id)).toMatchObject({ bid: 10, ask: 0 });
  expect(bench.check({ delta: 0.1 }, bench.other.id)).toMatchObject(BOTH);
});

test("a position whose delta is unknown counts with the worst one", () => {
  const bench = new Bench({ maxDeltaNotional: 10 * LOT_NOTIONAL });
  bench.gate.positions.set(bench.other.id, 9);
  expect(bench.check({ delta: 0.5 })).toMatchObject({ bid: 0, ask: 10 });
});

test("beyond the message rate quotes are pulled, and the rate recovers", () => {
  const bench = new Bench({ maxMessagesPerSecond: 10, maxMessageBurst: 2 });
  expect(bench.check()).toMatchObject(BOTH);
  expect(bench.check()).toMatchObject(BOTH);
  expect(bench.check()).toMatchObject(NONE);
  expect(bench.gate.refused("messageRate")).toBe(2);
  bench.timeUs += 100_001;
  expect(bench.check()).toMatchObject(BOTH);
});

test("a pull that the gate makes of a quote that does not stand is left out", () => {
  const bench = new Bench();
  bench.gate.onFeedState(bench.option.id, false);
  bench.row(bench.option.id, { standing: false });
  bench.row(bench.other.id);
  bench.gate.check(bench.batch, bench.timeUs);
  expect(bench.batch.count).toBe(1);
  expect(bench.batch.instrument[0]).toBe(bench.other.id);
});

test("a position beyond the hard limit trips the kill switch", () => {
  const bench = new Bench({ maxPositionNotional: 10 * LOT_NOTIONAL, hardLimitMultiple: 1.5 });
  bench.gate.onExecution(bench.option.id, 0, 300, 15, bench.timeUs);
  expect(bench.gate.kill.tripped).toBe(false);
  bench.gate.onExecution(bench.option.id, 0, 300, 1, bench.timeUs);
  expect(bench.gate.kill.state).toEqual({ tripped: true, reason: "limit:position", timeUs: bench.timeUs });
  expect(bench.check()).toMatchObject(NONE);
});

test("a delta beyond the hard limit trips the kill switch", () => {
  const bench = new Bench({ maxDeltaNotional: 10 * LOT_NOTIONAL, hardLimitMultiple: 1 });
  bench.gate.onExecution(bench.option.id, 1, 300, 11, bench.timeUs);
  expect(bench.gate.kill.state.reason).toBe("limit:delta");
});

test("a fill of what was never quoted trips the kill switch", () => {
  const bench = new Bench();
  bench.gate.onExecution(7, 0, 300, 1, bench.timeUs);
  expect(bench.gate.kill.state.reason).toBe("limit:unknownExecution");
});

test("too many rejects within a minute trip the kill switch, the same spread over time do not", () => {
  const calm = new Bench({ maxRejectsPerMinute: 10 });
  for (let i = 0; i < 30; i += 1) {
    calm.timeUs += 10_000_000;
    calm.gate.onRejected(1, calm.timeUs);
  }
  expect(calm.gate.kill.tripped).toBe(false);
  const storm = new Bench({ maxRejectsPerMinute: 10 });
  storm.gate.onRejected(9, storm.timeUs);
  expect(storm.gate.kill.tripped).toBe(false);
  storm.gate.onRejected(1, storm.timeUs + 1_000_000);
  expect(storm.gate.kill.state.reason).toBe("limit:rejects");
});

test("quoting out of control trips the kill switch within the batch, and nothing of the batch leaves", () => {
  const bench = new Bench({ maxBreachesPerSecond: 2 });
  bench.row(bench.other.id);
  bench.row(bench.option.id, { bidTicks: 305 });
  bench.gate.check(bench.batch, bench.timeUs);
  expect(bench.gate.kill.state.reason).toBe("limit:selfCross");
  expect([...bench.batch.bidLots.subarray(0, bench.batch.count)]).toEqual([0, 0]);
  expect([...bench.batch.askLots.subarray(0, bench.batch.count)]).toEqual([0, 0]);
});

test("fills in quick succession pull the underlying for a while", () => {
  const bench = new Bench({ protectionFills: 3, protectionFrozenMs: 1_000 });
  for (let i = 0; i < 3; i += 1) bench.gate.onExecution(bench.option.id, 0, 300, 1, bench.timeUs + i);
  expect(bench.check({}, bench.other.id)).toMatchObject(NONE);
  expect(bench.gate.refused("protection")).toBe(2);
  bench.timeUs += 1_001_000;
  expect(bench.check({}, bench.other.id)).toMatchObject(BOTH);
});

test("much delta traded at once pulls the underlying", () => {
  const bench = new Bench({ protectionDeltaNotional: 10 * LOT_NOTIONAL });
  bench.gate.onExecution(bench.option.id, 1, 300, 10, bench.timeUs);
  expect(bench.check({}, bench.other.id)).toMatchObject(NONE);
});

const anyRow = fc.record({
  instrument: fc.constantFrom(0, 1, 7),
  bidTicks: fc.integer({ min: -1, max: 400 }),
  bidLots: fc.oneof(fc.integer({ min: 0, max: 60 }), fc.constantFrom(-1, 0.5, Number.NaN)),
  askTicks: fc.integer({ min: -1, max: 400 }),
  askLots: fc.oneof(fc.integer({ min: 0, max: 60 }), fc.constantFrom(-1, 0.5, Number.NaN)),
  fair: fc.oneof(fc.constant(0.03), fc.constantFrom(Number.NaN, -1, 0.02, 0.04)),
  delta: fc.oneof(fc.double({ min: -1, max: 1, noNaN: true }), fc.constant(2)),
  standing: fc.boolean(),
});
const anyState = fc.record({
  positions: fc.tuple(fc.integer({ min: -60, max: 60 }), fc.integer({ min: -60, max: 60 })),
  bests: fc.tuple(fc.integer({ min: -1, max: 310 }), fc.integer({ min: -1, max: 320 })),
  live: fc.boolean(),
  killed: fc.boolean(),
  reduceOnly: fc.boolean(),
  ageMs: fc.nat({ max: 7_000 }),
  rows: fc.array(anyRow, { minLength: 1, maxLength: 12 }),
});

test("no path leads around a limit: whatever the rows and the state, what leaves keeps every limit, and pulls pass", () => {
  const limits: RiskLimits = {
    ...DEFAULT_RISK_LIMITS,
    maxPositionNotional: 40 * LOT_NOTIONAL,
    maxGrossNotional: 80 * LOT_NOTIONAL,
    maxDeltaNotional: 30 * LOT_NOTIONAL,
    maxQuoteNotional: 50 * LOT_NOTIONAL,
    hardLimitMultiple: 100,
  };
  fc.assert(
    fc.property(anyState, ({ positions, bests, live, killed, reduceOnly, ageMs, rows }) => {
      const bench = new Bench(limits, killed ? { tripped: true, reason: "test", timeUs: 1 } : NOT_TRIPPED);
      const { gate, batch } = bench;
      gate.positions.set(0, positions[0]);
      gate.positions.set(1, positions[1]);
      gate.onFeedState(1, live);
      gate.onBook(0, bests[0], bests[1]);
      if (reduceOnly) gate.reduce("reduceOnly", "operator", bench.timeUs);
      bench.timeUs += ageMs * 1_000;
      for (const { instrument, ...row } of rows) bench.row(instrument, row);
      const pulls = rows.filter((row) => row.bidLots === 0 && row.askLots === 0).length;
      gate.check(batch, bench.timeUs);

      let pulled = 0;
      const seen = new Set<number>();
      const gross = (Math.abs(positions[0]) + Math.abs(positions[1])) * LOT_NOTIONAL;
      for (let row = 0; row < batch.count; row += 1) {
        const id = batch.instrument[row];
        const bidLots = batch.bidLots[row];
        const askLots = batch.askLots[row];
        if (bidLots === 0 && askLots === 0) {
          expect([batch.bidTicks[row], batch.askTicks[row]]).toEqual([-1, -1]);
          pulled += 1;
          continue;
        }
        expect([killed, seen.has(id), id === 7, id === 1 && !live, ageMs > 5_000]).toEqual(
          Array(5).fill(false),
        );
        seen.add(id);
        const fair = batch.fair[row] / 1e-4;
        const delta = batch.delta[row];
        const collar = Math.abs(delta) * limits.collarFairBp + limits.collarFairTicks + 1e-6;
        const sides: readonly (readonly [number, number, number, number])[] = [
          [1, batch.bidTicks[row], bidLots, id === 0 ? bests[1] : -1],
          [-1, batch.askTicks[row], askLots, id === 0 ? bests[0] : -1],
        ];
        if (bidLots > 0 && askLots > 0) expect(batch.bidTicks[row]).toBeLessThan(batch.askTicks[row]);
        for (const [sign, ticks, lots, opposite] of sides) {
          if (lots === 0) continue;
          expect(Number.isInteger(lots) && lots > 0 && ticks > 0).toBe(true);
          expect(sign * (ticks - fair)).toBeLessThanOrEqual(collar);
          if (opposite >= 0)
            expect(sign * (opposite - ticks)).toBeGreaterThanOrEqual(limits.collarMarketTicks);
          expect(lots * LOT_NOTIONAL).toBeLessThanOrEqual(limits.maxQuoteNotional);
          const position = positions[id];
          const after = Math.abs(position + sign * lots);
          const reduces = lots <= Math.max(-sign * position, 0);
          if (reduceOnly) expect(reduces).toBe(true);
          if (reduces) continue;
          expect(after * LOT_NOTIONAL).toBeLessThanOrEqual(limits.maxPositionNotional);
          const adding = lots - Math.max(-sign * position, 0);
          expect(gross + adding * LOT_NOTIONAL).toBeLessThanOrEqual(limits.maxGrossNotional);
        }
      }
      expect(pulled).toBeGreaterThanOrEqual(pulls);
    }),
    { seed: 9, numRuns: 1_000 },
  );
});

test("limits have one name each", () => {
  expect(new Set(LIMITS).size).toBe(LIMITS.length);
});
