import type { Instruction, Reference } from "../cpu/program.ts";

/** 8-bit weights behind a constant, with zero point 0 and one scale, or one for each index of `axis`. */
export interface QuantisedWeights {
  readonly levels: Int8Array;
  readonly scales: Float32Array;
  /** -1: one scale for all. */
  readonly axis: number;
}

/** A tensor known when the model is loaded. Numbers of all types are held as doubles' range allows: integers exactly to 2^53. */
export interface Constant {
  readonly kind: "constant";
  readonly dims: readonly number[];
  readonly data: ArrayLike<number>;
  readonly quantised?: QuantisedWeights;
}

/** How a quantised tensor's levels stand for numbers: `(level - zeroPoint) × scale`, levels from `low` to `high`. */
export interface Quantisation {
  readonly scale: number;
  readonly zeroPoint: number;
  readonly low: number;
  readonly high: number;
}

/** Floats of a tensor that lie together: `length` of them, from `offset` on. */
export interface Run {
  readonly of: Dynamic;
  readonly offset: number;
  readonly length: number;
}

/**
 * A tensor computed at each step, one row at a time: the batch dimension counts 1. `batchAxis` is its place, or -1 where the
 * tensor has none; a graph that would mix rows is refused.
 */
export interface Dynamic {
  readonly kind: "dynamic";
  readonly dims: readonly number[];
  readonly batchAxis: number;
  /** The place of its floats; computes them first where that was put off. */
  readonly place: () => Reference;
  /** Set when the tensor is the very result of this dense layer, which may still take an addend or an activation. */
  readonly dense?: Instruction;
  /** Set when the tensor is the dequantised form of levels: `source` before quantisation and how it was quantised. */
  readonly quantised?: { readonly source: Dynamic; readonly how: Quantisation };
  /** Set when the tensor is these runs one after another, so that it need not be put together where a part will do. */
  readonly runs?: readonly Run[];
  /** Set when the tensor is this one with its last two dimensions swapped, so that a product may read it as it lies. */
  readonly transposed?: Dynamic;
  /** Set when the tensor is 1 where `knownOf` is a number and 0 where it is NaN. */
  readonly knownOf?: Dynamic;
  /** Set when these are the levels themselves, held as floats. */
  readonly levels?: { readonly source: Dynamic; readonly how: Quantisation };
}

export type Value = Constant | Dynamic;

export const sizeOf = (dims: readonly number[]): number => dims.reduce((product, dim) => product * dim, 1);

/** Strides, in elements, of a contiguous tensor. */
export function stridesOf(dims: readonly number[]): number[] {
  const strides = new Array<number>(dims.length);
  let stride = 1;
  for (let axis = dims.length - 1; axis >= 0; axis -= 1) {
    strides[axis] = stride;
    stride *= dims[axis];
  }
  return strides;
}

/** Puts off computing a tensor until its place is asked for, and computes it once. */
export const once = (make: () => Reference): (() => Reference) => {
  let place: Reference | undefined;
  return () => {
    place ??= make();
    return place;
  };
};

/** The runs of `length` floats from `offset` on. */
export function cutRuns(runs: readonly Run[], offset: number, length: number): Run[] {
  const cut: Run[] = [];
  let start = 0;
  for (const run of runs) {
    const from = Math.max(offset, start);
    const to = Math.min(offset + length, start + run.length);
    if (from < to) cut.push({ of: run.of, offset: run.offset + from - start, length: to - from });
    start += run.length;
  }
  return cut;
}

export const constant = (dims: readonly number[], data: ArrayLike<number>): Constant => ({
  kind: "constant",
  dims,
  data,
});

export const at = (dims: readonly number[], batchAxis: number, place: Reference): Dynamic => ({
  kind: "dynamic",
  dims,
  batchAxis,
  place: () => place,
});
