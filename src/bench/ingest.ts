import { Histogram } from "../core/histogram.ts";
import { loadNative } from "../core/native.ts";
import { FEATURE_COUNT } from "../feature/schema.ts";
import { FeatureState } from "../feature/tick.ts";
import type { Feed, FeedPort } from "../feed/feed.ts";
import { createFeed } from "../feed/registry.ts";
import { EVENT, EventBatch } from "../market/event-batch.ts";
import { InstrumentTable, type VenueName } from "../market/instrument.ts";
import { BOOK_SHAPE, L2Book } from "../market/l2-book.ts";
import { MemoryVenue } from "../sim/memory-venue.ts";
import { loadPeers } from "./ingest-peers.ts";
import { benchInput } from "./input.ts";
import { type BenchReport, type BenchRow, benchHost, ratioOf, rowOf } from "./report.ts";

export interface IngestBenchOptions {
  readonly capture: string | undefined;
  readonly seed: number;
  /** Passes over the capture that are measured, after one that is not. */
  readonly rounds: number;
}

const INSTRUMENTS_MAX = 1_024;
/** What one subject is told before it is the next one's turn: often enough that all see the same moods of the host. */
const INPUTS_PER_TURN = 5_000;

/** One thing that a venue says to a feed. */
type Input =
  | { readonly type: "open" }
  /** `levels`: how many levels of books it changes. */
  | { readonly type: "frame"; readonly text: string; readonly timeUs: number; readonly levels: number }
  | {
      readonly type: "response";
      readonly request: number;
      readonly status: number;
      readonly body: string;
      readonly timeUs: number;
    };

/** Something that is fed all that a venue says. */
export interface IngestSubject {
  readonly name: string;
  /** Forgets everything: the capture begins anew. */
  restart(): void;
  onOpen(): void;
  onResponse(request: number, status: number, body: string, timeUs: number): void;
  onFrame(text: string, timeUs: number): void;
}

/** Times of one subject: of each message, and of those that change books. */
class Measured {
  readonly subject: IngestSubject;
  readonly #perMessage = new Histogram();
  #levels = 0;
  #levelsNs = 0;

  constructor(subject: IngestSubject) {
    this.subject = subject;
  }

  record(ns: number, levels: number): void {
    this.#perMessage.record(ns);
    if (levels === 0) return;
    this.#levels += levels;
    this.#levelsNs += ns;
  }

  reset(): void {
    this.#perMessage.reset();
    this.#levels = 0;
    this.#levelsNs = 0;
  }

  get meanNs(): number {
    return this.#perMessage.mean;
  }

  row(): BenchRow {
    return rowOf(`ingest/${this.subject.name}`, this.#perMessage, "us", {
      mean: Math.round(this.meanNs) / 1_000,
      perSecond: Math.round(1e9 / this.meanNs),
      levels: this.#levels,
      levelsPerSecond: this.#levels === 0 ? 0 : Math.round((this.#levels * 1e9) / this.#levelsNs),
    });
  }
}

/**
 * What it takes to take market data in: a capture as fast as it goes through decoder, sequence check, book and features, beside
 * JSON.parse alone and the peers' books on the same frames, in turn.
 */
export async function runIngestBench(options: IngestBenchOptions): Promise<BenchReport> {
  const input = benchInput(options.capture, options.seed);
  try {
    await loadNative();
    const { venue, subscriptions, inputs } = await script(input.path);
    const keel = new KeelIngest(venue, subscriptions);
    const notes: string[] = [];
    const peers = await loadPeers(venue, subscriptions, notes);
    const measured = [keel, new ParseAlone(), ...peers].map((subject) => new Measured(subject));
    for (let round = 0; round <= options.rounds; round += 1) {
      if (round === 1) for (const each of measured) each.reset();
      play(inputs, measured, round);
    }
    const [ours, ...others] = measured.map((each) => ({ each, row: each.row() }));
    const ratios = others.flatMap(({ each, row }) => [
      ratioOf(`ingest/${each.subject.name}:keel`, row, ours.row),
      ratioOf(`ingest/${each.subject.name}:keel/p99`, row, ours.row),
      {
        name: `ingest/${each.subject.name}:keel/mean`,
        value: Math.round((each.meanNs / ours.each.meanNs) * 1_000) / 1_000,
      },
    ]);
    return {
      bench: "ingest",
      host: benchHost(),
      seed: options.seed,
      checksum: keel.checksum,
      input: input.name,
      rows: [ours.row, ...others.map(({ row }) => row)],
      ratios,
      notes: [
        `keel: decode, sequence check, book and a row of features for every message; ${keel.fallbacks} frames were left to JSON.parse`,
        "levelsPerSecond: over the messages that change levels of books",
        ...notes,
      ],
    };
  } finally {
    input.remove();
  }
}

/** Lets a feed hear a capture once and notes what it was told. */
async function script(
  path: string,
): Promise<{ venue: VenueName; subscriptions: readonly string[]; inputs: Input[] }> {
  const venue = await MemoryVenue.open(path);
  const subscriptions = venue.subscriptions;
  const inputs: Input[] = [];
  const out = new EventBatch();
  const feed = feedOf(venue.venue, subscriptions, venue, new InstrumentTable(INSTRUMENTS_MAX));
  feed.start(0);
  await venue.play({
    onOpen: (_feed, timeUs) => {
      inputs.push({ type: "open" });
      out.clear();
      feed.onOpen(timeUs, out);
    },
    onFrame: (_feed, text, timeUs) => {
      // Text as a socket gives it: in one piece, on its own.
      const flat = Buffer.from(text).toString();
      out.clear();
      feed.onFrame(flat, timeUs, out);
      inputs.push({ type: "frame", text: flat, timeUs, levels: levelsIn(out) });
    },
    onResponse: (_feed, request, status, body, timeUs) => {
      inputs.push({ type: "response", request, status, body, timeUs });
      out.clear();
      feed.onResponse(request, status, body, Number.NaN, timeUs, out);
    },
  });
  return { venue: venue.venue, subscriptions, inputs };
}

