import { loadNative } from "../core/native.ts";
import { compileStep } from "../inference/cpu/compile.ts";
import { CPU_ISAS, NativeStep } from "../inference/cpu/native-step.ts";
import { packDense, packDenseI8 } from "../inference/cpu/pack.ts";
import { NONE, OP, ProgramBuilder, reference, SPACE } from "../inference/cpu/program.ts";
import { cpuIsas } from "../inference/cpu.ts";
import type { StepModel } from "../inference/step-model.ts";

/** Each layer has 32 KiB of weights. */
const LAYER_BYTES = 32 * 1024;
const PLACES = [
  { weights: "L1", layers: 1, passes: 320, rounds: 40 },
  { weights: "L2", layers: 32, passes: 10, rounds: 40 },
  { weights: "memory", layers: 2_048, passes: 1, rounds: 4 },
] as const;

/** What one core reaches in dense layers, in multiplications per nanosecond. */
export interface Ceiling {
  readonly precision: "f32" | "int8";
  /** Where the weights lie: 32 KiB used again and again, 1 MiB in turn, or 64 MiB in turn. */
  readonly weights: (typeof PLACES)[number]["weights"];
  readonly macsPerNs: number;
}

/** Measures the dense kernels alone, at batch 1. Empty where there is no native library. */
export async function measureCeilings(): Promise<Ceiling[]> {
  const native = await loadNative();
  const isas = await cpuIsas();
  const isa = isas[isas.length - 1] ?? CPU_ISAS[0];
  if (native.functions === null) return [];
  const ceilings: Ceiling[] = [];
  for (const precision of ["f32", "int8"] as const) {
    for (const { weights, layers, passes, rounds } of PLACES) {
      const inputs = precision === "f32" ? 64 : 256;
      const outputs = 128;
      const program = new ProgramBuilder();
      const to = program.scratch(outputs);
      const x = program.scratch(inputs);
      const scales = program.constant(new Float32Array(outputs)) >> 2;
      const starts = program.constant(new Int32Array(outputs)) >> 2;
      const packed =
        precision === "f32" ? packDense(inputs, outputs, () => 0.5) : packDenseI8(inputs, outputs, () => 1);
      for (let layer = 0; layer < layers; layer += 1) {
        const c = program.constant(packed);
        if (precision === "f32") program.emit(OP.dense, to, { a: x, c }, [inputs, outputs, 1, NONE, 0]);
        else program.emit(OP.denseI8, to, { a: x, c }, [inputs, outputs, 1, NONE, 0, scales, starts]);
      }
      const compiled = { program, probabilitiesAt: reference(SPACE.arena, 0), slotFloats: 0, moves: [] };
      const sizes = { featureCount: 1, headCount: 1, slotCount: 1, maxBatch: 1 };
      const step = new NativeStep(native.functions, isa, compiled, sizes);
      let bestNs = Number.POSITIVE_INFINITY;
      for (let round = 0; round < rounds; round += 1) {
        const before = Bun.nanoseconds();
        for (let i = 0; i < passes; i += 1) step.run(1);
        bestNs = Math.min(bestNs, (Bun.nanoseconds() - before) / passes);
      }
      ceilings.push({
        precision,
        weights,
        macsPerNs: Math.round((layers * inputs * outputs * 10) / bestNs) / 10,
      });
    }
  }
  return ceilings;
}

/** What a step of a model takes at least on this core. */
export interface Roofline {
  /** Multiplications in dense layers and products of matrices. */
  readonly macs: number;
  /** Weights of the dense layers, as the cpu engine holds them. */
  readonly weightBytes: number;
  /** The multiplications at the measured ceiling of their precision, with the weights where all of them fit; without any is left out. */
  readonly rooflineUs?: number;
}

export function roofline(model: StepModel, ceilings: readonly Ceiling[]): Roofline {
  const macs = { f32: 0, int8: 0 };
  let weightBytes = 0;
  for (const { op, p, removed } of compileStep(model).program.instructions) {
    if (removed) continue;
    if (op === OP.matmul) macs.f32 += p[0] * p[1] * p[2] * p[3];
    if (op !== OP.dense && op !== OP.denseI8) continue;
    const [inputs, outputs, rows] = p;
    macs[op === OP.dense ? "f32" : "int8"] += inputs * outputs * rows;
    weightBytes += inputs * outputs * (op === OP.dense ? 4 : 1);
  }
  const work = { macs: macs.f32 + macs.int8, weightBytes };
  if (ceilings.length === 0) return work;
  const place = PLACES.find(({ layers }) => weightBytes <= layers * LAYER_BYTES) ?? PLACES[PLACES.length - 1];
  let ns = 0;
  for (const { precision, weights, macsPerNs } of ceilings) {
    if (weights === place.weights) ns += macs[precision] / macsPerNs;
  }
  return { ...work, rooflineUs: Math.round(ns) / 1_000 };
}
