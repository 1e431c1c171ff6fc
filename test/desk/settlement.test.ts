import { expect, test } from "bun:test";
import { INVERSE_OPTION } from "../../src/bench/option-table.ts";
import type { RiskDecision } from "../../src/desk/risk-decision.ts";
import { JUDGED } from "../../src/desk/turn.ts";
import { DEFAULT_HEDGE_PARAMETERS } from "../../src/hedge/parameters.ts";
import { EVENT, EventBatch, TICKER, TICKER_FIELDS } from "../../src/market/event-batch.ts";
import type { Instrument, InstrumentSpec } from "../../src/market/instrument.ts";
import { MetricRegistry } from "../../src/monitor/metrics.ts";
import { positionReport } from "../../src/monitor/position-report.ts";
import { registerRiskMetrics } from "../../src/monitor/risk-metrics.ts";
import { ORDER_STATE } from "../../src/risk/order.ts";
import type { ReconciliationReport } from "../../src/risk/reconciliation.ts";
import { exposition } from "../support/exposition.ts";
import { DeskBed } from "./desk-bed.ts";

const START_MS = 1_700_000_000_000;
/** When the bed's options expire, after its start. */
const EXPIRY_MS = 3_000;
const LOTS = 100;
/** Coins in one lot. */
const LOT = 0.1;

type Decided = Extract<RiskDecision, { decided: "settled" | "unsettled" }>;

/** A desk on a leading perpetual, and options on the same coin that expire after some seconds. */
class ExpiryBed extends DeskBed {
  readonly batch = new EventBatch();

  constructor(more: ConstructorParameters<typeof DeskBed>[5] = {}) {
    super(null, {}, false, {}, null, more);
    this.run(1_000);
  }

  /** The price of the coin as the desk has it. */
  get price(): number {
    return this.desk.gate.price(0);
  }

  /** @param moneyness strike over the present price, to the nearest thousand */
  list(moneyness: number, spec: Partial<InstrumentSpec> = {}): Instrument {
    const strike = Math.round((this.price * moneyness) / 1_000) * 1_000;
    const option = { ...INVERSE_OPTION, strike, expiryMs: START_MS + EXPIRY_MS, ...spec };
    const symbol = spec.symbol ?? `BTC-${strike}`;
    const instrument = this.desk.market.instruments.add({ ...option, symbol });
    if (instrument === undefined) throw new Error("the table is full");
    this.run(200);
    return instrument;
  }

  /** The venue's word on an instrument. @param indexPrice NaN: not told */
  ticker({ id }: Instrument, indexPrice = Number.NaN, exchangeTimeUs = this.timeUs): void {
    const { batch } = this;
    batch.clear();
    const row = batch.begin(EVENT.ticker, id, exchangeTimeUs);
    batch.values[row * TICKER_FIELDS + TICKER.markIv] = 0.6;
    batch.values[row * TICKER_FIELDS + TICKER.underlyingPrice] = this.price;
    batch.values[row * TICKER_FIELDS + TICKER.indexPrice] = indexPrice;
    this.desk.market.apply(batch, row, JUDGED, this.timeUs);
  }

  fill({ id }: Instrument, side: number, lots = LOTS, executionId = `${id} ${this.timeUs}`): void {
    this.desk.onExecution(executionId, id, side, 400, lots, this.timeUs, { fee: 0 });
  }

  /** @param ms since the start of the bed */
  runUntil(ms: number): void {
    this.run(START_MS + ms - this.timeUs / 1_000);
  }

  get told(): Decided[] {
    return this.decisions.flatMap((decision) =>
      decision.decided === "settled" || decision.decided === "unsettled" ? [decision] : [],
    );
  }

  lots({ id }: Instrument): number[] {
    return [
      this.desk.gate.positionLots(id),
      this.desk.book.ledger.lots[id],
      this.desk.quoter.inventory.positionLots[id],
    ];
  }

  reconcile(positions: ReconciliationReport["positions"]): ReturnType<typeof this.desk.onReconciliation> {
    return this.desk.onReconciliation({ positions, openOrders: [], quotes: [] }, false, this.timeUs);
  }

