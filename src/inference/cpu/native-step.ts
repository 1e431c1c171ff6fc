import type { Pointer } from "bun:ffi";
import { InvariantError, invariant } from "../../core/invariant.ts";
import {
  type NativeFunctions,
  type NativeMemory,
  nativeFloats,
  nativeInts,
  nativeMemory,
} from "../../core/native.ts";
import type { CompiledStep } from "./compile.ts";
import { BLOCK_ROWS, WORDS } from "./program.ts";

/** Instruction sets with kernels of their own, by their number in `ffi/host.h`, worst first. */
export const CPU_ISAS = ["portable", "avx2", "avxvnni", "avx512", "avx512vnni"] as const;
export type CpuIsa = (typeof CPU_ISAS)[number];

/** Bytes all slots' states may take; checked before they are taken. */
const STATE_BYTES_MAX = 1 << 30;

export interface StepSizes {
  readonly featureCount: number;
  readonly headCount: number;
  readonly slotCount: number;
  readonly maxBatch: number;
}

/** A step program laid out in memory for the native kernels: `keel_step` of `ffi/step.h`. */
export class NativeStep {
  readonly features: Float32Array;
  readonly slots: Int32Array;
  readonly probabilities: Float32Array;
  readonly #sizes: StepSizes;
  readonly #states: Float32Array;
  readonly #slotFloats: number;
  readonly #run: NativeFunctions["keel_step_run"];
  readonly #step: Pointer;
  /** All memory that native code knows by address, kept reachable. */
  readonly #memory: readonly NativeMemory[];

  constructor(native: NativeFunctions, isa: CpuIsa, compiled: CompiledStep, sizes: StepSizes) {
    const { program, probabilitiesAt, slotFloats, moves } = compiled;
    const { featureCount, headCount, slotCount, maxBatch } = sizes;
    invariant(slotCount * slotFloats * 4 <= STATE_BYTES_MAX, "the slots' states fit into their bound");
    const words = program.encode();
    const code = nativeInts(words.length);
    code.values.set(words);
    const constants = nativeFloats(program.constantFloats);
    program.writeConstants(constants.values);
    const arena = nativeFloats(program.arenaFloats * Math.min(BLOCK_ROWS, maxBatch));
    const features = nativeFloats(maxBatch * featureCount);
    const slots = nativeInts(maxBatch);
    const probabilities = nativeFloats(maxBatch * headCount);
    const states = nativeFloats(slotCount * slotFloats);
    const table = nativeInts(moves.length * 3);
    table.values.set(moves.flat());
    this.features = features.values;
    this.slots = slots.values;
    this.probabilities = probabilities.values;
    this.#sizes = sizes;
    this.#states = states.values;
    this.#slotFloats = slotFloats;
    this.#run = native.keel_step_run;

    const pointers = [code, constants, arena, features, slots, probabilities, states, table];
    const integers = [
      ...[words.length / WORDS, program.arenaFloats, featureCount, headCount, probabilitiesAt],
      ...[slotFloats, slotCount, maxBatch, moves.length, CPU_ISAS.indexOf(isa)],
    ];
    const layout = nativeMemory(pointers.length * 8 + integers.length * 4);
    const view = new DataView(layout.buffer, layout.byteOffset);
    for (const [i, { memory }] of pointers.entries()) {
      view.setBigUint64(i * 8, BigInt(memory.address), true);
    }
    for (const [i, value] of integers.entries()) view.setInt32(pointers.length * 8 + i * 4, value, true);
    this.#step = layout.address;
    this.#memory = [layout, ...pointers.map(({ memory }) => memory)];
  }

  /** Advances `count` rows. @throws InvariantError when the count or a row's slot is out of range; nothing has then changed. */
  run(count: number): void {
    const status = Number.isInteger(count) ? this.#run(this.#step, count) : -1;
    if (status !== 0) this.#fail(count, status);
  }

  resetSlot(slot: number): void {
    this.#states.fill(0, slot * this.#slotFloats, (slot + 1) * this.#slotFloats);
  }

  memoryBytes(): number {
    return this.#memory.reduce((bytes, { buffer }) => bytes + buffer.byteLength, 0);
  }

  #fail(count: number, status: number): never {
    const { maxBatch, slotCount } = this.#sizes;
    if (status === -1) throw new InvariantError(`a count of 1 to ${maxBatch}, not ${count}`);
    const row = status - 1;
    throw new InvariantError(`row ${row}: a slot of 0 to ${slotCount - 1}, not ${this.slots[row]}`);
  }
}
