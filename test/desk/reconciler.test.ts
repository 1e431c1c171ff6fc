import { expect, test } from "bun:test";
import { Reconciler } from "../../src/desk/reconciler.ts";
import { type Instrument, InstrumentTable } from "../../src/market/instrument.ts";
import { Book } from "../../src/position/book.ts";
import { DEFAULT_FEE_RATES } from "../../src/position/fees.ts";
import { RiskGate } from "../../src/risk/gate.ts";
import { NOT_TRIPPED } from "../../src/risk/kill-switch.ts";
import { DEFAULT_RISK_LIMITS } from "../../src/risk/limits.ts";
import { ORDER_STATE } from "../../src/risk/order.ts";
import type { MismatchRule, ReconciliationReport } from "../../src/risk/reconciliation.ts";
import { PERPETUAL } from "../support/perpetuals.ts";

const NOW_US = 1_700_000_000_000_000;

const EMPTY: ReconciliationReport = { positions: [], openOrders: [], quotes: [] };

class Bench {
  readonly instruments = new InstrumentTable(4);
  readonly gate = new RiskGate({
    instruments: this.instruments,
    limits: DEFAULT_RISK_LIMITS,
    kill: NOT_TRIPPED,
  });
  readonly book = new Book({
    capacity: 4,
    gate: this.gate,
    rates: DEFAULT_FEE_RATES,
    model: "none",
    opening: null,
  });
  readonly reconciler: Reconciler;
  /** Every difference goes by itself. */
  expiring = false;

  constructor(rule: MismatchRule | null) {
    const { instruments, gate, book } = this;
    const expiry = { explains: () => false, passes: () => this.expiring };
    this.reconciler = new Reconciler({ instruments, gate, book, rule, expiry });
    gate.onReference(0, 50_000, NOW_US);
  }

  list(symbol = "BTC-PERPETUAL"): Instrument {
    const instrument = this.instruments.add({ ...PERPETUAL, symbol });
    if (instrument === undefined) throw new Error("the table is full");
    this.gate.add(instrument, 0);
    this.gate.onFeedState(instrument.id, true);
    this.book.add(instrument, 0);
    this.reconciler.onInstrument(instrument, NOW_US);
    return instrument;
  }

  told(size: string, symbol = "BTC-PERPETUAL"): ReconciliationReport {
    return { ...EMPTY, positions: [{ venue: "deribit", symbol, size, averagePrice: 49_000 }] };
  }

  order(instrument: number): string | object {
    const order = { orderId: 9, instrument, side: 0, priceTicks: 99_000, sizeLots: 5 } as const;
    return this.gate.checkOrder(
      { ...order, timeInForce: "day", fair: 50_000, delta: 1, hedge: false },
      NOW_US,
    );
  }
}

test("nothing leaves before the counterparty has told what it holds, in every session anew", () => {
  const bench = new Bench("adopt");
  const { id } = bench.list();
  expect(bench.order(id)).toBe("unreconciled");
  expect(bench.reconciler.apply(EMPTY, false, NOW_US).reconciled).toBe(true);
  expect(bench.order(id)).not.toBeString();
  bench.reconciler.doubt();
  expect(bench.gate.reconciled).toBe(false);
});

test("a comparison finds what differs, and changes nothing", () => {
  for (const rule of ["adopt", "refuse"] as const) {
    const bench = new Bench(rule);
    const { id } = bench.list();
    const other = bench.list("ETH-PERPETUAL").id;
    bench.reconciler.apply(EMPTY, false, NOW_US);
    bench.gate.positions.set(other, 3);
    const { positions } = bench.told("-2500");
    const unknown = bench.told("10", "NEVER-LISTED").positions;
    const differences = bench.reconciler.compare([...positions, ...unknown], NOW_US);
    expect(differences).toEqual([
      { instrument: id, ownLots: 0, venueLots: -250 },
      { instrument: other, ownLots: 3, venueLots: 0 },
    ]);
    expect([bench.gate.positionLots(id), bench.gate.positionLots(other)]).toEqual([0, 3]);
    expect([bench.gate.reconciled, bench.reconciler.waiting]).toEqual([true, []]);
    bench.expiring = true;
    expect(bench.reconciler.compare(positions, NOW_US)).toEqual([]);
  }
});

