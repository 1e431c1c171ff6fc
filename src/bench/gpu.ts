import { loadConfig } from "../config.ts";
import { loadNative } from "../core/native.ts";
import { FEATURE_COUNT, SCHEMA_HASH } from "../feature/schema.ts";
import { Gpu } from "../gpu/device.ts";
import { KeepAlive } from "../gpu/keep-alive.ts";
import { loadModel } from "../inference/model.ts";
import { probeIsa } from "../inference/probe.ts";
import { WebGpuEngine } from "../inference/webgpu.ts";
import { WgslEngine } from "../inference/wgsl.ts";
import { crossOvers, type PairRows, pairRatio, sample, timePair } from "./gpu-timing.ts";
import { chainWork, featureWork, floors, type GpuWork, pathWork, stepWork, sweepTimes } from "./gpu-work.ts";
import { type BenchReport, type BenchRow, benchHost, ratioOf, rowOf } from "./report.ts";

export interface GpuBenchOptions {
  readonly seed: number;
  readonly rounds: number;
  /** Samples of each thing in a round. */
  readonly samplesPerRound: number;
  /** Instruments and options at most; the sizes above are left out. */
  readonly sizeMax?: number;
  /** Whether ONNX Runtime's step is measured too, which takes long to start; yes when left out. */
  readonly onnxRuntime?: boolean;
  readonly env?: Readonly<Record<string, string | undefined>>;
  readonly log: (line: string) => void;
}

/** What is measured where no model is configured: float32, which every engine here takes. */
const MODEL = "lstm-residual";
const INSTRUMENTS = [1, 16, 256, 1_024] as const;
const OPTIONS = [100, 1_000, 5_000] as const;
/** Steps of a model at once; a software adapter takes milliseconds for each row. */
const SOFTWARE_BATCH_MAX = 16;
/** How often the sweep alone is timed by the device's own clock. */
const SWEEP_SAMPLES = 20;
const IDLE_MS = 200;
const IDLE_SAMPLES = 5;
const KEEP_ALIVE_MS = 10;
/** What ONNX Runtime is compared at. */
const ORT_BATCH = 1;

/**
 * What the GPU takes for each part of the line and for the whole of it, beside the same work on the CPU in turn, and from
 * where on it is the faster one. The adapter is the environment's (`KEEL_GPU`, `KEEL_VULKAN_DIR`).
 *
 * @throws DeviceUnavailableError when there is no such adapter.
 */
export async function runGpuBench(options: GpuBenchOptions): Promise<BenchReport> {
  const { seed, rounds, samplesPerRound, sizeMax = 5_000, onnxRuntime = true, log } = options;
  const config = loadConfig(options.env ?? process.env);
  // A device kept awake would hide what waking it costs.
  const selection = { ...config.engines.gpu, keepAliveMs: 0 };
  const model = await loadModel(config.model ?? MODEL, {
    schemaHash: SCHEMA_HASH,
    featureCount: FEATURE_COUNT,
  });
  await loadNative();
  const gpu = await Gpu.open(selection);
  const { software } = gpu;
  const samples = rounds * samplesPerRound;
  const instruments = INSTRUMENTS.filter((size) => size <= sizeMax);
  const batches = instruments.filter((size) => !software || size <= SOFTWARE_BATCH_MAX);
  const most = Math.max(...batches);
  const measured: PairRows[] = [];
  const measure = async (work: GpuWork): Promise<void> => {
    for (const pair of work.pairs) {
      const rows = await timePair(pair, samples, software);
      log(`gpu/${pair.name}: p50 ${rows.gpu.p50} µs${rows.cpu === null ? "" : `, cpu ${rows.cpu.p50} µs`}`);
      measured.push(rows);
    }
    await work.release();
  };
  const digest = new Bun.CryptoHasher("sha256");
  try {
    await measure(floors(gpu));
    await measure(await featureWork(gpu, instruments, seed));
    const largest = Math.max(...instruments);
    const onDevice = await sweepTimes(gpu, largest, seed, SWEEP_SAMPLES);
    const chains = OPTIONS.filter((size) => size <= sizeMax);
    if (chains.length > 0) await measure(await chainWork(gpu, chains, seed));
    if (onnxRuntime) {
      const ort = await WebGpuEngine.start(model, ORT_BATCH, ORT_BATCH, { gpu: selection });
      await ort.warmUp();
      await measure(await stepWork("step-ort", ort, model, [ORT_BATCH]));
      await ort.dispose();
    }
    const fused = await WgslEngine.start(model, most, most, { gpu: selection });
    await fused.warmUp();
    await measure(await stepWork("step-fused", fused, model, batches));
    for (const value of fused.probabilities) digest.update(value.toFixed(2));
    // It disposes of the engine too.
    await measure(await pathWork(fused, model, batches, seed));
    const idle = software ? [] : await idleRows(gpu);
    return {
      bench: "gpu",
      host: benchHost(probeIsa(), software ? `${gpu.adapter} (software)` : gpu.adapter),
      seed,
      checksum: digest.digest("hex").slice(0, 16),
      input: `model ${model.card.name}, book diffs, a book of options`,
      rows: [
        ...measured.flatMap(({ gpu: row, cpu }) => (cpu === null ? [row] : [row, cpu])),
        ...(onDevice === null ? [] : [rowOf(`gpu/features-${largest}/device`, onDevice, "us", { software })]),
        ...idle,
      ],
      ratios: [...measured.flatMap(pairRatio), ...floorRatios(measured)],
      notes: [...crossOvers(measured), `driver ${gpu.driver}; ${software ? SOFTWARE_NOTE : HARDWARE_NOTE}`],
    };
  } finally {
    gpu.close();
  }
}

const SOFTWARE_NOTE =
  "SOFTWARE ADAPTER: the GPU's figures are those of a driver that computes on the CPU and say nothing of a GPU";
const HARDWARE_NOTE = "gpu/idle: a round trip after 200 ms without a submit, with and without the keep-alive";

/** What the whole path costs beyond a bare round trip. */
function floorRatios(measured: readonly PairRows[]) {
  const row = (name: string): BenchRow | undefined => measured.find(({ pair }) => pair.name === name)?.gpu;
  const path = row("path");
  const roundtrip = row("roundtrip");
  return path === undefined || roundtrip === undefined
    ? []
    : [ratioOf("gpu/path:roundtrip", path, roundtrip), ratioOf("gpu/path:roundtrip/p99", path, roundtrip)];
}

/** Round trips of a device that has had nothing to do. */
async function idleRows(gpu: Gpu): Promise<BenchRow[]> {
  const work = floors(gpu);
  const roundtrip = work.pairs[1].gpu;
  const rows: BenchRow[] = [];
  for (const [name, intervalMs] of [
    ["idle", 0],
    ["idle/keep-alive", KEEP_ALIVE_MS],
  ] as const) {
    const alive = new KeepAlive(gpu, intervalMs);
    const [all] = await sample(0, roundtrip);
    all.reset();
    for (let at = 0; at < IDLE_SAMPLES; at += 1) {
      await Bun.sleep(IDLE_MS);
      const beforeNs = Bun.nanoseconds();
      await roundtrip();
      all.record(Bun.nanoseconds() - beforeNs);
    }
    alive.stop();
    rows.push(rowOf(`gpu/${name}`, all, "us", { software: gpu.software }));
  }
  await work.release();
  return rows;
}
