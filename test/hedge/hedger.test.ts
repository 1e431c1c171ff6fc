import { expect, test } from "bun:test";
import { INVERSE_OPTION } from "../../src/bench/option-table.ts";
import { Hedger } from "../../src/hedge/hedger.ts";
import { DEFAULT_HEDGE_PARAMETERS, type HedgeParameters } from "../../src/hedge/parameters.ts";
import { type InstrumentSpec, InstrumentTable } from "../../src/market/instrument.ts";
import { Adjustment } from "../../src/quote/policy.ts";
import { QuoteBatch } from "../../src/quote/quote-batch.ts";
import { RiskGate } from "../../src/risk/gate.ts";
import { NOT_TRIPPED } from "../../src/risk/kill-switch.ts";
import { DEFAULT_RISK_LIMITS } from "../../src/risk/limits.ts";
import { ORDER_STATE, type OrderIntent } from "../../src/risk/order.ts";
import { PERPETUAL } from "../support/perpetuals.ts";

const NOW_US = 1_700_000_000_000_000;
const PRICE = 50_000;

const OPTION: InstrumentSpec = {
  ...INVERSE_OPTION,
  expiryMs: NOW_US / 1_000 + 10 * 86_400_000,
  strike: PRICE,
};

function ownBid(ticks: number): QuoteBatch {
  const batch = new QuoteBatch(1);
  batch.count = 1;
  batch.quoteId[0] = 1;
  batch.bidTicks[0] = ticks;
  batch.bidLots[0] = 10;
  batch.askTicks[0] = -1;
  batch.fair[0] = PRICE;
  batch.delta[0] = 1;
  return batch;
}

class Bench {
  readonly sent: OrderIntent[] = [];
  readonly cancelled: number[] = [];
  readonly adjustment = new Adjustment();
  readonly gate: RiskGate;
  readonly hedger: Hedger;
  timeUs = NOW_US;

  constructor(parameters: Partial<HedgeParameters> = {}) {
    const instruments = new InstrumentTable(4);
    this.gate = new RiskGate({ instruments, limits: DEFAULT_RISK_LIMITS, kill: NOT_TRIPPED });
    this.hedger = new Hedger({
      parameters: { ...DEFAULT_HEDGE_PARAMETERS, ...parameters },
      instruments: [{ venue: "deribit", symbol: "BTC-PERPETUAL" }],
      gate: this.gate,
      adjustments: [this.adjustment],
      send: ({ intent }) => this.sent.push(intent),
      cancel: (orderId, timeUs) => {
        this.gate.orders.onCancelSent(orderId, timeUs);
        this.cancelled.push(orderId);
      },
    });
    this.gate.onReference(0, PRICE, this.timeUs);
    for (const spec of [PERPETUAL, OPTION]) {
      const instrument = instruments.add(spec);
      if (instrument === undefined) throw new Error("the table is full");
      this.gate.add(instrument, 0);
      this.hedger.add(instrument, 0);
      this.gate.onFeedState(instrument.id, true);
      this.gate.onTicker(instrument.id, 0.6, PRICE, this.timeUs, this.timeUs);
    }
    this.gate.onBook(0, 99_990, 100_010);
  }

  /** Holds options with about this much delta. */
  hold(lots: number): void {
    this.gate.positions.set(1, lots);
  }

  run(ms: number): void {
    for (let i = 0; i < ms; i += 10) {
      this.timeUs += 10_000;
      this.gate.onReference(0, PRICE, this.timeUs);
      this.gate.onTimer(this.timeUs);
      this.hedger.onTimer(this.timeUs);
    }
  }

  get net(): number {
    return this.gate.positions.netDeltaNotional(0);
  }
}

test("within the band nothing is sent", () => {
  const bench = new Bench();
  bench.hold(50);
  expect(Math.abs(bench.net)).toBeLessThan(bench.hedger.band(0));
  bench.run(1_000);
  expect(bench.sent).toEqual([]);
});

test("beyond the band a hedge first rests at the best price of its own side", () => {
  const bench = new Bench();
  bench.hold(400);
  bench.run(10);
  expect(bench.sent).toHaveLength(1);
  expect(bench.sent[0]).toMatchObject({
    instrument: 0,
    side: 1,
    priceTicks: 100_010,
    timeInForce: "day",
    hedge: true,
  });
});

