/**
 * A recorded example small enough to be worked out with a pencil: a real desk on hand-written frames of Bybit, a real journal of it,
 * and what came of its predictions, quotes and fills, found live and from the journal. Every expected number is computed in the
 * comments.
 */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Desk, type DeskPort } from "../../src/desk/desk.ts";
import { noTimer } from "../../src/desk/latency.ts";
import { SCHEMA_HASH } from "../../src/feature/schema.ts";
import { WARM_UP_EVENTS } from "../../src/feature/warm-up.ts";
import { HEADS, modelLabel } from "../../src/inference/card.ts";
import { RecordedGatewayEvents } from "../../src/journal/gateway-event.ts";
import { JournalReader } from "../../src/journal/reader.ts";
import { RECORD, type RecordType } from "../../src/journal/record.ts";
import { parseRunStart } from "../../src/journal/run-start.ts";
import { JournalWriter } from "../../src/journal/writer.ts";
import { journalOutcomes } from "../../src/learn/outcomes/journal.ts";
import { fillMeasures } from "../../src/learn/outcomes/measures.ts";
import {
  OUTCOME_TABLE_NAMES,
  type OutcomeRows,
  type OutcomeSink,
  type OutcomeTable,
} from "../../src/learn/outcomes/table.ts";
import { OutcomeTap } from "../../src/learn/outcomes/tap.ts";
import { OutcomeTracker } from "../../src/learn/outcomes/tracker.ts";
import { ExecutionDay } from "../../src/learn/report/execution.ts";
import { DEFAULT_QUOTE_PARAMETERS } from "../../src/quote/parameters.ts";
import { NOT_TRIPPED } from "../../src/risk/kill-switch.ts";
import { DEFAULT_RISK_LIMITS } from "../../src/risk/limits.ts";
import { ToldEngine } from "../../src/sim/told-engine.ts";
import { bybitInstrument } from "../feed/fake-bybit.ts";

/** Time of the first of the twelve frames. */
const T0 = 1_700_000_000_000_000;
const WARM_MS = 20;
const END_MS = 125_000;

/** [ms after T0, bids, asks]: size 0 takes a level away. Ticks of 0.1, lots of 0.001. */
type Change = readonly [ms: number, bids: readonly [string, string][], asks: readonly [string, string][]];
const STORY: readonly Change[] = [
  // Mid 50,000.0; 5.000 (5,000 lots) on either side.
  [0, [["49990.0", "4.000"]], []],
  // Mid 49,998.0.
  [12, move("49999.5", "49997.5"), move("50000.5", "49998.5")],
  // Mid 49,997.0.
  [30, move("49997.5", "49996.5"), move("49998.5", "49997.5")],
  // Three of the asks' five go.
  [60, [], [["50010.0", "1.000"]]],
  // Mid 50,000.0.
  [90, move("49996.5", "49999.5"), move("49997.5", "50000.5")],
  // Mid 50,003.0.
  [108, move("49999.5", "50002.5"), move("50000.5", "50003.5")],
  // Mid 50,001.0.
  [1_000, move("50002.5", "50000.5"), move("50003.5", "50001.5")],
  // Mid 50,004.0.
  [1_020, move("50000.5", "50003.5"), move("50001.5", "50004.5")],
  // Mid 49,995.0.
  [9_000, move("50003.5", "49994.5"), move("50004.5", "49995.5")],
  // Mid 50,005.0.
  [40_000, move("49994.5", "50004.5"), move("49995.5", "50005.5")],
  // Mid 50,002.0.
  [60_500, move("50004.5", "50001.5"), move("50005.5", "50002.5")],
  [120_000, [["49990.0", "4.001"]], []],
];

function move(from: string, to: string): [string, string][] {
  return [
    [from, "0"],
    [to, "1.000"],
  ];
}

type Rows = { [T in OutcomeTable]: OutcomeRows[T][] };
class Gathered implements OutcomeSink {
  readonly rows: Rows = { prediction: [], quote: [], fill: [], unfilled: [] };

  outcome<T extends OutcomeTable>(table: T, row: OutcomeRows[T]): void {
    this.rows[table].push(row as never);
  }
}

function calmEngine(): ToldEngine {
  const engine = new ToldEngine();
  engine.answer.fill(0.125);
  return engine;
}

