import { BINARY, OP, type Reference, shift, UNARY } from "../../cpu/program.ts";
import type { NodeContext, Operator } from "../lowering.ts";
import { at, type Constant, constant, type Dynamic, sizeOf, stridesOf, type Value } from "../value.ts";
import { apply, combine } from "./elementwise.ts";
import { dense, type Weights, weightsOf } from "./linear.ts";
import { rearrange } from "./rearrange.ts";

/** What LSTM and GRU share: the input sequence, the weights of one direction, and where the outputs go. */
interface Recurrence {
  readonly steps: number;
  readonly rows: number;
  readonly hidden: number;
  readonly batchAxis: number;
  /** The `[rows, inputs]` of step `t`. */
  readonly input: (t: number) => Dynamic;
}

interface Direction {
  readonly index: number;
  readonly reverse: boolean;
  readonly w: Constant;
  readonly r: Constant;
  /** `[gates × hidden]` of the input's and the recurrent bias; null where the node has none. */
  readonly b: Float32Array | null;
}

function recurrence(node: NodeContext): Recurrence {
  const value = node.input(0);
  const x = value.kind === "dynamic" ? value : node.refuse("a constant sequence", "a computed one");
  if (x.dims.length !== 3) node.refuse(`a sequence of rank ${x.dims.length}`, "[steps, batch, inputs]");
  const batchFirst = node.int("layout", 0) === 1;
  const steps = x.dims[batchFirst ? 1 : 0];
  const rows = x.dims[batchFirst ? 0 : 1];
  const inputs = x.dims[2];
  node.notBatch(batchFirst ? 1 : 0, x);
  node.notBatch(2, x);
  const hidden = node.int("hidden_size", 0);
  if (!(hidden >= 1)) node.refuse(`hidden_size ${hidden}`, "1 or more");
  const lengths = node.optionalConstant(4, "sequence length");
  if (lengths !== null && !Array.from(lengths.data).every((length) => length === steps)) {
    node.refuse("sequences of different lengths", `all of ${steps} steps`);
  }
  const strides = stridesOf(x.dims);
  const input = (t: number): Dynamic => {
    const step = rearrange(
      node,
      x,
      [rows, inputs],
      [strides[batchFirst ? 0 : 1], 1],
      t * strides[batchFirst ? 1 : 0],
      x.batchAxis < 0 ? -1 : 0,
    );
    return step.kind === "dynamic" ? step : node.refuse("a constant", "a computed tensor");
  };
  return { steps, rows, hidden, batchAxis: x.batchAxis < 0 ? -1 : 0, input };
}

function directions(node: NodeContext, gates: number, hidden: number, inputs: number): Direction[] {
  const name = node.text("direction", "forward");
  if (!["forward", "reverse", "bidirectional"].includes(name))
    node.refuse(`direction ${name}`, "forward, reverse or bidirectional");
  const count = name === "bidirectional" ? 2 : 1;
  const w = node.constantInput(1, "weights");
  const r = node.constantInput(2, "recurrent weights");
  const b = node.optionalConstant(3, "bias");
  const check = (value: Constant, dims: readonly number[]): void => {
    if (value.dims.join() !== dims.join())
      node.refuse(`weights of shape [${value.dims.join(",")}]`, `[${dims.join(",")}]`);
  };
  check(w, [count, gates * hidden, inputs]);
  check(r, [count, gates * hidden, hidden]);
  if (b !== null) check(b, [count, 2 * gates * hidden]);
  return Array.from({ length: count }, (_, index) => ({
    index,
    reverse: name === "reverse" || index === 1,
    w: part(w, index),
    r: part(r, index),
    b: b === null ? null : Float32Array.from(part(b, index).data),
  }));
}

/** The part of a constant at `index` of its first dimension. */
function part(value: Constant, index: number): Constant {
  const dims = value.dims.slice(1);
  const size = sizeOf(dims);
  return constant(dims, Array.prototype.slice.call(value.data, index * size, (index + 1) * size));
}

