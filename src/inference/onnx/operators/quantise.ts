import { BINARY, UNARY } from "../../cpu/program.ts";
import type { NodeContext, Operator } from "../lowering.ts";
import {
  type Constant,
  constant,
  type Dynamic,
  once,
  type Quantisation,
  sizeOf,
  type Value,
} from "../value.ts";
import { apply, combine } from "./elementwise.ts";

interface Scale {
  readonly scales: Float32Array;
  readonly zeroPoints: ArrayLike<number>;
  /** -1: one scale for all. */
  readonly axis: number;
  readonly low: number;
  readonly high: number;
}

function scaleOf(node: NodeContext, value: Value): Scale {
  const scale = node.constantInput(1, "scale");
  const zero = node.optionalConstant(2, "zero point");
  const scales = Float32Array.from(scale.data);
  if (!scales.every((each) => each > 0 && Number.isFinite(each)))
    node.refuse("a scale that is not positive", "positive scales");
  const zeroPoints = zero?.data ?? new Uint8Array(scales.length);
  if (zeroPoints.length !== scales.length)
    node.refuse(`${zeroPoints.length} zero points`, `${scales.length}`);
  const whole = scales.length === 1;
  const axis = whole ? -1 : node.axis(node.int("axis", 1), value.dims.length);
  if (!whole && value.dims[axis] !== scales.length) {
    node.refuse(`${scales.length} scales for dimension ${value.dims[axis]}`, "a scale for each");
  }
  const signed = zeroPoints instanceof Int8Array;
  if (!signed && !(zeroPoints instanceof Uint8Array) && !(zeroPoints instanceof Int32Array)) {
    node.refuse("levels of another type", "int8, uint8, or int32 to dequantise");
  }
  return { scales, zeroPoints, axis, low: signed ? -128 : 0, high: signed ? 127 : 255 };
}

/** A vector along `axis`, shaped so that it broadcasts over `value`. */
function along(value: Value, axis: number, data: ArrayLike<number>): Constant {
  if (axis < 0) return constant([], data);
  return constant(
    value.dims.map((dim, i) => (i === axis ? dim : 1)),
    data,
  );
}

/** Rounds half to even, as ONNX's QuantizeLinear does. */
function roundEven(value: number): number {
  const down = Math.floor(value);
  const rest = value - down;
  if (rest !== 0.5) return Math.round(value);
  return down % 2 === 0 ? down : down + 1;
}

const quantizeLinear: Operator = (node) => {
  node.allow("axis", "saturate", "output_dtype", "block_size");
  if (node.int("block_size", 0) !== 0)
    node.refuse("scales by block", "one scale, or one for each index of an axis");
  const value = node.input(0);
  const { scales, zeroPoints, axis, low, high } = scaleOf(node, value);
  if (zeroPoints instanceof Int32Array) node.refuse("32-bit levels", "8-bit levels");
  if (value.kind === "constant") {
    node.set(quantisedConstant(node, value, scales, zeroPoints, axis, low, high));
    return;
  }
  const place = once(() => {
    const divided = combine(node, BINARY.div, value, along(value, axis, scales));
    const rounded = apply(node, UNARY.round, divided);
    const moved = combine(node, BINARY.add, rounded, along(value, axis, zeroPoints));
    return apply(node, UNARY.clip, moved, low, high).place();
  });
  const how: Quantisation = { scale: scales[0], zeroPoint: zeroPoints[0], low, high };
  const levels: Dynamic = { kind: "dynamic", dims: value.dims, batchAxis: value.batchAxis, place };
  node.set(axis < 0 ? { ...levels, levels: { source: value, how } } : levels);
};

function quantisedConstant(
  node: NodeContext,
  value: Constant,
  scales: Float32Array,
  zeroPoints: ArrayLike<number>,
  axis: number,
  low: number,
  high: number,
): Constant {
  const inner = axis < 0 ? 1 : sizeOf(value.dims.slice(axis + 1));
  const total = node.checkSize(value.dims);
  const levels = low < 0 ? new Int8Array(total) : new Uint8Array(total);
  for (let i = 0; i < total; i += 1) {
    const channel = axis < 0 ? 0 : Math.floor(i / inner) % scales.length;
    const level = roundEven(value.data[i] / scales[channel]) + zeroPoints[channel];
    levels[i] = Math.min(Math.max(level, low), high);
  }
  return constant(value.dims, levels);
}

const dequantizeLinear: Operator = (node) => {
  node.allow("axis", "block_size");
  if (node.int("block_size", 0) !== 0)
    node.refuse("scales by block", "one scale, or one for each index of an axis");
  const value = node.input(0);
  const { scales, zeroPoints, axis, low, high } = scaleOf(node, value);
  if (value.kind === "constant") {
    node.set(dequantisedConstant(node, value, scales, zeroPoints, axis));
    return;
  }
  const place = once(() => {
    const centred = combine(node, BINARY.sub, value, along(value, axis, zeroPoints));
    return node.place(combine(node, BINARY.mul, centred, along(value, axis, scales)));
  });
  const plain: Dynamic = { kind: "dynamic", dims: value.dims, batchAxis: value.batchAxis, place };
  const how = value.levels?.how;
  const inverse =
    axis < 0 &&
    how?.scale === scales[0] &&
    how.zeroPoint === zeroPoints[0] &&
    how.low === low &&
    how.high === high;
  node.set(inverse && value.levels !== undefined ? { ...plain, quantised: value.levels } : plain);
};

function dequantisedConstant(
  node: NodeContext,
  value: Constant,
  scales: Float32Array,
  zeroPoints: ArrayLike<number>,
  axis: number,
): Constant {
  const inner = axis < 0 ? 1 : sizeOf(value.dims.slice(axis + 1));
  const total = node.checkSize(value.dims);
  const data = new Float32Array(total);
  for (let i = 0; i < total; i += 1) {
    const channel = axis < 0 ? 0 : Math.floor(i / inner) % scales.length;
    data[i] = (value.data[i] - zeroPoints[channel]) * scales[channel];
  }
  const centred = Array.from(zeroPoints).every((zero) => zero === 0);
  if (!(value.data instanceof Int8Array) || !centred) return constant(value.dims, data);
  return { ...constant(value.dims, data), quantised: { levels: value.data, scales, axis } };
}

export const QUANTISE: Readonly<Record<string, Operator>> = {
  QuantizeLinear: quantizeLinear,
  DequantizeLinear: dequantizeLinear,
};
