import { ModelRefusedError } from "../../core/errors.ts";
import { type Instruction, OP, ProgramBuilder, type Reference } from "../cpu/program.ts";
import type { OnnxGraph, OnnxNode } from "./model-proto.ts";
import { at, type Constant, constant, type Dynamic, sizeOf, stridesOf, type Value } from "./value.ts";

/** Most elements a tensor may have. */
const ELEMENTS_MAX = 1 << 26;

/** Turns one node into instructions and sets its outputs. */
export type Operator = (node: NodeContext) => void;

/**
 * Builds a step program from an ONNX graph, node by node. Every node's inputs must be known before it: ONNX requires the
 * nodes to be sorted.
 */
export class Lowering {
  readonly program = new ProgramBuilder();
  readonly graph: OnnxGraph;
  /** Where tensors already lie as 8-bit levels, by their place and how they were quantised. */
  readonly quantisedPlaces = new Map<string, Reference>();
  readonly #values = new Map<string, Value>();
  readonly #uses = new Map<string, number>();

  constructor(graph: OnnxGraph) {
    this.graph = graph;
    for (const tensor of graph.initializers.values()) {
      this.#values.set(tensor.name, constant(tensor.dims, tensor.data));
    }
    for (const node of graph.nodes) for (const name of node.inputs) this.#count(name);
    for (const output of graph.outputs) this.#count(output.name);
  }

  define(name: string, value: Value): void {
    if (this.#values.has(name)) {
      throw new ModelRefusedError(this.graph.model, `two values named ${name}`, "each value made once");
    }
    this.#values.set(name, value);
  }

  value(name: string): Value | undefined {
    return this.#values.get(name);
  }

  /** How many nodes and graph outputs read the value. */
  uses(name: string): number {
    return this.#uses.get(name) ?? 0;
  }

  run(operators: ReadonlyMap<string, Operator>): void {
    for (const node of this.graph.nodes) {
      const operator = operators.get(node.operator);
      const context: NodeContext = new NodeContext(this, node);
      if ((node.domain !== "" && node.domain !== "ai.onnx") || operator === undefined) {
        const domain = node.domain === "" ? "" : ` of domain ${node.domain}`;
        context.refuse(
          `the operator${domain}, which the cpu engine does not have`,
          [...operators.keys()].join(", "),
        );
      }
      try {
        operator(context);
      } catch (error) {
        if (error instanceof Error && error.name === "ProgramTooLargeError") {
          context.refuse(error.message, "a model within the cpu engine's bounds");
        }
        throw error;
      }
    }
  }

  #count(name: string): void {
    this.#uses.set(name, (this.#uses.get(name) ?? 0) + 1);
  }
}

/** One node while it is lowered: its inputs, attributes and outputs, and the instructions that all operators need. */
export class NodeContext {
  readonly lowering: Lowering;
  readonly program: ProgramBuilder;
  readonly node: OnnxNode;
  readonly opset: number;

  constructor(lowering: Lowering, node: OnnxNode) {
    this.lowering = lowering;
    this.program = lowering.program;
    this.node = node;
    this.opset = lowering.graph.opset;
  }

  refuse(found: string, expected: string): never {
    const { name, operator } = this.node;
    throw new ModelRefusedError(this.lowering.graph.model, `node ${name} (${operator}): ${found}`, expected);
  }

  /** The operand at `index`, or null where it is left out. */
  optional(index: number): Value | null {
    const name = this.node.inputs[index] ?? "";
    if (name === "") return null;
    const value = this.lowering.value(name);
    if (value === undefined) this.refuse(`input ${name}, which nothing before it makes`, "nodes in order");
    return value;
  }

  input(index: number): Value {
    return this.optional(index) ?? this.refuse(`no input ${index}`, "that input");
  }

  constantInput(index: number, what: string): Constant {
    const value = this.input(index);
    if (value.kind !== "constant") this.refuse(`${what} that is computed`, `a constant ${what}`);
    return value;
  }

  optionalConstant(index: number, what: string): Constant | null {
    return this.optional(index) === null ? null : this.constantInput(index, what);
  }

  /** Integers of a constant operand such as axes or a shape. */
  integers(value: Constant, what: string): number[] {
    const list = Array.from(value.data);
    if (list.length > 65_536 || !list.every(Number.isSafeInteger))
      this.refuse(`${what} that are no integers`, what);
    return list;
  }

  /** True when only this node reads the operand, so that it may be computed in another way. */
  isOnlyUse(index: number): boolean {
    return this.lowering.uses(this.node.inputs[index] ?? "") === 1;
  }

  int(name: string, otherwise: number): number {
    return this.node.attributes.get(name)?.int ?? otherwise;
  }

  float(name: string, otherwise: number): number {
    return this.node.attributes.get(name)?.float ?? otherwise;
  }

  text(name: string, otherwise: string): string {
    return this.node.attributes.get(name)?.text ?? otherwise;
  }

  ints(name: string): readonly number[] | null {
    return this.node.attributes.get(name)?.ints ?? null;
  }

  /** Refuses the node when it has an attribute that is not listed, so that nothing is silently ignored. */
  allow(...names: readonly string[]): void {
    for (const name of this.node.attributes.keys()) {
      if (!names.includes(name))
        this.refuse(`attribute ${name}`, names.length === 0 ? "none" : `only ${names.join(", ")}`);
    }
  }