/** The desk's run, written to a journal as a live one writes it. @returns what a tap beside it found */
async function record(directory: string): Promise<Rows> {
  const journal = await JournalWriter.open({ directory, runId: "example" });
  const engine = calmEngine();
  const heads = engine.card.heads.map(({ name }) => name);
  const start = parseRunStart(
    JSON.stringify({
      keel: "1",
      schemaHash: SCHEMA_HASH,
      model: {
        ...{ name: engine.card.name, source: "told", onnxSha256: engine.card.onnxSha256 },
        ...{ engine: "cpu", synchronous: true, heads: heads.length },
      },
      feeds: [{ venue: "bybit-linear", subscriptions: ["BTCUSDT"] }],
      signals: [],
      instrumentCapacity: 4,
      silenceMs: 100_000,
      seed: 1,
      // Half a spread of 1 bp of 50,000 is 5.0; what is held moves nothing.
      quote: { ...DEFAULT_QUOTE_PARAMETERS, deltaOneHalfSpreadBp: 1, inventorySkewBp: 0, positionSkewBp: 0 },
      risk: DEFAULT_RISK_LIMITS,
      kill: NOT_TRIPPED,
    }),
  );
  const gathered = new Gathered();
  const label = modelLabel(engine.card);
  const tracker = new OutcomeTracker(heads, label, gathered);
  let tap: OutcomeTap | null = null;
  let connects = 0;
  const asked: number[] = [];
  const said: string[] = [];
  const port: DeskPort = {
    connect: () => {
      connects += 1;
    },
    ...{ disconnect: () => {}, submit: () => {}, engineLost: () => {}, killChanged: () => {} },
    ...{ sendOrder: () => {}, cancelOrder: () => {}, askOrder: () => {}, decidedRisk: () => {} },
    send: (_feed, text) => said.push(text),
    request: (_feed, request) => asked.push(request),
    publish: ({ batch }, timeUs) => tap?.onQuotes(batch, timeUs),
    cancelAll: (timeUs) => tap?.onCancelAll(timeUs),
    decided: (underlying, timeUs, payload) => journal.bytes(RECORD.quote, underlying, timeUs, payload),
    predicted: (...shown) => tap?.onPrediction(...shown),
    observed: (...shown) => tap?.onEvents(...shown),
    filled: (...told) => tap?.onFill(...told),
  };
  const desk = new Desk({ ...start, engine, port, timer: noTimer });
  tap = new OutcomeTap(desk.market, desk.predictions, label, tracker, () => tracker.finish());
  let timeUs = T0 - (WARM_UP_EVENTS + 10) * WARM_MS * 1_000 - 20_000;
  const input = (type: RecordType, payload: string): void => journal.text(type, 0, timeUs, payload);
  const frame = (text: string): void => {
    input(RECORD.feedFrame, text);
    desk.onFrame(0, text, timeUs);
  };
  let update = 1;
  const book = (type: "snapshot" | "delta", bids: Change[1], asks: Change[2]): void => {
    update += 1;
    const ts = timeUs / 1_000;
    const data = { s: "BTCUSDT", b: bids, a: asks, u: update, seq: update };
    frame(JSON.stringify({ topic: "orderbook.50.BTCUSDT", type, ts, data, cts: ts }));
  };
  const gateway = new RecordedGatewayEvents(desk, (event, atUs) =>
    journal.text(RECORD.gateway, 0, atUs, JSON.stringify(event)),
  );
  const fill = (ms: number, id: string, side: 0 | 1, priceTicks: number, lots: number): void => {
    timeUs = T0 + ms * 1_000;
    gateway.onExecution(id, 0, side, priceTicks, lots, timeUs, { counterparty: "ALFA" });
  };

  journal.text(RECORD.start, 0, timeUs, JSON.stringify(start));
  desk.start(timeUs);
  const list = [
    bybitInstrument("bybit-linear", { symbol: "BTCUSDT", base: "BTC", tick: "0.1", lot: "0.001" }),
  ];
  const listing = JSON.stringify({
    ...{ retCode: 0, retMsg: "OK", time: 1 },
    result: { category: "linear", nextPageCursor: "", list },
  });
  const tick = (): void => {
    timeUs += 10_000;
    input(RECORD.timer, "");
    desk.onTimer(timeUs);
  };
  tick();
  for (const request of asked) {
    input(RECORD.feedResponse, JSON.stringify({ request, status: 200, retryAfterMs: null, body: listing }));
    desk.onFeedResponse(0, request, 200, listing, Number.NaN, timeUs);
  }
  tick();
  expect([connects, asked.length]).toEqual([1, 1]);
  input(RECORD.feedOpen, "");
  desk.onFeedOpen(0, timeUs);
  gateway.onSessionUp(timeUs);
  expect(said.join()).toContain("orderbook");
  book(
    "snapshot",
    [
      ["49999.5", "1.000"],
      ["49990.0", "4.000"],
    ],
    [
      ["50000.5", "1.000"],
      ["50010.0", "4.000"],
    ],
  );
  // One lot comes and goes deep in the book until the model is warm.
  for (let at = 1; at < WARM_UP_EVENTS + 10; at += 1) {
    timeUs += WARM_MS * 1_000;
    book("delta", [["49990.0", at % 2 === 0 ? "4.000" : "4.001"]], []);
  }
  for (const [ms, bids, asks] of STORY) {
    if (ms === 12) fill(5, "E1", 0, 499_950, 10);
    if (ms === 9_000) fill(1_030, "E2", 1, 500_091, 20);
    timeUs = T0 + ms * 1_000;
    book("delta", bids, asks);
  }
  timeUs = T0 + END_MS * 1_000;
  input(RECORD.timer, "");
  desk.onTimer(timeUs);
  tap.onTimer(timeUs);
  desk.end();
  tap.close();
  await journal.close();
  return gathered.rows;
}

