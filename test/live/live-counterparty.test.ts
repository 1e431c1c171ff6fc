import { expect, test } from "bun:test";
import { Logger } from "../../src/core/log.ts";
import { QUOTE_STATUS, type QuoteGateway } from "../../src/gateway/gateway.ts";
import { NoGateway } from "../../src/gateway/no-gateway.ts";
import { HedgeRefusals } from "../../src/live/hedge-refusals.ts";
import { LiveCounterparty } from "../../src/live/live-counterparty.ts";
import { LiveInputs } from "../../src/live/live-inputs.ts";
import { InstrumentTable } from "../../src/market/instrument.ts";
import { ORDER_STATE } from "../../src/risk/order.ts";
import type { MismatchRule, VenuePosition } from "../../src/risk/reconciliation.ts";
import { DeskBed } from "../desk/desk-bed.ts";
import { PERPETUAL } from "../support/perpetuals.ts";

type Line = Readonly<Record<string, unknown>>;

function logger(lines: Line[], wallUs = () => 1_700_000_000e6): Logger {
  const clock = { wallUs, monotonicNs: () => 0 };
  return new Logger({ format: "json", level: "info", clock, sink: (line) => lines.push(JSON.parse(line)) });
}

/** A desk that holds nothing in its one perpetual, BTCUSDT. */
function counterparty(rule: MismatchRule, gateway: QuoteGateway = new NoGateway()) {
  const desks = new DeskBed(null, {}, false, {}, null, { reconcile: rule });
  desks.run(200);
  const lines: Line[] = [];
  const { desk } = desks;
  const journal = { dropped: 0, text: () => {}, bytes: () => {} };
  const clock = { wallUs: () => desks.timeUs, monotonicNs: () => 0 };
  const live = new LiveCounterparty({
    ...{ desk, gateway: () => gateway, taps: [], log: logger(lines), journal, clock },
    ...{ inputs: new LiveInputs(clock, journal), standsBy: () => false, positionCheckMs: 0 },
  });
  return { live, lines, desk };
}

const held = (size: string) => ({
  positions: [{ venue: "binance-usdm", symbol: "BTCUSDT", size, averagePrice: null } as const],
  ...{ openOrders: [], quotes: [] },
});
const DIFFERENCE = "binance-usdm:BTCUSDT: books 0.000, counterparty -0.250";

test("differences are told by symbol and size, and what was not taken over is not told as reconciled", () => {
  const refused = counterparty("refuse");
  refused.live.reconciled(held("-0.25"), false);
  expect(refused.lines).toHaveLength(1);
  expect(refused.lines[0]).toMatchObject({
    ...{ level: "error", differences: [DIFFERENCE] },
    message: "not reconciled: the counterparty holds other positions, and nothing is quoted",
  });
  refused.live.reconciled(held("-0.25"), true);
  expect(refused.lines[1]).toMatchObject({
    ...{ level: "warn", differences: [DIFFERENCE] },
    message: "reconciled with the counterparty: its positions are taken over",
  });
  refused.live.reconciled(held("-0.25"), false);
  expect(refused.lines[2]).toMatchObject({ level: "info", differences: [] });
});

test("what a file or a leader says is not told as the counterparty's word", () => {
  const { live, lines } = counterparty("adopt");
  live.reconciled(held("1"), true, "file");
  live.reconciled(held("2"), true, "leader");
  expect(lines.map(({ message }) => message)).toEqual([
    "opening positions are taken over, foreign ones once a feed describes them",
    "the leader's positions are taken over",
  ]);
  expect(lines.map(({ differences }) => differences)).toEqual([
    ["binance-usdm:BTCUSDT: books 0.000, file 1.000"],
    ["binance-usdm:BTCUSDT: books 1.000, leader 2.000"],
  ]);
});

/** Can be asked for positions, each time with what it says then. */
class Asked extends NoGateway {
  override readonly ready = true;
  asked = 0;
  readonly reconciliation = {
    positions: async () => {
      this.asked += 1;
      return this.says(this.asked);
    },
    openOrders: async () => [],
    quotes: async () => [],
  };

  constructor(readonly says: (asked: number) => readonly VenuePosition[]) {
    super();
  }
}

test("an answer that a fill has overtaken is not taken over: the counterparty is asked again", async () => {
  const gateway = new Asked((asked) => {
    // Of before the fill that comes while the answer is on its way.
    if (asked === 1) live.events.onExecution("A", 0, 0, 600_000, 250, 1_700_000_001e6);
    return asked === 1 ? [] : held("0.25").positions;
  });
  const { live, desk, lines } = counterparty("adopt", gateway);
  live.events.onSessionUp(1_700_000_000.5e6);
  await Bun.sleep(10);
  expect([gateway.asked, desk.gate.positionLots(0), desk.gate.reconciled]).toEqual([2, 250, true]);
  expect(lines.at(-1)).toMatchObject({ message: "reconciled with the counterparty", differences: [] });
});

test("the counterparty's reasons for rejects are in the log, and acceptances are not", () => {
  const { live, lines, desk } = counterparty("adopt");
  const timeUs = 1_700_000_001e6;
  live.events.onQuoteAck(1, QUOTE_STATUS.accepted, "", timeUs);
  live.events.onQuoteAck(2, QUOTE_STATUS.cancelled, "", timeUs);
  expect(lines).toEqual([]);
  live.events.onQuoteAck(3, QUOTE_STATUS.rejected, "exchange closed", timeUs);
  live.events.onOrderState(7, ORDER_STATE.working, 1, "", timeUs);
  live.events.onOrderState(7, ORDER_STATE.done, 0, "insufficient margin", timeUs);
  expect(lines).toMatchObject([
    { level: "warn", message: "the counterparty rejected quotes", reason: "exchange closed", quoteId: 3 },
    { level: "info", message: "an order is at its end", reason: "insufficient margin", orderId: 7 },
  ]);
  expect(desk.gate.kill.tripped).toBe(false);
});

test("the limit that refuses hedges is told at once, when it becomes another one, and again after a minute", () => {
  const lines: Line[] = [];
  let nowUs = 1_700_000_000e6;
  const wallUs = (): number => nowUs;
  const instrument = new InstrumentTable(1).add(PERPETUAL);
  if (instrument === undefined) throw new Error("the table is full");
  const counters = { sent: 0, crossed: 0, cancelled: 0, refused: 0 };
  const order = { instrument, side: 1, sizeLots: 300, priceTicks: 100_001 } as const;
  const hedger = { counters, lastRefused: { ...order, limit: "orderNotional" as "orderNotional" | "delta" } };
  const refusals = new HedgeRefusals(hedger, { wallUs, monotonicNs: () => 0 }, logger(lines, wallUs));
  refusals.onTimer();
  expect(lines).toEqual([]);
  for (let quarters = 0; quarters < 8; quarters += 1) {
    counters.refused += 1;
    refusals.onTimer();
    nowUs += 250_000;
  }
  hedger.lastRefused = { ...order, limit: "delta" };
  counters.refused += 1;
  refusals.onTimer();
  nowUs += 61e6;
  refusals.onTimer();
  counters.refused += 2;
  refusals.onTimer();
  const said = {
    message: "the risk gate refuses a hedge",
    instrument: "deribit:BTC-PERPETUAL",
    side: "sell",
  };
  expect(lines).toMatchObject([
    { ...said, limit: "orderNotional", size: "3000", price: "50000.5", times: 1 },
    { ...said, limit: "delta", times: 8 },
    { ...said, limit: "delta", times: 2 },
  ]);
});
