import { type Instruction, NONE, offsetOf } from "../cpu/program.ts";
import type { Emitter, SplitSum } from "./emitter.ts";
import { unaryExpression } from "./functions.ts";
import type { Touched } from "./hazards.ts";

/** Quads of outputs whose weights lie together: `KEEL_DENSE_GROUP` and `KEEL_DENSE_PANEL` of `ffi/step.h`, in fours. */
const GROUP_QUADS = 16;
const PANEL = 16;

/**
 * Weights from which on a layer is kept in 16 bits: 64 KB in 32. Those of smaller layers stay in a GPU's caches anyway, and the
 * heads, which are small, are where rounding moves a probability most.
 */
export const HALF_WEIGHTS_MIN = 16_384;

/** A dense layer of floats. Four outputs are one item: their weights for an input are one aligned load. */
export function emitDense(emitter: Emitter, instruction: Instruction): void {
  const { a, c, p } = instruction;
  const [k, n, rows] = p;
  const length = k * Math.ceil(n / PANEL) * PANEL;
  const halved = emitter.half && length >= HALF_WEIGHTS_MIN;
  const half = halved ? emitter.pool.takeHalf(offsetOf(c), length) : null;
  if (half !== null) emitter.usesHalves = true;
  const base = half ?? emitter.pool.take(offsetOf(c), length);
  const weights = (at: string): string =>
    half === null ? `bitcast<vec4<f32>>(constant_quads[${at}])` : `vec4<f32>(halves[${at}])`;
  emitter.sum({
    ...layer(emitter, instruction, base / 4, k),
    terms: k,
    type: "vec4<f32>",
    term: (i) =>
      `${weights(`weights_at + ${i} * width`)} * ${emitter.read(a, `time * ${k}u + ${i}`, rows * k)}`,
    finish: (sum) => outputs(emitter, instruction, (component) => `${sum}.${component}`),
    reads: [...emitter.touched(a, rows * k, false), ...addendTouched(emitter, instruction)],
  });
}

/**
 * A dense layer on 8-bit levels: `scale × (start + Σ w x) + addend`. The levels are signed here, 128 less than those of
 * `ffi/step.h`, as the device's dot product wants them; the start values make up for it.
 */
export function emitDenseI8(emitter: Emitter, instruction: Instruction): void {
  const { a, c, p } = instruction;
  const [k, n, rows, , , scalesAt, startsAt] = p;
  const quads = Math.ceil(k / 4);
  const padded = Math.ceil(n / PANEL) * PANEL;
  const base = emitter.pool.take(offsetOf(c), quads * padded);
  const scales = emitter.pool.take(scalesAt, padded);
  const starts = emitter.pool.add(shiftedStarts(emitter, instruction, startsAt, padded));
  emitter.usesLevels = true;
  emitter.sum({
    ...layer(emitter, instruction, base / 4, quads),
    terms: quads,
    type: "vec4<i32>",
    term: (i) =>
      `dots(constant_quads[weights_at + ${i} * width], ${emitter.level(a, `time * ${quads}u + ${i}`)})`,
    finish: (sum) =>
      [
        `let level_sum = ${sum} + bitcast<vec4<i32>>(constant_quads[${starts / 4}u + quad]);`,
        `let product = vec4<f32>(level_sum) * bitcast<vec4<f32>>(constant_quads[${scales / 4}u + quad]);`,
        outputs(emitter, instruction, (component) => `product.${component}`),
      ].join("\n"),
    reads: [...emitter.touched(a, rows * quads, false, true), ...addendTouched(emitter, instruction)],
  });
}

/** Which outputs an item is, where its weights begin, and from one input to the next how far they are apart, in quads. */
function layer(
  emitter: Emitter,
  { to, p }: Instruction,
  baseQuad: number,
  depth: number,
): Pick<SplitSum, "items" | "prepare" | "writes"> {
  const [, n, rows] = p;
  const quads = Math.ceil(n / 4);
  const lastGroup = Math.ceil(n / (GROUP_QUADS * 4)) - 1;
  const lastWidth = (Math.ceil(n / PANEL) * PANEL) / 4 - lastGroup * GROUP_QUADS;
  const width =
    lastWidth === GROUP_QUADS || lastGroup === 0
      ? `${lastGroup === 0 ? lastWidth : GROUP_QUADS}u`
      : `select(${GROUP_QUADS}u, ${lastWidth}u, quad >= ${lastGroup * GROUP_QUADS}u)`;
  return {
    items: quads * rows,
    prepare: (item) =>
      [
        rows === 1 ? `let quad = ${item};` : `let quad = ${item} % ${quads}u;`,
        rows === 1 ? "let time = 0u;" : `let time = ${item} / ${quads}u;`,
        `let width = ${width};`,
        `let weights_at = ${baseQuad}u + quad / ${GROUP_QUADS}u * ${GROUP_QUADS * depth}u + quad % ${GROUP_QUADS}u;`,
      ].join("\n"),
    writes: emitter.touched(to, rows * n, false),
  };
}

/** Stores the outputs of an item: those that exist, with addend and activation. */
function outputs(emitter: Emitter, instruction: Instruction, value: (component: string) => string): string {
  const { to, b, p } = instruction;
  const [, n, rows, activation, stride] = p;
  return ["x", "y", "z", "w"]
    .map((component, i) => {
      const output = `quad * 4u + ${i}u`;
      const addend =
        b === NONE
          ? ""
          : ` + ${emitter.read(b, stride === 0 ? output : `time * ${stride}u + ${output}`, (rows - 1) * stride + n)}`;
      const name = `y${i}`;
      const result = activation === NONE ? name : unaryExpression(activation, name, 0, 0);
      const statements = `let ${name} = ${value(component)}${addend};\n${emitter.write(to, `time * ${n}u + ${output}`, result)}`;
      return n % 4 === 0 ? `{\n${statements}\n}` : `if (${output} < ${n}u) {\n${statements}\n}`;
    })
    .join("\n");
}

function addendTouched(emitter: Emitter, { b, p }: Instruction): Touched[] {
  const [, n, rows, , stride] = p;
  return b === NONE ? [] : emitter.touched(b, (rows - 1) * stride + n, false);
}

function shiftedStarts(
  emitter: Emitter,
  { c, p }: Instruction,
  startsAt: number,
  padded: number,
): Uint32Array {
  const [k, n] = p;
  const quads = Math.ceil(k / 4);
  const weights = emitter.pool.bytes(offsetOf(c), quads * padded * 4);
  const starts = new Int32Array(padded);
  starts.set(emitter.pool.ints(startsAt, padded));
  for (let output = 0; output < n; output += 1) {
    const group = Math.floor(output / (GROUP_QUADS * 4));
    const first = group * GROUP_QUADS * 4;
    const width = Math.min(GROUP_QUADS * 4, padded - first);
    for (let quad = 0; quad < quads; quad += 1) {
      const at = (first * quads + quad * width + (output - first)) * 4;
      for (let i = 0; i < 4; i += 1) starts[output] += 128 * weights[at + i];
    }
  }
  return new Uint32Array(starts.buffer);
}
