import { type Pointer, ptr } from "bun:ffi";
import { DeviceUnavailableError } from "../core/errors.ts";
import { InvariantError, invariant } from "../core/invariant.ts";
import {
  loadNative,
  type NativeFunctions,
  type NativeMemory,
  nativeFloats,
  nativeInts,
  nativeMemory,
} from "../core/native.ts";
import { compileStep } from "./cpu/compile.ts";
import { BLOCK_ROWS, WORDS } from "./cpu/program.ts";
import type { StepEngine } from "./engine.ts";
import type { StepModel } from "./step-model.ts";

/** Instruction sets with kernels of their own, by their number in `ffi/host.h`, worst first. */
export const CPU_ISAS = ["portable", "avx2", "avxvnni", "avx512", "avx512vnni"] as const;
export type CpuIsa = (typeof CPU_ISAS)[number];

/** Steps run by `warmUp`: enough to bring weights and code into the caches. */
const WARM_UP_STEPS = 256;

/** Bytes all slots' states may take; checked before they are taken. */
const STATE_BYTES_MAX = 1 << 30;

/** The instruction sets that this host and the native library both have; empty where there is no native library. */
export async function cpuIsas(): Promise<CpuIsa[]> {
  const native = await loadNative();
  if (native.functions === null) return [];
  const mask = native.functions.keel_isa_mask();
  return CPU_ISAS.filter((_, index) => ((mask >> index) & 1) === 1);
}

/**
 * The engine for one small model on one core: the model's graph compiled to a step program that native kernels run in one
 * call. Synchronous; a step allocates nothing.
 */
export class CpuEngine implements StepEngine {
  readonly name = "cpu";
  readonly synchronous = true;
  readonly card: StepModel["card"];
  readonly slotCount: number;
  readonly maxBatch: number;
  readonly isa: CpuIsa;
  readonly features: Float32Array;
  readonly slots: Int32Array;
  readonly probabilities: Float32Array;
  readonly #states: Float32Array;
  readonly #slotFloats: number;
  readonly #run: NativeFunctions["keel_step_run"];
  readonly #step: Pointer;
  /** All memory that native code knows by address, kept reachable. */
  readonly #memory: readonly NativeMemory[];
  #disposed = false;

  private constructor(
    model: StepModel,
    slotCount: number,
    maxBatch: number,
    native: NativeFunctions,
    isa: CpuIsa,
  ) {
    const { card } = model;
    const { program, probabilitiesAt, slotFloats, moves } = compileStep(model);
    invariant(slotCount * slotFloats * 4 <= STATE_BYTES_MAX, "the slots' states fit into their bound");
    this.card = card;
    this.slotCount = slotCount;
    this.maxBatch = maxBatch;
    this.isa = isa;
    const words = program.encode();
    const code = nativeInts(words.length);
    code.values.set(words);
    const constants = nativeFloats(program.constantFloats);
    program.writeConstants(constants.values);
    const arena = nativeFloats(program.arenaFloats * Math.min(BLOCK_ROWS, maxBatch));
    const features = nativeFloats(maxBatch * card.featureCount);
    const slots = nativeInts(maxBatch);
    const probabilities = nativeFloats(maxBatch * card.heads.length);
    const states = nativeFloats(slotCount * slotFloats);
    const table = nativeInts(moves.length * 3);
    table.values.set(moves.flat());
    this.features = features.values;
    this.slots = slots.values;
    this.probabilities = probabilities.values;
    this.#states = states.values;
    this.#slotFloats = slotFloats;
    this.#run = native.keel_step_run;

    const pointers = [code, constants, arena, features, slots, probabilities, states, table];
    const integers = [
      words.length / WORDS,
      program.arenaFloats,
      card.featureCount,
      card.heads.length,
      probabilitiesAt,
      slotFloats,
      slotCount,
      maxBatch,
      moves.length,
      CPU_ISAS.indexOf(isa),
    ];
    const layout = nativeMemory(pointers.length * 8 + integers.length * 4);
    const view = new DataView(layout.buffer, layout.byteOffset);
    for (const [i, { memory }] of pointers.entries()) view.setBigUint64(i * 8, BigInt(memory.address), true);
    for (const [i, value] of integers.entries()) view.setInt32(pointers.length * 8 + i * 4, value, true);
    this.#step = layout.address;
    this.#memory = [layout, ...pointers.map(({ memory }) => memory)];
    invariant(
      this.#memory.every(({ buffer, byteOffset, address }) => ptr(buffer) + byteOffset === address),
      "native memory stays where it was taken",
    );
  }

  /**
   * @param isa the instruction set to use; the best of the host when left out.
   * @throws DeviceUnavailableError when there is no native library or the host lacks the instruction set.
   * @throws ModelRefusedError naming the node that the engine does not have or that does not fit.
   */
  static async start(
    model: StepModel,
    slotCount: number,
    maxBatch: number,
    isa?: CpuIsa,
  ): Promise<CpuEngine> {
    invariant(slotCount >= 1 && maxBatch >= 1 && maxBatch <= slotCount, "1 ≤ maxBatch ≤ slotCount");
    const native = await loadNative();
    if (native.functions === null) throw new DeviceUnavailableError("cpu", native.missing);
    const present = await cpuIsas();
    const chosen = isa ?? present[present.length - 1];
    if (chosen === undefined || !present.includes(chosen)) {
      throw new DeviceUnavailableError("cpu", `this host has no ${chosen}, only ${present.join(", ")}`);
    }
    return new CpuEngine(model, slotCount, maxBatch, native.functions, chosen);
  }

  step(count: number): void {
    if (this.#disposed) throw new InvariantError("the engine is not disposed");
    const status = Number.isInteger(count) ? this.#run(this.#step, count) : -1;
    if (status !== 0) this.#fail(count, status);
  }

  async submit(count: number): Promise<void> {
    this.step(count);
  }

  resetSlot(slot: number): void {
    invariant(Number.isInteger(slot) && slot >= 0 && slot < this.slotCount, "0 ≤ slot < slotCount");
    this.#states.fill(0, slot * this.#slotFloats, (slot + 1) * this.#slotFloats);
  }

  async warmUp(): Promise<void> {
    this.features.fill(0);
    for (let i = 0; i < WARM_UP_STEPS; i += 1) {
      const count = i % 2 === 0 ? 1 : this.maxBatch;
      for (let row = 0; row < count; row += 1) this.slots[row] = row;
      this.step(count);
    }
    this.#states.fill(0);
  }

  memoryBytes(): number {
    return this.#memory.reduce((bytes, { buffer }) => bytes + buffer.byteLength, 0);
  }

  async dispose(): Promise<void> {
    this.#disposed = true;
  }

  #fail(count: number, status: number): never {
    if (status === -1) throw new InvariantError(`a count of 1 to ${this.maxBatch}, not ${count}`);
    const row = status - 1;
    throw new InvariantError(`row ${row}: a slot of 0 to ${this.slotCount - 1}, not ${this.slots[row]}`);
  }
}