test("a position that differs is taken over, and makes neither profit nor loss", () => {
  const bench = new Bench("adopt");
  const { id } = bench.list();
  const result = bench.reconciler.apply(bench.told("-2500"), false, NOW_US);
  expect(result).toMatchObject({
    differences: [{ instrument: id, ownLots: 0, venueLots: -250 }],
    reconciled: true,
    strangers: false,
  });
  expect([bench.gate.positionLots(id), bench.book.ledger.lots[id]]).toEqual([-250, -250]);
  bench.book.step(id, NOW_US);
  expect(Math.abs(bench.book.profit)).toBeLessThan(1e-9);
});

test("where the rule refuses, nothing leaves until an operator has it taken over", () => {
  const bench = new Bench("refuse");
  const { id } = bench.list();
  expect(bench.reconciler.apply(bench.told("100"), false, NOW_US).reconciled).toBe(false);
  expect([bench.order(id), bench.gate.positionLots(id)]).toEqual(["unreconciled", 0]);
  expect(bench.reconciler.apply(bench.told("100"), true, NOW_US).reconciled).toBe(true);
  expect(bench.gate.positionLots(id)).toBe(10);
});

test("a position in an instrument that is described later waits for it", () => {
  const bench = new Bench("adopt");
  const result = bench.reconciler.apply(bench.told("70", "LATER"), false, NOW_US);
  expect(result.foreign).toEqual(["deribit:LATER 70"]);
  const { id } = bench.list("LATER");
  expect(bench.gate.positionLots(id)).toBe(7);
});

test("a size that is no multiple of the lot is not guessed at", () => {
  const bench = new Bench("adopt");
  const { id } = bench.list();
  expect(bench.reconciler.apply(bench.told("15"), false, NOW_US).foreign).toEqual([
    "deribit:BTC-PERPETUAL 15",
  ]);
  expect(bench.gate.positionLots(id)).toBe(0);
});

test("orders of unknown outcome are settled by what is open, strangers are told", () => {
  const bench = new Bench("adopt");
  const { id } = bench.list();
  bench.reconciler.apply(EMPTY, false, NOW_US);
  bench.order(id);
  bench.gate.onSessionDown();
  const open = { venue: "deribit", symbol: "BTC-PERPETUAL", orderId: 9, side: 0, leavesSize: "20" } as const;
  expect(bench.reconciler.apply({ ...EMPTY, openOrders: [open] }, false, NOW_US).strangers).toBe(false);
  expect(bench.gate.orders.get(9)).toMatchObject({ state: ORDER_STATE.working, leavesLots: 2 });
  expect(bench.reconciler.apply(EMPTY, false, NOW_US).strangers).toBe(false);
  expect(bench.gate.orders.count).toBe(0);
  const stranger = { ...open, orderId: null };
  expect(bench.reconciler.apply({ ...EMPTY, openOrders: [stranger] }, false, NOW_US).strangers).toBe(true);
  const quote = { venue: "deribit", symbol: "BTC-PERPETUAL", bidSize: "10", askSize: "0" } as const;
  expect(bench.reconciler.apply({ ...EMPTY, quotes: [quote] }, false, NOW_US).strangers).toBe(true);
});

test("opening positions of a counterparty that cannot be asked replace what they name and nothing else", () => {
  const bench = new Bench(null);
  const { id } = bench.list();
  const other = bench.list("OTHER");
  bench.gate.positions.set(other.id, 3);
  expect(bench.gate.reconciled).toBe(true);
  bench.reconciler.apply(bench.told("50"), true, NOW_US);
  expect([bench.gate.positionLots(id), bench.gate.positionLots(other.id)]).toEqual([5, 3]);
});
