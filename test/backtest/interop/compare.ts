import { measureClocks } from "../../../src/backtest/clock-offset.ts";
import { FeedLatency } from "../../../src/backtest/latency.ts";
import { DEFAULT_MATCHING } from "../../../src/backtest/matching.ts";
import { PlainBacktest, type PlainFill } from "../../../src/backtest/plain.ts";
import { type QueueModel, type QueuePlace, queueModel } from "../../../src/backtest/queue.ts";
import { openRecording } from "../../../src/backtest/recording.ts";
import { DEFAULT_SPEC } from "../../../src/backtest/spec.ts";
import { Tape } from "../../../src/backtest/tape.ts";
import { VenueReader } from "../../../src/backtest/venue-reader.ts";
import { stepToNumber } from "../../../src/core/decimal.ts";
import { invariant } from "../../../src/core/invariant.ts";
import { EVENT, EventBatch, FEED_STATE, SIDE } from "../../../src/market/event-batch.ts";
import type { InstrumentTable } from "../../../src/market/instrument.ts";
import { type PeerResult, runPeer } from "./hftbacktest.ts";
import { PeerLogQueue } from "./peer-log-queue.ts";

/** Bits of hftbacktest's events (its `types.py`). */
const FLAG = { depth: 1, trade: 2, exchange: 2 ** 31, local: 2 ** 30, buy: 2 ** 29, sell: 2 ** 28 } as const;
const DEPTH = FLAG.depth + FLAG.exchange + FLAG.local;
const TRADE = FLAG.trade + FLAG.exchange + FLAG.local;

/** A recording as rows of one level or one trade, without the best-price stream, which hftbacktest's depth does not have. */
export interface Rows {
  readonly count: number;
  readonly venueUs: Float64Array;
  readonly localUs: Float64Array;
  readonly kind: Uint8Array;
  readonly side: Uint8Array;
  readonly ticks: Int32Array;
  readonly lots: Float64Array;
  /** Number of the message that a row came with: keel takes a message as one event, hftbacktest each row. */
  readonly message: Int32Array;
  readonly instruments: InstrumentTable;
}

const none = (): number[] => [];

/** Every level of the recording's snapshot and changes, and every trade. @param seconds of the recording, from its beginning */
export async function rowsOf(path: string, seconds = Number.POSITIVE_INFINITY): Promise<Rows> {
  const recording = await openRecording([path]);
  const spec = { ...DEFAULT_SPEC, recordings: [path] };
  const latency = new FeedLatency(DEFAULT_SPEC.latency, await measureClocks(recording, spec));
  const columns = {
    venueUs: none(),
    localUs: none(),
    kind: none(),
    side: none(),
    ticks: none(),
    lots: none(),
    message: none(),
  };
  const tape = new Tape();
  let localUs = 0;
  let messages = 0;
  const reader = new VenueReader({
    ...{ recording, capacity: 16, seed: 1, silenceMs: Number.MAX_SAFE_INTEGER, latency, tape },
    onRead: (batch, row, venueUs) => {
      const kind = batch.kind[row];
      if (kind !== EVENT.bookSnapshot && kind !== EVENT.bookDelta && kind !== EVENT.trade) return;
      messages += 1;
      const end = batch.levelStart[row] + batch.levelCount[row];
      for (let level = batch.levelStart[row]; level < end; level += 1) {
        columns.venueUs.push(Math.floor(venueUs));
        columns.localUs.push(Math.floor(localUs));
        columns.kind.push(kind === EVENT.trade ? EVENT.trade : EVENT.bookDelta);
        columns.side.push(batch.side[level]);
        columns.ticks.push(batch.priceTicks[level]);
        columns.lots.push(batch.sizeLots[level]);
        columns.message.push(messages);
      }
    },
  });
  await reader.begin();
  for await (const entries of recording.entries()) {
    for (const entry of entries) {
      localUs = recording.timeUs(entry);
      if (localUs - recording.firstUs > seconds * 1e6) continue;
      const settled = reader.read(entry, localUs);
      if (settled !== null) await settled;
      for (let slot = tape.take(); slot >= 0; slot = tape.take()) tape.release(slot);
    }
  }
  return {
    count: columns.kind.length,
    venueUs: Float64Array.from(columns.venueUs),
    localUs: Float64Array.from(columns.localUs),
    kind: Uint8Array.from(columns.kind),
    side: Uint8Array.from(columns.side),
    ticks: Int32Array.from(columns.ticks),
    lots: Float64Array.from(columns.lots),
    message: Int32Array.from(columns.message),
    instruments: reader.instruments,
  };
}