  compare(positions: ReconciliationReport["positions"]): ReturnType<typeof this.desk.comparePositions> {
    return this.desk.comparePositions(positions, this.timeUs);
  }

  get delta(): number {
    return this.desk.gate.positions.netDeltaNotional(0);
  }
}

function report({ venue, symbol }: Instrument, size: string): ReconciliationReport["positions"] {
  return [{ venue, symbol, size, averagePrice: null }];
}

test("an option in the money leaves the books at what it pays, and its delta with it", () => {
  const bed = new ExpiryBed();
  const call = bed.list(0.8);
  bed.ticker(call);
  bed.fill(call, 0);
  bed.runUntil(EXPIRY_MS - 50);
  expect(bed.lots(call)).toEqual([LOTS, LOTS, LOTS]);
  expect(bed.delta).toBeGreaterThan(0.9 * LOTS * LOT * bed.price);
  bed.runUntil(EXPIRY_MS + 20);
  expect(bed.lots(call)).toEqual([0, 0, 0]);
  expect(bed.delta).toBe(0);
  const [settled] = bed.told;
  if (settled?.underlyingPrice == null) throw new Error("it was settled by a price");
  const final = settled.underlyingPrice;
  expect(Math.abs(final / bed.price - 1)).toBeLessThan(1e-3);
  const pays = (final - call.strike) / final;
  expect(settled).toMatchObject({ decided: "settled", by: "underlying", symbol: call.symbol, lots: LOTS });
  expect(settled.price).toBeCloseTo(pays, 12);
  const coins = LOTS * LOT * (pays - 0.04);
  const { book } = bed.desk;
  expect(book.ledger.realised(call.id)).toBeCloseTo(coins, 9);
  book.step(call.id, bed.timeUs);
  expect(book.profit).toBeCloseTo(coins * bed.price, 4);
  const sources = Object.values(book.sources()).reduce((sum, amount) => sum + amount, 0);
  expect(sources).toBeCloseTo(book.profit, 4);
  expect(bed.desk.settlement.settled).toBe(1);
});

test("out of the money it is worth nothing: the premium is the profit of who sold it", () => {
  const bed = new ExpiryBed();
  const put = bed.list(0.8, { optionType: "put" });
  bed.ticker(put);
  bed.fill(put, 1);
  bed.runUntil(EXPIRY_MS + 20);
  expect(bed.told).toMatchObject([{ decided: "settled", lots: -LOTS, price: 0 }]);
  expect(bed.lots(put)).toEqual([0, 0, 0]);
  expect(bed.desk.book.ledger.realised(put.id)).toBeCloseTo(LOTS * LOT * 0.04, 12);
  bed.run(500);
  expect(bed.desk.book.profit).toBeCloseTo(LOTS * LOT * 0.04 * bed.price, 0);
});

test("the venue's own index goes before the desk's price, and neither is taken where they are far apart", () => {
  for (const [off, by] of [
    [1.002, "index"],
    [1.2, "unsettled"],
  ] as const) {
    const bed = new ExpiryBed();
    const call = bed.list(0.8);
    bed.fill(call, 0);
    bed.runUntil(EXPIRY_MS - 100);
    const index = bed.price * off;
    bed.ticker(call, index);
    bed.runUntil(EXPIRY_MS + 20);
    if (by === "index") expect(bed.told).toMatchObject([{ by, underlyingPrice: index }]);
    else expect([bed.told, bed.lots(call)]).toEqual([[], [LOTS, LOTS, 0]]);
  }
});

