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

/**
 * The elements of `value` read with `strides` from `offset`, in the shape `dims`: a view where they lie together, a copy
 * where not.
 */
export function rearrange(
  node: NodeContext,
  value: Value,
  dims: readonly number[],
  strides: readonly number[],
  offset: number,
  batchAxis: number,
): Value {
  const total = node.checkSize(dims);
  const reach = (sign: number): number =>
    dims.reduce((sum, dim, axis) => sum + Math.max(0, sign * (dim - 1) * strides[axis]) * sign, offset);
  if (reach(-1) < 0 || reach(1) >= sizeOf(value.dims)) {
    node.refuse(
      `a part of shape [${dims.join(",")}] of [${value.dims.join(",")}]`,
      "a part that lies within",
    );
  }
  if (value.kind === "constant") {
    node.program.fold(total);
    const data = new Float64Array(total);
    eachOffset(dims, strides, (index, from) => {
      data[index] = value.data[offset + from];
    });
    return constant(dims, data);
  }
  const own = stridesOf(dims);
  if (liesTogether(dims, strides)) return view(value, dims, batchAxis, offset);
  const made = node.make(dims, batchAxis);
  node.copy(made.to, own, shift(value.place(), offset), strides, dims);
  return made;
}

function liesTogether(dims: readonly number[], strides: readonly number[]): boolean {
  const own = stridesOf(dims);
  return dims.every((dim, axis) => dim === 1 || strides[axis] === own[axis]);
}

/** The same floats under another shape, `offset` floats on. */
function view(value: Dynamic, dims: readonly number[], batchAxis: number, offset: number): Dynamic {
  const whole = offset === 0 && sizeOf(dims) === sizeOf(value.dims);
  const carried = whole
    ? {
        ...(value.quantised === undefined ? {} : { quantised: value.quantised }),
        ...(value.levels === undefined ? {} : { levels: value.levels }),
      }
    : {};
  return { kind: "dynamic", dims, batchAxis, place: () => shift(value.place(), offset), ...carried };
}

/** The value under another shape of the same size. The batch stays the dimension with as many elements before it. */
export function reshaped(node: NodeContext, value: Value, dims: readonly number[]): Value {
  if (sizeOf(dims) !== sizeOf(value.dims)) {
    node.refuse(`shape [${dims.join(",")}] for [${value.dims.join(",")}]`, "as many elements");
  }
  if (value.kind === "constant") return constant(dims, value.data);
  if (value.batchAxis < 0) return view(value, dims, -1, 0);
  const before = sizeOf(value.dims.slice(0, value.batchAxis));
  const fits = (axis: number): boolean => dims[axis] === 1 && sizeOf(dims.slice(0, axis)) === before;
  const places = dims.map((_, axis) => axis).filter(fits);
  const batchAxis = places.includes(value.batchAxis) ? value.batchAxis : places[0];
  if (batchAxis === undefined)
    node.refuse("a shape that joins the batch with another dimension", "the batch kept");
  return view(value, dims, batchAxis, 0);
}

const reshape: Operator = (node) => {
  node.allow("allowzero", "shape");
  const value = node.input(0);
  const listed = node.ints("shape") ?? node.integers(node.constantInput(1, "shape"), "a shape");
  const keepZero = node.int("allowzero", 0) === 1;
  const dims = listed.map((dim, axis) => (dim === 0 && !keepZero ? (value.dims[axis] ?? 0) : dim));
  const open = dims.indexOf(-1);
  if (open >= 0) {
    const known = dims.reduce((product, dim, axis) => (axis === open ? product : product * dim), 1);
    dims[open] = sizeOf(value.dims) / known;
  }
  if (!dims.every((dim) => Number.isInteger(dim) && dim >= 1))
    node.refuse(`shape [${listed.join(",")}]`, "a shape that fits");
  node.set(reshaped(node, value, dims));
};

const flatten: Operator = (node) => {
  node.allow("axis");
  const value = node.input(0);
  const given = node.int("axis", 1);
  const axis = given === value.dims.length ? given : node.axis(given, value.dims.length);
  node.set(reshaped(node, value, [sizeOf(value.dims.slice(0, axis)), sizeOf(value.dims.slice(axis))]));
};

/** Axes from an attribute (before opset 13) or the second operand. */
function axesOf(node: NodeContext, rank: number): number[] | null {
  const operand = node.optionalConstant(1, "axes");
  const listed = node.ints("axes") ?? (operand === null ? null : node.integers(operand, "axes"));
  return listed === null ? null : listed.map((axis) => node.axis(axis, rank));
}

