import { heapStats } from "bun:jsc";
import { Histogram } from "../core/histogram.ts";
import { loadNative } from "../core/native.ts";
import { runFlood } from "./ingest-flood.ts";
import {
  type IngestInput,
  type IngestScript,
  type IngestSubject,
  readScript,
  tellOther,
} from "./ingest-input.ts";
import { loadPeers } from "./ingest-peers.ts";
import { BareReceiver, KeelIngest, ParseAlone, REACH } from "./ingest-subjects.ts";
import { benchInput } from "./input.ts";
import { type BenchRatio, type BenchReport, type BenchRow, benchHost, ratioOf, rowOf } from "./report.ts";

export interface IngestBenchOptions {
  readonly capture: string | undefined;
  readonly seed: number;
  /** Passes over the capture that are measured, after one that is not. */
  readonly rounds: number;
}

/** What one subject is told before it is the next one's turn: often enough that all see the same moods of the host. */
const INPUTS_PER_TURN = 5_000;
/** Passes over the capture between the two looks at the heap. */
const MEMORY_PASSES = 5;
const MEGABYTE = 1_000_000;

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
 * JSON.parse alone and the peers' books on the same frames, in turn; the same from another process by a WebSocket; and what
 * memory does meanwhile.
 */
export async function runIngestBench(options: IngestBenchOptions): Promise<BenchReport> {
  const input = benchInput(options.capture, options.seed);
  try {
    await loadNative();
    const script = await readScript(input.path);
    const keel = new KeelIngest(script);
    const notes: string[] = [];
    const peers = await loadPeers(script.venue, script.subscriptions, notes);
    const parts = [REACH.decode, REACH.feed, REACH.book].map((reach) => new KeelIngest(script, reach));
    const measured = [keel, new ParseAlone(), ...peers, ...parts].map((subject) => new Measured(subject));
    for (let round = 0; round <= options.rounds; round += 1) {
      if (round === 1) for (const each of measured) each.reset();
      play(script, measured, round);
    }
    const { checksum, fallbacks } = keel;
    const [ours, ...rest] = measured.map((each) => ({ each, row: each.row() }));
    const [others, ownParts] = [rest.slice(0, 1 + peers.length), rest.slice(1 + peers.length)];
    const [parse, decode] = [others[0], ownParts[0]];
    const flood = await runFlood(script, [new BareReceiver(), new ParseAlone(), keel], options.rounds);
    const memory = measureMemory(script, keel);
    return {
      bench: "ingest",
      host: benchHost(),
      seed: options.seed,
      checksum,
      input: input.name,
      rows: [{ ...ours.row, ...memory }, ...rest.map(({ row }) => row), ...flood],
      ratios: [
        ...others.flatMap(({ each, row }) => [
          ratioOf(`ingest/${each.subject.name}:keel`, row, ours.row),
          ratioOf(`ingest/${each.subject.name}:keel/p99`, row, ours.row),
          { name: `ingest/${each.subject.name}:keel/mean`, value: ratio(each.meanNs, ours.each.meanNs) },
        ]),
        ratioOf("ingest/json-parse:keel-decode", parse.row, decode.row),
        { name: "ingest/json-parse:keel-decode/mean", value: ratio(parse.each.meanNs, decode.each.meanNs) },
        ...floodRatios(flood),
      ],
      notes: [
        `keel: decode, sequence check, book and a row of features for every message; ${fallbacks} frames were left to JSON.parse`,
        "keel-decode: the decoder alone, which is what JSON.parse is to be held against; keel-feed: sequence rule, checksum or order book as well; keel-book: the book as well",
        "per message, the two readings of the clock around it are in every figure",
        `level updates a second, over the messages that change levels: ${[ours, ...others].map(({ row }) => `${row.name} ${inMillions(row)}`).join(", ")}`,
        `keel's memory after 1 and ${1 + MEMORY_PASSES} passes: heap ${inMegabytes(memory.heapBefore)} and ${inMegabytes(memory.heapAfter)} MB (the frames to come are in it), resident ${inMegabytes(memory.residentBefore)} and ${inMegabytes(memory.residentAfter)} MB; ${memory.garbagePerMessage} bytes of garbage a message`,
        "flood: another process sends as fast as it can; times are within the subject, messages a second are those of the whole stream",
        ...notes,
      ],
    };
  } finally {
    input.remove();
  }
}

function ratio(a: number, b: number): number {
  return Math.round((a / b) * 1_000) / 1_000;
}

const inMegabytes = (bytes: number): string => (bytes / MEGABYTE).toFixed(1);
const inMillions = (row: BenchRow): string => `${(Number(row.levelsPerSecond) / 1e6).toFixed(1)} million`;

/** How much of the stream's speed is left with work on each message, beside a receiver that does nothing. */
function floodRatios(rows: readonly BenchRow[]): BenchRatio[] {
  const [bare, ...others] = rows;
  return others.map((row) => ({
    name: `${row.name}:receive/wall`,
    value: ratio(bare.perSecond ?? 0, row.perSecond ?? 0),
  }));
}

/** One pass; the subjects change their order from turn to turn. */
function play({ inputs }: IngestScript, measured: readonly Measured[], round: number): void {
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

function tell(to: Measured, input: IngestInput): void {
  const { subject } = to;
  if (input.type !== "frame") {
    tellOther(subject, input);
    return;
  }
  const before = Bun.nanoseconds();
  subject.onFrame(input.text, input.timeUs);
  to.record(Bun.nanoseconds() - before, input.levels);
}

/** What is in use after one pass and after {@link MEMORY_PASSES} more, garbage collected each time, bytes. */
function measureMemory({ inputs }: IngestScript, subject: IngestSubject) {
  const tellAll = (from: number, to: number): void => {
    for (let at = from; at < to; at += 1) {
      const input = inputs[at];
      if (input.type === "frame") subject.onFrame(input.text, input.timeUs);
      else tellOther(subject, input);
    }
  };
  const look = () => {
    Bun.gc(true);
    return { heap: heapStats().heapSize, resident: process.memoryUsage.rss() };
  };
  const half = inputs.length >>> 1;
  subject.restart();
  tellAll(0, half);
  // The books are there by now; what comes in the second half is what messages leave behind.
  const { heap } = look();
  tellAll(half, inputs.length);
  const garbage = Math.max(0, heapStats().heapSize - heap) / Math.max(1, inputs.length - half);
  const before = look();
  for (let i = 0; i < MEMORY_PASSES; i += 1) {
    subject.restart();
    tellAll(0, inputs.length);
    Bun.gc(true);
  }
  const after = look();
  return {
    heapBefore: before.heap,
    heapAfter: after.heap,
    residentBefore: before.resident,
    residentAfter: after.resident,
    garbagePerMessage: Math.round(garbage * 10) / 10,
  };
}