test("linear options and dated futures are settled in money", () => {
  const bed = new ExpiryBed();
  const linear = { inverse: false, quote: "USDC", settle: "USDC", tick: { mantissa: 1, scale: 0 } } as const;
  const call = bed.list(0.8, { ...linear, symbol: "LINEAR" });
  const future = bed.list(1, {
    ...linear,
    ...{ symbol: "FUTURE", kind: "future", strike: Number.NaN, optionType: null },
  });
  bed.fill(call, 0);
  bed.fill(future, 1);
  bed.runUntil(EXPIRY_MS + 20);
  const final = bed.told[0]?.underlyingPrice ?? Number.NaN;
  expect(bed.told).toMatchObject([
    { symbol: "LINEAR", lots: LOTS, underlyingPrice: final },
    { symbol: "FUTURE", lots: -LOTS, underlyingPrice: final, price: final },
  ]);
  expect(bed.told[0]?.price).toBeCloseTo(final - call.strike, 6);
  expect(bed.desk.book.ledger.realised(call.id)).toBeCloseTo(LOTS * LOT * (final - call.strike - 400), 4);
  expect(bed.desk.book.ledger.realised(future.id)).toBeCloseTo(-LOTS * LOT * (final - 400), 4);
  expect(bed.delta).toBe(0);
});

test("the hedge of what was settled is unwound: the hedger sees the hedge alone", () => {
  const instruments = [{ venue: "binance-usdm", symbol: "BTCUSDT" }] as const;
  const parameters = { ...DEFAULT_HEDGE_PARAMETERS, bandNotional: 1_000, patienceMs: 0 };
  const bed = new ExpiryBed({ hedge: { parameters, instruments } });
  const { gate } = bed.desk;
  const call = bed.list(0.5);
  bed.ticker(call);
  bed.fill(call, 0);
  const hedged = (): void => {
    for (let i = 0; i < 200 && bed.timeUs / 1_000 < START_MS + EXPIRY_MS + 2_000; i += 1) {
      bed.run(10);
      for (const { orderId, instrument, side, priceTicks, sizeLots } of bed.orders.splice(0)) {
        bed.desk.onExecution(`H${orderId}`, instrument, side, priceTicks, sizeLots, bed.timeUs, { orderId });
        bed.desk.onOrderState(orderId, ORDER_STATE.done, 0, "", bed.timeUs);
      }
    }
  };
  bed.runUntil(EXPIRY_MS - 1_300);
  hedged();
  expect(gate.positionLots(0)).toBeLessThan(0);
  bed.runUntil(EXPIRY_MS + 10);
  hedged();
  expect([gate.positionLots(call.id), bed.told.length]).toEqual([0, 1]);
  expect(Math.abs(gate.positionLots(0) * gate.positions.notionalPerLot(0, bed.price))).toBeLessThan(1_500);
});

test("a fill that is told after the expiry is booked and settled at the same price", () => {
  const bed = new ExpiryBed();
  const call = bed.list(0.8);
  bed.ticker(call);
  bed.fill(call, 0);
  bed.runUntil(EXPIRY_MS + 200);
  const before = bed.desk.book.ledger.realised(call.id);
  bed.fill(call, 1, 40, "late");
  expect(bed.lots(call)).toEqual([0, 0, 0]);
  const [first, late] = bed.told;
  expect(late).toMatchObject({ decided: "settled", lots: -40, price: first?.price ?? null });
  const lateCoins = -40 * LOT * ((first?.price ?? Number.NaN) - 0.04);
  expect(bed.desk.book.ledger.realised(call.id) - before).toBeCloseTo(lateCoins, 9);
  expect([bed.desk.gate.tradingState, bed.desk.settlement.settled]).toEqual(["active", 2]);
});

test("nothing of what has expired is let through, even while its feed is live", () => {
  const bed = new ExpiryBed();
  const call = bed.list(0.8);
  bed.ticker(call);
  bed.desk.gate.onFeedState(call.id, true);
  const attempt = (): string | object =>
    bed.desk.gate.checkOrder(
      {
        ...{ orderId: Math.floor(bed.timeUs), instrument: call.id, side: 0, priceTicks: 1, sizeLots: 1 },
        ...{ timeInForce: "ioc", fair: 0.2, delta: 1, hedge: false },
      },
      bed.timeUs,
    );
  bed.runUntil(EXPIRY_MS - 20);
  expect(attempt()).not.toBeString();
  bed.runUntil(EXPIRY_MS + 20);
  expect(attempt()).toBe("feed");
});

