/**
 * Captures → training matrices, through the very book, feature and label code of the desk.
 *
 *     bun models/train/export.ts --data ../shared/data/binance --out /tmp/keel-train
 *
 * Writes per capture `NAME.features.f32` [N, F], `NAME.labels.u8` [N, K], `NAME.moves.f32` [N, 4] (fall in 50 and 100 ms, rise
 * in 50 and 100 ms, bp) and `NAME.times.f64` [N] (local µs), row-major little-endian, and one `manifest.json`. A row is the
 * state after a frame that changed the book, its top or the trades, exactly when the desk steps its model.
 *
 * @module
 */
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { FEATURE_COUNT, FEATURES, mirrorMap, SCHEMA_HASH } from "../../src/feature/schema.ts";
import type { BinanceVenueName } from "../../src/feed/binance/venue.ts";
import { CaptureReader } from "../../src/feed/capture.ts";
import { HEADS } from "../../src/inference/card.ts";
import {
  LABEL_COUNT,
  LABEL_OPTIONS,
  Labeller,
  LONG_HORIZON_MS,
  SHORT_HORIZON_MS,
} from "../../src/learn/labels.ts";
import { CAPTURE_PREFIX, CaptureSession } from "./capture-events.ts";

/** Captures in recording order; a session continues the book and the windows of the one before it. */
const SESSIONS: readonly {
  readonly venue: BinanceVenueName;
  readonly symbol: string;
  readonly days: readonly string[];
}[] = [
  { venue: "binance-usdm", symbol: "BTCUSDT", days: ["20240808"] },
  { venue: "binance-usdm", symbol: "ETHUSDT", days: ["20240808"] },
  { venue: "binance-coinm", symbol: "BTCUSD_PERP", days: ["20240808"] },
  { venue: "binance-coinm", symbol: "ETHUSD_PERP", days: ["20240808"] },
  { venue: "binance-spot", symbol: "BTCUSDT", days: ["20240808", "20240809"] },
  { venue: "binance-spot", symbol: "ETHUSDT", days: ["20240808"] },
];

class Matrix {
  rows = 0;
  #features = new Float32Array(1 << 20);
  #labels = new Uint8Array(1 << 16);
  #moves = new Float32Array(1 << 16);
  #times = new Float64Array(1 << 14);

  add(timeUs: number, features: Float32Array): void {
    const row = this.rows;
    if ((row + 1) * FEATURE_COUNT > this.#features.length)
      this.#features = grown(this.#features, new Float32Array(this.#features.length * 2));
    if ((row + 1) * LABEL_COUNT > this.#labels.length)
      this.#labels = grown(this.#labels, new Uint8Array(this.#labels.length * 2));
    if ((row + 1) * 4 > this.#moves.length)
      this.#moves = grown(this.#moves, new Float32Array(this.#moves.length * 2));
    if (row + 1 > this.#times.length)
      this.#times = grown(this.#times, new Float64Array(this.#times.length * 2));
    this.#features.set(features, row * FEATURE_COUNT);
    this.#times[row] = timeUs;
    this.rows = row + 1;
  }

  label(row: number, labels: Uint8Array, moves: Float64Array): void {
    this.#labels.set(labels, row * LABEL_COUNT);
    this.#moves.set(moves, row * 4);
  }

  rate(head: number, rows: number): number {
    let positives = 0;
    for (let row = 0; row < rows; row += 1) positives += this.#labels[row * LABEL_COUNT + head];
    return positives / rows;
  }

  /** Writes the first `rows` rows: those whose labels are known. */
  write(stem: string, rows: number): void {
    const bytes = (array: Float32Array | Float64Array | Uint8Array, count: number) =>
      new Uint8Array(array.buffer, 0, count * array.BYTES_PER_ELEMENT);
    writeFileSync(`${stem}.features.f32`, bytes(this.#features, rows * FEATURE_COUNT));
    writeFileSync(`${stem}.labels.u8`, bytes(this.#labels, rows * LABEL_COUNT));
    writeFileSync(`${stem}.moves.f32`, bytes(this.#moves, rows * 4));
    writeFileSync(`${stem}.times.f64`, bytes(this.#times, rows));
  }
}

function grown<T extends Float32Array | Float64Array | Uint8Array>(from: T, to: T): T {
  to.set(from);
  return to;
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: { data: { type: "string", default: "../shared/data/binance" }, out: { type: "string" } },
  });
  if (values.out === undefined) throw new Error("--out FOLDER is needed: where the matrices go");
  mkdirSync(values.out, { recursive: true });

  const captures = [];
  for (const session of SESSIONS) {
    const replay = new CaptureSession(session.venue, session.symbol);
    const rowFeatures = new Float32Array(FEATURE_COUNT);
    for (const day of session.days) {
      const name = `${CAPTURE_PREFIX[session.venue]}-${session.symbol.toLowerCase()}-${day}`;
      const path = join(values.data, `${name}.gz`);
      if (!existsSync(path)) throw new Error(`capture ${path} is missing; --data names the folder`);
      const matrix = new Matrix();
      let labelled = 0;
      const labeller = new Labeller((row, labels, moves) => {
        matrix.label(row, labels, moves);
        labelled = row + 1;
      });
      const depth = new Float64Array(2);
      let frames = 0;
      for await (const entries of new CaptureReader(path).batches()) {
        for (const entry of entries) {
          if (!replay.take(entry.text, entry.timeUs)) continue;
          frames += 1;
          const { book, features } = replay;
          if (!features.ready(0, entry.timeUs) || book.crossed) continue;
          features.write(0, entry.timeUs, rowFeatures, 0);
          features.depths(0, depth);
          matrix.add(entry.timeUs, rowFeatures);
          labeller.push(entry.timeUs, (book.bestBidTicks + book.bestAskTicks) / 2, depth[0], depth[1]);
        }
      }
      matrix.write(join(values.out, name), labelled);
      const baseRates = HEADS.map((_, head) => matrix.rate(head, labelled));
      const sha256 = createHash("sha256").update(readFileSync(path)).digest("hex");
      captures.push({
        name,
        venue: session.venue,
        symbol: session.symbol,
        day,
        sha256,
        rows: labelled,
        baseRates,
      });
      console.error(
        `${name}: ${labelled} rows of ${frames} frames, base rates ${baseRates.map((rate) => rate.toFixed(4)).join(" ")}`,
      );
    }
  }

  const mirror = mirrorMap();
  writeFileSync(
    join(values.out, "manifest.json"),
    JSON.stringify(
      {
        schemaHash: SCHEMA_HASH,
        features: FEATURES.map((feature) => feature.name),
        clip: FEATURES.map((feature) => feature.clip),
        mirrorIndex: [...mirror.index],
        mirrorFactor: [...mirror.factor],
        heads: HEADS,
        labels: { ...LABEL_OPTIONS, shortHorizonMs: SHORT_HORIZON_MS, longHorizonMs: LONG_HORIZON_MS },
        captures,
      },
      null,
      1,
    ),
  );
}

await main();
