import { Histogram } from "../core/histogram.ts";
import { BinanceDecoder } from "../feed/binance/decoder.ts";
import type { Book } from "../market/book.ts";
import { EVENT, EventBatch, SIDE } from "../market/event-batch.ts";
import type { Instrument } from "../market/instrument.ts";
import { BOOK_SHAPE, L2Book } from "../market/l2-book.ts";
import { MemoryVenue } from "../sim/memory-venue.ts";
import { collectInputs } from "./collect.ts";
import { benchInput } from "./input.ts";
import { benchL3 } from "./l3.ts";
import { type BenchReport, type BenchRow, benchHost, ratioOf, rowOf } from "./report.ts";

export interface BookBenchOptions {
  readonly capture: string | undefined;
  readonly seed: number;
  readonly rounds: number;
}

/** Time per level: percentiles over messages, throughput over all levels. */
class PerLevel {
  readonly #perLevel = new Histogram();
  #ns = 0;
  #levels = 0;

  add(ns: number, levels: number): void {
    this.#perLevel.record(ns / levels);
    this.#ns += ns;
    this.#levels += levels;
  }

  reset(): void {
    this.#perLevel.reset();
    this.#ns = 0;
    this.#levels = 0;
  }

  row(name: string): BenchRow {
    return rowOf(name, this.#perLevel, "ns", {
      levels: this.#levels,
      perSecond: Math.round((this.#levels * 1e9) / this.#ns),
    });
  }
}

/** The book every other one is measured against: a map a side, whose best is looked for again when it goes. */
class MapBook {
  readonly #sides: readonly [Map<number, number>, Map<number, number>] = [new Map(), new Map()];
  bestBidTicks = -1;
  bestAskTicks = -1;

  apply(batch: EventBatch, row: number, snapshot: boolean): void {
    if (snapshot) {
      for (const side of this.#sides) side.clear();
      this.bestBidTicks = -1;
      this.bestAskTicks = -1;
    }
    const start = batch.levelStart[row];
    for (let at = start; at < start + batch.levelCount[row]; at += 1) {
      this.#set(batch.side[at], batch.priceTicks[at], batch.sizeLots[at]);
    }
  }

  #set(side: number, ticks: number, lots: number): void {
    const levels = this.#sides[side === SIDE.bid ? 0 : 1];
    if (lots > 0) {
      levels.set(ticks, lots);
      if (side === SIDE.bid) {
        if (ticks > this.bestBidTicks) this.bestBidTicks = ticks;
      } else if (this.bestAskTicks < 0 || ticks < this.bestAskTicks) this.bestAskTicks = ticks;
      return;
    }
    if (!levels.delete(ticks)) return;
    if (side === SIDE.bid && ticks === this.bestBidTicks) {
      this.bestBidTicks = -1;
      for (const price of levels.keys()) if (price > this.bestBidTicks) this.bestBidTicks = price;
    } else if (side === SIDE.ask && ticks === this.bestAskTicks) {
      this.bestAskTicks = -1;
      for (const price of levels.keys()) {
        if (this.bestAskTicks < 0 || price < this.bestAskTicks) this.bestAskTicks = price;
      }
    }
  }
}

/** Time per level of {@link L2Book} on a capture's depth messages, beside a map book on the same decoded levels. */
export async function runBookBench(options: BookBenchOptions): Promise<BenchReport> {
  const input = benchInput(options.capture, options.seed);
  try {
    const { instrument, frames, snapshots } = await depthInputs(input.path);
    const ours = new PerLevel();
    const theirs = new PerLevel();
    let checksum = "";
    for (let round = 0; round <= options.rounds; round += 1) {
      if (round === 1) {
        ours.reset();
        theirs.reset();
      }
      const book = new L2Book(BOOK_SHAPE[instrument.kind]);
      const map = new MapBook();
      replayDepth(instrument, frames, snapshots, book, map, ours, theirs);
      checksum = `${book.bestBidTicks}/${book.bestAskTicks}/${book.levels(SIDE.bid)}/${book.levels(SIDE.ask)}`;
      if (book.bestBidTicks !== map.bestBidTicks || book.bestAskTicks !== map.bestAskTicks) {
        throw new Error(`the books differ: ${checksum} against ${map.bestBidTicks}/${map.bestAskTicks}`);
      }
    }
    const update = ours.row("book/update");
    const map = theirs.row("book/map");
    const byOrder = benchL3(options.seed, options.rounds);
    return {
      bench: "book",
      host: benchHost(),
      seed: options.seed,
      checksum: `${checksum} ${byOrder.checksum}`,
      input: input.name,
      rows: [update, map, ...byOrder.rows],
      ratios: [ratioOf("book/map:update", map, update), byOrder.ratio],
      notes: [
        "time per level, averaged over each message; percentiles are over messages",
        "l3: time per message of one order, reading its id included; 20,000 orders rest, simulated flow",
      ],
    };
  } finally {
    input.remove();
  }
}

async function depthInputs(path: string) {
  const venue = await MemoryVenue.open(path);
  const { instruments, frames, responses } = await collectInputs(venue);
  const instrument = instruments[0];
  if (instrument === undefined || !venue.venue.startsWith("binance-")) {
    throw new Error(`${path} holds no Binance instrument to keep a book of`);
  }
  return {
    instrument,
    frames: frames.filter((text) => text.includes("depthUpdate")),
    snapshots: responses.filter((body) => body.includes("lastUpdateId")),
  };
}

function replayDepth(
  instrument: Instrument,
  frames: readonly string[],
  snapshots: readonly string[],
  book: Book,
  map: MapBook,
  ours: PerLevel,
  theirs: PerLevel,
): void {
  const decoder = new BinanceDecoder(new Map([[instrument.symbol, instrument]]));
  const batch = new EventBatch();
  for (const body of snapshots.slice(0, 1)) {
    batch.clear();
    decoder.decodeSnapshot(body, instrument, batch);
    book.applySnapshot(batch, 0);
    map.apply(batch, 0, true);
  }
  for (const [at, frame] of frames.entries()) {
    batch.clear();
    decoder.decode(frame, batch);
    if (batch.count === 0 || batch.kind[0] !== EVENT.bookDelta || batch.levelCount[0] === 0) continue;
    const count = batch.levelCount[0];
    // Whoever comes second finds the levels in the cache, so they take turns.
    for (const first of at % 2 === 0 ? [true, false] : [false, true]) {
      const before = Bun.nanoseconds();
      if (first) book.applyDelta(batch, 0);
      else map.apply(batch, 0, false);
      const spentNs = Bun.nanoseconds() - before;
      (first ? ours : theirs).add(spentNs, count);
    }
  }
}