/** A desk whose leading market is silent from before the expiry until after the last moment at which its price would count. */
function unpriced(): { bed: ExpiryBed; call: Instrument } {
  const bed = new ExpiryBed({ reconcile: "adopt" });
  const call = bed.list(0.8);
  bed.ticker(call);
  bed.fill(call, 0);
  bed.runUntil(EXPIRY_MS - 500);
  bed.market.muted = true;
  for (let ms = 1_000; ms <= 70_000; ms += 1_000) bed.desk.onTimer(bed.timeUs + 6_000_000 + ms * 1_000);
  return { bed, call };
}

test("without a price that is trusted it stays at its last mark, without Greeks, and is told once", () => {
  const { bed, call } = unpriced();
  const { desk } = bed;
  expect(bed.told).toMatchObject([
    { decided: "unsettled", symbol: call.symbol, lots: LOTS, underlyingPrice: null },
  ]);
  expect(desk.gate.mark(call.id)).toBeCloseTo(0.2, 1);
  expect(bed.lots(call)).toEqual([LOTS, LOTS, 0]);
  expect([bed.delta, desk.settlement.settled]).toEqual([0, 0]);
  expect(desk.settlement.unsettled).toEqual([`deribit:${call.symbol}`]);
  expect(desk.book.view().find(({ symbol }) => symbol === call.symbol)?.lots).toBe(LOTS);
});

test("what could not be priced leaves when the counterparty does not hold it any more, at its last mark", () => {
  const { bed, call } = unpriced();
  const profit = bed.desk.book.profit;
  const metrics = new MetricRegistry();
  registerRiskMetrics(metrics, bed.desk);
  expect(exposition(metrics)).toContain("\nkeel_position_unsettled 1\n");
  expect(positionReport(bed.desk).unsettled).toEqual([`deribit:${call.symbol}`]);
  expect(bed.reconcile(report(call, "10")).differences).toEqual([]);
  expect(bed.compare(report(call, "10"))).toEqual([]);
  // It is for a reconciliation to take out.
  expect(bed.compare([])).toEqual([{ instrument: call.id, ownLots: LOTS, venueLots: 0 }]);
  expect(bed.lots(call)).toEqual([LOTS, LOTS, 0]);
  expect(bed.reconcile([])).toMatchObject({ differences: [], reconciled: true });
  expect(bed.lots(call)).toEqual([0, 0, 0]);
  expect(bed.told.at(-1)).toMatchObject({ decided: "settled", by: "counterparty", lots: LOTS });
  expect(bed.desk.book.profit).toBeCloseTo(profit, 6);
  expect(positionReport(bed.desk).unsettled).toEqual([]);
  expect(exposition(metrics)).toContain("\nkeel_position_unsettled 0\n");
  expect(exposition(metrics)).toContain("\nkeel_position_settlements_total 1\n");
});

test("around an expiry the desk and the counterparty do not settle at once: neither order of the two is a mismatch", () => {
  for (const rule of ["refuse", "adopt"] as const) {
    const bed = new ExpiryBed({ reconcile: rule });
    bed.reconcile([]);
    const call = bed.list(0.8);
    bed.ticker(call);
    bed.fill(call, 0);
    // The counterparty's clock is ahead.
    bed.runUntil(EXPIRY_MS - 100);
    expect(bed.compare([])).toEqual([]);
    expect(bed.reconcile([])).toMatchObject({ differences: [], reconciled: true });
    expect(bed.lots(call)[0]).toBe(LOTS);
    bed.runUntil(EXPIRY_MS + 100);
    expect(bed.told).toMatchObject([{ decided: "settled", by: "underlying", lots: LOTS }]);
    // Or it settles minutes later.
    expect(bed.compare(report(call, "10"))).toEqual([]);
    expect(bed.reconcile(report(call, "10"))).toMatchObject({ differences: [], reconciled: true });
    expect(bed.lots(call)).toEqual([0, 0, 0]);
    expect(bed.reconcile([])).toMatchObject({ differences: [], reconciled: true });
  }
});

