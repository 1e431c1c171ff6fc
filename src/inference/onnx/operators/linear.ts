import { packDense, packDenseI8, packedLength } from "../../cpu/pack.ts";
import { BINARY, NONE, OP, type Reference, UNARY } from "../../cpu/program.ts";
import type { NodeContext, Operator } from "../lowering.ts";
import { at, type Constant, constant, type Dynamic, sizeOf, stridesOf, type Value } from "../value.ts";
import { apply, broadcastDims, combine } from "./elementwise.ts";
import { padded } from "./movement.ts";
import { rearrange } from "./rearrange.ts";

/** Inputs of a dense layer on 8-bit levels: more could overflow a 32-bit sum. */
const I8_INPUTS_MAX = 60_000;

/** A constant matrix from `inputs` to `outputs`. */
export interface Weights {
  readonly inputs: number;
  readonly outputs: number;
  readonly weight: (input: number, output: number) => number;
  /** The same weights as 8-bit levels, with a scale for each output; null where they are not quantised so. */
  readonly levels: {
    readonly level: (input: number, output: number) => number;
    readonly scales: readonly number[];
  } | null;
}

/** The matrix in a constant of shape `[inputs, outputs]`, or `[outputs, inputs]` when `transposed`. */
export function weightsOf(matrix: Constant, transposed: boolean, alpha = 1): Weights {
  const [rows, columns] = matrix.dims;
  const inputs = transposed ? columns : rows;
  const outputs = transposed ? rows : columns;
  const index = (input: number, output: number): number =>
    transposed ? output * inputs + input : input * outputs + output;
  const { quantised } = matrix;
  const byOutput = quantised !== undefined && (quantised.axis < 0 || quantised.axis === (transposed ? 0 : 1));
  return {
    inputs,
    outputs,
    weight: (input, output) => matrix.data[index(input, output)] * alpha,
    levels:
      quantised === undefined || !byOutput || alpha !== 1 || inputs > I8_INPUTS_MAX
        ? null
        : {
            level: (input, output) => quantised.levels[index(input, output)],
            scales: Array.from(
              { length: outputs },
              (_, output) => quantised.scales[quantised.axis < 0 ? 0 : output],
            ),
          },
  };
}

/**
 * Emits `x W + addend` for each of the rows `[…, inputs]` of x.
 *
 * @param addend the place of `outputs` floats for all rows (`shared`), or of as many for each row; null for none.
 */
export function dense(
  node: NodeContext,
  x: Dynamic,
  weights: Weights,
  addend: { readonly place: Reference; readonly shared: boolean } | null,
): Dynamic {
  const { inputs, outputs } = weights;
  const rank = x.dims.length;
  if (x.dims[rank - 1] !== inputs) node.refuse(`rows of ${x.dims[rank - 1]}`, `rows of ${inputs}`);
  node.notBatch(rank - 1, x);
  const dims = [...x.dims.slice(0, -1), outputs];
  const made = node.make(dims, x.batchAxis);
  const rows = sizeOf(x.dims) / inputs;
  const b = addend === null ? NONE : addend.place;
  const stride = addend === null || addend.shared ? 0 : outputs;
  const { quantised } = x;
  const { levels } = weights;
  if (quantised !== undefined && levels !== null) {
    const shift = quantised.how.low < 0 ? 128 : 0;
    const zero = quantised.how.zeroPoint + shift;
    const starts = Int32Array.from({ length: padTo16(outputs) }, (_, output) => {
      let sum = 0;
      if (output < outputs) for (let i = 0; i < inputs; i += 1) sum += levels.level(i, output);
      return 0 - zero * sum;
    });
    const scales = Float32Array.from({ length: padTo16(outputs) }, (_, output) =>
      output < outputs ? levels.scales[output] * quantised.how.scale : 0,
    );
    const c = node.program.constant(packDenseI8(inputs, outputs, levels.level));
    const a = quantisedPlace(node, quantised.source, quantised.how, inputs, shift);
    const p = [
      inputs,
      outputs,
      rows,
      NONE,
      stride,
      node.program.constant(scales) >> 2,
      node.program.constant(starts) >> 2,
    ];
    return { ...made, dense: node.emit(OP.denseI8, made.to, { a, b, c }, p) };
  }
  node.program.reserveConstants(packedLength(inputs, outputs));
  const c = node.program.constant(packDense(inputs, outputs, weights.weight));
  return {
    ...made,
    dense: node.emit(OP.dense, made.to, { a: x.place(), b, c }, [inputs, outputs, rows, NONE, stride]),
  };
}

