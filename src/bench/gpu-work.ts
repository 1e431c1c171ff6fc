import { Histogram } from "../core/histogram.ts";
import { Rng } from "../core/rng.ts";
import { FEATURE_COUNT } from "../feature/schema.ts";
import type { FeatureSource } from "../feature/source.ts";
import { FeatureSweep } from "../feature/sweep.ts";
import { FeatureState } from "../feature/tick.ts";
import type { Gpu } from "../gpu/device.ts";
import { Readback } from "../gpu/readback.ts";
import { PassTimer } from "../gpu/timestamps.ts";
import { CpuEngine } from "../inference/cpu.ts";
import type { DeviceStepEngine, StepEngine } from "../inference/engine.ts";
import type { StepModel } from "../inference/step-model.ts";
import { SweepEngine } from "../inference/sweep-engine.ts";
import { EVENT, EventBatch } from "../market/event-batch.ts";
import { L2Book } from "../market/l2-book.ts";
import { type ChainInput, CpuChain } from "../option/chain.ts";
import { GpuChain } from "../option/chain-gpu.ts";
import type { GpuPair } from "./gpu-timing.ts";

const START_US = 1_700_000_000e6;
const LEVELS = 20;
const FLOOR_BYTES = 4_096;

/** Takes back what a piece of work holds. */
export type Release = () => Promise<void> | void;

export interface GpuWork {
  readonly pairs: readonly GpuPair[];
  readonly release: Release;
}

/** A submit of nothing, and an upload with its read-back: what every other figure contains. */
export function floors(gpu: Gpu): GpuWork {
  const { STORAGE, COPY_DST, COPY_SRC } = GPUBufferUsage;
  const buffer = gpu.buffers.take("bench", FLOOR_BYTES, STORAGE | COPY_DST | COPY_SRC);
  const readback = new Readback(gpu, "bench", FLOOR_BYTES);
  const data = new Uint32Array(FLOOR_BYTES / 4);
  const empty: GpuPair = {
    name: "empty",
    kind: "empty",
    size: 0,
    gpu: async () => {
      gpu.submit(gpu.device.createCommandEncoder().finish());
      await gpu.device.queue.onSubmittedWorkDone();
    },
    cpu: null,
  };
  const roundtrip: GpuPair = {
    name: "roundtrip",
    kind: "roundtrip",
    size: FLOOR_BYTES,
    gpu: async () => {
      data[0] += 1;
      gpu.device.queue.writeBuffer(buffer, 0, data);
      const encoder = gpu.device.createCommandEncoder();
      readback.copy(encoder, buffer, 0, 0, FLOOR_BYTES);
      gpu.submit(encoder.finish());
      await readback.read(FLOOR_BYTES, () => {});
    },
    cpu: null,
  };
  return {
    pairs: [empty, roundtrip],
    release: () => {
      readback.close();
      gpu.buffers.give(buffer);
    },
  };
}

/** A diff of the book for each of the first slots: the dearest event there is. */
class Events {
  readonly #book = new L2Book({ windowTicks: 256, farLevels: 64 });
  readonly #batch = new EventBatch(4, 256);
  readonly #rng: Rng;
  #timeUs = START_US;

  constructor(seed: number) {
    this.#rng = new Rng(seed);
  }

