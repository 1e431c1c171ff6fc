import type { ProgramBuilder } from "../cpu/program.ts";

/** Largest finite number of 16 bits. */
const HALF_MAX = 65_504;

/**
 * The constants that a kernel reads, laid out again for the device: each range once, on a boundary of four words; weights in
 * half precision in a buffer of their own.
 */
export class ConstantPool {
  readonly #all: Float32Array<ArrayBuffer>;
  readonly #ranges: { readonly from: Uint32Array; readonly at: number }[] = [];
  readonly #known = new Map<number, { readonly at: number; readonly length: number }>();
  readonly #halves: { readonly from: Float32Array; readonly at: number }[] = [];
  readonly #knownHalves = new Map<number, number>();
  #length = 0;
  #halfLength = 0;

  constructor(program: ProgramBuilder) {
    this.#all = new Float32Array(program.constantFloats);
    program.writeConstants(this.#all);
  }

  /** Offset, in words, of the range in the device's buffer. */
  take(offset: number, length: number): number {
    const known = this.#known.get(offset);
    if (known !== undefined && known.length >= length) return known.at;
    const from = new Uint32Array(this.#all.buffer, offset * 4, length);
    const at = this.#append(from);
    this.#known.set(offset, { at, length });
    return at;
  }

  /** As {@link take} for words that were computed. */
  add(words: Uint32Array): number {
    return this.#append(words);
  }

  /** Offset of the weights in the buffer of halves; null where one is too large for a half. */
  takeHalf(offset: number, length: number): number | null {
    const known = this.#knownHalves.get(offset);
    if (known !== undefined) return known;
    const from = this.#all.subarray(offset, offset + length);
    if (from.some((value) => !(Math.abs(value) <= HALF_MAX))) return null;
    const at = this.#halfLength;
    this.#halves.push({ from, at });
    this.#halfLength += Math.ceil(length / 4) * 4;
    this.#knownHalves.set(offset, at);
    return at;
  }

  /** The program's constants as they are. */
  ints(offset: number, length: number): Int32Array {
    return new Int32Array(this.#all.buffer, offset * 4, length);
  }

  bytes(offset: number, length: number): Int8Array {
    return new Int8Array(this.#all.buffer, offset * 4, length);
  }

  words(): Uint32Array<ArrayBuffer> {
    const words = new Uint32Array(Math.max(this.#length, 4));
    for (const { from, at } of this.#ranges) words.set(from, at);
    return words;
  }

  halves(): Float16Array<ArrayBuffer> {
    const halves = new Float16Array(this.#halfLength);
    for (const { from, at } of this.#halves) halves.set(from, at);
    return halves;
  }

  #append(from: Uint32Array): number {
    const at = this.#length;
    this.#ranges.push({ from, at });
    this.#length += Math.ceil(from.length / 4) * 4;
    return at;
  }
}
