import type { NodeContext, Operator } from "../lowering.ts";
import { constant, sizeOf } from "../value.ts";
import { reshaped, view } from "./rearrange.ts";

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

const identity: Operator = (node) => {
  node.set(node.input(0));
};

/** Operators after which the same elements stand under another shape, or the same. */
export const SHAPE: Readonly<Record<string, Operator>> = {
  Reshape: reshape,
  Flatten: flatten,
  Squeeze: squeeze,
  Unsqueeze: unsqueeze,
  Identity: identity,
  Dropout: identity,
};
