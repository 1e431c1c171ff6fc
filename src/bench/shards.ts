import { existsSync } from "node:fs";
import { loadConfig } from "../config.ts";
import { systemClock } from "../core/clock.ts";
import { Histogram } from "../core/histogram.ts";
import { RingConsumer, RingProducer, ringMemory } from "../core/ring.ts";
import { RECORD } from "../journal/record.ts";
import { EventBatch, SIDE } from "../market/event-batch.ts";
import { WAKE_BYTES, wallOriginOf } from "../shard/protocol.ts";
import { Shard } from "../shard/shard.ts";
import { TurnReader, turnBytes, writeTurn } from "../shard/turn-codec.ts";
import { startBenchEngine } from "./engine.ts";
import { benchInput } from "./input.ts";
import { type BenchReport, type BenchRow, benchHost, rowOf } from "./report.ts";
import { runReference, runShards, SHARD_RUN_SLOTS } from "./shard-run.ts";

export interface ShardBenchOptions {
  readonly capture: string | undefined;
  readonly seed: number;
  readonly rounds: number;
  /** Of each capture; default 60. */
  readonly seconds?: number;
  readonly log: (line: string) => void;
}

/** Beside the input, where they are there: feeds of other venues, so that there is something to spread. */
const BESIDE = ["spot-ethusdt-20240808.gz", "cm-ethusd_perp-20240808.gz"].map(
  (file) => `../shared/data/binance/${file}`,
);
const SECONDS = 60;
const THREADS = [0, 1, 2, 3];
const TURNS = 20_000;
const LEVELS = 20;

/** Recorded frames through feeds, books and the whole desk: all on one thread, and with the feeds on 1, 2 and 3 others. */
export async function runShardBench(options: ShardBenchOptions): Promise<BenchReport> {
  const input = benchInput(options.capture, options.seed);
  const config = loadConfig(process.env);
  const { engine } = await startBenchEngine({
    device: "cpu",
    config,
    slots: SHARD_RUN_SLOTS,
    log: options.log,
  });
  try {
    const captures = [input.path, ...BESIDE.filter((path) => existsSync(path))];
    const run = { engine, config, seed: options.seed };
    const reference = await runReference(captures, options.seconds ?? SECONDS, run);
    const took = THREADS.map(() => new Histogram());
    for (let round = 0; round <= options.rounds; round += 1) {
      for (const [at, threads] of THREADS.entries()) {
        const { checksum, seconds } = await runShards(reference, threads, run);
        if (checksum !== reference.outcome.checksum) {
          throw new Error(`${threads} threads: found ${checksum}, expected ${reference.outcome.checksum}`);
        }
        if (round > 0) took[at]?.record((seconds * 1e9) / reference.frames);
      }
    }
    const rows = THREADS.map((threads, at): BenchRow => {
      const row = rowOf(`shards/${threads === 0 ? "none" : threads}`, took[at] ?? new Histogram(), "ns");
      return { ...row, perSecond: row.p50 > 0 ? Math.round(1e9 / row.p50) : 0 };
    });
    const [alone] = rows;
    return {
      bench: "shards",
      host: benchHost(),
      seed: options.seed,
      checksum: reference.outcome.checksum.slice(0, 16),
      input: captures.join(", "),
      rows: [...rows, rowOf("shards/turn", turnCost(), "ns"), rowOf("shards/hop", await hopCost(), "us")],
      ratios: rows.slice(1).map((row) => ({
        name: `shards/none:${row.name.slice("shards/".length)}`,
        value: Math.round(((alone?.p50 ?? 0) / row.p50) * 1_000) / 1_000,
      })),
      notes: [
        `${reference.frames} frames of ${captures.length} feeds a pass, played as fast as they go; ns per frame, n = passes`,
        "shards/none: feeds and desk on one thread; shards/N: feeds on N others, each frame's predictions and quotes the same",
        `shards/turn: a frame of ${LEVELS} levels into the ring and out of it on one thread; shards/hop: published by a thread → taken by a sleeping one`,
        `${benchHost().cores} cores: threads beyond that share them`,
      ],
    };
  } finally {
    await engine.dispose();
    input.remove();
  }
}

/** A turn written into a ring and read out of it. */
function turnCost(): Histogram {
  const memory = ringMemory(1 << 16);
  const [producer, consumer, reader] = [new RingProducer(memory), new RingConsumer(memory), new TurnReader()];
  const batch = new EventBatch(4, 64);
  const out = new EventBatch(4, 64);
  batch.begin(1, 0, 1);
  for (let level = 0; level < LEVELS; level += 1) batch.level(SIDE.bid, 1_000 + level, level);
  const rows = { batch, rows: Int32Array.of(0), count: 1 };
  const instruments = Int32Array.of(0);
  const text = "x".repeat(300);
  const cost = new Histogram();
  const turn = { type: RECORD.feedFrame, feed: 0, timeUs: 1, exchangeUs: 1, hadEvents: true };
  for (let i = 0; i < TURNS * 2; i += 1) {
    const beganNs = Bun.nanoseconds();
    const at = producer.reserve(turnBytes(rows, text.length * 3));
    producer.commit(writeTurn(producer, at, turn, text, text.length * 3, rows));
    reader.open(consumer, consumer.peek());
    reader.events(consumer, instruments, out);
    consumer.release();
    if (i >= TURNS) cost.record(Bun.nanoseconds() - beganNs);
  }
  return cost;
}

const HOPS = 200;
const HOP_WAIT_MS = 10_000;

/**
 * From a shard's publishing to the quoting thread's taking it, with that thread asleep in between: a shard whose venue cannot be
 * reached publishes its feed's timer every 10 ms.
 */
async function hopCost(): Promise<Histogram> {
  const cost = new Histogram();
  const wake = new SharedArrayBuffer(WAKE_BYTES);
  const word = new Int32Array(wake);
  const { wallUs } = systemClock;
  const endpoint = { webSocketUrl: "ws://127.0.0.1:9", restUrl: "http://127.0.0.1:9" };
  const feed = { id: 0, venue: "binance-usdm", subscriptions: ["BTCUSDT"], seed: 1, endpoint } as const;
  const shard = new Shard({
    ...{ feeds: [feed], keys: { deribit: null, coinbase: null }, silenceMs: 60_000, requestTimeoutMs: 1_000 },
    ...{ instrumentCapacity: 16, wake, wallOriginUs: wallOriginOf(wallUs), keepsPayloads: false },
    makesFeatures: true,
  });
  shard.start(wallUs());
  try {
    const deadlineUs = wallUs() + HOP_WAIT_MS * 1_000;
    while (cost.count < HOPS && wallUs() < deadlineUs) {
      Atomics.store(word, 0, 1);
      const woken = Atomics.waitAsync(word, 0, 1, HOP_WAIT_MS);
      if (woken.async) await woken.value;
      const takenUs = wallUs();
      for (let headUs = shard.headUs(); !Number.isNaN(headUs); headUs = shard.headUs()) {
        cost.record(Math.max(0, takenUs - headUs) * 1_000);
        shard.ring.release();
      }
    }
    return cost;
  } finally {
    shard.stop();
  }
}