/** Where the unsigned levels of `source` are, in rows of `inputs` bytes padded to whole words; emitted once for each use. */
function quantisedPlace(
  node: NodeContext,
  source: Dynamic,
  how: { readonly scale: number; readonly zeroPoint: number; readonly low: number; readonly high: number },
  inputs: number,
  shift: number,
): Reference {
  const key = `${source.place()}/${how.scale}/${how.zeroPoint}/${how.low}/${how.high}/${inputs}`;
  const known = node.lowering.quantisedPlaces.get(key);
  if (known !== undefined) return known;
  const rows = sizeOf(source.dims) / inputs;
  const to = node.program.scratch(rows * Math.ceil(inputs / 4));
  const p = [inputs, how.scale, how.zeroPoint + shift, how.low + shift, how.high + shift, rows];
  node.emit(OP.quantise, to, { a: source.place() }, p);
  node.lowering.quantisedPlaces.set(key, to);
  return to;
}

const padTo16 = (count: number): number => Math.ceil(count / 16) * 16;

/** The `[outputs]` part of a constant bias that is the same for all rows, or null where it is not. */
function sharedBias(bias: Constant, outputs: number, beta: number): Float32Array | null {
  const size = sizeOf(bias.dims);
  const lastIsAll = bias.dims.length > 0 && bias.dims[bias.dims.length - 1] === size && size === outputs;
  if (!lastIsAll && size !== 1) return null;
  return Float32Array.from({ length: outputs }, (_, i) => bias.data[size === 1 ? 0 : i] * beta);
}

const gemm: Operator = (node) => {
  node.allow("alpha", "beta", "transA", "transB");
  const left = node.input(0);
  const right = node.input(1);
  const bias = node.optional(2);
  const alpha = node.float("alpha", 1);
  const beta = node.float("beta", 1);
  if (left.dims.length !== 2 || right.dims.length !== 2) {
    node.refuse(`operands of rank ${left.dims.length} and ${right.dims.length}`, "two matrices");
  }
  const transposedB = node.int("transB", 0) === 1;
  const a = node.int("transA", 0) === 1 ? transposedMatrix(node, left) : left;
  const inputs = right.dims[transposedB ? 1 : 0];
  const outputs = right.dims[transposedB ? 0 : 1];
  if (a.dims[1] !== inputs) node.refuse(`${a.dims[1]} columns for ${inputs} rows`, "matrices that multiply");
  if (a.kind === "dynamic" && right.kind === "constant") {
    const shared = bias?.kind === "constant" ? sharedBias(bias, outputs, beta) : null;
    const addend = shared === null ? null : { place: node.program.constant(shared), shared: true };
    const product = dense(node, a, weightsOf(right, transposedB, alpha), addend);
    node.set(bias === null || shared !== null ? product : plusBias(node, product, bias, beta));
    return;
  }
  const b = transposedB ? transposedMatrix(node, right) : right;
  const product = multiply(node, a, b);
  const scaled = alpha === 1 ? product : apply(node, UNARY.affine, product, alpha, 0);
  node.set(bias === null ? scaled : plusBias(node, scaled, bias, beta));
};

function plusBias(node: NodeContext, product: Dynamic, bias: Value, beta: number): Value {
  const scaled = beta === 1 ? bias : combine(node, BINARY.mul, bias, constant([], [beta]));
  return combine(node, BINARY.add, product, scaled);
}

function transposedMatrix(node: NodeContext, value: Value): Value {
  const strides = stridesOf(value.dims);
  const batchAxis = value.kind === "dynamic" && value.batchAxis >= 0 ? 1 - value.batchAxis : -1;
  return rearrange(node, value, [value.dims[1], value.dims[0]], [strides[1], strides[0]], 0, batchAxis);
}

const matmul: Operator = (node) => {
  node.allow();
  const a = node.input(0);
  const b = node.input(1);
  if (a.kind === "dynamic" && b.kind === "constant" && b.dims.length === 2 && a.dims.length >= 1) {
    node.set(dense(node, a, weightsOf(b, false), null));
    return;
  }
  node.set(multiply(node, a, b));
};

