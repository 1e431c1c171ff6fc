import type { BenchReport } from "../bench/report.ts";
import { EXIT } from "../core/errors.ts";
import { defineCommand, UsageError } from "./command.ts";

interface BenchOptions {
  readonly capture: string | undefined;
  readonly seed: number;
  readonly rounds: number;
  readonly log: (line: string) => void;
}

const FIX_MESSAGES_PER_ROUND = 200_000;
const FIX_ROUND_TRIPS_PER_ROUND = 10_000;
const SHM_UPDATES_PER_ROUND = 200_000;
const DERIBIT_MESSAGES_PER_ROUND = 10_000;

const BENCHES: Readonly<Record<string, (options: BenchOptions) => Promise<BenchReport>>> = {
  tick: async (options) => (await import("../bench/tick.ts")).runTickBench(options),
  shards: async (options) => (await import("../bench/shards.ts")).runShardBench(options),
  tap: async (options) => (await import("../bench/tap.ts")).runTapBench(options),
  loop: async (options) => (await import("../bench/loop.ts")).runLoopBench(options),
  wire: async (options) =>
    (await import("../bench/wire.ts")).runWireBench({
      ...options,
      framesPerRound: 20_000,
      perSecond: 10_000,
      warmUpMs: 10_000,
      spin: true,
    }),
  dashboard: async ({ seed, rounds }) =>
    (await import("../bench/dashboard.ts")).runDashboardBench({
      seed,
      rounds: 2 * rounds,
      blockSeconds: 5,
      strikesPerExpiry: 125,
      warmUpMs: 5_000,
    }),
  book: async (options) => (await import("../bench/book.ts")).runBookBench(options),
  fix: async ({ seed, rounds }) =>
    (await import("../bench/fix.ts")).runFixBench({
      seed,
      messages: rounds * FIX_MESSAGES_PER_ROUND,
      roundTrips: rounds * FIX_ROUND_TRIPS_PER_ROUND,
      peersEvery: 16,
      quickFix: true,
    }),
  deribit: async ({ seed, rounds }) =>
    (await import("../bench/deribit.ts")).runDeribitBench({
      seed,
      messages: rounds * DERIBIT_MESSAGES_PER_ROUND,
    }),
  shm: async ({ seed, rounds }) =>
    (await import("../bench/shm.ts")).runShmBench({ seed, updates: rounds * SHM_UPDATES_PER_ROUND }),
  option: async (options) => (await import("../bench/option.ts")).runOptionBench(options),
  ingest: async (options) => (await import("../bench/ingest.ts")).runIngestBench(options),
  inference: async (options) => {
    const { FEATURE_COUNT, SCHEMA_HASH } = await import("../feature/schema.ts");
    const schema = { schemaHash: SCHEMA_HASH, featureCount: FEATURE_COUNT };
    return (await import("../bench/inference.ts")).runInferenceBench({ ...options, schema });
  },
  gpu: async (options) => (await import("../bench/gpu.ts")).runGpuBench({ ...options, samplesPerRound: 200 }),
};

export const bench = defineCommand({
  name: "bench",
  summary: "Measure a part of keel beside its floor or its peer",
  usage: "NAME [options]",
  details: `tick       frame in memory → encoded FIX bytes, by stage, on a capture
shards     recorded frames through the desk with the feeds on no, 1, 2 and 3 threads; the way between threads
tap        the desk's thread with and without those who follow it to Kafka, on a capture
loop       the desk's thread with and without each step of the learning loop, on a capture
wire       venue WebSocket → FIX quote on the peer's socket over loopback, beside a bare WebSocket → TCP relay;
           once more with the event loop spinning
dashboard  an event's way with and without somebody who looks on, at 1,000 options and 60 updates a second
book       order book updates by level and by order, beside maps
fix        a MassQuote encoded and parsed, beside jspurefix and QuickFIX C++; a quote and its acknowledgement over loopback, beside a bare echo
deribit    a mass quote of 1, 20 and 100 instruments as Deribit's text, beside JSON.stringify
shm        publishing a quote or a prediction in shared memory, beside a copy of its bytes
option     implied volatility, Greeks, surface fit, requote of 1,000 options
ingest     a capture through decoder, book and features, beside JSON.parse alone, ccxt pro and tardis-dev
inference  one step of every engine on every built-in model and on STAC-ML's shapes, beside onnxruntime-node
gpu        upload, feature sweep, option chain, step and whole path on a GPU, beside the same on the CPU

The result holds \`bench\`, \`host\`, \`seed\`, \`checksum\`, \`input\`, \`rows\` (name, unit, n, p50, p99, p999, max, perSecond) and
\`ratios\`: \`a:b\` is a's time over b's in the same run, p50 over p50 unless the name ends in /p99.`,
  options: {
    capture: {
      type: "string",
      value: "FILE",
      description: "Recorded frames to run on; default: simulated ones",
    },
    seed: { type: "number", value: "N", integer: true, min: 0, default: 1, description: "Seed" },
    rounds: {
      type: "number",
      value: "N",
      integer: true,
      min: 1,
      max: 100,
      default: 3,
      description: "Rounds",
    },
  },
  positionals: ["NAME"],
  environment: false,
  async run({ options, positionals, log, out }) {
    const name = positionals[0] ?? "";
    const run = Object.hasOwn(BENCHES, name) ? BENCHES[name] : undefined;
    if (run === undefined) {
      throw new UsageError(
        `bench: found ${JSON.stringify(name)}, expected one of ${Object.keys(BENCHES).join(", ")}`,
      );
    }
    const report = await run({ ...options, log: (line) => log.info(line) });
    const { benchTable } = await import("../bench/report.ts");
    for (const line of benchTable(report)) out.line(line);
    out.result(report);
    return EXIT.ok;
  },
});
