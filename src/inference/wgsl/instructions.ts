import { type Instruction, OP, type Op, type Reference, reference, SPACE } from "../cpu/program.ts";
import { emitNorm, emitReduce, emitSoftmax } from "./columns.ts";
import { emitDense, emitDenseI8 } from "./dense.ts";
import type { Emitter } from "./emitter.ts";
import { binaryExpression, clip, literal, unaryExpression } from "./functions.ts";

type EmitInstruction = (emitter: Emitter, instruction: Instruction) => void;

/** Writes the statements of one instruction; its operations and parameters are those of `ffi/step.h`. */
export const emitInstruction: EmitInstruction = (emitter, instruction) => {
  EMITTERS[instruction.op](emitter, instruction);
};

const EMITTERS: Readonly<Record<Op, EmitInstruction>> = {
  [OP.copy]: (emitter, { to, a, p }) => elementwise(emitter, p[0], [a], to, (x) => x),
  [OP.strided]: (emitter, instruction) => strided(emitter, instruction),
  [OP.fill]: (emitter, { to, p }) => elementwise(emitter, p[0], [], to, () => literal(p[1])),
  [OP.unary]: (emitter, { to, a, p }) =>
    elementwise(emitter, p[0], [a], to, (x) => unaryExpression(p[1], x, p[2], p[3])),
  [OP.binary]: (emitter, instruction) => binary(emitter, instruction),
  [OP.dense]: emitDense,
  [OP.quantise]: (emitter, instruction) => quantise(emitter, instruction),
  [OP.denseI8]: emitDenseI8,
  [OP.lstm]: (emitter, instruction) => lstm(emitter, instruction),
  [OP.softmax]: emitSoftmax,
  [OP.norm]: emitNorm,
  [OP.reduce]: emitReduce,
  [OP.matmul]: (emitter, instruction) => matmul(emitter, instruction),
  [OP.gather]: (emitter, instruction) => gather(emitter, instruction),
  [OP.select]: (emitter, { to, a, b, c, p }) =>
    elementwise(emitter, p[0], [a, b, c], to, (x, yes, no) => `select(${no}, ${yes}, ${x} != 0.0f)`),
  [OP.scale]: (emitter, { to, a, b, c, p }) =>
    elementwise(emitter, p[0], [a, b, c], to, (x, factor, offset) =>
      clip(`fma(${x}, ${factor}, ${offset})`, p[1], p[2]),
    ),
};

/** Computes each element of `to` from the elements of the operands at the same place. */
function elementwise(
  emitter: Emitter,
  n: number,
  operands: readonly Reference[],
  to: Reference,
  value: (...names: string[]) => string,
): void {
  const names = operands.map((_, index) => `x${index}`);
  const reads = operands.map((ref, index) => `let x${index} = ${emitter.read(ref, "i", n)};`);
  emitter.each(
    n,
    [...reads, emitter.write(to, "i", value(...names))].join("\n"),
    operands.flatMap((ref) => emitter.touched(ref, n, true)),
    emitter.touched(to, n, true),
  );
}

function binary(emitter: Emitter, { to, a, b, p }: Instruction): void {
  const [n, kind, mode] = p;
  const operand = (ref: Reference, single: boolean): string =>
    emitter.read(ref, single ? "0u" : "i", single ? 1 : n);
  const touched = (ref: Reference, single: boolean) => emitter.touched(ref, single ? 1 : n, !single);
  emitter.each(
    n,
    `let x = ${operand(a, mode === 1)};\nlet y = ${operand(b, mode === 2)};\n${emitter.write(to, "i", binaryExpression(kind, "x", "y"))}`,
    [...touched(a, mode === 1), ...touched(b, mode === 2)],
    emitter.touched(to, n, true),
  );
}

/** Copies between strided places; the table is `[rank, dims, strides of the result, strides of the operand]`. */
function strided(emitter: Emitter, { to, a, p }: Instruction): void {
  const table = emitter.program.intsAt(reference(SPACE.constants, p[0]));
  const rank = table[0];
  const dims = Array.from(table.subarray(1, 1 + rank));
  const toStrides = Array.from(table.subarray(1 + rank, 1 + 2 * rank));
  const fromStrides = Array.from(table.subarray(1 + 2 * rank, 1 + 3 * rank));
  const total = dims.reduce((product, dim) => product * dim, 1);
  const lines: string[] = ["var left = i;"];
  for (let axis = rank - 1; axis >= 0; axis -= 1) {
    lines.push(`let i${axis} = left % ${dims[axis]}u;`, `left /= ${dims[axis]}u;`);
  }
  // Strides may be negative: places are found with signed integers.
  const place = (strides: readonly number[]): string =>
    `u32(${strides.map((stride, axis) => `i32(i${axis}) * ${stride}i`).join(" + ")})`;
  const extent = (strides: readonly number[], sign: number): number =>
    strides.reduce((sum, stride, axis) => (stride * sign > 0 ? sum + stride * (dims[axis] - 1) : sum), 0);
  const touched = (ref: Reference, strides: readonly number[]) => {
    const below = extent(strides, -1);
    return emitter.touched(ref + below * 4, extent(strides, 1) - below + 1, false);
  };
  lines.push(
    emitter.write(to, place(toStrides), emitter.read(a, place(fromStrides), extent(fromStrides, 1) + 1)),
  );
  emitter.each(total, lines.join("\n"), touched(a, fromStrides), touched(to, toStrides));
}