export interface Parameters {
  /** `log-as-peer`: keel's matching with the logarithmic model as hftbacktest computes it, beside hftbacktest's own. */
  readonly queue: "conservative" | "power" | "log" | "log-as-peer";
  readonly exponent: number;
  readonly offsetTicks: number;
  readonly lots: number;
  readonly everyUs: number;
  readonly orderUs: number;
  readonly responseUs: number;
  readonly rounds: number;
  /**
   * hftbacktest's exchange that fills orders in parts; keel's matching always does. Sizes are in half lots then and `lots` is odd, while
   * fills are whole lots: that exchange ends with an error when a fill takes exactly what was left of an order.
   */
  readonly partial: boolean;
}

export interface Outcome {
  readonly ns: number;
  readonly fills: readonly PlainFill[];
  /** Lots. */
  readonly position: number;
  readonly volume: number;
  /** In quote currency, at the last middle. */
  readonly profit: number;
}

/**
 * How many of the orders that traded are the same in both: of the same side and price, filled at the same time with as many lots; of
 * orders filled in parts, sent at the same time and filled with as many lots in all.
 */
export function sameFills(ours: Outcome, theirs: Outcome, partial: boolean): { same: number; most: number } {
  const mine = byOrder(ours.fills, partial);
  const known = byOrder(theirs.fills, partial);
  const same = [...mine].filter(([key, lots]) => known.get(key) === lots).length;
  return { same, most: Math.max(mine.size, known.size) };
}

function byOrder(fills: readonly PlainFill[], partial: boolean): Map<string, number> {
  const lots = new Map<string, number>();
  for (const { sentUs, timeUs, side, priceTicks, lots: filled } of fills) {
    const key = `${partial ? sentUs : timeUs} ${side} ${priceTicks}`;
    lots.set(key, (lots.get(key) ?? 0) + filled);
  }
  return lots;
}

/** keel's matching over the rows. */
export function runKeel(rows: Rows, parameters: Parameters): Outcome {
  const outcomes = Array.from({ length: parameters.rounds }, () => playKeel(rows, parameters));
  return outcomes.reduce((best, outcome) => (outcome.ns < best.ns ? outcome : best));
}

function playKeel(recorded: Rows, parameters: Parameters): Outcome {
  const { offsetTicks, lots, everyUs, orderUs, responseUs, partial } = parameters;
  const rows = partial ? inHalves(recorded) : recorded;
  const run = new PlainBacktest({
    ...{ instruments: rows.instruments, orderUs, responseUs },
    venue: tapeOf(rows, rows.venueUs),
    local: tapeOf(rows, rows.localUs),
    matching: {
      ...DEFAULT_MATCHING,
      queue: modelOf(parameters),
      through: "full",
      impactRecoveryMs: 0,
    },
    strategy: { offsetTicks, lots, everyUs },
  });
  const startedNs = Bun.nanoseconds();
  run.run();
  const ns = Bun.nanoseconds() - startedNs;
  const { tick, lot } = rows.instruments.get(0);
  const { bestBidTicks, bestAskTicks } = run.book.book;
  const unit = stepToNumber(tick) * (partial ? stepToNumber(lot) / 2 : stepToNumber(lot));
  return {
    ns,
    fills: run.fills,
    position: run.position,
    volume: run.fills.reduce((sum, fill) => sum + fill.lots, 0),
    profit: (run.cash + (run.position * (bestBidTicks + bestAskTicks)) / 2) * unit,
  };
}

function modelOf({ queue, exponent, partial }: Parameters): QueueModel {
  const model = queue === "log-as-peer" ? new PeerLogQueue() : queueModel(queue, exponent);
  return partial ? new WholeLots(model) : model;
}

/** A model whose fills are of whole lots where sizes are in halves. */
class WholeLots implements QueueModel {
  readonly #model: QueueModel;

  constructor(model: QueueModel) {
    this.#model = model;
  }

  get name() {
    return this.#model.name;
  }

  join(place: QueuePlace, levelLots: number): void {
    this.#model.join(place, levelLots);
  }

  trade(place: QueuePlace, lots: number): number {
    place.traded += lots;
    place.ahead -= lots;
    const past = 2 * Math.round(-place.ahead / 2);
    if (past <= 0) return 0;
    place.ahead = 0;
    return past;
  }

  resize(place: QueuePlace, before: number, after: number): void {
    this.#model.resize(place, before, after);
  }
}

function inHalves(rows: Rows): Rows {
  return { ...rows, lots: rows.lots.map((lots) => 2 * lots) };
}

