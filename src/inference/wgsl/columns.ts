import { type Instruction, NONE, REDUCE } from "../cpu/program.ts";
import type { Emitter } from "./emitter.ts";
import { literal } from "./functions.ts";
import type { Touched } from "./hazards.ts";

/** Most invocations that share one column. */
const SHARE_MAX = 16;

interface Columns {
  readonly outer: number;
  readonly n: number;
  readonly inner: number;
}

/**
 * Operations that first fold each column to one number: several invocations take a column, each a part of it, and all of them
 * fold the parts again, so that every one has the result.
 */
class ColumnWork {
  readonly #emitter: Emitter;
  readonly #columns: Columns;
  readonly #share: number;
  readonly #reads: readonly Touched[];
  readonly #writes: readonly Touched[];

  constructor(emitter: Emitter, columns: Columns, reads: readonly Touched[], writes: readonly Touched[]) {
    this.#emitter = emitter;
    this.#columns = columns;
    const count = columns.outer * columns.inner;
    let share = 1;
    while (share < SHARE_MAX && share < columns.n && count * share * 2 <= emitter.workgroupSize) share *= 2;
    this.#share = share;
    const parts: Touched = { memory: "parts", from: 0, length: emitter.workgroupSize, linear: false };
    this.#reads = reads;
    this.#writes = share === 1 ? writes : [...writes, parts];
    emitter.enter(this.#reads, this.#writes);
  }

  /** Where the work of one column begins: `start` is its first element, `part` this invocation's first. */
  open(): void {
    const { outer, n, inner } = this.#columns;
    const count = outer * inner;
    const start = `column / ${inner}u * ${n * inner}u + column % ${inner}u`;
    if (this.#share === 1) {
      this.#emitter.line(
        `for (var column = lane; column < ${count}u; column += ${this.#emitter.workgroupSize}u) {`,
        "let part = 0u;",
        `let start = ${start};`,
      );
      return;
    }
    // All invocations stay to the end, because of the barriers: those without a column repeat the last one and store nothing.
    this.#emitter.line(
      "{",
      `let column = min(lane / ${this.#share}u, ${count - 1}u);`,
      `let part = lane % ${this.#share}u;`,
      `let start = ${start};`,
    );
  }

  close(): void {
    this.#emitter.line("}");
    // After the barriers of the folds too, the column was read and the result written.
    this.#emitter.touch(this.#reads, this.#writes);
  }

  /**
   * Declares the variable `name` as the fold of all elements of the column.
   *
   * @param field which component of `parts` it uses; folds of one operation use different ones
   */
  fold(
    name: string,
    field: "x" | "y",
    first: string,
    value: (index: string) => string,
    join: (a: string, b: string) => string,
  ): void {
    const share = this.#share;
    this.#emitter.line(
      `var ${name} = ${first};`,
      this.each(`let value = ${value(this.element("j"))};\n${name} = ${join(name, "value")};`),
    );
    if (share === 1) return;
    this.#emitter.line(`parts[lane].${field} = bitcast<u32>(${name});`);
    this.#emitter.barrier();
    const joined = (i: number): string => join(name, `bitcast<f32>(parts[lane - part + ${i}u].${field})`);
    this.#emitter.line(
      `${name} = bitcast<f32>(parts[lane - part].${field});`,
      ...Array.from({ length: share - 1 }, (_, i) => `${name} = ${joined(i + 1)};`),
    );
  }

  /** Index of the column's `j`-th element. */
  element(j: string): string {
    const { inner } = this.#columns;
    return inner === 1 ? `start + ${j}` : `start + ${j} * ${inner}u`;
  }

  /** Runs the body for this invocation's elements `j`. */
  each(body: string): string {
    return `for (var j = part; j < ${this.#columns.n}u; j += ${this.#share}u) {\n${body}\n}`;
  }

  /** Runs the body where this invocation's results are its column's own. */
  owned(body: string): string {
    if (this.#share === 1) return body;
    const { outer, inner } = this.#columns;
    return `if (lane < ${outer * inner * this.#share}u) {\n${body}\n}`;
  }
}

const sum = (a: string, b: string): string => `${a} + ${b}`;
const most = (a: string, b: string): string => `select(${b}, ${a}, ${a} > ${b})`;

export function emitSoftmax(emitter: Emitter, { to, a, p }: Instruction): void {
  const [outer, n, inner] = p;
  const length = outer * n * inner;
  const work = new ColumnWork(
    emitter,
    { outer, n, inner },
    emitter.touched(a, length, false),
    emitter.touched(to, length, false),
  );
  const read = (index: string): string => emitter.read(a, `(${index})`, length);
  work.open();
  work.fold("top", "x", read(work.element(`min(part, ${n - 1}u)`)), read, most);
  work.fold("total", "y", "0.0f", (index) => `exponential(${read(index)} - top)`, sum);
  const share = `exponential(${read(work.element("j"))} - top) / total`;
  emitter.line(work.owned(work.each(emitter.write(to, `(${work.element("j")})`, share))));
  work.close();
}

export function emitNorm(emitter: Emitter, { to, a, b, c, p }: Instruction): void {
  const [outer, n, epsilon] = p;
  const length = outer * n;
  const work = new ColumnWork(
    emitter,
    { outer, n, inner: 1 },
    [
      ...emitter.touched(a, length, false),
      ...(b === NONE ? [] : emitter.touched(b, n, false)),
      ...(c === NONE ? [] : emitter.touched(c, n, false)),
    ],
    emitter.touched(to, length, false),
  );
  const read = (index: string): string => emitter.read(a, `(${index})`, length);
  work.open();
  work.fold("total", "x", "0.0f", read, sum);
  emitter.line(`let mean = total / ${literal(n)};`);
  work.fold(
    "squares",
    "y",
    "0.0f",
    (index) => `(${read(index)} - mean)`,
    (x, y) => (y === "value" ? `fma(${y}, ${y}, ${x})` : `${x} + ${y}`),
  );
  emitter.line(`let factor = 1.0f / sqrt(squares / ${literal(n)} + ${literal(epsilon)});`);
  const scale = b === NONE ? "" : ` * ${emitter.read(b, "j", n)}`;
  const bias = c === NONE ? "" : ` + ${emitter.read(c, "j", n)}`;
  const value = `(${read(work.element("j"))} - mean) * factor${scale}${bias}`;
  emitter.line(work.owned(work.each(emitter.write(to, `(${work.element("j")})`, value))));
  work.close();
}

export function emitReduce(emitter: Emitter, { to, a, p }: Instruction): void {
  const [outer, n, inner, kind] = p;
  const length = outer * n * inner;
  const work = new ColumnWork(
    emitter,
    { outer, n, inner },
    emitter.touched(a, length, false),
    emitter.touched(to, outer * inner, false),
  );
  const read = (index: string): string => emitter.read(a, `(${index})`, length);
  work.open();
  if (kind === REDUCE.max) work.fold("result", "x", read(work.element(`min(part, ${n - 1}u)`)), read, most);
  else work.fold("result", "x", "0.0f", read, sum);
  const store = emitter.write(to, "column", kind === REDUCE.mean ? `result / ${literal(n)}` : "result");
  emitter.line(work.owned(`if (part == 0u) {\n${store}\n}`));
  work.close();
}
