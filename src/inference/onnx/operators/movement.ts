import { OP, type Reference, shift } from "../../cpu/program.ts";
import type { NodeContext, Operator } from "../lowering.ts";
import { eachOffset } from "../lowering.ts";
import {
  type Constant,
  constant,
  cutRuns,
  type Dynamic,
  once,
  type Run,
  sizeOf,
  stridesOf,
  type Value,
} from "../value.ts";
import { broadcastDims, joinedBatchAxis } from "./elementwise.ts";
import { liesTogether, rearrange, view } from "./rearrange.ts";

const transpose: Operator = (node) => {
  node.allow("perm");
  const value = node.input(0);
  const rank = value.dims.length;
  const order = node.ints("perm") ?? value.dims.map((_, axis) => rank - 1 - axis);
  if (
    order.length !== rank ||
    new Set(order).size !== rank ||
    !order.every((axis) => axis >= 0 && axis < rank)
  ) {
    node.refuse(`perm [${order.join(",")}]`, `an order of ${rank} dimensions`);
  }
  const strides = stridesOf(value.dims);
  const dims = order.map((axis) => value.dims[axis]);
  const toStrides = order.map((axis) => strides[axis]);
  const batchAxis = value.kind === "dynamic" ? order.indexOf(value.batchAxis) : -1;
  const swapped = order.every((axis, at) => axis === (at < rank - 2 ? at : 2 * rank - 3 - at));
  if (swapped && rank >= 2 && Math.min(...dims.slice(-2)) > 1 && value.kind === "dynamic") {
    const place = once(() => node.place(rearrange(node, value, dims, toStrides, 0, batchAxis)));
    node.set({ kind: "dynamic", dims, batchAxis, place, transposed: value });
    return;
  }
  const moved = rearrange(node, value, dims, toStrides, 0, batchAxis);
  node.set(
    value.kind === "constant" && moved.kind === "constant"
      ? withLevels(value, moved, order, toStrides)
      : moved,
  );
};

/** A transposed constant keeps its 8-bit form. */
function withLevels(
  value: Constant,
  moved: Constant,
  order: readonly number[],
  strides: readonly number[],
): Constant {
  const { quantised } = value;
  if (quantised === undefined) return moved;
  const levels = new Int8Array(quantised.levels.length);
  eachOffset(moved.dims, strides, (index, from) => {
    levels[index] = quantised.levels[from];
  });
  const axis = quantised.axis < 0 ? -1 : order.indexOf(quantised.axis);
  return { ...moved, quantised: { levels, scales: quantised.scales, axis } };
}

const slice: Operator = (node) => {
  node.allow("starts", "ends", "axes");
  const value = node.input(0);
  const rank = value.dims.length;
  const list = (index: number, name: string): number[] | null => {
    const attribute = node.ints(name);
    if (attribute !== null) return [...attribute];
    const operand = node.optionalConstant(index, name);
    return operand === null ? null : node.integers(operand, name);
  };
  const starts = list(1, "starts") ?? node.refuse("no starts", "starts");
  const ends = list(2, "ends") ?? node.refuse("no ends", "ends");
  const axes = list(3, "axes") ?? starts.map((_, axis) => axis);
  const steps = list(4, "steps") ?? starts.map(() => 1);
  if (ends.length !== starts.length || axes.length !== starts.length || steps.length !== starts.length) {
    node.refuse("starts, ends, axes and steps of different lengths", "one length");
  }
  const own = stridesOf(value.dims);
  const dims = [...value.dims];
  const strides = [...own];
  let offset = 0;
  for (const [i, listed] of axes.entries()) {
    const axis = node.axis(listed, rank);
    const dim = value.dims[axis];
    const step = steps[i];
    if (step === 0) node.refuse("step 0", "another step");
    const place = (position: number, low: number, high: number): number =>
      Math.min(Math.max(position < 0 ? position + dim : position, low), high);
    const start = step > 0 ? place(starts[i], 0, dim) : place(starts[i], 0, dim - 1);
    const end = step > 0 ? place(ends[i], 0, dim) : place(ends[i], -1, dim - 1);
    dims[axis] = Math.max(0, Math.ceil((end - start) / step));
    strides[axis] = own[axis] * step;
    offset += start * own[axis];
    const whole = dims[axis] === dim && step === 1;
    if (value.kind === "dynamic" && !whole) node.notBatch(axis, value);
  }
  const part = rearrange(node, value, dims, strides, offset, value.kind === "dynamic" ? value.batchAxis : -1);
  const runs = value.kind === "dynamic" && liesTogether(dims, strides) ? value.runs : undefined;
  if (runs === undefined || part.kind === "constant") node.set(part);
  else node.set({ ...part, runs: cutRuns(runs, offset, sizeOf(dims)) });
};