function tapeOf(rows: Rows, times: Float64Array): Tape {
  const tape = new Tape();
  const batch = new EventBatch(1, 65_536);
  batch.status(0, FEED_STATE.live, 0);
  tape.push(batch, 0, Math.min(rows.venueUs[0], rows.localUs[0]));
  for (let row = 0; row < rows.count; ) {
    batch.clear();
    batch.begin(rows.kind[row], 0, times[row]);
    batch.setSequence(0, row, row, row - 1);
    const { [row]: message } = rows.message;
    for (const from = row; row < rows.count && rows.message[row] === message; row += 1) {
      batch.level(rows.side[row], rows.ticks[row], rows.lots[row]);
      if (rows.kind[from] === EVENT.trade) invariant(row === from, "a trade is a message of its own");
    }
    tape.push(batch, 0, times[row - 1]);
  }
  return tape;
}

/** hftbacktest over the same rows. */
export function runHftBacktest(recorded: Rows, runs: readonly Parameters[]): Outcome[] {
  const whole = runs.filter(({ partial }) => !partial);
  const parts = runs.filter(({ partial }) => partial);
  const outcomes = new Map<Parameters, Outcome>();
  for (const some of [whole, parts]) {
    const rows = some === parts ? inHalves(recorded) : recorded;
    const found = some.length === 0 ? [] : runPeerOn(rows, some);
    for (const [at, parameters] of some.entries()) {
      const { [at]: outcome } = found;
      if (outcome !== undefined) outcomes.set(parameters, outcome);
    }
  }
  return runs.flatMap((parameters) => outcomes.get(parameters) ?? []);
}

function runPeerOn(rows: Rows, runs: readonly Parameters[]): Outcome[] {
  const { tick, lot } = rows.instruments.get(0);
  const originUs = rows.localUs[0];
  const table = new Float64Array(rows.count * 5);
  for (let row = 0; row < rows.count; row += 1) {
    const at = row * 5;
    const isTrade = rows.kind[row] === EVENT.trade;
    table[at] = (isTrade ? TRADE : DEPTH) + (rows.side[row] === 0 ? FLAG.buy : FLAG.sell);
    table[at + 1] = (rows.venueUs[row] - originUs) * 1_000;
    table[at + 2] = (rows.localUs[row] - originUs) * 1_000;
    table[at + 3] = rows.ticks[row] * stepToNumber(tick);
    // In lots there too: the logarithmic models depend on the unit.
    table[at + 4] = rows.lots[row];
  }
  const mid = lastMid(rows);
  const results = runPeer(
    table,
    runs.map((parameters) => ({
      originNs: originUs * 1_000,
      orderNs: parameters.orderUs * 1_000,
      responseNs: parameters.responseUs * 1_000,
      tick: stepToNumber(tick),
      lot: parameters.partial ? 2 : 1,
      queue: parameters.queue === "log-as-peer" ? "log" : parameters.queue,
      partial: parameters.partial,
      exponent: parameters.exponent,
      offsetTicks: parameters.offsetTicks,
      size: parameters.lots,
      everyNs: parameters.everyUs * 1_000,
      rounds: parameters.rounds,
    })),
  );
  return results.map((peer, at) => {
    const fills = peer.fills.map(([side, priceTicks, size, ns, sentNs]) => ({
      ...{ side: side > 0 ? 0 : 1, priceTicks, lots: size, timeUs: ns / 1_000, sentUs: sentNs / 1_000 },
    }));
    const partial = runs[at]?.partial === true;
    // Of an order filled in parts hftbacktest's own position has the last part only (`local.rs`, `process_recv_order`), so it is added up here.
    const { position, cash, volume } = partial ? totalsOf(fills) : stateOf(peer, stepToNumber(tick));
    const unit = stepToNumber(tick) * stepToNumber(lot);
    return {
      ...{ ns: peer.ns, fills, position, volume },
      profit: (cash + position * mid) * (partial ? unit / 2 : unit),
    };
  });
}

function totalsOf(fills: readonly PlainFill[]) {
  let [position, cash, volume] = [0, 0, 0];
  for (const { side, priceTicks, lots } of fills) {
    const signed = side === SIDE.bid ? lots : -lots;
    position += signed;
    cash -= signed * priceTicks;
    volume += lots;
  }
  return { position, cash, volume };
}

function stateOf({ position, balance, volume }: PeerResult, tick: number) {
  return { position, cash: balance / tick, volume };
}

function lastMid(rows: Rows): number {
  const book = new PlainBacktest({
    ...{ instruments: rows.instruments, orderUs: 0, responseUs: 0 },
    ...{ venue: new Tape(), local: tapeOf(rows, rows.localUs) },
    matching: { ...DEFAULT_MATCHING, queue: queueModel("conservative") },
    strategy: { offsetTicks: 0, lots: 1, everyUs: Number.POSITIVE_INFINITY },
  });
  book.run();
  const { bestBidTicks, bestAskTicks } = book.book.book;
  return (bestBidTicks + bestAskTicks) / 2;
}