const squeeze: Operator = (node) => {
  node.allow("axes");
  const value = node.input(0);
  const batch = value.kind === "dynamic" ? value.batchAxis : -1;
  const all = value.dims.map((_, axis) => axis).filter((axis) => value.dims[axis] === 1 && axis !== batch);
  const axes = axesOf(node, value.dims.length) ?? all;
  for (const axis of axes) {
    if (value.dims[axis] !== 1) node.refuse(`dimension ${axis} of ${value.dims[axis]}`, "a dimension of 1");
    if (value.kind === "dynamic") node.notBatch(axis, value);
  }
  const kept = value.dims.map((_, axis) => axis).filter((axis) => !axes.includes(axis));
  const dims = kept.map((axis) => value.dims[axis]);
  node.set(
    value.kind === "constant" ? constant(dims, value.data) : view(value, dims, kept.indexOf(batch), 0),
  );
};

const unsqueeze: Operator = (node) => {
  node.allow("axes");
  const value = node.input(0);
  const listed = node.ints("axes") ?? node.integers(node.constantInput(1, "axes"), "axes");
  const rank = value.dims.length + listed.length;
  const axes = new Set(listed.map((axis) => node.axis(axis, rank)));
  if (axes.size !== listed.length || rank > 8)
    node.refuse(`axes [${listed.join(",")}]`, "distinct axes, rank at most 8");
  const dims: number[] = [];
  let batchAxis = -1;
  let from = 0;
  for (let axis = 0; axis < rank; axis += 1) {
    if (axes.has(axis)) {
      dims.push(1);
      continue;
    }
    if (value.kind === "dynamic" && from === value.batchAxis) batchAxis = axis;
    dims.push(value.dims[from]);
    from += 1;
  }
  node.set(value.kind === "constant" ? constant(dims, value.data) : view(value, dims, batchAxis, 0));
};

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

const identity: Operator = (node) => {
  node.set(node.input(0));
};

/** Casts of constants to whole numbers are carried out; computed tensors are f32 throughout. */
const cast: Operator = (node) => {
  node.allow("to", "saturate");
  const value = node.input(0);
  const to = node.int("to", 0);
  const FLOATS = [1, 11];
  const INTEGERS = [6, 7];
  if (FLOATS.includes(to)) node.set(value);
  else if (INTEGERS.includes(to) && value.kind === "constant") {
    node.set(constant(value.dims, Float64Array.from(value.data, Math.trunc)));
  } else node.refuse(`a cast to data type ${to}`, "float, or a constant to an integer");
};

/** The shape as the row sees it: the batch counts 1. */
const shape: Operator = (node) => {
  node.allow("start", "end");
  const { dims } = node.input(0);
  const part = dims.slice(node.int("start", 0), node.int("end", dims.length));
  node.set(constant([part.length], part));
};

const constantNode: Operator = (node) => {
  const { attributes } = node.node;
  const tensor = attributes.get("value")?.tensor;
  const float = attributes.get("value_float")?.float;
  const int = attributes.get("value_int")?.int;
  const list = attributes.get("value_floats")?.floats ?? attributes.get("value_ints")?.ints;
  if (tensor !== undefined && tensor !== null) node.set(constant(tensor.dims, tensor.data));
  else if (float !== undefined && float !== null) node.set(constant([], [float]));
  else if (int !== undefined && int !== null) node.set(constant([], [int]));
  else if (list !== undefined) node.set(constant([list.length], list));
  else node.refuse("no numbers", "value, value_float, value_floats, value_int or value_ints");
};

const constantOfShape: Operator = (node) => {
  node.allow("value");
  const dims = node.integers(node.constantInput(0, "shape"), "a shape");
  const tensor = node.node.attributes.get("value")?.tensor;
  const total = node.checkSize(dims);
  node.program.fold(total);
  node.set(constant(dims, new Float64Array(total).fill(tensor?.data[0] ?? 0)));
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

export const MOVEMENT: Readonly<Record<string, Operator>> = {
  Reshape: reshape,
  Flatten: flatten,
  Squeeze: squeeze,
  Unsqueeze: unsqueeze,
  Transpose: transpose,
  Slice: slice,
  Split: split,
  Concat: concat,
  Expand: expand,
  Gather: gather,
  Pad: pad,
  Identity: identity,
  Dropout: identity,
  Cast: cast,
  Shape: shape,
  Constant: constantNode,
  ConstantOfShape: constantOfShape,
};
