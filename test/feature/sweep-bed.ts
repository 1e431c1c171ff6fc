import { FEATURE_COUNT, FEATURES } from "../../src/feature/schema.ts";
import type { FeatureSource } from "../../src/feature/source.ts";
import { FeatureSweep } from "../../src/feature/sweep.ts";
import { ANY_GPU } from "../../src/gpu/adapter.ts";
import { Gpu } from "../../src/gpu/device.ts";
import { Readback } from "../../src/gpu/readback.ts";
import type { Book } from "../../src/market/book.ts";
import { EVENT, type EventBatch } from "../../src/market/event-batch.ts";
import { SOFTWARE_GPU } from "../support/software-gpu.ts";

/** The sweep on the software adapter, with its rows brought back. */
export class SweepBed {
  readonly gpu: Gpu;
  readonly sweep: FeatureSweep;
  readonly rows: Float32Array;
  readonly #buffer: GPUBuffer;
  readonly #readback: Readback;

  static async open(slotCount: number, recordWords?: number): Promise<SweepBed> {
    const gpu = await Gpu.open(SOFTWARE_GPU ?? ANY_GPU);
    const bytes = slotCount * FEATURE_COUNT * 4;
    const buffer = gpu.buffers.take("rows", bytes, GPUBufferUsage.STORAGE | GPUBufferUsage.COPY_SRC);
    const options = recordWords === undefined ? {} : { recordWords };
    return new SweepBed(
      gpu,
      buffer,
      await FeatureSweep.create(gpu, slotCount, { buffer, offset: 0 }, options),
    );
  }

  private constructor(gpu: Gpu, buffer: GPUBuffer, sweep: FeatureSweep) {
    this.gpu = gpu;
    this.sweep = sweep;
    this.#buffer = buffer;
    this.#readback = new Readback(gpu, "rows", buffer.size);
    this.rows = new Float32Array(buffer.size / 4);
  }

  /** The rows of these slots at this time, each at its slot's number in {@link rows}. */
  async run(slots: readonly number[], timeUs: number): Promise<Float32Array> {
    for (const slot of slots) this.sweep.source.write(slot, timeUs, this.rows, slot * FEATURE_COUNT);
    const encoder = this.gpu.device.createCommandEncoder();
    this.sweep.encode(encoder);
    this.#readback.copy(encoder, this.#buffer, 0, 0, this.#buffer.size);
    this.gpu.submit(encoder.finish());
    await this.#readback.read(this.#buffer.size, (data) => this.rows.set(new Float32Array(data)));
    return this.rows;
  }

  close(): void {
    this.sweep.close();
    this.#readback.close();
    this.gpu.buffers.give(this.#buffer);
    this.gpu.close();
  }
}

/** Hands an event to features, as the desk does. */
export function applyEvent(
  features: FeatureSource,
  slot: number,
  book: Book,
  batch: EventBatch,
  row: number,
  timeUs: number,
): void {
  const kind = batch.kind[row];
  if (kind === EVENT.top) features.onTop(slot, book, timeUs);
  else if (kind === EVENT.trade) {
    const level = batch.levelStart[row];
    features.onTrade(slot, batch.side[level], batch.sizeLots[level], timeUs);
  } else features.onBook(slot, book, batch, row, timeUs);
}

/** Largest difference of each feature so far, relative to its value where that is more than 1. */
export class Differences {
  readonly worst = new Float64Array(FEATURE_COUNT);
  rows = 0;

  add(found: Float32Array, expected: Float32Array, offset = 0): void {
    for (let at = 0; at < FEATURE_COUNT; at += 1) {
      const want = expected[at];
      const difference = Math.abs(found[offset + at] - want) / Math.max(1, Math.abs(want));
      if (!(difference <= this.worst[at])) this.worst[at] = difference;
    }
    this.rows += 1;
  }

  /** Names and differences above `tolerance`. */
  above(tolerance: number): string[] {
    return FEATURES.flatMap(({ name }, at) =>
      this.worst[at] <= tolerance ? [] : [`${name}: ${this.worst[at].toPrecision(3)}`],
    );
  }
}
