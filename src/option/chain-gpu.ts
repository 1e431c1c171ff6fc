import chainShader from "../../shaders/chain.wgsl" with { type: "text" };
import { invariant } from "../core/invariant.ts";
import type { Gpu } from "../gpu/device.ts";
import { Readback } from "../gpu/readback.ts";
import { CHAIN_VALUES, ChainInput, type ChainOutput, chainOutput, IMPRECISE, PREMIUMS } from "./chain.ts";
import { VALUE_STATUS } from "./greeks.ts";
import { IV_STATUS, refusal } from "./implied-volatility.ts";

/** Of `shaders/chain.wgsl`. */
const WORKGROUP = 64;
const COLUMN = { forward: 0, strike: 1, ratio: 2, years: 3, volatility: 4, timeValues: 5, flags: 8 } as const;
const INPUT_COLUMNS = 9;
const OUTPUT_COLUMNS = 14;
const VOLATILITIES_AT = CHAIN_VALUES.length;
const STATUSES_AT = VOLATILITIES_AT + PREMIUMS.length;
/** First bit of what is known of bid, ask, mark and the option itself, four bits each. */
const FACTS_BIT = 4;
const OPTION_FACT = 3;
/** Price and Greeks, and a volatility for each premium. */
const JOBS = 4;

/** Prices between these have room for products and quotients in single precision. */
const PRICE_MIN = 1e-15;
const PRICE_MAX = 1e15;
/** The smallest normal number of single precision. */
const SINGLE_MIN = 2 ** -126;

/**
 * A whole option chain on a device: one upload, one dispatch, one read-back. Single precision, fed from double where that
 * matters: the relative moneyness and the premiums' time values are made here. `docs/gpu.md` tells how far it can be trusted.
 */
export class GpuChain {
  readonly input: ChainInput;
  readonly output: ChainOutput<Float32Array>;
  readonly #gpu: Gpu;
  readonly #capacity: number;
  readonly #pipeline: GPUComputePipeline;
  readonly #workgroup: number;
  readonly #bindings: GPUBindGroup;
  readonly #buffers: { readonly shape: GPUBuffer; readonly inputs: GPUBuffer; readonly outputs: GPUBuffer };
  readonly #readback: Readback;
  readonly #words: Uint32Array<ArrayBuffer>;
  readonly #floats: Float32Array<ArrayBuffer>;
  /** Rows of the last run, which the device's parameters are for. */
  #count = -1;
  #busy = false;
  #closed = false;

  /**
   * @param capacity rows at most
   * @throws GpuLimitError when the device cannot hold them, GpuError when it refuses the shader.
   */
  static async create(gpu: Gpu, capacity: number): Promise<GpuChain> {
    invariant(Number.isInteger(capacity) && capacity >= 1, "a capacity of one option or more");
    const { maxComputeInvocationsPerWorkgroup, maxComputeWorkgroupSizeX } = gpu.limits;
    const workgroup = Math.min(WORKGROUP, maxComputeInvocationsPerWorkgroup, maxComputeWorkgroupSizeX);
    invariant(
      Math.ceil(capacity / workgroup) <= gpu.limits.maxComputeWorkgroupsPerDimension,
      `${capacity} options fit into one dispatch`,
    );
    const pipeline = await gpu.pipelines.compute("chain", chainShader, "main", { WORKGROUP: workgroup });
    return new GpuChain(gpu, capacity, pipeline, workgroup);
  }