/** The product of two tensors of which at least one is computed (ONNX MatMul, numpy.matmul). */
function multiply(node: NodeContext, left: Value, right: Value): Dynamic {
  const a = left.dims.length === 1 ? [1, ...left.dims] : left.dims;
  const b = right.dims.length === 1 ? [...right.dims, 1] : right.dims;
  if (a.length < 2 || b.length < 2) node.refuse("a scalar operand", "matrices");
  const [m, k] = a.slice(-2);
  const [inner, n] = b.slice(-2);
  if (k !== inner)
    node.refuse(`shapes [${left.dims.join(",")}] and [${right.dims.join(",")}]`, "matrices that multiply");
  const lead = broadcastDims(node, a.slice(0, -2), b.slice(0, -2));
  const batches = sizeOf(lead);
  const dims = [...lead, ...(left.dims.length === 1 ? [] : [m]), ...(right.dims.length === 1 ? [] : [n])];
  const batchAxis = productBatchAxis(node, left, right, lead.length);
  const whole = (value: Value, matrix: readonly number[]): { place: Reference; stride: number } => {
    const size = matrix[0] * matrix[1];
    if (sizeOf(value.dims) === size) return { place: node.place(value), stride: 0 };
    return { place: node.place(node.expand(value, [...lead, ...matrix])), stride: size };
  };
  const from = whole(left, [m, k]);
  const turned = right.kind === "dynamic" && sizeOf(right.dims) === k * n ? right.transposed : undefined;
  const by = turned === undefined ? whole(right, [k, n]) : whole(turned, [n, k]);
  const made = node.make(dims, batchAxis);
  node.emit(OP.matmul, made.to, { a: from.place, b: by.place }, [
    batches,
    m,
    k,
    n,
    from.stride,
    by.stride,
    turned === undefined ? 0 : 1,
  ]);
  return made;
}

function productBatchAxis(node: NodeContext, left: Value, right: Value, lead: number): number {
  const axisOf = (value: Value): number => {
    if (value.kind === "constant" || value.batchAxis < 0) return -1;
    const fromEnd = value.dims.length - value.batchAxis;
    return fromEnd > 2 ? lead + 2 - fromEnd : lead + (2 - fromEnd);
  };
  const leftRank = left.dims.length;
  const rightRank = right.dims.length;
  const a = axisOf(left);
  const b = axisOf(right);
  const summed =
    (left.kind === "dynamic" && left.batchAxis === leftRank - 1) ||
    (right.kind === "dynamic" &&
      right.batchAxis === Math.max(0, rightRank - 2) &&
      right.batchAxis >= 0 &&
      rightRank <= 2);
  if (summed || (a >= 0 && b >= 0 && (a !== b || a >= lead))) {
    node.refuse("a product over the batch", "rows that do not meet");
  }
  return a >= 0 ? a : b;
}

const conv: Operator = (node: NodeContext) => {
  node.allow("auto_pad", "dilations", "group", "kernel_shape", "pads", "strides");
  const x = node.input(0);
  const w = node.constantInput(1, "kernel");
  const bias = node.optionalConstant(2, "bias");
  const spatial = x.dims.length - 2;
  if (x.kind !== "dynamic" || spatial < 1 || spatial > 2 || w.dims.length !== x.dims.length) {
    node.refuse(
      `shapes [${x.dims.join(",")}] and [${w.dims.join(",")}]`,
      "a 1- or 2-dimensional convolution",
    );
  }
  if (x.dims[0] !== 1) node.refuse(`${x.dims[0]} images`, "one for each row");
  const group = node.int("group", 1);
  const [outputs, channels, ...kernel] = w.dims;
  if (!(group >= 1) || channels * group !== x.dims[1] || outputs % group !== 0) {
    node.refuse(`${x.dims[1]} channels for ${group} groups of ${channels}`, "channels that fit");
  }
  if (bias !== null && (bias.dims.length !== 1 || bias.dims[0] !== outputs)) {
    node.refuse(`a bias of shape [${bias.dims.join(",")}]`, `[${outputs}]`);
  }
  const each = (name: string): number[] => {
    const list = node.ints(name) ?? kernel.map(() => 1);
    if (list.length !== spatial || !list.every((value) => value >= 1))
      node.refuse(`${name} [${list.join(",")}]`, "positive counts");
    return [...list];
  };
  const strides = each("strides");
  const dilations = each("dilations");
  const reach = kernel.map((size, i) => (size - 1) * dilations[i] + 1);
  const pads = convolutionPads(node, x.dims.slice(2), reach, strides);
  const around = [0, 0, ...pads.slice(0, spatial), 0, 0, ...pads.slice(spatial)];
  const field = (value: Dynamic): Dynamic => {
    const wide = padded(node, value, around, 0);
    return wide.kind === "dynamic" ? wide : node.refuse("a constant", "a computed tensor");
  };
  const out = x.dims
    .slice(2)
    .map((dim, i) => Math.floor((dim + pads[i] + pads[spatial + i] - reach[i]) / strides[i]) + 1);
  if (!out.every((dim) => dim >= 1)) node.refuse(`an output of [${out.join(",")}]`, "one position or more");
  const source = field(x.quantised === undefined ? x : x.quantised.source);
  const made = node.make([1, outputs, ...out], x.batchAxis);
  const step = stridesOf(source.dims);
  const perGroup = outputs / group;
  const inputs = channels * sizeOf(kernel);
  const positions = sizeOf(out);
  const toStrides = [...stridesOf([outputs, ...out]).slice(1), positions];
  for (let g = 0; g < group; g += 1) {
    const patches = rearrange(
      node,
      source,
      [...out, channels, ...kernel],
      [...strides.map((s, i) => s * step[2 + i]), step[1], ...dilations.map((d, i) => d * step[2 + i])],
      g * channels * step[1],
      -1,
    );
    if (patches.kind !== "dynamic") node.refuse("a constant", "a computed tensor");
    const rows: Dynamic = {
      ...at([positions, inputs], -1, patches.place()),
      ...(x.quantised === undefined
        ? {}
        : { quantised: { source: at([positions, inputs], -1, patches.place()), how: x.quantised.how } }),
    };
    const part = weightsOf(groupOf(w, g, perGroup, inputs), true);
    const addend =
      bias === null
        ? null
        : {
            place: node.program.constant(
              Float32Array.from({ length: perGroup }, (_, i) => bias.data[g * perGroup + i]),
            ),
            shared: true,
          };
    const plain =
      x.quantised === undefined || part.levels !== null
        ? rows
        : { ...rows, place: dequantised(node, x, rows) };
    const product = dense(node, plain, part, addend);
    const to = made.to + g * perGroup * positions * 4;
    node.copy(to, toStrides, product.place(), stridesOf([...out, perGroup]), [...out, perGroup]);
  }
  node.set(made);
};