const split: Operator = (node) => {
  node.allow("axis", "split", "num_outputs");
  const value = node.input(0);
  const axis = node.axis(node.int("axis", 0), value.dims.length);
  if (value.kind === "dynamic") node.notBatch(axis, value);
  const parts = node.node.outputs.length;
  const dim = value.dims[axis];
  const operand = node.optionalConstant(1, "split");
  const listed = node.ints("split") ?? (operand === null ? null : node.integers(operand, "split"));
  const even = Math.ceil(dim / parts);
  const sizes = listed ?? Array.from({ length: parts }, (_, i) => Math.min(even, dim - even * i));
  if (
    sizes.length !== parts ||
    !sizes.every((size) => size >= 1) ||
    sizeOf([sizes.reduce((a, b) => a + b, 0)]) !== dim
  ) {
    node.refuse(`parts of [${sizes.join(",")}] for ${parts} outputs`, `parts that add up to ${dim}`);
  }
  const strides = stridesOf(value.dims);
  let start = 0;
  for (const [i, size] of sizes.entries()) {
    const dims = value.dims.map((each, other) => (other === axis ? size : each));
    const batchAxis = value.kind === "dynamic" ? value.batchAxis : -1;
    node.set(rearrange(node, value, dims, strides, start * strides[axis], batchAxis), i);
    start += size;
  }
};

const concat: Operator = (node) => {
  node.allow("axis");
  const values = node.node.inputs.map((_, index) => node.input(index));
  const first = values[0] ?? node.refuse("no inputs", "one or more");
  const rank = first.dims.length;
  const axis = node.axis(node.int("axis", 0), rank);
  let length = 0;
  for (const value of values) {
    const fits =
      value.dims.length === rank && value.dims.every((dim, i) => i === axis || dim === first.dims[i]);
    if (!fits)
      node.refuse(`shapes [${first.dims.join(",")}] and [${value.dims.join(",")}]`, "shapes that join");
    if (value.kind === "dynamic") node.notBatch(axis, value);
    length += value.dims[axis];
  }
  const dims = first.dims.map((dim, i) => (i === axis ? length : dim));
  const strides = stridesOf(dims);
  if (values.every((value): value is Constant => value.kind === "constant")) {
    node.program.fold(node.checkSize(dims));
    const data = new Float64Array(sizeOf(dims));
    let start = 0;
    for (const value of values) {
      eachOffset(value.dims, strides, (index, offset) => {
        data[start * strides[axis] + offset] = value.data[index];
      });
      start += value.dims[axis];
    }
    node.set(constant(dims, data));
    return;
  }
  const batchAxis = joinedBatchAxis(node, values, dims);
  node.checkSize(dims);
  const place = once(() => {
    const made = node.make(dims, batchAxis);
    let start = 0;
    for (const value of values) {
      const to: Reference = shift(made.to, start * strides[axis]);
      node.copy(to, strides, node.place(value), stridesOf(value.dims), value.dims);
      start += value.dims[axis];
    }
    return made.to;
  });
  const computed = values.filter((value): value is Dynamic => value.kind === "dynamic");
  const outermost = sizeOf(dims.slice(0, axis)) === 1 && computed.length === values.length;
  const runs = computed.map((of) => ({ of, offset: 0, length: sizeOf(of.dims) }));
  node.set({ kind: "dynamic", dims, batchAxis, place, ...(outermost ? { runs } : {}) });
};

const expand: Operator = (node) => {
  node.allow();
  const value = node.input(0);
  const listed = node.integers(node.constantInput(1, "shape"), "a shape");
  const dims = broadcastDims(node, value.dims, listed);
  const batchAxis = joinedBatchAxis(node, [value], dims);
  const expanded = node.expand(value, dims);
  node.set(expanded.kind === "constant" ? constant(dims, expanded.data) : view(expanded, dims, batchAxis, 0));
};

/** Rows that a tensor of runs can be asked for one by one. */
const GATHERED_ROWS_MAX = 16;

