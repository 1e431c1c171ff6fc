import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Histogram } from "../core/histogram.ts";
import { Rng } from "../core/rng.ts";
import { RECORD_BYTES } from "../gateway/shm/layout.ts";
import { ShmReader } from "../gateway/shm/reader.ts";
import { ShmWriter } from "../gateway/shm/writer.ts";
import { HEADS } from "../inference/card.ts";
import { QuoteBatch } from "../quote/quote-batch.ts";
import { optionTable } from "./option-table.ts";
import { type BenchReport, type BenchRow, benchHost, ratioOf, rowOf } from "./report.ts";

export interface ShmBenchOptions {
  readonly updates: number;
  readonly seed: number;
}

const INSTRUMENTS = 256;
const UNDERLYINGS = 2;
/** Quotes of one call, as many as a change of an underlying moves at once. */
const GROUP = 16;

/**
 * Time to publish one quote or prediction in shared memory, ns, beside the floor: the bytes alone, copied twice. A reader in the
 * same process takes every update and its checksum.
 */
export function runShmBench(options: ShmBenchOptions): BenchReport {
  const directory = mkdtempSync(join(tmpdir(), "keel-bench-"));
  try {
    const bench = new ShmBench(directory, options.seed);
    const groups = Math.ceil(options.updates / GROUP);
    bench.run(Math.min(groups, 2_000));
    return bench.report(groups, options.seed);
  } finally {
    rmSync(directory, { recursive: true });
  }
}

class ShmBench {
  readonly #rng: Rng;
  readonly #writer: ShmWriter;
  readonly #reader: ShmReader;
  readonly #batch = new QuoteBatch(GROUP);
  readonly #probabilities = new Float32Array(UNDERLYINGS * HEADS.length);
  readonly #from = new Int32Array((GROUP * RECORD_BYTES) / 4);
  readonly #to = new Int32Array((2 * GROUP * RECORD_BYTES) / 4);
  #quote = new Histogram();
  #prediction = new Histogram();
  #copy = new Histogram();
  #checksum = 0;
  #timeUs = 1_735_000_000_000_000;

  constructor(directory: string, seed: number) {
    this.#rng = new Rng(seed);
    this.#writer = new ShmWriter({
      name: "bench",
      directory,
      ringCapacity: 4_096,
      desk: {
        instruments: optionTable(INSTRUMENTS),
        underlyings: { size: UNDERLYINGS, base: (underlying) => ["BTC", "ETH"][underlying] ?? "" },
        underlyingCapacity: UNDERLYINGS,
        model: { name: "bench", schemaHash: "0".repeat(16), heads: HEADS },
      },
    });
    this.#reader = new ShmReader("bench", directory);
  }

  run(groups: number): void {
    for (let group = 0; group < groups; group += 1) {
      this.#timeUs += 100;
      this.#fill();
      this.#time(this.#quote, () => this.#writer.onQuotes(this.#batch, this.#timeUs));
      this.#time(this.#prediction, () => this.#predict());
      this.#time(this.#copy, () => this.#copyBytes());
      this.#read();
    }
  }

  report(groups: number, seed: number): BenchReport {
    this.#quote = new Histogram();
    this.#prediction = new Histogram();
    this.#copy = new Histogram();
    this.#checksum = 0;
    this.run(groups);
    const quote = this.#row("shm/quote", this.#quote);
    const prediction = this.#row("shm/prediction", this.#prediction);
    const copy = this.#row("shm/copy", this.#copy);
    this.#reader.close();
    this.#writer.close();
    return {
      bench: "shm",
      host: benchHost(),
      seed,
      checksum: String(this.#checksum),
      input: `${INSTRUMENTS} options, ${UNDERLYINGS} underlyings, prices drawn at random`,
      rows: [quote, prediction, copy],
      ratios: [ratioOf("shm/quote:copy", quote, copy), ratioOf("shm/prediction:copy", prediction, copy)],
      notes: [`ns for one update, latest record and ring; percentiles are over groups of ${GROUP} updates`],
    };
  }

  #row(name: string, histogram: Histogram): BenchRow {
    return rowOf(name, histogram, "ns", { perSecond: Math.round(1e9 / histogram.mean) });
  }

  #time(histogram: Histogram, work: () => void): void {
    const before = Bun.nanoseconds();
    work();
    histogram.record((Bun.nanoseconds() - before) / GROUP);
  }

  #fill(): void {
    const batch = this.#batch;
    const first = this.#rng.int(INSTRUMENTS - GROUP);
    batch.count = GROUP;
    for (let row = 0; row < GROUP; row += 1) {
      batch.instrument[row] = first + row;
      batch.quoteId[row] += 1;
      batch.bidTicks[row] = 1 + this.#rng.int(3_000);
      batch.askTicks[row] = batch.bidTicks[row] + 1 + this.#rng.int(20);
      batch.bidLots[row] = this.#rng.int(500);
      batch.askLots[row] = this.#rng.int(500);
    }
    for (let at = 0; at < this.#probabilities.length; at += 1) this.#probabilities[at] = this.#rng.next();
  }

  #predict(): void {
    const heads = HEADS.length;
    for (let update = 0; update < GROUP; update += 1) {
      const underlying = update % UNDERLYINGS;
      this.#writer.onPrediction(underlying, this.#probabilities, underlying * heads, heads, 0, this.#timeUs);
    }
  }

  #copyBytes(): void {
    this.#to.set(this.#from);
    this.#to.set(this.#from, this.#from.length);
  }

  #read(): void {
    for (let update = this.#reader.next(); update !== null; update = this.#reader.next()) {
      if (update.kind === "quote") this.#checksum += update.bidSize + update.askSize;
      else if (update.kind === "prediction") this.#checksum += update.probabilities[0] ?? 0;
    }
  }
}
