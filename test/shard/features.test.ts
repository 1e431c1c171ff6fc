import { expect, test } from "bun:test";
import fc from "fast-check";
import { loadConfig } from "../../src/config.ts";
import { loadNative } from "../../src/core/native.ts";
import { Rng } from "../../src/core/rng.ts";
import { Desk, UNDERLYING_CAPACITY } from "../../src/desk/desk.ts";
import { noTimer } from "../../src/desk/latency.ts";
import { FeatureRows } from "../../src/feature/published.ts";
import { FEATURE_COUNT, featureIndex, SCHEMA_HASH } from "../../src/feature/schema.ts";
import type { StepEngine } from "../../src/inference/engine.ts";
import { loadModels } from "../../src/inference/model.ts";
import {
  EVENT,
  EventBatch,
  FEED_STATE,
  SIDE,
  TICKER,
  TICKER_FIELDS,
  UNSOUND,
} from "../../src/market/event-batch.ts";
import { type InstrumentKind, type InstrumentSpec, InstrumentTable } from "../../src/market/instrument.ts";
import { NOT_TRIPPED } from "../../src/risk/kill-switch.ts";
import { LOAD_STAGE } from "../../src/risk/load-shedder.ts";
import { RemoteFeeds } from "../../src/shard/remote-feeds.ts";
import { ShardMarket } from "../../src/shard/shard-market.ts";
import { MemoryPort } from "../../src/sim/memory-port.ts";

await loadNative();
const config = loadConfig({});
const [{ card }] = await loadModels(undefined, { schemaHash: SCHEMA_HASH, featureCount: FEATURE_COUNT });

const START_US = 1_723_161_255_000_000;
const CAPACITY = 16;
const FEEDS = [
  { venue: "binance-usdm", subscriptions: ["BTCUSDT", "ETHUSDT"] },
  { venue: "deribit", subscriptions: ["BTC-PERPETUAL", "options:BTC"] },
] as const;
/** In the order in which feed 0 and feed 1 describe them. */
const DESCRIBED: readonly (readonly InstrumentSpec[])[] = [
  [spec("binance-usdm", "ETHUSDT", "ETH", "perpetual"), spec("binance-usdm", "BTCUSDT", "BTC", "perpetual")],
  [
    spec("deribit", "BTC-PERPETUAL", "BTC", "perpetual"),
    spec("deribit", "BTC-27DEC30-60000-C", "BTC", "option"),
    spec("deribit", "SOL-PERPETUAL", "SOL", "perpetual"),
  ],
];

function spec(
  venue: InstrumentSpec["venue"],
  symbol: string,
  base: string,
  kind: InstrumentKind,
): InstrumentSpec {
  const isOption = kind === "option";
  return {
    ...{ venue, symbol, kind, base, quote: "USD", settle: "USD", tickSteps: [], minSizeLots: 1 },
    ...{ tick: { mantissa: 5, scale: 1 }, lot: { mantissa: 1, scale: 0 }, inverse: false, contractSize: 1 },
    ...(isOption
      ? { expiryMs: START_US / 1_000 + 30 * 86_400_000, strike: 60_000, optionType: "call" }
      : { expiryMs: Infinity, strike: Number.NaN, optionType: null }),
  };
}

/** Answers every step with the same numbers. */
function engine(): StepEngine {
  const heads = card.heads.length;
  return {
    ...{
      name: "cpu",
      card,
      slotCount: UNDERLYING_CAPACITY,
      maxBatch: UNDERLYING_CAPACITY,
      synchronous: true,
    },
    features: new Float32Array(UNDERLYING_CAPACITY * FEATURE_COUNT),
    slots: new Int32Array(UNDERLYING_CAPACITY),
    probabilities: new Float32Array(UNDERLYING_CAPACITY * heads).fill(0.1),
    step: () => {},
    submit: () => Promise.reject(new Error("synchronous")),
    resetSlot: () => {},
    warmUp: () => Promise.resolve(),
    memoryBytes: () => 0,
    dispose: () => Promise.resolve(),
  };
}

interface Step {
  readonly slot: number;
  readonly timeUs: number;
  readonly row: Float32Array;
}

/** Keeps the rows that the model is stepped with, and when it is in force. */
class Port extends MemoryPort {
  readonly steps: Step[] = [];
  readonly statuses: (readonly [number, number, number])[] = [];