/** Where each of a few rows lies, when the tensor is made of runs and none of the rows is cut by their ends. */
function rowsOfRuns({ runs }: Dynamic, places: readonly number[], width: number): Run[] | null {
  if (runs === undefined || places.length > GATHERED_ROWS_MAX) return null;
  const rows = places.map((place) => cutRuns(runs, place * width, width));
  return rows.every((row) => row.length === 1) ? rows.flat() : null;
}

const gather: Operator = (node) => {
  node.allow("axis");
  const value = node.input(0);
  const indices = node.constantInput(1, "indices");
  const axis = node.axis(node.int("axis", 0), value.dims.length);
  if (value.kind === "dynamic") node.notBatch(axis, value);
  const dim = value.dims[axis];
  const places = node.integers(indices, "indices").map((index) => node.axis(index, dim));
  const inner = value.dims.slice(axis + 1);
  const outer = value.dims.slice(0, axis);
  const dims = [...outer, ...indices.dims, ...inner];
  const from = stridesOf(value.dims);
  const batch = value.kind === "dynamic" ? value.batchAxis : -1;
  const batchAxis = batch > axis ? batch + indices.dims.length - 1 : batch;
  if (value.kind === "constant") {
    const data: number[] = [];
    for (let o = 0; o < sizeOf(outer); o += 1) {
      for (const place of places) {
        const start = (o * dim + place) * sizeOf(inner);
        for (let i = 0; i < sizeOf(inner); i += 1) data.push(value.data[start + i]);
      }
    }
    node.set(constant(dims, data));
    return;
  }
  if (places.length === 1) {
    const without = [...from.slice(0, axis), ...indices.dims.map(() => 0), ...from.slice(axis + 1)];
    node.set(rearrange(node, value, dims, without, places[0] * from[axis], batchAxis));
    return;
  }
  const made = node.make(dims, batchAxis);
  const rows = sizeOf(outer) === 1 ? rowsOfRuns(value, places, sizeOf(inner)) : null;
  if (rows !== null) {
    for (const [at, { of, offset, length }] of rows.entries()) {
      node.emit(OP.copy, shift(made.to, at * length), { a: shift(of.place(), offset) }, [length]);
    }
    node.set(made);
    return;
  }
  const table = node.program.constant(Int32Array.from(places)) >> 2;
  node.emit(OP.gather, made.to, { a: value.place() }, [
    sizeOf(outer),
    places.length,
    sizeOf(inner),
    dim,
    table,
  ]);
  node.set(made);
};

/** Constant padding, by copying into a tensor that was filled before. */
const pad: Operator = (node) => {
  node.allow("mode", "pads", "value");
  if (node.text("mode", "constant") !== "constant") node.refuse(`mode ${node.text("mode", "")}`, "constant");
  const value = node.input(0);
  const operand = node.optionalConstant(1, "pads");
  const pads =
    node.ints("pads") ?? (operand === null ? node.refuse("no pads", "pads") : node.integers(operand, "pads"));
  const fill = node.optionalConstant(2, "value")?.data[0] ?? node.float("value", 0);
  if (node.optional(3) !== null) node.refuse("axes", "pads for all dimensions");
  node.set(padded(node, value, pads, fill));
};

/** The value with `pads[axis]` elements before and `pads[rank + axis]` after it on every axis. */
export function padded(node: NodeContext, value: Value, pads: readonly number[], fill: number): Value {
  const rank = value.dims.length;
  if (pads.length !== 2 * rank || !pads.every((count) => Number.isInteger(count) && count >= 0)) {
    node.refuse(`pads [${pads.join(",")}]`, `${2 * rank} counts of 0 and above`);
  }
  if (pads.every((count) => count === 0)) return value;
  const dims = value.dims.map((dim, axis) => dim + pads[axis] + pads[rank + axis]);
  const batchAxis = value.kind === "dynamic" ? value.batchAxis : -1;
  if (batchAxis >= 0 && dims[batchAxis] !== 1) node.refuse("padding of the batch", "rows that do not meet");
  const made = node.make(dims, batchAxis);
  const strides = stridesOf(dims);
  node.emit(OP.fill, made.to, {}, [sizeOf(dims), fill]);
  const offset = strides.reduce((sum, stride, axis) => sum + stride * pads[axis], 0);
  node.copy(shift(made.to, offset), strides, node.place(value), stridesOf(value.dims), value.dims);
  return made;
}

/** Operators that take elements from where they are to other places. */
export const MOVEMENT: Readonly<Record<string, Operator>> = {
  Transpose: transpose,
  Slice: slice,
  Split: split,
  Concat: concat,
  Expand: expand,
  Gather: gather,
  Pad: pad,
};
