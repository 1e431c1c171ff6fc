import { invariant } from "../../core/invariant.ts";

/** Operations of the step program; the numbers and the parameters of each are those of `ffi/step.h`. */
export const OP = {
  copy: 0,
  strided: 1,
  fill: 2,
  unary: 3,
  binary: 4,
  dense: 5,
  quantise: 6,
  denseI8: 7,
  lstm: 8,
  softmax: 9,
  norm: 10,
  reduce: 11,
  matmul: 12,
  gather: 13,
  select: 14,
  scale: 15,
} as const;
export type Op = (typeof OP)[keyof typeof OP];

export const UNARY = {
  sigmoid: 0,
  tanh: 1,
  relu: 2,
  clip: 3,
  exp: 4,
  gelu: 5,
  geluTanh: 6,
  neg: 7,
  abs: 8,
  sqrt: 9,
  erf: 10,
  round: 11,
  log: 12,
  leaky: 13,
  affine: 14,
  known: 15,
} as const;
export type UnaryKind = (typeof UNARY)[keyof typeof UNARY];

export const BINARY = {
  add: 0,
  sub: 1,
  mul: 2,
  div: 3,
  min: 4,
  max: 5,
  equal: 6,
  less: 7,
  greater: 8,
} as const;
export type BinaryKind = (typeof BINARY)[keyof typeof BINARY];

export const REDUCE = { sum: 0, mean: 1, max: 2 } as const;

/** Where a reference points to: its two lowest bits. */
export const SPACE = { arena: 0, constants: 1, state: 2, features: 3 } as const;
export type Space = (typeof SPACE)[keyof typeof SPACE];

/** "No operand". */
export const NONE = -1;
/** Words of an instruction: operation, result, three operands, eleven parameters. */
export const WORDS = 16;
/** Rows that the arena holds: `KEEL_STEP_BLOCK`. */
export const BLOCK_ROWS = 8;

/** Bounds of what a model may need; checked before anything of that size is taken. */
const ARENA_FLOATS_MAX = 1 << 22;
const CONSTANT_FLOATS_MAX = 1 << 26;
const INSTRUCTIONS_MAX = 1 << 16;
/** Multiplications and moves of one row's step; the largest STAC-ML model has 34 million. */
const WORK_MAX = 1 << 30;
/** Elements of constants that are computed while a model is loaded, all together. */
const FOLDED_MAX = 1 << 28;

/** A place of floats: `offset × 4 + space`. */
export type Reference = number;

export const reference = (space: Space, offset: number): Reference => offset * 4 + space;
export const spaceOf = (ref: Reference): Space => (ref & 3) as Space;
export const offsetOf = (ref: Reference): number => ref >> 2;
export const shift = (ref: Reference, floats: number): Reference => ref + floats * 4;

export interface Instruction {
  op: Op;
  to: Reference;
  a: Reference;
  b: Reference;
  c: Reference;
  readonly p: number[];
  /** Set when a fusion has put its work into another instruction. */
  removed: boolean;
}

/** Which parameters are floats, whose bits go into the instruction's words. */
const FLOAT_PARAMETERS: Partial<Record<Op, readonly number[]>> = {
  [OP.fill]: [1],
  [OP.unary]: [2, 3],
  [OP.quantise]: [1],
  [OP.norm]: [2],
  [OP.scale]: [1, 2],
};

/** Thrown when a model needs more than the bounds allow; the caller knows the node and makes it a refusal. */
export class ProgramTooLargeError extends Error {
  constructor(what: string, needed: number, most: number) {
    super(`${what}: ${needed} needed, at most ${most}`);
    this.name = "ProgramTooLargeError";
  }
}

/** Collects the instructions and constants of a step program. Every vector in the arena and the constants starts on a cache line. */
export class ProgramBuilder {
  readonly instructions: Instruction[] = [];
  #arenaFloats = 0;
  #constantFloats = 0;
  #work = 0;
  #folded = 0;
  /** Offsets of the scratch tensors, ascending, and their lengths. */
  readonly #tensors: number[] = [];
  readonly #lengths: number[] = [];
  readonly #constantStarts: number[] = [];
  readonly #constants: { offset: number; bytes: Uint8Array }[] = [];

  get arenaFloats(): number {
    return this.#arenaFloats;
  }

  get constantFloats(): number {
    return this.#constantFloats;
  }

  /** Takes `floats` of scratch. */
  scratch(floats: number): Reference {
    const offset = this.#arenaFloats;
    const end = offset + roundUp(floats);
    if (!(end <= ARENA_FLOATS_MAX)) {
      throw new ProgramTooLargeError("floats of scratch in a row", end, ARENA_FLOATS_MAX);
    }
    this.#arenaFloats = end;
    this.#tensors.push(offset);
    this.#lengths.push(floats);
    return reference(SPACE.arena, offset);
  }

