import { BINARY, type BinaryKind, NONE, OP, UNARY, type UnaryKind } from "../../cpu/program.ts";
import type { NodeContext, Operator } from "../lowering.ts";
import { broadcastStrides, eachOffset } from "../lowering.ts";
import { at, type Constant, constant, type Dynamic, once, sizeOf, type Value } from "../value.ts";

const BINARY_FUNCTIONS: Record<BinaryKind, (a: number, b: number) => number> = {
  [BINARY.add]: (a, b) => a + b,
  [BINARY.sub]: (a, b) => a - b,
  [BINARY.mul]: (a, b) => a * b,
  [BINARY.div]: (a, b) => a / b,
  [BINARY.min]: Math.min,
  [BINARY.max]: Math.max,
  [BINARY.equal]: (a, b) => Number(a === b),
  [BINARY.less]: (a, b) => Number(a < b),
  [BINARY.greater]: (a, b) => Number(a > b),
};

/** The shape both operands are broadcast to (ONNX, "Multidirectional Broadcasting"). */
export function broadcastDims(node: NodeContext, a: readonly number[], b: readonly number[]): number[] {
  const rank = Math.max(a.length, b.length);
  return Array.from({ length: rank }, (_, axis) => {
    const left = a[axis - (rank - a.length)] ?? 1;
    const right = b[axis - (rank - b.length)] ?? 1;
    if (left !== right && left !== 1 && right !== 1) {
      node.refuse(`shapes [${a.join(",")}] and [${b.join(",")}]`, "shapes that broadcast");
    }
    return left === 1 ? right : left;
  });
}

/** The batch axis of the result; refuses operands whose rows would meet. */
export function joinedBatchAxis(
  node: NodeContext,
  values: readonly Value[],
  dims: readonly number[],
): number {
  let joined = -1;
  for (const value of values) {
    if (value.kind === "constant" || value.batchAxis < 0) continue;
    const axis = value.batchAxis + dims.length - value.dims.length;
    if ((joined >= 0 && joined !== axis) || dims[axis] !== 1) {
      node.refuse("operands that mix the batch with another dimension", "the batch in the same place");
    }
    joined = axis;
  }
  return joined;
}

/** Emits `a kind b` with broadcasting, or computes it when both are constants. */
export function combine(node: NodeContext, kind: BinaryKind, a: Value, b: Value): Value {
  const dims = broadcastDims(node, a.dims, b.dims);
  const total = node.checkSize(dims);
  if (a.kind === "constant" && b.kind === "constant") return fold(node, kind, a, b, dims);
  const batchAxis = joinedBatchAxis(node, [a, b], dims);
  const scalar = (value: Value): boolean => total > 1 && sizeOf(value.dims) === 1;
  const mode = scalar(a) ? 1 : scalar(b) ? 2 : 0;
  const left = mode === 1 ? a : node.expand(a, dims);
  const right = mode === 2 ? b : node.expand(b, dims);
  const made = node.make(dims, batchAxis);
  node.emit(OP.binary, made.to, { a: node.place(left), b: node.place(right) }, [total, kind, mode]);
  return made;
}

function fold(
  node: NodeContext,
  kind: BinaryKind,
  a: Constant,
  b: Constant,
  dims: readonly number[],
): Constant {
  node.program.fold(sizeOf(dims));
  const right = new Float64Array(sizeOf(dims));
  eachOffset(dims, broadcastStrides(b.dims, dims), (index, offset) => {
    right[index] = b.data[offset];
  });
  const compute = BINARY_FUNCTIONS[kind];
  const result = new Float64Array(right.length);
  eachOffset(dims, broadcastStrides(a.dims, dims), (index, offset) => {
    result[index] = compute(a.data[offset], right[index]);
  });
  return constant(dims, result);
}

/** Applies a function to every element. */
export function apply(node: NodeContext, kind: UnaryKind, value: Value, p = 0, q = 0): Dynamic {
  const made = node.make(value.dims, value.kind === "dynamic" ? value.batchAxis : -1);
  node.emit(OP.unary, made.to, { a: node.place(value) }, [sizeOf(value.dims), kind, p, q]);
  return made;
}

/** Activations that a dense layer applies to its own result. */
const FUSED: ReadonlySet<UnaryKind> = new Set([UNARY.sigmoid, UNARY.tanh, UNARY.relu]);

const unary =
  (kind: UnaryKind): Operator =>
  (node) => {
    node.allow();
    const value = node.input(0);
    if (FUSED.has(kind) && value.kind === "dynamic" && node.isOnlyUse(0)) {
      const { dense } = value;
      if (dense !== undefined && dense.p[3] === NONE) {
        dense.p[3] = kind;
        node.set(at(value.dims, value.batchAxis, dense.to));
        return;
      }
    }
    node.set(apply(node, kind, value));
  };