/** Output rows `from` to `to` of a matrix `[outputs, inputs]`. */
function rowsOf(matrix: Constant, from: number, to: number): Weights {
  const inputs = matrix.dims[1];
  const data = Array.prototype.slice.call(matrix.data, from * inputs, to * inputs);
  return weightsOf(constant([to - from, inputs], data), true);
}

/** The sums of the input's and the recurrent bias from `from` to `to`. */
function biasSum(b: Float32Array, gates: number, from: number, to: number): Float32Array {
  return Float32Array.from({ length: to - from }, (_, i) => b[from + i] + b[gates + from + i]);
}

/** The initial state of one direction: an operand `[directions, rows, hidden]` (or `[rows, directions, hidden]`), or zeros. */
function initial(
  node: NodeContext,
  operand: number,
  { rows, hidden, batchAxis }: Recurrence,
  direction: number,
): Dynamic {
  const value = node.optional(operand);
  if (value === null) {
    const zeros = node.make([rows, hidden], batchAxis);
    node.emit(OP.fill, zeros.to, {}, [rows * hidden, 0]);
    return zeros;
  }
  const batchFirst = node.int("layout", 0) === 1;
  const count = node.text("direction", "forward") === "bidirectional" ? 2 : 1;
  const expected = batchFirst ? [rows, count, hidden] : [count, rows, hidden];
  if (value.dims.join() !== expected.join()) {
    node.refuse(`an initial state of shape [${value.dims.join(",")}]`, `[${expected.join(",")}]`);
  }
  const strides = stridesOf(value.dims);
  const whole: Dynamic = value.kind === "dynamic" ? value : at(value.dims, -1, node.place(value));
  const state = rearrange(
    node,
    whole,
    [rows, hidden],
    [strides[batchFirst ? 0 : 1], 1],
    direction * strides[batchFirst ? 1 : 0],
    batchAxis,
  );
  return state.kind === "dynamic" ? state : node.refuse("a constant", "a computed tensor");
}

/** `x Wᵀ + h Rᵀ + bias` for the gates from `from` to `to`. */
function gatesOf(
  node: NodeContext,
  direction: Direction,
  x: Dynamic,
  h: Dynamic,
  bias: Reference | null,
  from: number,
  to: number,
): Dynamic {
  const addend = bias === null ? null : { place: bias, shared: true };
  const ofInput = dense(node, x, rowsOf(direction.w, from, to), addend);
  return dense(node, h, rowsOf(direction.r, from, to), { place: ofInput.place(), shared: false });
}

/** Gathers the states of all steps and directions into Y, Y_h and, for LSTM, Y_c. */
class Outputs {
  readonly #node: NodeContext;
  readonly #shape: Recurrence;
  readonly #batchFirst: boolean;
  readonly #all: { readonly value: Dynamic & { to: Reference }; readonly strides: readonly number[] } | null;
  readonly #last: ((Dynamic & { to: Reference }) | null)[];

