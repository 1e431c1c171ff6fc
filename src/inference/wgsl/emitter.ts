import { invariant } from "../../core/invariant.ts";
import type { CompiledStep } from "../cpu/compile.ts";
import { offsetOf, type ProgramBuilder, type Reference, SPACE, spaceOf } from "../cpu/program.ts";
import type { ConstantPool } from "./constants.ts";
import { Hazards, type Touched } from "./hazards.ts";
import type { Placement } from "./placement.ts";

/** One entry point and how many workgroups share a row. */
export interface Pass {
  readonly entryPoint: string;
  readonly tiles: number;
  /** Bindings of group 0 that it uses. */
  readonly bindings: readonly number[];
}

/** Order of the bindings of group 0; a pass binds those that it uses. */
export const BINDING = {
  input: 0,
  constants: 1,
  constantQuads: 2,
  states: 3,
  probabilities: 4,
  halves: 5,
  scratch: 6,
  levels: 7,
} as const;

/** What the text of a pass that uses a binding has in it. */
const MARKS: readonly (readonly [binding: number, mark: RegExp])[] = [
  [BINDING.input, /\benter\(/],
  [BINDING.constants, /\bconstant\(|\bconstants\[/],
  [BINDING.constantQuads, /\bconstant_quads\[/],
  [BINDING.states, /\bstate\(|\bstates\[/],
  [BINDING.probabilities, /\bprobabilities\[/],
  [BINDING.halves, /\bhalves\[/],
  [BINDING.scratch, /\bscratch\[/],
  [BINDING.levels, /\blevels\[/],
];

export interface EmitterOptions {
  readonly program: ProgramBuilder;
  readonly placement: Placement;
  readonly pool: ConstantPool;
  readonly workgroupSize: number;
  readonly half: boolean;
  /** The scratch is in the workgroup's memory, not in a buffer. */
  readonly shared: boolean;
}

/** How the terms of sums are spread over a workgroup. */
export interface SplitSum {
  /** Sums to be made, and terms of each. */
  readonly items: number;
  readonly terms: number;
  readonly type: "f32" | "vec4<f32>" | "vec4<i32>";
  /** Statements that prepare `item`, an expression, under names of their own. */
  readonly prepare: (item: string) => string;
  /** The `term`-th addend of the prepared item. */
  readonly term: (term: string) => string;
  /** Statements that use the sum of the prepared item. */
  readonly finish: (sum: string) => string;
  readonly reads: readonly Touched[];
  readonly writes: readonly Touched[];
}

/** Terms that are read together, so that their loads do not wait for each other. */
const UNROLL = 4;
/** Fewest terms for which an invocation of its own pays. */
const TERMS_MIN = 4;
/** Parts that one invocation adds up at most before the rest is left to a second round. */
const PARTS_MAX = 8;

/** Writes the statements of a kernel, with barriers where they are needed. */
export class Emitter {
  readonly program: ProgramBuilder;
  readonly pool: ConstantPool;
  readonly half: boolean;
  readonly workgroupSize: number;
  readonly passes: Pass[] = [];
  usesHalves = false;
  usesLevels = false;
  readonly #placement: Placement;
  readonly #shared: boolean;
  readonly #functions: string[] = [];
  readonly #hazards = new Hazards();
  #lines: string[] = [];
  #tile: { readonly tiles: number; readonly items: number } | null = null;

  constructor({ program, placement, pool, workgroupSize, half, shared }: EmitterOptions) {
    this.program = program;
    this.pool = pool;
    this.half = half;
    this.workgroupSize = workgroupSize;
    this.#placement = placement;
    this.#shared = shared;
  }

  functions(): readonly string[] {
    return this.#functions;
  }

  /** An f32 expression of the element `index`, an expression, behind a reference. @param length elements that may be read */
  read(ref: Reference, index: string, length: number): string {
    switch (spaceOf(ref)) {
      case SPACE.arena:
        return `scratch[${this.#place(ref)} + ${index}]`;
      case SPACE.constants:
        return `constant(${this.pool.take(offsetOf(ref), length)}u + ${index})`;
      case SPACE.state:
        return `state(${offsetOf(ref)}u + ${index})`;
      default:
        return `feature(${offsetOf(ref)}u + ${index})`;
    }
  }

  write(ref: Reference, index: string, value: string): string {
    invariant(spaceOf(ref) === SPACE.arena, "results lie in scratch");
    return `scratch[${this.#place(ref)} + ${index}] = ${value};`;
  }

  /** The word `index` of packed levels. */
  level(ref: Reference, index: string): string {
    this.usesLevels = true;
    return `levels[${this.#level(ref)} + ${index}]`;
  }

  /** What an operand's elements are to the order of operations. */
  touched(ref: Reference, length: number, linear: boolean, levels = false): Touched[] {
    switch (spaceOf(ref)) {
      case SPACE.arena: {
        const from = this.#placement.offset(ref);
        return [{ memory: levels ? "levels" : "scratch", from, length, linear }];
      }
      case SPACE.state:
        return [{ memory: "state", from: offsetOf(ref), length, linear }];
      default:
        return [];
    }
  }

  /** Before statements that touch these. */
  enter(reads: readonly Touched[], writes: readonly Touched[]): void {
    if (this.#hazards.enter(reads, writes)) this.#lines.push(this.#barrier());
  }

  /** Takes note of what statements behind a barrier of their own have touched. */
  touch(reads: readonly Touched[], writes: readonly Touched[]): void {
    this.#hazards.add(reads, writes);
  }

  barrier(): void {
    this.#hazards.clear();
    this.#lines.push(this.#barrier());
  }

  line(...lines: readonly string[]): void {
    this.#lines.push(...lines);
  }

  /** Runs the body for every `i` below `count`, invocation by invocation. */
  each(count: number, body: string, reads: readonly Touched[], writes: readonly Touched[]): void {
    this.enter(reads, writes);
    this.line(this.#loop("i", count, body));
  }

  /** Sums terms, several invocations to a sum where there are more than sums. */
  sum(split: SplitSum): void {
    const { items, terms, type, prepare, finish, reads, writes } = split;
    const size = this.workgroupSize;
    const own = this.#tile === null ? items : this.#tile.items;
    let parts = 1;
    while (own * parts * 2 <= size && terms >= parts * 2 * TERMS_MIN) parts *= 2;
    const first = this.#tile === null ? "" : `tile * ${own}u + `;
    const inside = this.#tile === null ? null : items;
    const guarded = (item: string, body: string): string =>
      inside === null ? body : `if (${item} < ${inside}u) {\n${body}\n}`;
    if (parts === 1) {
      this.enter(reads, writes);
      const body = `let item = ${first}i;\n${guarded(
        "item",
        `${prepare("item")}\n${this.#terms(split, "0u", 1)}\n${finish("sum")}`,
      )}`;
      this.line(this.#loop("i", own, body));
      return;
    }
    const partsTouched: Touched = { memory: "parts", from: 0, length: size, linear: false };
    this.enter(reads, [partsTouched]);
    const lanes = own * parts;
    const open = lanes < size ? `if (lane < ${lanes}u) {` : "{";
    this.line(
      open,
      `let item = ${first}lane % ${own}u;`,
      guarded(
        "item",
        `let part = lane / ${own}u;\n${prepare("item")}\n${this.#terms(split, "part", parts)}\nparts[lane] = ${packed(type, "sum")};`,
      ),
      "}",
    );
    this.barrier();
    let left = parts;
    while (left > PARTS_MAX) {
      const rest = left / Math.min(PARTS_MAX, left / 2);
      const each = left / rest;
      const reach = own * rest;
      this.line(
        `if (lane < ${reach}u) {`,
        `var sum = ${unpacked(type, "parts[lane]")};`,
        ...Array.from(
          { length: each - 1 },
          (_, i) => `sum += ${unpacked(type, `parts[lane + ${reach * (i + 1)}u]`)};`,
        ),
        `parts[lane] = ${packed(type, "sum")};`,
        "}",
      );
      this.barrier();
      left = rest;
    }
    this.enter([partsTouched, ...reads], writes);
    this.line(
      `if (lane < ${own}u) {`,
      `let item = ${first}lane;`,
      guarded(
        "item",
        [
          prepare("item"),
          `var sum = ${unpacked(type, "parts[lane]")};`,
          ...Array.from(
            { length: left - 1 },
            (_, i) => `sum += ${unpacked(type, `parts[lane + ${own * (i + 1)}u]`)};`,
          ),
          finish("sum"),
        ].join("\n"),
      ),
      "}",
    );
  }

  /** The next statements are an entry point of their own, in which several workgroups share a row. */
  beginWide(tile: { readonly tiles: number; readonly items: number }): void {
    this.#close();
    this.#tile = tile;
  }

  endWide(): void {
    this.#close();
    this.#tile = null;
  }

  /** Writes the results of the step: probabilities and the slots' next states. */
  finish({ probabilitiesAt, moves }: CompiledStep, headCount: number): void {
    this.each(
      headCount,
      `probabilities[row * ${headCount}u + i] = ${this.read(probabilitiesAt, "i", headCount)};`,
      this.touched(probabilitiesAt, headCount, true),
      [],
    );
    for (const [source, offset, length] of moves) {
      this.each(
        length,
        `states[slot_at + ${offset}u + i] = ${this.read(source, "i", length)};`,
        this.touched(source, length, true),
        [{ memory: "state", from: offset, length, linear: true }],
      );
    }
    this.#close();
  }

  #place(ref: Reference): string {
    const offset = `${this.#placement.offset(ref)}u`;
    return this.#shared ? offset : `scratch_at + ${offset}`;
  }

  #level(ref: Reference): string {
    const offset = `${this.#placement.offset(ref)}u`;
    return this.#shared ? offset : `levels_at + ${offset}`;
  }

  #barrier(): string {
    return this.#shared ? "workgroupBarrier(); storageBarrier();" : "storageBarrier(); workgroupBarrier();";
  }

  #loop(name: string, count: number, body: string): string {
    const size = this.workgroupSize;
    if (count < size) return `if (lane < ${count}u) {\nlet ${name} = lane;\n${body}\n}`;
    if (count === size) return `{\nlet ${name} = lane;\n${body}\n}`;
    return `for (var ${name} = lane; ${name} < ${count}u; ${name} += ${size}u) {\n${body}\n}`;
  }

  /** `var sum` of the terms `start`, `start + stride` and so on. */
  #terms({ terms, type, term }: SplitSum, start: string, stride: number): string {
    const rounds = Math.floor(terms / stride);
    const whole = Math.floor(rounds / UNROLL) * UNROLL;
    const lines = [`var sum = ${type}();`];
    if (whole > 0) {
      const values = Array.from({ length: UNROLL }, (_, i) => `let t${i} = ${term(`(k + ${i * stride}u)`)};`);
      lines.push(
        `for (var k = ${start}; k < ${whole * stride}u; k += ${UNROLL * stride}u) {`,
        ...values,
        "sum += (t0 + t1) + (t2 + t3);",
        "}",
      );
    }
    for (let round = whole; round < rounds; round += 1) {
      lines.push(`sum += ${term(`(${start} + ${round * stride}u)`)};`);
    }
    const rest = terms - rounds * stride;
    if (rest > 0)
      lines.push(`if (${start} < ${rest}u) { sum += ${term(`(${start} + ${rounds * stride}u)`)}; }`);
    return lines.join("\n");
  }

  /** Ends an entry point. */
  #close(): void {
    if (this.#lines.length === 0) return;
    const entryPoint = `step_${this.passes.length}`;
    this.#functions.push(
      [
        `@compute @workgroup_size(${this.workgroupSize})`,
        `fn ${entryPoint}(@builtin(local_invocation_index) lane: u32, @builtin(workgroup_id) workgroup: vec3<u32>) {`,
        "enter(workgroup.y);",
        ...(this.#tile === null ? [] : ["let tile = workgroup.x;"]),
        ...this.#lines,
        "}",
      ].join("\n"),
    );
    const text = this.#functions.at(-1) ?? "";
    const bindings = MARKS.filter(([, mark]) => mark.test(text)).map(([binding]) => binding);
    this.passes.push({ entryPoint, tiles: this.#tile?.tiles ?? 1, bindings });
    this.#lines = [];
    this.#hazards.clear();
  }
}

/** Parts rest as bits, because the pattern of an integer may be no float that a device keeps. */
function packed(type: SplitSum["type"], value: string): string {
  return type === "f32" ? `vec4<u32>(bitcast<u32>(${value}), 0u, 0u, 0u)` : `bitcast<vec4<u32>>(${value})`;
}

function unpacked(type: SplitSum["type"], value: string): string {
  return type === "f32" ? `bitcast<f32>(${value}.x)` : `bitcast<${type}>(${value})`;
}