  private constructor(gpu: Gpu, capacity: number, pipeline: GPUComputePipeline, workgroup: number) {
    this.#gpu = gpu;
    this.#capacity = capacity;
    this.#pipeline = pipeline;
    this.#workgroup = workgroup;
    this.input = new ChainInput(capacity);
    this.output = chainOutput(capacity, (rows) => new Float32Array(rows));
    this.#words = new Uint32Array(capacity * INPUT_COLUMNS);
    this.#floats = new Float32Array(this.#words.buffer);
    const { UNIFORM, STORAGE, COPY_DST, COPY_SRC } = GPUBufferUsage;
    this.#buffers = {
      shape: gpu.buffers.take("chain shape", 16, UNIFORM | COPY_DST),
      inputs: gpu.buffers.take("chain inputs", capacity * INPUT_COLUMNS * 4, STORAGE | COPY_DST),
      outputs: gpu.buffers.take("chain outputs", capacity * OUTPUT_COLUMNS * 4, STORAGE | COPY_SRC),
    };
    this.#readback = new Readback(gpu, "chain", capacity * OUTPUT_COLUMNS * 4);
    const { shape, inputs, outputs } = this.#buffers;
    this.#bindings = gpu.device.createBindGroup({
      layout: pipeline.getBindGroupLayout(0),
      entries: [shape, inputs, outputs].map((buffer, binding) => ({ binding, resource: { buffer } })),
    });
  }

  /**
   * Computes the first `count` rows; `input` may be overwritten as soon as this has returned. At most one run is in flight.
   *
   * @param input {@link input} when left out; another of at most the same capacity is read in its place
   * @throws GpuLostError when the device is gone
   */
  async run(count: number, input: ChainInput = this.input): Promise<void> {
    invariant(!this.#closed, "the chain is not closed");
    invariant(!this.#busy, "at most one run is in flight");
    invariant(Number.isInteger(count) && count >= 1 && count <= this.#capacity, "1 ≤ count ≤ capacity");
    invariant(count <= input.capacity, `the input has ${count} rows`);
    this.#busy = true;
    try {
      this.#pack(count, input);
      this.#submit(count);
      // Columns are as far apart as the rows of this run: what is read back is what was computed.
      await this.#readback.read(count * OUTPUT_COLUMNS * 4, (data) => this.#unpack(count, data));
    } finally {
      this.#busy = false;
    }
  }

  memoryBytes(): number {
    const { shape, inputs, outputs } = this.#buffers;
    return this.#words.byteLength + shape.size + inputs.size + outputs.size;
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#readback.close();
    for (const buffer of Object.values(this.#buffers)) this.#gpu.buffers.give(buffer);
  }

  #submit(count: number): void {
    const { shape, inputs, outputs } = this.#buffers;
    const { device } = this.#gpu;
    if (count !== this.#count) {
      device.queue.writeBuffer(shape, 0, Uint32Array.of(count, count));
      this.#count = count;
    }
    device.queue.writeBuffer(inputs, 0, this.#words, 0, count * INPUT_COLUMNS);
    const encoder = device.createCommandEncoder();
    const pass = encoder.beginComputePass();
    pass.setPipeline(this.#pipeline);
    pass.setBindGroup(0, this.#bindings);
    pass.dispatchWorkgroups(Math.ceil(count / this.#workgroup), JOBS);
    pass.end();
    this.#readback.copy(encoder, outputs, 0, 0, count * OUTPUT_COLUMNS * 4);
    this.#gpu.submit(encoder.finish());
  }

  /** Lays the rows out as the shader reads them, with what single precision could not find out itself. */
  #pack(count: number, input: ChainInput): void {
    const { types, forwards, strikes, years, volatilities, premiums } = input;
    const floats = this.#floats;
    for (let row = 0; row < count; row += 1) {
      const forward = forwards[row];
      const strike = strikes[row];
      const time = years[row];
      const call = types[row] !== 0;
      floats[COLUMN.forward * count + row] = forward;
      floats[COLUMN.strike * count + row] = strike;
      floats[COLUMN.ratio * count + row] = (forward - strike) / strike;
      floats[COLUMN.years * count + row] = time;
      floats[COLUMN.volatility * count + row] = volatilities[row];
      const good = forward > 0 && strike > 0 && forward < Infinity && strike < Infinity && time < Infinity;
      const held = Math.min(forward, strike) >= PRICE_MIN && Math.max(forward, strike) <= PRICE_MAX;
      const fact =
        !good || volatilities[row] === Infinity ? VALUE_STATUS.badInput : held ? VALUE_STATUS.ok : IMPRECISE;
      let flags = (call ? 1 : 0) | (fact << (FACTS_BIT + 4 * OPTION_FACT));
      const intrinsic = Math.max(call ? forward - strike : strike - forward, 0);
      for (let index = 0; index < PREMIUMS.length; index += 1) {
        const premium = premiums[PREMIUMS[index]][row];
        const timeValue = (premium - intrinsic) / forward;
        floats[(COLUMN.timeValues + index) * count + row] = timeValue;
        const status =
          !good || Number.isNaN(premium) ? IV_STATUS.badInput : refusal(call, premium, forward, strike, time);
        const lost = status === IV_STATUS.ok && !(held && timeValue >= SINGLE_MIN);
        flags |= (lost ? IMPRECISE : status) << (FACTS_BIT + 4 * index);
      }
      this.#words[COLUMN.flags * count + row] = flags;
    }
  }

  #unpack(count: number, data: ArrayBuffer): void {
    const { values, valueStatus, volatilities, volatilityStatus } = this.output;
    const floats = (column: number): Float32Array => new Float32Array(data, column * count * 4, count);
    const words = (column: number): Uint32Array => new Uint32Array(data, column * count * 4, count);
    for (const [index, value] of CHAIN_VALUES.entries()) values[value].set(floats(index));
    valueStatus.set(words(STATUSES_AT));
    for (const [index, premium] of PREMIUMS.entries()) {
      volatilities[premium].set(floats(VOLATILITIES_AT + index));
      volatilityStatus[premium].set(words(STATUSES_AT + 1 + index));
    }
  }
}
