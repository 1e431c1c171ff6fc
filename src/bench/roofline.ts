import { loadNative } from "../core/native.ts";
import { compileStep } from "../inference/cpu/compile.ts";
import { CPU_ISAS, NativeStep } from "../inference/cpu/native-step.ts";
import { packDense, packDenseI8 } from "../inference/cpu/pack.ts";
import { NONE, OP, ProgramBuilder, reference, SPACE } from "../inference/cpu/program.ts";
import { cpuIsas } from "../inference/cpu.ts";
import type { StepModel } from "../inference/step-model.ts";

/** What one core reaches in dense layers, in multiplications per nanosecond. */
export interface Ceiling {
  readonly precision: "f32" | "int8";
  /** Where the weights lie: 32 KiB used again and again, or 1 MiB in turn. */
  readonly weights: "l1" | "l2";
  readonly macsPerNs: number;
}

const ROUNDS = 40;

/** Measures the dense kernels alone, at batch 1. Empty where there is no native library. */
export async function measureCeilings(): Promise<Ceiling[]> {
  const native = await loadNative();
  const isas = await cpuIsas();
  const isa = isas[isas.length - 1] ?? CPU_ISAS[0];
  if (native.functions === null) return [];
  const ceilings: Ceiling[] = [];
  for (const precision of ["f32", "int8"] as const) {
    for (const weights of ["l1", "l2"] as const) {
      const inputs = precision === "f32" ? 64 : 256;
      const outputs = 128;
      const layers = 32;
      const program = new ProgramBuilder();
      const to = program.scratch(outputs);
      const x = program.scratch(inputs);
      const scales = program.constant(new Float32Array(outputs)) >> 2;
      const starts = program.constant(new Int32Array(outputs)) >> 2;
      let c = NONE;
      for (let layer = 0; layer < layers; layer += 1) {
        if (c === NONE || weights === "l2") {
          c = program.constant(
            precision === "f32"
              ? packDense(inputs, outputs, () => 0.5)
              : packDenseI8(inputs, outputs, () => 1),
          );
        }
        if (precision === "f32") program.emit(OP.dense, to, { a: x, c }, [inputs, outputs, 1, NONE, 0]);
        else program.emit(OP.denseI8, to, { a: x, c }, [inputs, outputs, 1, NONE, 0, scales, starts]);
      }
      const compiled = { program, probabilitiesAt: reference(SPACE.arena, 0), slotFloats: 0, moves: [] };
      const sizes = { featureCount: 1, headCount: 1, slotCount: 1, maxBatch: 1 };
      const step = new NativeStep(native.functions, isa, compiled, sizes);
      let bestNs = Number.POSITIVE_INFINITY;
      for (let round = 0; round < ROUNDS; round += 1) {
        const before = Bun.nanoseconds();
        for (let i = 0; i < 10; i += 1) step.run(1);
        bestNs = Math.min(bestNs, (Bun.nanoseconds() - before) / 10);
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

/** Multiplications of one step in the model's dense layers and the bytes of their weights, as the cpu engine runs it. */
export function stepWork(model: StepModel): { macs: number; weightBytes: number } {
  let macs = 0;
  let weightBytes = 0;
  for (const { op, p, removed } of compileStep(model).program.instructions) {
    if (removed) continue;
    if (op === OP.matmul) macs += p[0] * p[1] * p[2] * p[3];
    if (op !== OP.dense && op !== OP.denseI8) continue;
    const [inputs, outputs, rows] = p;
    macs += inputs * outputs * rows;
    weightBytes += inputs * outputs * (op === OP.dense ? 4 : 1);
  }
  return { macs, weightBytes };
}