const folder = mkdtempSync(join(tmpdir(), "keel-example-"));
let live: Rows;
const replayed = new Gathered();
beforeAll(async () => {
  live = await record(folder);
  await journalOutcomes(new JournalReader(folder), async () => calmEngine(), replayed);
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const msOf = ({ time_us }: { readonly time_us: number }): number => (time_us - T0) / 1_000;

describe("a dozen recorded frames", () => {
  test("every row read back from the journal is the one found beside the desk", () => {
    expect(replayed.rows).toEqual(live);
    expect(live.unfilled).toEqual([]);
  });

  test("labels: moves of 0.5 bp within the horizon, a fifth of the depth gone at its end, a spike of 1 bp", () => {
    const labels = live.prediction
      .filter((row) => row.time_us >= T0)
      .map((row) => [msOf(row), ...HEADS.map((head) => row[`y_${head}`])]);
    expect(labels).toEqual([
      // 50,000 falls to 49,997 at 30 ms: 0.6 bp. Both sides have 5,000 lots at 50 ms.
      [0, 1, 1, 0, 0, 0, 0, 0],
      // 49,998: 0.2 bp down is too little; 50,003 at 108 ms is 1.00004 bp up, within 100 ms and a spike; 2,000 of 5,000 asks at 62 ms.
      [12, 0, 0, 0, 1, 0, 1, 1],
      // 49,997: 50,000 at 90 ms is beyond 50 ms, 50,003 is 1.2 bp up within 100 ms; 2,000 of 5,000 asks at 80 ms.
      [30, 0, 0, 0, 1, 0, 1, 1],
      // 49,997: 50,000 at 90 ms is 0.6 bp up within 50 ms, 50,003 1.2 bp. The asks have not become fewer since.
      [60, 0, 0, 1, 1, 0, 0, 1],
      // 50,000: 50,003 after 18 ms is 0.6 bp up.
      [90, 0, 0, 1, 1, 0, 0, 0],
      [108, 0, 0, 0, 0, 0, 0, 0],
      // 50,001: 50,004 after 20 ms is 0.6 bp up.
      [1_000, 0, 0, 1, 1, 0, 0, 0],
      // Nothing follows within 100 ms.
      ...[1_020, 9_000, 40_000, 60_500, 120_000].map((ms) => [ms, 0, 0, 0, 0, 0, 0, 0]),
    ]);
    const second = live.prediction.find((row) => msOf(row) === 12);
    // 1.0 of 49,998 and 5.0 of 49,998.
    expect(second?.fall_50_bp).toBeCloseTo((1 / 49_998) * 1e4, 9);
    expect(second?.rise_50_bp).toBe(0);
    expect(second?.rise_100_bp).toBeCloseTo((5 / 49_998) * 1e4, 9);
  });

  test("a quote: half a spread of 1 bp on either side of the mid, until the frame that moved it", () => {
    const [hit] = live.quote.filter((row) => row.time_us < T0 && row.until_us > T0);
    // 50,000 ∓ 5.0.
    expect(hit).toMatchObject({
      bid: 49_995,
      ask: 50_005,
      mark: 50_000,
      end: "replaced",
      until_us: T0 + 12_000,
    });
    // The best bid is 49,999.5 all the time.
    expect([hit?.bid_best_us, hit?.ask_best_us]).toEqual([0, 0]);
  });

  test("a buy: marks by hand, and the spreads and the slippage that follow", () => {
    const fill = live.fill[0];
    // 0.010 bought at 5 ms. Marks: at 15 ms that of 12 ms, at 105 that of 90, at 1,005 that of 1,000, at 10,005 that of 9,000, at 60,005 that of 40,000.
    expect(fill).toMatchObject({
      ...{ fill_id: "E1", source: "quote", counterparty: "ALFA", model: "told@00000000", side: 1 },
      ...{ price: 49_995, size: 0.01, unit_value: 0.01, arrival_mark: 50_000, mark: 50_000 },
      ...{ mark_10ms: 49_998, mark_100ms: 50_000, mark_1s: 50_001, mark_10s: 49_995, mark_60s: 50_005 },
    });
    const { turnover, captured, markout, adverse, slippage } = fillMeasures(fill);
    expect(turnover).toBeCloseTo(499.95, 9);
    // (50,000 − 49,995) × 0.01: an effective spread of 10.0.
    expect(captured).toBeCloseTo(0.05, 9);
    close(markout, [0.03, 0.05, 0.06, 0, 0.1]);
    // The realised spread after 1 s is 2 × 0.06 ÷ 0.01 = 12.0; after 10 s nothing is left of it.
    close(adverse, [0.02, 0, -0.01, 0.05, -0.05]);
    expect(slippage).toBeCloseTo(-0.05, 9);
  });

  test("what the model said, 1/8 of everything, stands with each fill, from the frame that moved the quote and the last one", () => {
    const [bought, sold] = live.fill;
    for (const fill of [bought, sold]) {
      for (const head of HEADS) expect([fill[`p_${head}`], fill[`fill_p_${head}`]]).toEqual([0.125, 0.125]);
    }
    expect(bought.predicted_us).toBe(bought.quote_time_us);
    expect(bought.fill_predicted_us).toBe(T0);
    expect([sold.predicted_us, sold.fill_predicted_us]).toEqual([T0 + 1_020_000, T0 + 1_020_000]);
  });

  test("a sale: the ask stands on the grid away from the market", () => {
    const fill = live.fill[1];
    // 1 bp of 50,004 is 5.0004: 50,009.0004, on the grid 50,009.1. Marks at 1,040, 1,130 and 2,030 ms are that of 1,020, at 11,030 that of 9,000, at 61,030 that of 60,500.
    expect(fill).toMatchObject({
      ...{ fill_id: "E2", side: -1, price: 50_009.1, size: 0.02, unit_value: 0.02 },
      ...{ arrival_mark: 50_004, mark: 50_004, quote_time_us: T0 + 1_020_000 },
      ...{ mark_10ms: 50_004, mark_100ms: 50_004, mark_1s: 50_004, mark_10s: 49_995, mark_60s: 50_002 },
    });
    const { captured, markout, adverse, slippage } = fillMeasures(fill);
    // 5.1 × 0.02.
    expect(captured).toBeCloseTo(0.102, 9);
    // 14.1 × 0.02 after 10 s, 7.1 × 0.02 after 60 s.
    close(markout, [0.102, 0.102, 0.102, 0.282, 0.142]);
    close(adverse, [0, 0, 0, -0.18, -0.04]);
    expect(slippage).toBeCloseTo(-0.102, 9);
  });

  test("the day's report adds them up", () => {
    const day = new ExecutionDay("2023-11-14");
    for (const table of OUTCOME_TABLE_NAMES) for (const row of live[table]) day.outcome(table, row);
    const { all, models, heads } = day.report();
    // 0.05 + 0.102 of 499.95 + 1,000.182.
    expect(all.captured).toBeCloseTo(0.152, 9);
    expect(all.capturedBp.value).toBeCloseTo((0.152 / 1_500.132) * 1e4, 6);
    close(all.markout, [0.132, 0.152, 0.162, 0.282, 0.242]);
    expect(models.map(({ name, fills }) => [name, fills])).toEqual([["told@00000000", 2]]);
    // Every probability was 1/8. Two of n labelled rows fell, that of 0 ms and that of −20 ms, whose 50th ms is 30: Brier is (2 × 49 + n − 2) / 64 n.
    const n = live.prediction.length;
    expect(heads.down50).toMatchObject({ rows: n, baseRate: 2 / n });
    expect(heads.down50.brier).toBeCloseTo((2 * 49 + n - 2) / (64 * n), 12);
  });
});

function close(found: readonly number[], wanted: readonly number[]): void {
  expect(found.length).toBe(wanted.length);
  for (const [at, value] of wanted.entries()) expect(found[at]).toBeCloseTo(value, 9);
}