test("a hedge that the gate refuses is counted, and which one and why is known", () => {
  const bench = new Bench();
  bench.gate.setLimits({ ...DEFAULT_RISK_LIMITS, maxOrderNotional: 1 }, bench.timeUs);
  bench.hold(400);
  expect(bench.hedger.lastRefused).toBeNull();
  bench.run(600);
  expect(bench.sent).toEqual([]);
  expect(bench.hedger.counters.refused).toBe(3);
  expect(bench.hedger.lastRefused).toMatchObject({
    ...{ limit: "orderNotional", side: 1, priceTicks: 100_010 },
    instrument: { symbol: "BTC-PERPETUAL" },
  });
});

test("when its patience is over it is taken back, and the next one crosses", () => {
  const bench = new Bench({ patienceMs: 500 });
  bench.hold(400);
  bench.run(10);
  const [first] = bench.sent;
  const orderId = first?.orderId ?? 0;
  bench.gate.onOrderState(orderId, ORDER_STATE.working, Number.POSITIVE_INFINITY);
  bench.run(600);
  expect(bench.cancelled).toEqual([orderId]);
  expect(bench.sent).toHaveLength(1);
  bench.gate.onOrderState(orderId, ORDER_STATE.done, 0);
  bench.run(100);
  expect(bench.sent[1]).toMatchObject({ side: 1, priceTicks: 99_988, timeInForce: "ioc" });
});

test("it crosses at once when the model expects a move against the open delta, and waits for one in its favour", () => {
  const against = new Bench();
  against.adjustment.widenLongBp = 10;
  against.hold(400);
  against.run(10);
  expect(against.sent[0]).toMatchObject({ timeInForce: "ioc" });
  const favour = new Bench({ patienceMs: 0 });
  favour.adjustment.widenShortBp = 10;
  favour.hold(400);
  favour.run(10);
  expect(favour.sent[0]).toMatchObject({ timeInForce: "day" });
});

test("a hedge brings the delta back into the band, in orders of bounded size, and then stops", () => {
  const bench = new Bench({ patienceMs: 0, intervalMs: 0, maxOrderNotional: 200_000 });
  bench.hold(400);
  for (let i = 0; i < 40; i += 1) {
    bench.run(10);
    const last = bench.sent.at(-1);
    if (last === undefined || bench.gate.orders.get(last.orderId) === undefined) continue;
    expect(last.sizeLots * 10).toBeLessThanOrEqual(200_000);
    bench.gate.onExecution(
      last.instrument,
      last.side,
      last.priceTicks,
      last.sizeLots,
      bench.timeUs,
      last.orderId,
    );
  }
  expect(bench.sent.length).toBeGreaterThan(2);
  expect(Math.abs(bench.net)).toBeLessThan(bench.hedger.band(0));
  const { length } = bench.sent;
  bench.run(500);
  expect(bench.sent).toHaveLength(length);
});

test("while an order's outcome is unknown nothing more is sent", () => {
  const bench = new Bench({ patienceMs: 0, intervalMs: 0 });
  bench.hold(400);
  bench.run(10);
  bench.run(5_000);
  expect(bench.gate.orders.unknown).toBe(1);
  expect(bench.sent).toHaveLength(1);
  bench.gate.onOrderState(bench.sent[0]?.orderId ?? 0, ORDER_STATE.done, 0);
  bench.run(20);
  expect(bench.sent).toHaveLength(2);
});

test("cost and gamma widen the band, aversion narrows it", () => {
  const cheap = new Bench({ bandNotional: 0, costBp: 0 });
  const dear = new Bench({ bandNotional: 0, costBp: 20 });
  const averse = new Bench({ bandNotional: 0, costBp: 20, riskAversion: 1e-4 });
  for (const bench of [cheap, dear, averse]) bench.hold(400);
  expect(dear.hedger.band(0)).toBeGreaterThan(cheap.hedger.band(0));
  expect(averse.hedger.band(0)).toBeLessThan(dear.hedger.band(0));
});

test("it never trades through a quote of our own", () => {
  const bench = new Bench({ patienceMs: 0 });
  bench.hold(400);
  bench.gate.check(ownBid(99_995), bench.timeUs);
  bench.run(10);
  expect(bench.gate.refused("selfCross")).toBe(0);
  expect(bench.sent[0]?.priceTicks).toBe(99_996);
});

test("a halted desk hedges no more, one that only reduces still does", () => {
  const halted = new Bench({ patienceMs: 0 });
  halted.hold(400);
  halted.gate.kill.trip("signal", NOW_US);
  halted.run(100);
  expect(halted.sent).toEqual([]);
  const reducing = new Bench({ patienceMs: 0 });
  reducing.hold(400);
  reducing.gate.reduce("reduceOnly", "operator", NOW_US);
  reducing.run(100);
  expect(reducing.sent).toHaveLength(1);
});
