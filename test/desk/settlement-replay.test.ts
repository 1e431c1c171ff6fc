import { expect, test } from "bun:test";
import { decodeDecision } from "../../src/desk/decision.ts";
import { Desk } from "../../src/desk/desk.ts";
import { noTimer } from "../../src/desk/latency.ts";
import type { RiskDecision } from "../../src/desk/risk-decision.ts";
import { SCHEMA_HASH } from "../../src/feature/schema.ts";
import type { GatewayEvent } from "../../src/journal/gateway-event.ts";
import { applyGatewayEvent } from "../../src/journal/gateway-event.ts";
import { type JournalRecord, type JournalSink, RECORD, type RecordType } from "../../src/journal/record.ts";
import { replay } from "../../src/journal/replay.ts";
import { parseRunStart } from "../../src/journal/run-start.ts";
import { DecisionComparer } from "../../src/journal/verify.ts";
import { DEFAULT_QUOTE_PARAMETERS } from "../../src/quote/parameters.ts";
import { NOT_TRIPPED } from "../../src/risk/kill-switch.ts";
import { DEFAULT_RISK_LIMITS } from "../../src/risk/limits.ts";
import { MemoryMarket, type MemoryMarketSink } from "../../src/sim/memory-market.ts";
import { MemoryPort } from "../../src/sim/memory-port.ts";

const START_US = 1_700_000_000e6;
const EXPIRY_US = START_US + 2_000_000;

/** A journal in memory. */
class Journal implements JournalSink {
  readonly dropped = 0;
  readonly records: JournalRecord[] = [];

  text(type: RecordType, subject: number, timeUs: number, payload: string): void {
    this.bytes(type, subject, timeUs, Buffer.from(payload));
  }

  bytes(type: RecordType, subject: number, timeUs: number, payload: Uint8Array): void {
    const sequence = this.records.length;
    this.records.push({ sequence, type, subject, timeUs, payload: Buffer.from(payload) });
  }

  get decided(): RiskDecision[] {
    return this.records
      .filter(({ type }) => type === RECORD.risk)
      .map(({ payload }) => JSON.parse(Buffer.from(payload).toString()) as RiskDecision);
  }
}

/** Decisions go to a journal. */
class JournalPort extends MemoryPort {
  readonly #journal: Journal;

  constructor(market: MemoryMarket, journal: Journal) {
    super(market);
    this.#journal = journal;
  }

  override cancelAll(timeUs: number): void {
    this.#journal.text(RECORD.cancelAll, 0, timeUs, "");
  }

  override decidedRisk(decision?: RiskDecision, timeUs = Number.NaN): void {
    this.#journal.text(RECORD.risk, 0, timeUs, JSON.stringify(decision));
  }

  override decided(underlying: number, timeUs: number, payload: Uint8Array): void {
    this.#journal.bytes(RECORD.quote, underlying, timeUs, payload);
  }
}

/** A desk that quotes a dated future over its expiry, holding some of it; everything that it is told and does is journalled. */
function recorded(): { desk: Desk; journal: Journal } {
  const market = new MemoryMarket(3, START_US);
  const journal = new Journal();
  const start = JSON.stringify({
    ...{ keel: "0", schemaHash: SCHEMA_HASH, model: null, signals: [], instrumentCapacity: 8 },
    feeds: [{ venue: "binance-usdm", subscriptions: ["BTCUSDT"] }],
    ...{ silenceMs: 2_000, seed: 1, kill: NOT_TRIPPED },
    ...{ quote: { ...DEFAULT_QUOTE_PARAMETERS, expiryCutoffMs: 0 }, risk: DEFAULT_RISK_LIMITS },
  });
  journal.text(RECORD.start, 0, START_US, start);
  const port = new JournalPort(market, journal);
  const desk = new Desk({ ...parseRunStart(start), engine: null, port, timer: noTimer });
  const gateway = (event: GatewayEvent): void => {
    journal.text(RECORD.gateway, 0, market.timeUs, JSON.stringify(event));
    applyGatewayEvent(event, desk, market.timeUs);
  };
  const sink: MemoryMarketSink = {
    onFeedOpen: (feed, timeUs) => {
      journal.text(RECORD.feedOpen, feed, timeUs, "");
      desk.onFeedOpen(feed, timeUs);
    },
    onFrame: (feed, text, timeUs) => {
      journal.text(RECORD.feedFrame, feed, timeUs, text);
      desk.onFrame(feed, text, timeUs);
    },
    onFeedResponse: (feed, request, status, answer, retryAfterMs, timeUs) => {
      const body = answer
        .replace('"contractType":"PERPETUAL"', '"contractType":"CURRENT_QUARTER"')
        .replace(/"deliveryDate":\d+/, `"deliveryDate":${EXPIRY_US / 1_000}`);
      const told = JSON.stringify({ request, status, retryAfterMs: null, body });
      journal.text(RECORD.feedResponse, feed, timeUs, told);
      desk.onFeedResponse(feed, request, status, body, retryAfterMs, timeUs);
    },
  };
  const fill = (executionId: string, side: number, sizeLots: number): void => {
    const priceTicks = Math.round(desk.gate.price(0) * 10);
    gateway({ on: "execution", executionId, instrument: 0, side, priceTicks, sizeLots, detail: {} });
  };
  desk.start(START_US);
  gateway({ on: "up" });
  for (let ms = 1; ms <= 3_000; ms += 1) {
    market.advance(START_US + ms * 1_000, sink);
    if (ms % 10 === 0) {
      journal.text(RECORD.timer, 0, market.timeUs, "");
      desk.onTimer(market.timeUs);
    }
    if (ms === 1_000) fill("before", 0, 250);
    if (ms === 2_500) fill("late", 1, 30);
  }
  journal.text(RECORD.end, 0, market.timeUs, "{}");
  return { desk, journal };
}

test("a journal over an expiry replays to the same settlements, quotes and profit, bit for bit", async () => {
  const { desk, journal } = recorded();
  expect(journal.decided.filter(({ decided }) => decided === "settled")).toMatchObject([
    { symbol: "BTCUSDT", lots: 250 },
    { symbol: "BTCUSDT", lots: -30 },
  ]);
  const compare = new DecisionComparer((_type, payload) => Buffer.from(payload).toString("hex"));
  const { desk: again } = await replay(journal.records, {
    engineFor: async () => null,
    decisions: compare,
    onRecord: (record) => compare.recorded(record),
  });
  const { difference, identical, compared } = compare.finish();
  expect([difference, identical]).toEqual([null, true]);
  expect(compared).toBeGreaterThan(4);
  expect(again.book.profit).toBe(desk.book.profit);
  expect(again.book.snapshot()).toEqual(desk.book.snapshot());
});

test("where quotes on what expires may stand until then they are pulled in its tick, and none follows", () => {
  const { journal } = recorded();
  const quotes = journal.records
    .filter(({ type }) => type === RECORD.quote)
    .flatMap(({ payload, timeUs }) => decodeDecision(payload).quotes.map((quote) => ({ ...quote, timeUs })));
  const stands = ({ bidLots, askLots }: { bidLots: number; askLots: number }): boolean =>
    bidLots + askLots > 0;
  const before = quotes.filter(({ timeUs }) => timeUs < EXPIRY_US);
  expect(before.some(stands)).toBe(true);
  const [last] = before.slice(-1);
  expect(last === undefined ? false : stands(last)).toBe(true);
  const after = quotes.filter(({ timeUs }) => timeUs >= EXPIRY_US);
  expect(after.map(({ timeUs }) => timeUs)).toEqual([EXPIRY_US]);
  expect(after.some(stands)).toBe(false);
});