function levelsIn(out: EventBatch): number {
  let levels = 0;
  for (let row = 0; row < out.count; row += 1) {
    if (out.kind[row] <= EVENT.bookDelta) levels += out.levelCount[row];
  }
  return levels;
}

/** One pass; the subjects change their order from turn to turn. */
function play(inputs: readonly Input[], measured: readonly Measured[], round: number): void {
  for (const { subject } of measured) subject.restart();
  let order = [...measured];
  if (round % 2 === 1) order.reverse();
  for (let from = 0; from < inputs.length; from += INPUTS_PER_TURN) {
    const to = Math.min(from + INPUTS_PER_TURN, inputs.length);
    for (const each of order) {
      // Nobody pays for the garbage of those before.
      Bun.gc(true);
      for (let at = from; at < to; at += 1) tell(each, inputs[at]);
    }
    order = [...order.slice(1), order[0]];
  }
}

function tell(to: Measured, input: Input): void {
  const { subject } = to;
  if (input.type === "frame") {
    const before = Bun.nanoseconds();
    subject.onFrame(input.text, input.timeUs);
    to.record(Bun.nanoseconds() - before, input.levels);
  } else if (input.type === "open") {
    subject.onOpen();
  } else {
    subject.onResponse(input.request, input.status, input.body, input.timeUs);
  }
}

const SILENT_PORT: FeedPort = { connect: () => {}, send: () => {}, disconnect: () => {}, request: () => {} };

function feedOf(
  venue: VenueName,
  subscriptions: readonly string[],
  port: FeedPort,
  instruments: InstrumentTable,
): Feed {
  return createFeed({
    ...{ id: 0, venue, subscriptions, instruments, port, seed: 1 },
    silenceMs: Number.MAX_SAFE_INTEGER,
  });
}

/** keel's own way in: feed, books and features as the desk has them. */
class KeelIngest implements IngestSubject {
  readonly name = "keel";
  readonly #venue: VenueName;
  readonly #subscriptions: readonly string[];
  readonly #out = new EventBatch();
  readonly #row = new Float32Array(FEATURE_COUNT);
  #instruments = new InstrumentTable(INSTRUMENTS_MAX);
  #feed: Feed;
  #books: L2Book[] = [];
  #features = new FeatureState(1);

  constructor(venue: VenueName, subscriptions: readonly string[]) {
    this.#venue = venue;
    this.#subscriptions = subscriptions;
    this.#feed = feedOf(venue, subscriptions, SILENT_PORT, this.#instruments);
  }

  /** Best prices and features at the end: two runs that agree in it did the same work. */
  get checksum(): string {
    const hasher = new Bun.CryptoHasher("sha256");
    for (const { bestBidTicks, bestAskTicks } of this.#books)
      hasher.update(`${bestBidTicks}/${bestAskTicks} `);
    return hasher.update(this.#row).digest("hex").slice(0, 16);
  }

  get fallbacks(): number {
    return this.#feed.counters.decodeFallbacks;
  }

  restart(): void {
    this.#instruments = new InstrumentTable(INSTRUMENTS_MAX);
    this.#books = [];
    this.#features = new FeatureState(INSTRUMENTS_MAX);
    this.#feed = feedOf(this.#venue, this.#subscriptions, SILENT_PORT, this.#instruments);
    this.#feed.start(0);
  }

  onOpen(): void {
    this.#out.clear();
    this.#feed.onOpen(0, this.#out);
  }

  onResponse(request: number, status: number, body: string, timeUs: number): void {
    this.#out.clear();
    this.#feed.onResponse(request, status, body, Number.NaN, timeUs, this.#out);
    this.#apply(timeUs);
  }

  onFrame(text: string, timeUs: number): void {
    this.#out.clear();
    this.#feed.onFrame(text, timeUs, this.#out);
    this.#apply(timeUs);
  }

  #apply(timeUs: number): void {
    const out = this.#out;
    const features = this.#features;
    for (let id = this.#books.length; id < this.#instruments.size; id += 1) {
      this.#books.push(new L2Book(BOOK_SHAPE[this.#instruments.get(id).kind]));
    }
    for (let row = 0; row < out.count; row += 1) {
      const id = out.instrument[row];
      const book = this.#books[id];
      switch (out.kind[row]) {
        case EVENT.bookSnapshot:
          book.applySnapshot(out, row);
          features.onBook(id, book, out, row, timeUs);
          break;
        case EVENT.bookDelta:
          book.applyDelta(out, row);
          features.onBook(id, book, out, row, timeUs);
          break;
        case EVENT.top:
          book.applyTop(out, row);
          features.onTop(id, book, timeUs);
          break;
        case EVENT.trade: {
          const level = out.levelStart[row];
          features.onTrade(id, out.side[level], out.sizeLots[level], timeUs);
          break;
        }
        case EVENT.ticker:
          features.onTicker(id, this.#instruments.get(id), out, row, timeUs);
          break;
        default:
          continue;
      }
      features.write(id, timeUs, this.#row, 0);
    }
  }
}

/** The floor of whatever goes by way of JSON.parse. */
class ParseAlone implements IngestSubject {
  readonly name = "json-parse";
  /** Kept, so that the parse is not optimised away. */
  parsed: unknown;

  restart(): void {}
  onOpen(): void {}
  onResponse(): void {}

  onFrame(text: string): void {
    this.parsed = JSON.parse(text);
  }
}
