import { Rng } from "../../src/core/rng.ts";
import type { CompiledStep } from "../../src/inference/cpu/compile.ts";
import { packDense, packDenseI8 } from "../../src/inference/cpu/pack.ts";
import {
  BINARY,
  NONE,
  OP,
  type Op,
  ProgramBuilder,
  REDUCE,
  type Reference,
  reference,
  SPACE,
  shift,
  UNARY,
} from "../../src/inference/cpu/program.ts";

/** What each operation gave, in the order of the results. */
export interface OperationResult {
  readonly name: string;
  readonly offset: number;
  readonly length: number;
}

export interface OperationsProgram {
  readonly compiled: CompiledStep;
  readonly featureCount: number;
  readonly headCount: number;
  readonly slotFloats: number;
  readonly results: readonly OperationResult[];
}

const FEATURES = 96;
const STATE = 64;

/**
 * A step program with every operation over drawn constants, features and a state; its probabilities are all results one after
 * another.
 *
 * @param allKinds every kind of the elementwise operations, instead of one
 */
export function operationsProgram(allKinds: boolean): OperationsProgram {
  const rng = new Rng(31);
  const program = new ProgramBuilder();
  const draw = (n: number, scale = 1): Float32Array =>
    Float32Array.from({ length: n }, () => rng.normal() * scale);
  const constant = (n: number, scale = 1): Reference => program.constant(draw(n, scale));
  const feature = (at: number): Reference => reference(SPACE.features, at);
  const state = (at: number): Reference => reference(SPACE.state, at);
  const made: { name: string; ref: Reference; length: number }[] = [];
  const emit = (
    name: string,
    op: Op,
    length: number,
    operands: { readonly a?: Reference; readonly b?: Reference; readonly c?: Reference },
    p: readonly number[],
  ): Reference => {
    const to = program.scratch(length);
    program.emit(op, to, operands, p);
    made.push({ name, ref: to, length });
    return to;
  };

  const x = emit("copy", OP.copy, FEATURES, { a: feature(0) }, [FEATURES]);
  const positive = emit("abs", OP.unary, FEATURES, { a: x }, [FEATURES, UNARY.abs, 0, 0]);
  for (const [name, kind] of Object.entries(UNARY).slice(0, allKinds ? undefined : 1)) {
    const [p, q] = name === "clip" ? [-0.5, 0.75] : [0.3, -0.2];
    const rooted = kind === UNARY.sqrt || kind === UNARY.log;
    emit(`unary ${name}`, OP.unary, 37, { a: rooted ? positive : shift(x, 3) }, [37, kind, p, q]);
  }
  for (const [name, kind] of Object.entries(BINARY).slice(0, allKinds ? undefined : 1)) {
    const second = kind === BINARY.div ? shift(positive, 1) : state(2);
    emit(`binary ${name}`, OP.binary, 21, { a: x, b: second }, [21, kind, 0]);
    emit(`binary ${name}, one first`, OP.binary, 21, { a: shift(x, 5), b: second }, [21, kind, 1]);
    emit(`binary ${name}, one second`, OP.binary, 21, { a: x, b: shift(positive, 7) }, [21, kind, 2]);
  }
  emit("fill", OP.fill, 5, {}, [5, 1.5]);
  emit("fill with infinity", OP.fill, 5, {}, [5, Number.NEGATIVE_INFINITY]);
  const table = (values: readonly number[]): number => program.constant(Int32Array.from(values)) >> 2;
  emit("strided, transposed", OP.strided, 24, { a: x }, [table([2, 4, 6, 6, 1, 1, 4])]);
  emit("strided, reversed", OP.strided, 7, { a: shift(x, 6) }, [table([1, 7, 1, -1])]);
  emit("gather", OP.gather, 2 * 3 * 4, { a: x }, [2, 3, 4, 5, table([4, 0, 2])]);
  const flags = emit("flags", OP.binary, 19, { a: x, b: state(0) }, [19, BINARY.less, 0]);
  emit("select", OP.select, 19, { a: flags, b: shift(x, 1), c: state(9) }, [19]);
  const [factors, offsets] = [constant(23), constant(23)];
  emit("scale", OP.scale, 23, { a: x, b: factors, c: offsets }, [23, -0.5, 0.5]);
  emit("scale without limits", OP.scale, 23, { a: x, b: factors, c: offsets }, [23, -Infinity, Infinity]);

  for (const [k, n, rows] of [
    [40, 7, 1],
    [33, 130, 1],
    [9, 64, 3],
    [3, 1, 2],
  ]) {
    const weights = draw(k * n, 0.3);
    const c = program.constant(packDense(k, n, (input, output) => weights[input * n + output]));
    const name = `dense ${k} to ${n}, ${rows} rows`;
    if (k === 40) emit(`${name}, plain`, OP.dense, rows * n, { a: x, c }, [k, n, rows, NONE, 0]);
    emit(name, OP.dense, rows * n, { a: x, b: constant(rows * n), c }, [k, n, rows, UNARY.tanh, n]);
  }
  for (const [k, n, rows] of [
    [30, 70, 1],
    [7, 5, 2],
  ]) {
    const quads = Math.ceil(k / 4);
    const levels = Int8Array.from({ length: k * n }, () => rng.int(255) - 127);
    const weight = (input: number, output: number): number => levels[input * n + output];
    const padded = Math.ceil(n / 16) * 16;
    const starts = Int32Array.from({ length: padded }, (_, output) => {
      let sum = 0;
      if (output < n) for (let input = 0; input < k; input += 1) sum += weight(input, output);
      return -128 * sum;
    });
    const scales = Float32Array.from({ length: padded }, () => 1e-4 * (1 + rng.next()));
    const c = program.constant(packDenseI8(k, n, weight));
    const [scalesAt, startsAt] = [program.constant(scales) >> 2, program.constant(starts) >> 2];
    const bytes = program.scratch(rows * quads);
    program.emit(OP.quantise, bytes, { a: x }, [k, 1 / 64, 128, 0, 255, rows]);
    const b = constant(n);
    const p = [k, n, rows, UNARY.sigmoid, 0, scalesAt, startsAt];
    emit(`dense of bytes ${k} to ${n}, ${rows} rows`, OP.denseI8, rows * n, { a: bytes, b, c }, p);
  }

  const [h, next] = [program.scratch(11), program.scratch(11)];
  program.emit(OP.lstm, h, { a: shift(x, 4), b: state(7), c: next }, [11, 0, 11, 22, 33]);
  made.push({ name: "lstm h", ref: h, length: 11 }, { name: "lstm c", ref: next, length: 11 });
  for (const [outer, n, inner] of [
    [1, 31, 1],
    [3, 3, 1],
    [2, 5, 7],
    [1, 2, 40],
  ]) {
    const shape = `${outer} × ${n} × ${inner}`;
    emit(`softmax ${shape}`, OP.softmax, outer * n * inner, { a: x }, [outer, n, inner]);
    for (const [kind, number] of Object.entries(REDUCE).slice(inner === 7 ? 0 : 2)) {
      emit(`${kind} ${shape}`, OP.reduce, outer * inner, { a: x }, [outer, n, inner, number]);
    }
  }
  emit("norm", OP.norm, 48, { a: x, b: constant(48), c: constant(48) }, [1, 48, 1e-5]);
  emit("norm, plain", OP.norm, 45, { a: x }, [9, 5, 1e-5]);
  emit("matmul", OP.matmul, 2 * 3 * 5, { a: x, b: shift(x, 30) }, [2, 3, 4, 5, 12, 20, 0]);
  emit("matmul, transposed", OP.matmul, 6, { a: x, b: state(0) }, [1, 2, 17, 3, 0, 0, 1]);

  let headCount = 0;
  const results = made.map(({ name, length }) => {
    const offset = headCount;
    headCount += length;
    return { name, offset, length };
  });
  const gathered = program.scratch(headCount);
  for (const [i, { ref, length }] of made.entries()) {
    program.emit(OP.copy, shift(gathered, results[i].offset), { a: ref }, [length]);
  }
  const after = emit("next state", OP.binary, STATE, { a: state(0), b: x }, [STATE, BINARY.add, 0]);
  const compiled = {
    program,
    probabilitiesAt: gathered,
    slotFloats: STATE,
    moves: [[after, 0, STATE] as const],
  };
  return { compiled, featureCount: FEATURES, headCount, slotFloats: STATE, results };
}