function quantise(emitter: Emitter, { to, a, p }: Instruction): void {
  const [n, scale, zero, low, high, rows] = p;
  const words = Math.ceil(n / 4);
  const level = (index: number): string => {
    const x = `${emitter.read(a, `(time * ${n}u + at + ${index}u)`, rows * n)} / ${literal(scale)}`;
    const value = `level_of(${x}, ${literal(low - zero)}, ${literal(high - zero)}, ${zero - 128})`;
    return n % 4 === 0 ? value : `select(0u, ${value}, at + ${index}u < ${n}u)`;
  };
  emitter.each(
    rows * words,
    [
      `let time = i / ${words}u;`,
      `let at = (i % ${words}u) * 4u;`,
      `${emitter.level(to, "i")} = ${[0, 1, 2, 3].map((i) => `(${level(i)} << ${8 * i}u)`).join(" | ")};`,
    ].join("\n"),
    emitter.touched(a, rows * n, false),
    emitter.touched(to, rows * words, true, true),
  );
}

function lstm(emitter: Emitter, { to, a, b, c, p }: Instruction): void {
  const [n, ...places] = p;
  const gate = (index: number): string => emitter.read(a + places[index] * 4, "i", n);
  emitter.each(
    n,
    [
      `let next = sigmoid(${gate(1)}) * ${emitter.read(b, "i", n)} + sigmoid(${gate(0)}) * hyperbolic_tangent(${gate(2)});`,
      `let hidden = sigmoid(${gate(3)}) * hyperbolic_tangent(next);`,
      emitter.write(c, "i", "next"),
      emitter.write(to, "i", "hidden"),
    ].join("\n"),
    [
      ...places.slice(0, 4).flatMap((place) => emitter.touched(a + place * 4, n, true)),
      ...emitter.touched(b, n, true),
    ],
    [...emitter.touched(to, n, true), ...emitter.touched(c, n, true)],
  );
}

function matmul(emitter: Emitter, { to, a, b, p }: Instruction): void {
  const [batch, m, k, n, aStride, bStride, transposed] = p;
  const aLength = (batch - 1) * aStride + m * k;
  const bLength = (batch - 1) * bStride + k * n;
  emitter.sum({
    items: batch * m * n,
    terms: k,
    type: "f32",
    prepare: (item) =>
      [
        `let matrix = ${item} / ${m * n}u;`,
        `let left = matrix * ${aStride}u + (${item} / ${n}u % ${m}u) * ${k}u;`,
        transposed === 0
          ? `let right = matrix * ${bStride}u + ${item} % ${n}u;`
          : `let right = matrix * ${bStride}u + (${item} % ${n}u) * ${k}u;`,
      ].join("\n"),
    term: (i) =>
      `${emitter.read(a, `left + ${i}`, aLength)} * ${emitter.read(b, transposed === 0 ? `right + ${i} * ${n}u` : `right + ${i}`, bLength)}`,
    finish: (sum) => emitter.write(to, "item", sum),
    reads: [...emitter.touched(a, aLength, false), ...emitter.touched(b, bLength, false)],
    writes: emitter.touched(to, batch * m * n, false),
  });
}

function gather(emitter: Emitter, { to, a, p }: Instruction): void {
  const [outer, count, inner, dim, table] = p;
  const indices = emitter.pool.take(table, count);
  const length = outer * dim * inner;
  const from = [
    ...(outer === 1 ? [] : [`i / ${count * inner}u * ${dim * inner}u`]),
    `constants[${indices}u + i / ${inner}u % ${count}u] * ${inner}u`,
    ...(inner === 1 ? [] : [`i % ${inner}u`]),
  ].join(" + ");
  emitter.each(
    outer * count * inner,
    emitter.write(to, "i", emitter.read(a, `(${from})`, length)),
    emitter.touched(a, length, false),
    emitter.touched(to, outer * count * inner, true),
  );
}
