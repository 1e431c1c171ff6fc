import probeShader from "../../shaders/probe.wgsl" with { type: "text" };
import { DeviceUnavailableError } from "../core/errors.ts";
import { type ChosenAdapter, chooseAdapter, type GpuSelection } from "./adapter.ts";
import { pinGpuObject } from "./dawn.ts";

/** Of `shaders/probe.wgsl`. */
const WORKGROUP = 64;
const ROUNDS = 32;

const SEEDS = 4 * WORKGROUP;
/** Round trips that are timed after the first, which compiles the shader. */
const TIMED = 16;
/** A device that answers nothing for this long hangs. */
const ANSWER_TIMEOUT_MS = 10_000;

/** What an adapter showed when it was put to work. */
export interface GpuCompute {
  readonly adapter: string;
  readonly software: boolean;
  /** The driver's name and version as Dawn gives them. */
  readonly driver: string;
  /** From writing the input to reading the result, median, µs; the device being awake. */
  readonly roundTripUs: number;
}

/**
 * Lets the selected adapter compute, and checks every number that comes back.
 *
 * @throws DeviceUnavailableError when there is no such adapter or it computes wrongly or not at all.
 */
export async function checkCompute(selection: GpuSelection): Promise<GpuCompute> {
  const chosen = await chooseAdapter(selection);
  let timer: Timer | undefined;
  const late = new Promise<never>((_, reject) => {
    const problem = `no answer within ${ANSWER_TIMEOUT_MS / 1_000} s`;
    timer = setTimeout(() => reject(broken(chosen, problem)), ANSWER_TIMEOUT_MS);
  });
  try {
    return await Promise.race([compute(chosen), late]);
  } finally {
    clearTimeout(timer);
  }
}

/** What the shader must give: an integer for each seed and a sum for each workgroup of {@link WORKGROUP} seeds. */
export function expectedProbe(seeds: Uint32Array): { hashes: Uint32Array; sums: Float32Array } {
  const hashes = new Uint32Array(seeds.length);
  const sums = new Float32Array(seeds.length / WORKGROUP);
  for (const [index, seed] of seeds.entries()) {
    let state = seed;
    for (let round = 0; round < ROUNDS; round += 1) {
      state = (Math.imul(state, 747796405) + 2891336453) >>> 0;
      state = (state ^ (state >>> 15)) >>> 0;
    }
    hashes[index] = state;
    sums[Math.floor(index / WORKGROUP)] += (state & 4095) * 0.125;
  }
  return { hashes, sums };
}

/** @throws DeviceUnavailableError naming the first number that is wrong. */
export function checkNumbers(
  chosen: { readonly name: string },
  what: string,
  found: ArrayLike<number>,
  expected: ArrayLike<number>,
): void {
  for (let i = 0; i < expected.length; i += 1) {
    if (found[i] !== expected[i]) {
      throw broken(chosen, `computes wrongly: ${what} ${i} is ${found[i]}, expected ${expected[i]}`);
    }
  }
}

function broken({ name }: { readonly name: string }, problem: string): DeviceUnavailableError {
  return new DeviceUnavailableError(
    "webgpu",
    `${name}: ${problem}; update its driver or take another adapter`,
  );
}

async function compute(chosen: ChosenAdapter): Promise<GpuCompute> {
  const device = await chosen.adapter.requestDevice();
  pinGpuObject(device);
  try {
    device.pushErrorScope("validation");
    const probe = new ProbeRun(device);
    const invalid = await device.popErrorScope();
    if (invalid !== null) throw broken(chosen, invalid.message);
    const timesUs: number[] = [];
    for (let i = 0; i <= TIMED; i += 1) {
      const seeds = Uint32Array.from({ length: SEEDS }, (_, index) =>
        Math.imul(index + i * SEEDS, 2654435761),
      );
      const startedNs = Bun.nanoseconds();
      const { hashes, sums } = await probe.run(seeds);
      timesUs.push((Bun.nanoseconds() - startedNs) / 1_000);
      const expected = expectedProbe(seeds);
      checkNumbers(chosen, "hash", hashes, expected.hashes);
      checkNumbers(chosen, "sum", sums, expected.sums);
    }
    const timed = timesUs.slice(1).sort((a, b) => a - b);
    return {
      adapter: chosen.name,
      software: chosen.software,
      driver: chosen.adapter.info.description,
      roundTripUs: Math.round(timed[timed.length >> 1] * 10) / 10,
    };
  } finally {
    device.destroy();
  }
}

/** The shader on one device, with everything it needs taken once. */
class ProbeRun {
  readonly #device: GPUDevice;
  readonly #pipeline: GPUComputePipeline;
  readonly #bindings: GPUBindGroup;
  readonly #seeds: GPUBuffer;
  readonly #hashes: GPUBuffer;
  readonly #sums: GPUBuffer;
  readonly #readback: GPUBuffer;

  constructor(device: GPUDevice) {
    this.#device = device;
    const module = device.createShaderModule({ code: probeShader });
    this.#pipeline = device.createComputePipeline({
      layout: "auto",
      compute: { module, entryPoint: "main" },
    });
    const buffer = (words: number, usage: number): GPUBuffer =>
      device.createBuffer({ size: words * 4, usage });
    const { STORAGE, COPY_SRC, COPY_DST, MAP_READ } = GPUBufferUsage;
    this.#seeds = buffer(SEEDS, STORAGE | COPY_DST);
    this.#hashes = buffer(SEEDS, STORAGE | COPY_SRC);
    this.#sums = buffer(SEEDS / WORKGROUP, STORAGE | COPY_SRC);
    this.#readback = buffer(SEEDS + SEEDS / WORKGROUP, MAP_READ | COPY_DST);
    this.#bindings = device.createBindGroup({
      layout: this.#pipeline.getBindGroupLayout(0),
      entries: [this.#seeds, this.#hashes, this.#sums].map((bound, binding) => ({
        binding,
        resource: { buffer: bound },
      })),
    });
  }

  async run(seeds: Uint32Array<ArrayBuffer>): Promise<{ hashes: Uint32Array; sums: Float32Array }> {
    const { queue } = this.#device;
    queue.writeBuffer(this.#seeds, 0, seeds);
    const encoder = this.#device.createCommandEncoder();
    const pass = encoder.beginComputePass();
    pass.setPipeline(this.#pipeline);
    pass.setBindGroup(0, this.#bindings);
    pass.dispatchWorkgroups(SEEDS / WORKGROUP);
    pass.end();
    encoder.copyBufferToBuffer(this.#hashes, 0, this.#readback, 0, SEEDS * 4);
    encoder.copyBufferToBuffer(this.#sums, 0, this.#readback, SEEDS * 4, (SEEDS / WORKGROUP) * 4);
    queue.submit([encoder.finish()]);
    await this.#readback.mapAsync(GPUMapMode.READ);
    const copy = this.#readback.getMappedRange().slice(0);
    this.#readback.unmap();
    return { hashes: new Uint32Array(copy, 0, SEEDS), sums: new Float32Array(copy, SEEDS * 4) };
  }
}
