import wasmPath from "onnxruntime-web/ort-wasm-simd-threaded.wasm" with { type: "file" };
import * as ort from "onnxruntime-web/wasm";
import { DeviceUnavailableError, ModelRefusedError } from "../core/errors.ts";
import type { StepModel } from "./step-model.ts";

let runtime: Promise<void> | null = null;

function startRuntime(): Promise<void> {
  runtime ??= (async () => {
    ort.env.wasm.numThreads = 1;
    ort.env.wasm.proxy = false;
    ort.env.logLevel = "error";
    ort.env.wasm.wasmBinary = await Bun.file(wasmPath).arrayBuffer();
  })();
  return runtime;
}

/**
 * A session of ONNX Runtime's WebAssembly build on one thread.
 *
 * @throws ModelRefusedError when ONNX Runtime does not take the model.
 * @throws DeviceUnavailableError when the WebAssembly runtime cannot be started.
 */
export async function createWasmSession(model: StepModel): Promise<ort.InferenceSession> {
  await startRuntime().catch((error: unknown) => {
    throw new DeviceUnavailableError("wasm", `ONNX Runtime's WebAssembly file cannot be read: ${error}`);
  });
  try {
    return await ort.InferenceSession.create(model.onnx, {
      executionProviders: ["wasm"],
      graphOptimizationLevel: "all",
      executionMode: "sequential",
      logSeverityLevel: 3,
    });
  } catch (error) {
    throw new ModelRefusedError(
      model.card.name,
      `an ONNX file that ONNX Runtime does not take (${messageOf(error)})`,
      "an ONNX model with operators of opset 7 to 25",
    );
  }
}

export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