  set(value: Value, index = 0): void {
    const name = this.node.outputs[index] ?? "";
    if (name !== "") this.lowering.define(name, value);
  }

  wants(index: number): boolean {
    return (this.node.outputs[index] ?? "") !== "";
  }

  /** An axis counted from the front, from one that may be negative. */
  axis(axis: number, rank: number): number {
    const resolved = axis < 0 ? axis + rank : axis;
    if (!(resolved >= 0 && resolved < rank)) this.refuse(`axis ${axis}`, `an axis of ${rank} dimensions`);
    return resolved;
  }

  /** Refuses an operation along the batch. */
  notBatch(axis: number, value: Dynamic): void {
    if (axis === value.batchAxis) this.refuse(`work along axis ${axis}, the batch`, "rows that do not meet");
  }

  checkSize(dims: readonly number[]): number {
    const size = sizeOf(dims);
    if (!(size >= 1 && size <= ELEMENTS_MAX)) {
      this.refuse(`a tensor of shape [${dims.join(",")}]`, `1 to ${ELEMENTS_MAX} elements`);
    }
    return size;
  }

  /** Takes scratch for a new tensor. */
  make(dims: readonly number[], batchAxis: number): Dynamic & { readonly to: Reference } {
    const to = this.program.scratch(this.checkSize(dims));
    return { ...at(dims, batchAxis, to), to };
  }

  /** The place of a value's floats; a constant is put among the constants. */
  place(value: Value): Reference {
    if (value.kind === "dynamic") return value.place();
    const size = sizeOf(value.dims);
    if (value.data.length !== size)
      this.refuse(`a constant of ${value.data.length} values`, `${size} values`);
    this.program.reserveConstants(size);
    return this.program.constant(Float32Array.from(value.data));
  }

  emit(
    op: Instruction["op"],
    to: Reference,
    operands: { readonly a?: Reference; readonly b?: Reference; readonly c?: Reference },
    p: readonly number[],
  ): Instruction {
    return this.program.emit(op, to, operands, p);
  }

  /**
   * Copies elements: `dims` of them, from `from` with `fromStrides` to `to` with `toStrides`. Dimensions of one are dropped and
   * neighbours that lie together are joined.
   */
  copy(
    to: Reference,
    toStrides: readonly number[],
    from: Reference,
    fromStrides: readonly number[],
    dims: readonly number[],
  ): void {
    const axes: { dim: number; to: number; from: number }[] = [];
    for (let axis = 0; axis < dims.length; axis += 1) {
      if (dims[axis] === 1) continue;
      const last = axes.at(-1);
      const dim = dims[axis];
      if (last !== undefined && last.to === toStrides[axis] * dim && last.from === fromStrides[axis] * dim) {
        axes[axes.length - 1] = { dim: last.dim * dim, to: toStrides[axis], from: fromStrides[axis] };
      } else {
        axes.push({ dim, to: toStrides[axis], from: fromStrides[axis] });
      }
    }
    if (axes.length === 0) axes.push({ dim: 1, to: 1, from: 1 });
    if (axes.length > 6) this.refuse(`a copy over ${axes.length} strided dimensions`, "at most 6");
    if (axes.length === 1 && axes[0].to === 1 && axes[0].from === 1) {
      this.emit(OP.copy, to, { a: from }, [axes[0].dim]);
      return;
    }
    const table = this.program.constant(
      Int32Array.from([
        axes.length,
        ...axes.map(({ dim }) => dim),
        ...axes.map((axis) => axis.to),
        ...axes.map((axis) => axis.from),
      ]),
    );
    this.emit(OP.strided, to, { a: from }, [table >> 2]);
  }

  /** The value repeated to `dims` as ONNX broadcasts; the value itself where it has as many elements. */
  expand(value: Value, dims: readonly number[]): Value {
    const total = this.checkSize(dims);
    if (sizeOf(value.dims) === total) return value;
    const strides = broadcastStrides(value.dims, dims);
    if (value.kind === "constant") {
      this.program.fold(total);
      const data = new Float32Array(total);
      eachOffset(dims, strides, (index, offset) => {
        data[index] = value.data[offset];
      });
      return constant(dims, data);
    }
    const batchAxis = value.batchAxis < 0 ? -1 : value.batchAxis + dims.length - value.dims.length;
    const made = this.make(dims, batchAxis);
    this.copy(made.to, stridesOf(dims), value.place(), strides, dims);
    return made;
  }
}

/** Strides that read a tensor of `dims` as if it had the shape `to`: 0 where it is repeated. */
export function broadcastStrides(dims: readonly number[], to: readonly number[]): number[] {
  const own = stridesOf(dims);
  return to.map((_, axis) => {
    const from = axis - (to.length - dims.length);
    return from < 0 || dims[from] === 1 ? 0 : own[from];
  });
}

/** Calls `visit` for each element of `dims` in order, with its offset under `strides`. */
export function eachOffset(
  dims: readonly number[],
  strides: readonly number[],
  visit: (index: number, offset: number) => void,
): void {
  const total = sizeOf(dims);
  const position = new Array<number>(dims.length).fill(0);
  let offset = 0;
  for (let index = 0; index < total; index += 1) {
    visit(index, offset);
    for (let axis = dims.length - 1; axis >= 0; axis -= 1) {
      position[axis] += 1;
      offset += strides[axis];
      if (position[axis] < dims[axis]) break;
      offset -= strides[axis] * dims[axis];
      position[axis] = 0;
    }
  }
}