test("long before an expiry a position that the counterparty lacks is a mismatch as ever", () => {
  const bed = new ExpiryBed({ reconcile: "refuse" });
  bed.reconcile([]);
  const call = bed.list(0.8, { expiryMs: START_MS + 60_000 });
  bed.fill(call, 0);
  expect(bed.compare([])).toEqual([{ instrument: call.id, ownLots: LOTS, venueLots: 0 }]);
  expect(bed.desk.gate.reconciled).toBe(true);
  expect(bed.reconcile([])).toMatchObject({
    differences: [{ ownLots: LOTS, venueLots: 0 }],
    reconciled: false,
  });
});

test("a restart after the expiry: what is described still, and what never is again, is told and not settled by a later price", () => {
  const first = new ExpiryBed();
  const call = first.list(0.8);
  first.ticker(call);
  first.fill(call, 0);
  first.runUntil(EXPIRY_MS - 100);
  const opening = first.desk.book.snapshot();
  const { profit } = first.desk.book;
  const key = `deribit:${call.symbol}`;

  const never = new ExpiryBed({ opening });
  never.runUntil(EXPIRY_MS + 1_000);
  expect(never.desk.book.unresolved).toContain(key);
  expect([never.desk.book.profit, never.delta]).toEqual([profit, 0]);

  const late = new ExpiryBed({ opening });
  late.list(0.8, { symbol: call.symbol, strike: call.strike, expiryMs: START_MS - 120_000 });
  late.run(100);
  expect(late.told).toMatchObject([{ decided: "unsettled", symbol: call.symbol, lots: LOTS }]);
  expect([late.desk.settlement.unsettled, late.delta]).toEqual([[key], 0]);
  expect(late.desk.book.profit).toBeCloseTo(profit, 6);

  const soon = new ExpiryBed({ opening });
  soon.list(0.8, { symbol: call.symbol, strike: call.strike, expiryMs: START_MS - 10_000 });
  soon.run(100);
  expect(soon.told).toMatchObject([{ decided: "settled", lots: LOTS }]);
  const sources = soon.desk.book.sources();
  expect(sources.vega).toBe(opening.positions[key]?.attribution.vega ?? Number.NaN);
  expect(Object.values(sources).reduce((sum, amount) => sum + amount, 0)).toBeCloseTo(
    soon.desk.book.profit,
    4,
  );
});

test("books written after a settlement open without the position and with its profit", () => {
  const bed = new ExpiryBed();
  const call = bed.list(0.8);
  bed.ticker(call);
  bed.fill(call, 0);
  bed.runUntil(EXPIRY_MS + 100);
  const opening = bed.desk.book.snapshot();
  expect(JSON.stringify(opening)).not.toContain(':null,"markout');
  const again = new ExpiryBed({ opening: JSON.parse(JSON.stringify(opening)) });
  expect(again.desk.book.profit).toBeCloseTo(bed.desk.book.profit, 0);
  again.list(0.8, { symbol: call.symbol, strike: call.strike });
  again.runUntil(EXPIRY_MS + 100);
  expect([again.told, again.lots(call)]).toEqual([[], [0, 0, 0]]);
});

test("an expiry has come when the venue's clock says so, and no stamp of it brings one early", () => {
  const bed = new ExpiryBed();
  const call = bed.list(0.8);
  bed.fill(call, 0);
  const { market, settlement } = bed.desk;
  const dayUs = 86_400e6;
  bed.ticker(call, Number.NaN, bed.timeUs + dayUs);
  expect(market.venueTimeUs(call.id, bed.timeUs)).toBe(bed.timeUs);
  bed.desk.onTimer(bed.timeUs + 20_000);
  expect(settlement.settled).toBe(0);
  // A capture that is served: its frames are of another day.
  bed.runUntil(EXPIRY_MS - 20);
  bed.ticker(call, Number.NaN, bed.timeUs - dayUs);
  expect(market.venueTimeUs(call.id, bed.timeUs)).toBe(bed.timeUs - dayUs);
  bed.desk.onTimer(bed.timeUs + 40_000);
  expect([settlement.settled, bed.lots(call)[0]]).toEqual([0, LOTS]);
  bed.runUntil(EXPIRY_MS + 1_100);
  expect([settlement.settled, bed.lots(call)[0]]).toEqual([1, 0]);
});