  constructor(node: NodeContext, shape: Recurrence, count: number, states: number) {
    this.#node = node;
    this.#shape = shape;
    this.#batchFirst = node.int("layout", 0) === 1;
    const { steps, rows, hidden, batchAxis } = shape;
    const dims = this.#batchFirst ? [rows, steps, count, hidden] : [steps, count, rows, hidden];
    const axis = batchAxis < 0 ? -1 : this.#batchFirst ? 0 : 2;
    this.#all = node.wants(0) ? { value: node.make(dims, axis), strides: stridesOf(dims) } : null;
    const finalDims = this.#batchFirst ? [rows, count, hidden] : [count, rows, hidden];
    const finalAxis = batchAxis < 0 ? -1 : this.#batchFirst ? 0 : 1;
    this.#last = Array.from({ length: states }, (_, i) =>
      node.wants(1 + i) ? node.make(finalDims, finalAxis) : null,
    );
  }

  step(t: number, direction: number, h: Dynamic): void {
    if (this.#all === null) return;
    const { value, strides } = this.#all;
    const [byStep, byDirection, byRow] = this.#batchFirst ? [strides[1], strides[2], strides[0]] : strides;
    this.#copy(shift(value.to, t * byStep + direction * byDirection), byRow, h);
  }

  last(direction: number, states: readonly Dynamic[]): void {
    for (const [i, state] of states.entries()) {
      const value = this.#last[i];
      if (value === null) continue;
      const strides = stridesOf(value.dims);
      const [byDirection, byRow] = this.#batchFirst ? [strides[1], strides[0]] : strides;
      this.#copy(shift(value.to, direction * byDirection), byRow, state);
    }
  }

  set(): void {
    if (this.#all !== null) this.#node.set(this.#all.value, 0);
    for (const [i, value] of this.#last.entries()) if (value !== null) this.#node.set(value, 1 + i);
  }

  #copy(to: Reference, byRow: number, state: Dynamic): void {
    const { rows, hidden } = this.#shape;
    this.#node.copy(to, [byRow, 1], state.place(), [hidden, 1], [rows, hidden]);
  }
}

const SHARED = ["direction", "hidden_size", "layout", "activations"];

function checkActivations(node: NodeContext, expected: readonly string[]): void {
  const names = node.node.attributes.get("activations")?.texts ?? [];
  const standard = names.every((name, i) => name === expected[i % expected.length]);
  if (!standard) node.refuse(`activations ${names.join(", ")}`, expected.join(", "));
}

const lstm: Operator = (node) => {
  node.allow(...SHARED);
  checkActivations(node, ["Sigmoid", "Tanh", "Tanh"]);
  const shape = recurrence(node);
  const { steps, rows, hidden: H } = shape;
  const each = directions(node, 4, H, node.input(0).dims[2]);
  const peepholes = node.optionalConstant(7, "peephole weights");
  if (peepholes !== null && peepholes.dims.join() !== [each.length, 3 * H].join()) {
    node.refuse(`peephole weights of shape [${peepholes.dims.join(",")}]`, `[${each.length},${3 * H}]`);
  }
  const outputs = new Outputs(node, shape, each.length, 2);
  for (const direction of each) {
    let h = initial(node, 5, shape, direction.index);
    let c = initial(node, 6, shape, direction.index);
    const bias = direction.b === null ? null : node.program.constant(biasSum(direction.b, 4 * H, 0, 4 * H));
    const p = peepholes === null ? null : part(peepholes, direction.index);
    for (let i = 0; i < steps; i += 1) {
      const t = direction.reverse ? steps - 1 - i : i;
      const gates = gatesOf(node, direction, shape.input(t), h, bias, 0, 4 * H);
      [h, c] =
        p === null ? lstmCell(node, gates, c, rows, H, shape.batchAxis) : peepholeCell(node, gates, c, p, H);
      outputs.step(t, direction.index, h);
    }
    outputs.last(direction.index, [h, c]);
  }
  outputs.set();
};

/** ONNX's gates are in the order i, o, f, c. */
function lstmCell(
  node: NodeContext,
  gates: Dynamic,
  c: Dynamic,
  rows: number,
  H: number,
  batchAxis: number,
): [Dynamic, Dynamic] {
  const h = node.make([rows, H], batchAxis);
  const next = node.make([rows, H], batchAxis);
  for (let row = 0; row < rows; row += 1) {
    node.emit(
      OP.lstm,
      shift(h.to, row * H),
      { a: shift(gates.place(), row * 4 * H), b: shift(c.place(), row * H), c: shift(next.to, row * H) },
      [H, 0, 2 * H, 3 * H, H],
    );
  }
  return [h, next];
}

/** The gate at `index` of `[rows, gates × hidden]`. */
function gate(node: NodeContext, gates: Dynamic, index: number, H: number): Dynamic {
  const [rows, width] = gates.dims;
  const value = rearrange(node, gates, [rows, H], [width, 1], index * H, gates.batchAxis);
  return value.kind === "dynamic" ? value : node.refuse("a constant", "a computed tensor");
}

const sum = (node: NodeContext, a: Value, b: Value): Value => combine(node, BINARY.add, a, b);
const product = (node: NodeContext, a: Value, b: Value): Value => combine(node, BINARY.mul, a, b);

function peepholeCell(
  node: NodeContext,
  gates: Dynamic,
  c: Dynamic,
  p: Constant,
  H: number,
): [Dynamic, Dynamic] {
  const peep = (index: number): Constant =>
    constant([H], Array.prototype.slice.call(p.data, index * H, (index + 1) * H));
  const i = apply(node, UNARY.sigmoid, sum(node, gate(node, gates, 0, H), product(node, peep(0), c)));
  const f = apply(node, UNARY.sigmoid, sum(node, gate(node, gates, 2, H), product(node, peep(2), c)));
  const cell = apply(node, UNARY.tanh, gate(node, gates, 3, H));
  const next = sum(node, product(node, f, c), product(node, i, cell));
  const o = apply(node, UNARY.sigmoid, sum(node, gate(node, gates, 1, H), product(node, peep(1), next)));
  const h = product(node, o, apply(node, UNARY.tanh, next));
  if (h.kind !== "dynamic" || next.kind !== "dynamic") return node.refuse("constants", "computed tensors");
  return [h, next];
}

const gru: Operator = (node) => {
  node.allow(...SHARED, "linear_before_reset");
  checkActivations(node, ["Sigmoid", "Tanh"]);
  const shape = recurrence(node);
  const { steps, hidden: H } = shape;
  const each = directions(node, 3, H, node.input(0).dims[2]);
  const outputs = new Outputs(node, shape, each.length, 1);
  for (const direction of each) {
    let h = initial(node, 5, shape, direction.index);
    for (let i = 0; i < steps; i += 1) {
      const t = direction.reverse ? steps - 1 - i : i;
      h = gruCell(node, direction, shape.input(t), h, H);
      outputs.step(t, direction.index, h);
    }
    outputs.last(direction.index, [h]);
  }
  outputs.set();
};

/** ONNX's gates are in the order z, r, h. */
function gruCell(node: NodeContext, direction: Direction, x: Dynamic, h: Dynamic, H: number): Dynamic {
  const { w, r, b } = direction;
  const shared = (values: Float32Array | null): { place: Reference; shared: boolean } | null =>
    values === null ? null : { place: node.program.constant(values), shared: true };
  const bias = b === null ? null : node.program.constant(biasSum(b, 3 * H, 0, 2 * H));
  const zr = gatesOf(node, direction, x, h, bias, 0, 2 * H);
  const open = apply(node, UNARY.sigmoid, zr);
  const z = gate(node, open, 0, H);
  const reset = gate(node, open, 1, H);
  let candidate: Value;
  if (node.int("linear_before_reset", 0) === 1) {
    const past = dense(node, h, rowsOf(r, 2 * H, 3 * H), shared(b === null ? null : b.slice(5 * H, 6 * H)));
    const now = dense(node, x, rowsOf(w, 2 * H, 3 * H), shared(b === null ? null : b.slice(2 * H, 3 * H)));
    candidate = sum(node, now, product(node, reset, past));
  } else {
    const now = dense(
      node,
      x,
      rowsOf(w, 2 * H, 3 * H),
      shared(b === null ? null : biasSum(b, 3 * H, 2 * H, 3 * H)),
    );
    const past = product(node, reset, h);
    if (past.kind !== "dynamic") return node.refuse("a constant", "a computed tensor");
    candidate = dense(node, past, rowsOf(r, 2 * H, 3 * H), { place: now.place(), shared: false });
  }
  const fresh = apply(node, UNARY.tanh, candidate);
  // (1 − z) ⊙ fresh + z ⊙ h = fresh + z ⊙ (h − fresh)
  const next = sum(node, fresh, product(node, z, combine(node, BINARY.sub, h, fresh)));
  return next.kind === "dynamic" ? next : node.refuse("a constant", "a computed tensor");
}

export const RECURRENT: Readonly<Record<string, Operator>> = { LSTM: lstm, GRU: gru };