  /** The start of the scratch tensor that a reference points into; the reference itself where it is no scratch. */
  tensorOf(ref: Reference): Reference {
    if (spaceOf(ref) !== SPACE.arena) return ref;
    return reference(SPACE.arena, this.#tensors[lastAtMost(this.#tensors, offsetOf(ref))]);
  }

  /** Floats from a reference into the scratch or the constants to the end of the tensor it points into. */
  roomAt(ref: Reference): number {
    const offset = offsetOf(ref);
    if (spaceOf(ref) === SPACE.arena) {
      const index = lastAtMost(this.#tensors, offset);
      return index < 0 ? 0 : this.#tensors[index] + this.#lengths[index] - offset;
    }
    const held = this.#constantAt(ref);
    return held === undefined ? 0 : held.offset + Math.ceil(held.bytes.length / 4) - offset;
  }

  /** The constant at its start, as integers. */
  intsAt(ref: Reference): Int32Array {
    const held = this.#constantAt(ref);
    invariant(held !== undefined && held.offset === offsetOf(ref), "a reference to a constant's start");
    return new Int32Array(held.bytes.slice().buffer);
  }

  #constantAt(ref: Reference): { offset: number; bytes: Uint8Array } | undefined {
    return this.#constants[lastAtMost(this.#constantStarts, offsetOf(ref))];
  }

  /** Counts elements that are about to be computed at load; throws if they are too many. */
  fold(elements: number): void {
    this.#folded += elements;
    if (!(this.#folded <= FOLDED_MAX)) {
      throw new ProgramTooLargeError("elements of computed constants", this.#folded, FOLDED_MAX);
    }
  }

  /** Throws if `floats` more constants would be too many; asked before they are made. */
  reserveConstants(floats: number): void {
    const end = this.#constantFloats + roundUp(floats);
    if (!(end <= CONSTANT_FLOATS_MAX)) {
      throw new ProgramTooLargeError("floats of constants", end, CONSTANT_FLOATS_MAX);
    }
  }

  constant(values: Float32Array | Int32Array | Int8Array): Reference {
    const floats = Math.ceil(values.byteLength / 4);
    this.reserveConstants(floats);
    const offset = this.#constantFloats;
    this.#constantStarts.push(offset);
    this.#constants.push({
      offset,
      bytes: new Uint8Array(values.buffer, values.byteOffset, values.byteLength),
    });
    this.#constantFloats += roundUp(floats);
    return reference(SPACE.constants, offset);
  }

  emit(
    op: Op,
    to: Reference,
    operands: { readonly a?: Reference; readonly b?: Reference; readonly c?: Reference },
    p: readonly number[],
  ): Instruction {
    if (this.instructions.length >= INSTRUCTIONS_MAX) {
      throw new ProgramTooLargeError("instructions", INSTRUCTIONS_MAX + 1, INSTRUCTIONS_MAX);
    }
    invariant(p.length <= WORDS - 5, "an instruction has at most eleven parameters");
    this.#work += workOf(op, p);
    if (!(this.#work <= WORK_MAX)) throw new ProgramTooLargeError("operations a step", this.#work, WORK_MAX);
    const { a = NONE, b = NONE, c = NONE } = operands;
    const instruction: Instruction = { op, to, a, b, c, p: [...p], removed: false };
    this.instructions.push(instruction);
    return instruction;
  }

  /** The instructions' words, in order, without those removed. */
  encode(): Int32Array {
    const live = this.instructions.filter((instruction) => !instruction.removed);
    const words = new Int32Array(live.length * WORDS);
    const floats = new Float32Array(words.buffer);
    for (const [index, { op, to, a, b, c, p }] of live.entries()) {
      const start = index * WORDS;
      words.set([op, to, a, b, c], start);
      const floatParameters = FLOAT_PARAMETERS[op] ?? [];
      for (const [i, value] of p.entries()) {
        if (floatParameters.includes(i)) floats[start + 5 + i] = value;
        else words[start + 5 + i] = value;
      }
    }
    return words;
  }

  /** Writes the constants into `into`, which has {@link constantFloats} floats. */
  writeConstants(into: Float32Array<ArrayBuffer>): void {
    const bytes = new Uint8Array(into.buffer, into.byteOffset, into.byteLength);
    for (const { offset, bytes: from } of this.#constants) bytes.set(from, offset * 4);
  }
}

/** About how many multiplications or moves an instruction does; copies are bounded by their tensors. */
function workOf(op: Op, p: readonly number[]): number {
  switch (op) {
    case OP.dense:
    case OP.denseI8:
      return p[0] * p[1] * p[2];
    case OP.matmul:
      return p[0] * p[1] * p[2] * p[3];
    case OP.softmax:
    case OP.reduce:
      return p[0] * p[1] * p[2];
    case OP.strided:
      return 0;
    default:
      return p[0];
  }
}

/** Index of the last of ascending `offsets` that is not above `offset`; -1 where there is none. */
function lastAtMost(offsets: readonly number[], offset: number): number {
  let low = -1;
  let high = offsets.length - 1;
  while (low < high) {
    const middle = (low + high + 1) >> 1;
    if (offsets[middle] <= offset) low = middle;
    else high = middle - 1;
  }
  return low;
}

function roundUp(floats: number): number {
  return Math.ceil(floats / 16) * 16;
}