/** Patches of a quantised tensor whose kernel is not: the patches carry the rounding of the levels. */
function dequantised(node: NodeContext, x: Dynamic, rows: Dynamic): () => Reference {
  const how = x.quantised?.how;
  if (how === undefined) return rows.place;
  const divided = combine(node, BINARY.div, rows, constant([], [how.scale]));
  const rounded = apply(node, UNARY.round, divided);
  const clipped = apply(node, UNARY.clip, rounded, how.low - how.zeroPoint, how.high - how.zeroPoint);
  return apply(node, UNARY.affine, clipped, how.scale, 0).place;
}

/** Kernels of one group as a matrix `[outputs, inputs]`. */
function groupOf(w: Constant, g: number, perGroup: number, inputs: number): Constant {
  const start = g * perGroup * inputs;
  const end = start + perGroup * inputs;
  const matrix = constant([perGroup, inputs], Array.prototype.slice.call(w.data, start, end));
  const { quantised } = w;
  if (quantised === undefined || quantised.axis > 0) return matrix;
  const scales =
    quantised.axis < 0 ? quantised.scales : quantised.scales.slice(g * perGroup, (g + 1) * perGroup);
  return {
    ...matrix,
    quantised: { levels: quantised.levels.slice(start, end), scales, axis: quantised.axis },
  };
}

function convolutionPads(
  node: NodeContext,
  dims: readonly number[],
  reach: readonly number[],
  strides: readonly number[],
): number[] {
  const mode = node.text("auto_pad", "NOTSET");
  if (mode === "VALID") return dims.flatMap(() => [0, 0]);
  if (mode === "NOTSET") {
    const pads = node.ints("pads") ?? dims.flatMap(() => [0, 0]);
    if (pads.length !== 2 * dims.length || !pads.every((count) => count >= 0)) {
      node.refuse(`pads [${pads.join(",")}]`, `${2 * dims.length} counts of 0 and above`);
    }
    return [...pads];
  }
  if (mode !== "SAME_UPPER" && mode !== "SAME_LOWER")
    node.refuse(`auto_pad ${mode}`, "NOTSET, VALID or SAME");
  const totals = dims.map((dim, i) =>
    Math.max(0, (Math.ceil(dim / strides[i]) - 1) * strides[i] + reach[i] - dim),
  );
  const small = totals.map((total) => Math.floor(total / 2));
  const large = totals.map((total, i) => total - small[i]);
  return mode === "SAME_UPPER" ? [...small, ...large] : [...large, ...small];
}

export const LINEAR: Readonly<Record<string, Operator>> = { Gemm: gemm, MatMul: matmul, Conv: conv };