  stepped(slot: number, features: Float32Array, offset: number, timeUs: number): void {
    this.steps.push({ slot, timeUs, row: features.slice(offset, offset + FEATURE_COUNT) });
  }

  override predicted(
    underlying: number,
    _probabilities: Float32Array,
    _offset: number,
    _heads: number,
    status: number,
    timeUs: number,
  ): void {
    this.statuses.push([underlying, status, timeUs]);
  }
}

function newDesk(makesFeatures: boolean): { desk: Desk; port: Port } {
  const nowhere = { connect: () => {}, send: () => {}, disconnect: () => {}, request: () => {} };
  const port = new Port(nowhere);
  const desk = new Desk({
    ...{ feeds: FEEDS, signals: ["sentiment"], instrumentCapacity: CAPACITY, silenceMs: 1_000, seed: 1 },
    ...{ engine: engine(), port, quote: config.quote, risk: config.risk, kill: NOT_TRIPPED, timer: noTimer },
    ...{ remote: new RemoteFeeds(FEEDS, makesFeatures), shards: 2 },
  });
  return { desk, port };
}

/** One feed's thread: its own instruments and books. */
class Thread {
  readonly feed: number;
  readonly table = new InstrumentTable(CAPACITY);
  readonly market = new ShardMarket(this.table, true);
  readonly batch = new EventBatch(64, 512);

  constructor(feed: number) {
    this.feed = feed;
  }

  /** Judges the batch as it stands and makes the rows; instruments by the desk's numbers from then on. */
  work(desk: Desk, timeUs: number): FeatureRows {
    this.market.admit(0);
    const { batch, market } = this;
    const distrusted = {
      onUnsound: (_feed: number, id: number, reason: number) => {
        batch.status(id, FEED_STATE.unsound, reason);
      },
    };
    for (let row = 0; row < batch.count; row += 1) market.apply(batch, row, distrusted, timeUs);
    market.endTurn(timeUs);
    const ids = this.table.all().map(({ venue, symbol }) => {
      const known = desk.market.instruments.all().find((i) => i.venue === venue && i.symbol === symbol);
      if (known === undefined) throw new Error(`${symbol} is not known`);
      return known.id;
    });
    for (let row = 0; row < batch.count; row += 1) batch.instrument[row] = ids[batch.instrument[row]];
    const { rows } = market;
    if (rows === null) throw new Error("the thread makes no features");
    for (let row = 0; row < rows.count; row += 1) rows.instrument[row] = ids[rows.instrument[row]];
    return rows;
  }
}

const NO_ROWS = new FeatureRows(0);

/** Some events of one of the thread's instruments. */
function draw(rng: Rng, { batch, table }: Thread, event: number): void {
  const { id, kind } = table.get(rng.int(table.size));
  const centre = 100_000 + rng.int(20);
  const drawn = rng.int(12);
  if (kind === "option") {
    const row = batch.begin(EVENT.ticker, id, START_US);
    batch.values[row * TICKER_FIELDS + TICKER.markIv] = 0.3 + rng.int(100) / 300;
    batch.values[row * TICKER_FIELDS + TICKER.underlyingPrice] = 60_000;
  } else if (drawn < 5) {
    const row = batch.begin(drawn === 0 ? EVENT.bookSnapshot : EVENT.bookDelta, id, Number.NaN);
    batch.setSequence(row, event, event, event - 1);
    for (let level = rng.int(30); level > 0; level -= 1) {
      const side = rng.int(2);
      // Now and then beyond the other side: such a book is crossed.
      const distance = rng.int(2_000) === 0 ? -50 : rng.int(25);
      batch.level(side, side === SIDE.bid ? centre - 20 - distance : centre + 20 + distance, rng.int(9));
    }
  } else if (drawn < 7) {
    const row = batch.begin(EVENT.top, id, Number.NaN);
    batch.setSequence(row, event, event, event - 1);
    batch.level(SIDE.bid, centre - 20, 1 + rng.int(9));
    batch.level(SIDE.ask, centre + 20, 1 + rng.int(9));
  } else if (drawn < 9) {
    batch.begin(EVENT.trade, id, Number.NaN);
    batch.level(rng.int(2), centre, rng.int(9));
  } else if (drawn === 9) {
    const row = batch.begin(EVENT.ticker, id, Number.NaN);
    batch.values[row * TICKER_FIELDS + TICKER.indexPrice] = centre / 2;
    batch.values[row * TICKER_FIELDS + TICKER.fundingRate] = rng.int(100) / 1e6;
  } else if (drawn === 10 || rng.int(30) > 0) batch.status(id, FEED_STATE.live, 0);
  else batch.status(id, FEED_STATE.unsound, UNSOUND.gap);
}

