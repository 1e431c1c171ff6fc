import { BINARY, NONE, OP, REDUCE, UNARY } from "../../cpu/program.ts";
import type { NodeContext, Operator } from "../lowering.ts";
import { constant, type Dynamic, sizeOf, type Value } from "../value.ts";
import { apply, combine } from "./elementwise.ts";
import { reshaped } from "./rearrange.ts";

function computed(node: NodeContext, value: Value): Dynamic {
  return value.kind === "dynamic" ? value : node.refuse("a constant operand", "a computed one");
}

const softmax: Operator = (node) => {
  node.allow("axis");
  const value = computed(node, node.input(0));
  const rank = value.dims.length;
  const axis = node.axis(node.int("axis", node.opset >= 13 ? -1 : 1), rank);
  node.notBatch(axis, value);
  const outer = sizeOf(value.dims.slice(0, axis));
  // Before opset 13 the operator worked on all dimensions from `axis` on together.
  const n = node.opset >= 13 ? value.dims[axis] : sizeOf(value.dims.slice(axis));
  const inner = node.opset >= 13 ? sizeOf(value.dims.slice(axis + 1)) : 1;
  const made = node.make(value.dims, value.batchAxis);
  node.emit(OP.softmax, made.to, { a: value.place() }, [outer, n, inner]);
  node.set(made);
};

const layerNormalization: Operator = (node) => {
  node.allow("axis", "epsilon", "stash_type");
  const value = computed(node, node.input(0));
  const axis = node.axis(node.int("axis", -1), value.dims.length);
  if (value.batchAxis >= axis) node.refuse("normalisation over the batch", "rows that do not meet");
  const outer = sizeOf(value.dims.slice(0, axis));
  const n = sizeOf(value.dims.slice(axis));
  const operand = (index: number): number => {
    const part = node.optional(index);
    if (part === null) return NONE;
    if (sizeOf(part.dims) !== n) node.refuse(`operand ${index} of ${sizeOf(part.dims)}`, `${n} numbers`);
    return node.place(part);
  };
  const b = operand(1);
  const c = operand(2);
  const epsilon = node.float("epsilon", 1e-5);
  const made = node.make(value.dims, value.batchAxis);
  node.emit(OP.norm, made.to, { a: value.place(), b, c }, [outer, n, epsilon]);
  node.set(made);
  if (!node.wants(1) && !node.wants(2)) return;
  const kept = value.dims.map((dim, i) => (i < axis ? dim : 1));
  const mean = reduce(node, value, axis, value.dims.length, REDUCE.mean, kept);
  node.set(mean, 1);
  const centred = combine(node, BINARY.sub, value, mean);
  const squares = combine(node, BINARY.mul, centred, centred);
  const variance = reduce(node, computed(node, squares), axis, value.dims.length, REDUCE.mean, kept);
  const deviation = apply(node, UNARY.sqrt, apply(node, UNARY.affine, variance, 1, epsilon));
  node.set(combine(node, BINARY.div, constant([], [1]), deviation), 2);
};

/** Reduces the axes from `first` up to `end`. */
function reduce(
  node: NodeContext,
  value: Dynamic,
  first: number,
  end: number,
  kind: number,
  dims: readonly number[],
): Dynamic {
  const outer = sizeOf(value.dims.slice(0, first));
  const n = sizeOf(value.dims.slice(first, end));
  const inner = sizeOf(value.dims.slice(end));
  const made = node.make(dims, value.batchAxis);
  node.emit(OP.reduce, made.to, { a: value.place() }, [outer, n, inner, kind]);
  return made;
}

const reducing =
  (kind: number): Operator =>
  (node) => {
    node.allow("axes", "keepdims", "noop_with_empty_axes");
    const value = computed(node, node.input(0));
    const rank = value.dims.length;
    const operand = node.optionalConstant(1, "axes");
    const listed = node.ints("axes") ?? (operand === null ? [] : node.integers(operand, "axes"));
    if (listed.length === 0) node.refuse("no axes", "the axes to reduce");
    const axes = [...new Set(listed.map((axis) => node.axis(axis, rank)))].sort((a, b) => a - b);
    for (const [i, axis] of axes.entries()) {
      node.notBatch(axis, value);
      if (axis !== axes[0] + i) node.refuse(`axes [${axes.join(",")}]`, "axes that lie together");
    }
    const kept = value.dims.map((dim, axis) => (axes.includes(axis) ? 1 : dim));
    const made = reduce(node, value, axes[0], axes[0] + axes.length, kind, kept);
    if (node.int("keepdims", 1) === 1) {
      node.set(made);
      return;
    }
    node.set(
      reshaped(
        node,
        made,
        kept.filter((_, axis) => !axes.includes(axis)),
      ),
    );
  };

export const NORMALISE: Readonly<Record<string, Operator>> = {
  Softmax: softmax,
  LayerNormalization: layerNormalization,
  ReduceSum: reducing(REDUCE.sum),
  ReduceMean: reducing(REDUCE.mean),
  ReduceMax: reducing(REDUCE.max),
};
