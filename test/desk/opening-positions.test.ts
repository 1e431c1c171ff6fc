import { expect, test } from "bun:test";
import type { BookSnapshot } from "../../src/position/snapshot.ts";
import { DeskBed } from "./desk-bed.ts";

/** Books that hold so many lots of BTCUSDT, bought or sold at 50,000. */
function booksWith(lots: number): BookSnapshot {
  const none = { delta: 0, gamma: 0, vega: 0, theta: 0 };
  const position = {
    ...{ lots, flow: -lots * 50_000, average: 50_000, fees: 0, bought: 0, sold: 0, profit: 0 },
    attribution: { ...none, spread: 0, currency: 0, residual: 0, fees: 0 },
    ...{ markout: [0, 0, 0], adverse: [0, 0, 0] },
    anchor: { ...none, mark: 50_000, forward: 50_000, volatility: null, timeUs: 0, conversion: 1 },
  };
  const positions = lots === 0 ? {} : { "binance-usdm:BTCUSDT": position };
  return { positions, sums: {}, executionIds: [], day: 0, dayStart: 0, dayPeak: 0 };
}

/** What gate, ledger and quoter hold of BTCUSDT when it is described after the books were opened and the counterparty had told. */
function held(opened: number, told: string | null, reconcile: "adopt" | null): number[] {
  const bed = new DeskBed(null, {}, false, {}, null, { opening: booksWith(opened), reconcile });
  if (told !== null) {
    const position = { venue: "binance-usdm", symbol: "BTCUSDT", size: told, averagePrice: null } as const;
    const result = bed.desk.onReconciliation(
      { positions: [position], openOrders: [], quotes: [] },
      reconcile === null,
      bed.timeUs,
    );
    expect(result.foreign).toHaveLength(1);
  }
  bed.run(50);
  const id = bed.desk.market.instruments.find("binance-usdm", "BTCUSDT")?.id ?? -1;
  const { gate, book, quoter } = bed.desk;
  return [gate.positionLots(id), book.ledger.lots[id], quoter.inventory.positionLots[id]];
}

test("a desk opens with its books' position where nobody tells it otherwise", () => {
  expect(held(5, null, null)).toEqual([5, 5, 5]);
});

for (const reconcile of ["adopt", null] as const) {
  const rule = reconcile === null ? "by configuration" : "by the counterparty";
  test(`a position told ${rule} before the instrument was described is in force everywhere, whatever the books were opened with`, () => {
    expect(held(5, "0.07", reconcile)).toEqual([70, 70, 70]);
    expect(held(0, "-0.07", reconcile)).toEqual([-70, -70, -70]);
    expect(held(5, "0", reconcile)).toEqual([0, 0, 0]);
  });
}

test("what the books opened with is flat when the counterparty, asked before the instrument was described, does not name it", () => {
  const bed = new DeskBed(null, {}, false, {}, null, { opening: booksWith(5), reconcile: "adopt" });
  bed.desk.onReconciliation({ positions: [], openOrders: [], quotes: [] }, false, bed.timeUs);
  bed.run(50);
  const id = bed.desk.market.instruments.find("binance-usdm", "BTCUSDT")?.id ?? -1;
  const { gate, book, quoter } = bed.desk;
  expect([gate.positionLots(id), book.ledger.lots[id], quoter.inventory.positionLots[id]]).toEqual([0, 0, 0]);
});

test("positions that were told before a session do not stand in for what the counterparty says in it", () => {
  const bed = new DeskBed(null, {}, false, {}, null, { reconcile: "adopt" });
  const { desk, timeUs } = bed;
  const flat = { positions: [], openOrders: [], quotes: [] };
  desk.onSessionDown("lost", timeUs);
  desk.onReconciliation(flat, true, timeUs);
  expect(desk.gate.reconciled).toBe(true);
  desk.onSessionUp(timeUs);
  expect(desk.gate.reconciled).toBe(false);
  desk.onReconciliation(flat, false, timeUs);
  expect(desk.gate.reconciled).toBe(true);
});