  /** @returns the time of the events */
  next(source: FeatureSource, slots: number): number {
    this.#draw();
    this.#timeUs += 1_000;
    for (let slot = 0; slot < slots; slot += 1) {
      source.onBook(slot, this.#book, this.#batch, 0, this.#timeUs);
    }
    return this.#timeUs;
  }

  #draw(): void {
    const batch = this.#batch;
    const first = this.#timeUs === START_US;
    batch.clear();
    batch.begin(first ? EVENT.bookSnapshot : EVENT.bookDelta, 0, Number.NaN);
    batch.setSequence(0, 1, 1, Number.NaN);
    for (let level = 0; level < (first ? LEVELS * 2 : 6); level += 1) {
      const side = level & 1;
      const distance = first ? level >> 1 : this.#rng.int(LEVELS);
      batch.level(side, side === 0 ? 100_000 - distance : 100_001 + distance, 1 + this.#rng.int(500));
    }
    if (first) this.#book.applySnapshot(batch, 0);
    else this.#book.applyDelta(batch, 0);
  }
}

/** The feature sweep of each number of instruments, beside the tick path: a book diff each, then a row each. */
export async function featureWork(gpu: Gpu, sizes: readonly number[], seed: number): Promise<GpuWork> {
  const most = Math.max(...sizes);
  const bytes = most * FEATURE_COUNT * 4;
  const rows = gpu.buffers.take("bench rows", bytes, GPUBufferUsage.STORAGE | GPUBufferUsage.COPY_SRC);
  const readback = new Readback(gpu, "bench rows", bytes);
  const sweep = await FeatureSweep.create(gpu, most, { buffer: rows, offset: 0 });
  const host = new FeatureState(most);
  const out = new Float32Array(most * FEATURE_COUNT);
  const onGpu = new Events(seed);
  const onHost = new Events(seed);
  const write = (source: FeatureSource, events: Events, size: number): void => {
    const timeUs = events.next(source, size);
    for (let slot = 0; slot < size; slot += 1) source.write(slot, timeUs, out, slot * FEATURE_COUNT);
  };
  const pairs = sizes.map((size) => ({
    name: `features-${size}`,
    kind: "features",
    size,
    gpu: async () => {
      write(sweep.source, onGpu, size);
      const encoder = gpu.device.createCommandEncoder();
      sweep.encode(encoder);
      readback.copy(encoder, rows, 0, 0, size * FEATURE_COUNT * 4);
      gpu.submit(encoder.finish());
      await readback.read(size * FEATURE_COUNT * 4, () => {});
    },
    cpu: () => write(host, onHost, size),
  }));
  return {
    pairs,
    release: () => {
      sweep.close();
      readback.close();
      gpu.buffers.give(rows);
    },
  };
}

/** The option chain of each number of options, beside double precision on the CPU. */
export async function chainWork(gpu: Gpu, sizes: readonly number[], seed: number): Promise<GpuWork> {
  const most = Math.max(...sizes);
  const device = await GpuChain.create(gpu, most);
  const host = new CpuChain(most);
  fillChain(device.input, seed);
  fillChain(host.input, seed);
  const pairs = sizes.map((size) => ({
    name: `chain-${size}`,
    kind: "chain",
    size,
    gpu: () => device.run(size),
    cpu: () => host.run(size),
  }));
  return { pairs, release: () => device.close() };
}

/** A book of options around one forward, with a two-sided market in most of them. */
function fillChain(input: ChainInput, seed: number): void {
  const rng = new Rng(seed);
  for (let row = 0; row < input.capacity; row += 1) {
    const years = 0.01 + rng.next();
    const volatility = 0.4 + rng.next() * 0.6;
    const strike = 100_000 * Math.exp((rng.next() - 0.5) * 2 * volatility * Math.sqrt(years));
    const call = strike >= 100_000;
    const value = 0.4 * 100_000 * volatility * Math.sqrt(years) * Math.exp(-Math.abs(strike / 100_000 - 1));
    input.types[row] = call ? 1 : 0;
    input.forwards[row] = 100_000;
    input.strikes[row] = strike;
    input.years[row] = years;
    input.volatilities[row] = volatility;
    input.premiums.bid[row] = value * 0.98;
    input.premiums.ask[row] = value * 1.02;
    input.premiums.mark[row] = value;
  }
}

/** Steps of an engine on a GPU, from features on the host, beside the cpu engine. */
export async function stepWork(
  name: string,
  engine: StepEngine,
  model: StepModel,
  sizes: readonly number[],
): Promise<GpuWork> {
  const cpu = await CpuEngine.start(model, engine.slotCount, engine.maxBatch);
  for (const each of [engine, cpu]) {
    for (let row = 0; row < each.maxBatch; row += 1) each.slots[row] = row;
  }
  const pairs = sizes.map((size) => ({
    name: size === 1 ? name : `${name}-${size}`,
    kind: name,
    size,
    gpu: () => engine.submit(size),
    cpu: () => cpu.step(size),
  }));
  return { pairs, release: () => cpu.dispose() };
}

/** Event to probabilities on the host: features and model in one submit, beside the tick path and the cpu engine. */
export async function pathWork(
  engine: DeviceStepEngine,
  model: StepModel,
  sizes: readonly number[],
  seed: number,
): Promise<GpuWork> {
  const swept = await SweepEngine.around(engine);
  const cpu = await CpuEngine.start(model, engine.slotCount, engine.maxBatch);
  const host = new FeatureState(engine.slotCount);
  const advance = (source: FeatureSource, stepped: StepEngine, events: Events, size: number): void => {
    const timeUs = events.next(source, size);
    for (let row = 0; row < size; row += 1) {
      source.write(row, timeUs, stepped.features, row * FEATURE_COUNT);
      stepped.slots[row] = row;
    }
  };
  const onGpu = new Events(seed);
  const onHost = new Events(seed);
  const pairs = sizes.map((size) => ({
    name: size === 1 ? "path" : `path-${size}`,
    kind: "path",
    size,
    gpu: () => {
      advance(swept.featureSource, swept, onGpu, size);
      return swept.submit(size);
    },
    cpu: () => {
      advance(host, cpu, onHost, size);
      cpu.step(size);
    },
  }));
  return {
    pairs,
    release: async () => {
      await cpu.dispose();
      await swept.dispose();
    },
  };
}

/** What the sweep alone takes, by the device's own clock, ns; null where the adapter has none. */
export async function sweepTimes(
  gpu: Gpu,
  size: number,
  seed: number,
  samples: number,
): Promise<Histogram | null> {
  const timer = PassTimer.create(gpu, 1);
  if (timer === null) return null;
  const rows = gpu.buffers.take("bench rows", size * FEATURE_COUNT * 4, GPUBufferUsage.STORAGE);
  const sweep = await FeatureSweep.create(gpu, size, { buffer: rows, offset: 0 });
  const events = new Events(seed);
  const times = new Histogram();
  const unused = new Float32Array(0);
  for (let at = 0; at < samples; at += 1) {
    const timeUs = events.next(sweep.source, size);
    for (let slot = 0; slot < size; slot += 1) sweep.source.write(slot, timeUs, unused, slot * FEATURE_COUNT);
    const encoder = gpu.device.createCommandEncoder();
    sweep.encode(encoder, timer.writes(0));
    timer.resolve(encoder);
    gpu.submit(encoder.finish());
    const [ns] = await timer.read();
    times.record(ns);
  }
  sweep.close();
  timer.close();
  gpu.buffers.give(rows);
  return times;
}
