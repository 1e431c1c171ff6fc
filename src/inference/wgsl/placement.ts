import { ModelRefusedError } from "../../core/errors.ts";
import type { CompiledStep } from "../cpu/compile.ts";
import {
  type Instruction,
  NONE,
  OP,
  offsetOf,
  type ProgramBuilder,
  type Reference,
  SPACE,
  spaceOf,
} from "../cpu/program.ts";

/** Where the scratch tensors of one row lie: floats and packed 8-bit levels in arrays of their own, places reused. */
export interface Placement {
  /** Floats of scratch. */
  readonly floats: number;
  /** Words of four packed levels each. */
  readonly levelWords: number;
  /** Offset of a scratch reference in its array. */
  readonly offset: (ref: Reference) => number;
}

interface Lifetime {
  readonly length: number;
  readonly levels: boolean;
  readonly first: number;
  last: number;
}

interface Taken {
  readonly from: number;
  readonly to: number;
  readonly last: number;
}

/** What an instruction writes, beside what it reads. */
function resultsOf({ op, to, c }: Instruction): Reference[] {
  return op === OP.lstm ? [to, c] : [to];
}

function operandsOf({ op, a, b, c }: Instruction): Reference[] {
  return (op === OP.lstm ? [a, b] : [a, b, c]).filter((ref) => ref !== NONE);
}

/**
 * Gives each scratch tensor a place for as long as it is needed; first fit, in order of their making. A workgroup's memory is
 * small: reuse is what lets a whole step run in it.
 */
export function placeScratch(model: string, compiled: CompiledStep): Placement {
  const { program, probabilitiesAt, moves } = compiled;
  const live = program.instructions.filter((instruction) => !instruction.removed);
  const lifetimes = new Map<Reference, Lifetime>();
  for (const [time, instruction] of live.entries()) {
    for (const ref of resultsOf(instruction)) {
      write(program, lifetimes, ref, time, instruction.op === OP.quantise);
    }
    for (const ref of operandsOf(instruction)) read(model, program, lifetimes, ref, time);
  }
  for (const ref of [probabilitiesAt, ...moves.map(([source]) => source)]) {
    read(model, program, lifetimes, ref, live.length);
  }
  const floats = new FirstFit();
  const levels = new FirstFit();
  const places = new Map<Reference, number>();
  for (const [tensor, { length, levels: packed, first, last }] of lifetimes) {
    places.set(tensor, (packed ? levels : floats).take(length, first, last));
  }
  return {
    floats: floats.size,
    levelWords: levels.size,
    offset: (ref) => {
      const tensor = program.tensorOf(ref);
      return (places.get(tensor) ?? 0) + offsetOf(ref) - offsetOf(tensor);
    },
  };
}

function write(
  program: ProgramBuilder,
  lifetimes: Map<Reference, Lifetime>,
  ref: Reference,
  time: number,
  levels: boolean,
): void {
  const tensor = program.tensorOf(ref);
  const known = lifetimes.get(tensor);
  if (known !== undefined) known.last = Math.max(known.last, time);
  else lifetimes.set(tensor, { length: program.roomAt(tensor), levels, first: time, last: time });
}

function read(
  model: string,
  program: ProgramBuilder,
  lifetimes: Map<Reference, Lifetime>,
  ref: Reference,
  time: number,
): void {
  if (spaceOf(ref) !== SPACE.arena) return;
  const lifetime = lifetimes.get(program.tensorOf(ref));
  if (lifetime === undefined) {
    throw new ModelRefusedError(model, "a tensor that is read before it is written", "nodes in order");
  }
  lifetime.last = Math.max(lifetime.last, time);
}

/** Takes ranges in order of time; a range is free again after its last use. */
class FirstFit {
  size = 0;
  #taken: Taken[] = [];

  take(length: number, first: number, last: number): number {
    this.#taken = this.#taken.filter((range) => range.last >= first);
    let from = 0;
    for (const range of this.#taken) {
      if (from + length <= range.from) break;
      from = Math.max(from, range.to);
    }
    const at = this.#taken.findIndex((range) => range.from >= from + length);
    const taken = { from, to: from + length, last };
    if (at < 0) this.#taken.push(taken);
    else this.#taken.splice(at, 0, taken);
    this.size = Math.max(this.size, from + length);
    return from;
  }
}