/** `Add` after a dense layer, or of two of them, becomes the addend of the later one. */
const add: Operator = (node) => {
  node.allow();
  const values = [node.input(0), node.input(1)];
  for (const [index, other] of [
    [1, 0],
    [0, 1],
  ]) {
    const value = values[index];
    const addend = values[other];
    if (value.kind !== "dynamic" || !node.isOnlyUse(index)) continue;
    const same =
      addend.kind === "dynamic" &&
      addend.batchAxis === value.batchAxis &&
      addend.dims.length === value.dims.length &&
      addend.dims.every((dim, axis) => dim === value.dims[axis]);
    const { dense } = value;
    if (!same || dense === undefined || dense.b !== NONE || dense.p[3] !== NONE) continue;
    const { op, to, a, c, p } = dense;
    const place = addend.place();
    dense.removed = true;
    const later = node.emit(op, to, { a, b: place, c }, p);
    later.p[4] = p[1];
    node.set({ ...at(value.dims, value.batchAxis, to), dense: later });
    return;
  }
  node.set(combine(node, BINARY.add, values[0], values[1]));
};

const binary =
  (kind: BinaryKind): Operator =>
  (node) => {
    node.allow();
    node.set(combine(node, kind, node.input(0), node.input(1)));
  };

/** `x == x` says which values are numbers; `Where` on it puts another value in place of NaN. */
const equal: Operator = (node) => {
  node.allow();
  const a = node.input(0);
  const b = node.input(1);
  if (a !== b || a.kind !== "dynamic") {
    node.set(combine(node, BINARY.equal, a, b));
    return;
  }
  const place = once(() => node.place(combine(node, BINARY.equal, a, a)));
  node.set({ kind: "dynamic", dims: a.dims, batchAxis: a.batchAxis, place, knownOf: a });
};

const where: Operator = (node) => {
  node.allow();
  const condition = node.input(0);
  const yes = node.input(1);
  const no = node.input(2);
  const replaces = condition.kind === "dynamic" && condition.knownOf === yes && yes.kind === "dynamic";
  if (replaces && no.kind === "constant" && sizeOf(no.dims) === 1) {
    node.set(apply(node, UNARY.known, yes, no.data[0]));
    return;
  }
  const dims = broadcastDims(node, broadcastDims(node, condition.dims, yes.dims), no.dims);
  const batchAxis = joinedBatchAxis(node, [condition, yes, no], dims);
  const [a, b, c] = [condition, yes, no].map((value) => node.place(node.expand(value, dims)));
  const made = node.make(dims, batchAxis);
  node.emit(OP.select, made.to, { a, b, c }, [sizeOf(dims)]);
  node.set(made);
};

/** `Min` and `Max` take any number of operands. */
const variadic =
  (kind: BinaryKind): Operator =>
  (node) => {
    node.allow();
    let value = node.input(0);
    for (let i = 1; i < node.node.inputs.length; i += 1) value = combine(node, kind, value, node.input(i));
    node.set(value);
  };

const clip: Operator = (node) => {
  node.allow("min", "max");
  const bound = (index: number, name: string, otherwise: number): number => {
    const value = node.optionalConstant(index, name);
    if (value !== null && sizeOf(value.dims) !== 1)
      node.refuse(`${name} of ${sizeOf(value.dims)} values`, "one");
    return value === null ? node.float(name, otherwise) : value.data[0];
  };
  const low = bound(1, "min", -3.4028234663852886e38);
  const high = bound(2, "max", 3.4028234663852886e38);
  node.set(apply(node, UNARY.clip, node.input(0), low, high));
};

const gelu: Operator = (node) => {
  node.allow("approximate");
  const kind = node.text("approximate", "none") === "tanh" ? UNARY.geluTanh : UNARY.gelu;
  node.set(apply(node, kind, node.input(0)));
};

const leaky: Operator = (node) => {
  node.allow("alpha");
  node.set(apply(node, UNARY.leaky, node.input(0), node.float("alpha", 0.01)));
};

/** Squares and square roots, which is what exporters write with `Pow`. */
const power: Operator = (node) => {
  node.allow();
  const exponent = node.constantInput(1, "exponent");
  const value = node.input(0);
  if (sizeOf(exponent.dims) === 1 && exponent.data[0] === 2)
    node.set(combine(node, BINARY.mul, value, value));
  else if (sizeOf(exponent.dims) === 1 && exponent.data[0] === 0.5) node.set(apply(node, UNARY.sqrt, value));
  else node.refuse("an exponent other than 2 and 0.5", "2 or 0.5");
};

const reciprocal: Operator = (node) => {
  node.allow();
  node.set(combine(node, BINARY.div, constant([], [1]), node.input(0)));
};

export const ELEMENTWISE: Readonly<Record<string, Operator>> = {
  Add: add,
  Sub: binary(BINARY.sub),
  Mul: binary(BINARY.mul),
  Div: binary(BINARY.div),
  Equal: equal,
  Less: binary(BINARY.less),
  Greater: binary(BINARY.greater),
  Where: where,
  Min: variadic(BINARY.min),
  Max: variadic(BINARY.max),
  Sigmoid: unary(UNARY.sigmoid),
  Tanh: unary(UNARY.tanh),
  Relu: unary(UNARY.relu),
  LeakyRelu: leaky,
  Exp: unary(UNARY.exp),
  Log: unary(UNARY.log),
  Neg: unary(UNARY.neg),
  Abs: unary(UNARY.abs),
  Sqrt: unary(UNARY.sqrt),
  Erf: unary(UNARY.erf),
  Round: unary(UNARY.round),
  Reciprocal: reciprocal,
  Pow: power,
  Gelu: gelu,
  Clip: clip,
};
