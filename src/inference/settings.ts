import { ANY_GPU, type GpuSelection } from "../gpu/adapter.ts";
import type { CpuIsa } from "./cpu/native-step.ts";

/**
 * What TensorRT computes in: `model` as the ONNX file states; `fp16` with matrix products and convolutions in half
 * precision; `int8` as `model`, and refused when the file is not quantised.
 */
export const TENSORRT_PRECISIONS = ["model", "fp16", "int8"] as const;
export type TensorRtPrecision = (typeof TENSORRT_PRECISIONS)[number];

/** How the loop waits for the GPU: `spin` keeps its core busy and answers soonest, `block` sleeps until the GPU is done. */
export const TENSORRT_WAITS = ["spin", "block"] as const;
export type TensorRtWait = (typeof TENSORRT_WAITS)[number];

export interface TensorRtSettings {
  /** Path of the shim; null for the one inside the executable. */
  readonly library: string | null;
  /** CUDA's number of the GPU. */
  readonly device: number;
  readonly precision: TensorRtPrecision;
  readonly wait: TensorRtWait;
  /** Folder for built plans; null builds anew at every start. */
  readonly cacheDir: string | null;
}

/** What engines need to know of the host beyond the model. */
export interface EngineSettings {
  readonly gpu: GpuSelection;
  /** Instruction set of the cpu engine; the best of the host when left out. */
  readonly cpuIsa?: CpuIsa;
  readonly tensorrt: TensorRtSettings;
}

export const DEFAULT_ENGINE_SETTINGS: EngineSettings = {
  gpu: ANY_GPU,
  tensorrt: { library: null, device: 0, precision: "model", wait: "spin", cacheDir: null },
};