/** The same events to a desk that makes the features itself and to one that is given them. */
function compare(seed: number, turns: number): { steps: number; inForce: number; volatile: number } {
  const rng = new Rng(seed);
  const here = newDesk(false);
  const there = newDesk(true);
  const desks = [here.desk, there.desk];
  const threads = FEEDS.map((_, feed) => new Thread(feed));
  let timeUs = START_US;
  for (let event = 0; event < turns; event += 1) {
    timeUs += rng.int(200) === 0 ? -rng.int(2_000_000) : rng.int(40_000) + 1 / 4;
    if (rng.int(40) === 0) {
      const frame = JSON.stringify({ signal: "sentiment", value: rng.int(100) / 100, ts: timeUs / 1_000 });
      for (const desk of desks) desk.onFrame(FEEDS.length, frame, timeUs);
      continue;
    }
    if (rng.int(60) === 0) {
      // Beyond capacity frames are applied at once and answered together, with rows of the last of them.
      const stage = rng.int(2) === 0 ? LOAD_STAGE.conflate : LOAD_STAGE.normal;
      for (const desk of desks) desk.onLoad(stage, 0, timeUs);
    }
    if (rng.int(5) === 0) for (const desk of desks) desk.onBatchEnd(timeUs);
    const feed = rng.int(2);
    if (rng.int(400) === 0) {
      threads[feed] = new Thread(feed);
      for (const desk of desks) desk.onFeedsLost([feed], timeUs);
      for (const desk of desks) desk.onFeedsStarted([feed], timeUs);
      continue;
    }
    const thread = threads[feed];
    const specs = DESCRIBED[feed] ?? [];
    thread.batch.clear();
    // Better placed books are described late, so that the lead changes.
    if (thread.table.size < specs.length && (thread.table.size === 0 || rng.int(20) === 0)) {
      const next = specs[thread.table.size];
      thread.table.add(next);
      for (const desk of desks) desk.market.instruments.add(next);
    }
    for (let count = 1 + rng.int(4); count > 0; count -= 1) draw(rng, thread, event);
    const rows = thread.work(here.desk, timeUs);
    const turn = { feed, timeUs, isFrame: true, hadEvents: true, exchangeUs: Number.NaN };
    here.desk.onDecoded(turn, thread.batch, NO_ROWS);
    there.desk.onDecoded(turn, thread.batch, rows);
  }
  expect(there.port.statuses).toEqual(here.port.statuses);
  expect(there.port.steps.map(({ slot, timeUs: at }) => [slot, at])).toEqual(
    here.port.steps.map(({ slot, timeUs: at }) => [slot, at]),
  );
  for (const [at, { row }] of here.port.steps.entries()) {
    const same = Buffer.compare(Buffer.from(there.port.steps[at]?.row.buffer ?? []), Buffer.from(row.buffer));
    if (same !== 0) expect(there.port.steps[at]?.row).toEqual(row);
    expect(same).toBe(0);
  }
  const iv = featureIndex("atmIvChange");
  return {
    steps: here.port.steps.length,
    inForce: here.port.statuses.filter(([, status]) => status === 0).length,
    volatile: here.port.steps.filter(({ row }) => row[iv] !== 0).length,
  };
}

test("rows made beside the feeds are those of the quoting thread, bit for bit, whatever happens", () => {
  fc.assert(
    fc.property(fc.integer(), (seed) => compare(seed, 150).steps >= 0),
    { numRuns: 40 },
  );
});

test("long enough for the model to be in force, with the volatility of another feed's options", () => {
  const { steps, inForce, volatile } = compare(7, 3_000);
  expect(steps).toBeGreaterThan(500);
  expect(inForce).toBeGreaterThan(5);
  expect(volatile).toBeGreaterThan(100);
});
