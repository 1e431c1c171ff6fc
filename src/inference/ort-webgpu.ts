import wasmPath from "onnxruntime-web/ort-wasm-simd-threaded.asyncify.wasm" with { type: "file" };
import type * as Ort from "onnxruntime-web/webgpu";
import { DeviceUnavailableError } from "../core/errors.ts";
import { invariant } from "../core/invariant.ts";

export type { Ort };

let runtime: Promise<typeof Ort> | null = null;

/** ONNX Runtime's module runs one call at a time: the last call begun, of whichever engine. */
let lastCall: Promise<unknown> = Promise.resolve();

/** @throws DeviceUnavailableError when its files cannot be read. */
export function startRuntime(): Promise<typeof Ort> {
  runtime ??= (async () => {
    const ort = await import("onnxruntime-web/webgpu");
    ort.env.wasm.numThreads = 1;
    ort.env.wasm.proxy = false;
    ort.env.logLevel = "error";
    ort.env.wasm.wasmBinary = await Bun.file(wasmPath).arrayBuffer();
    return ort;
  })().catch((error: unknown) => {
    throw new DeviceUnavailableError("webgpu", `ONNX Runtime's files cannot be read: ${error}`);
  });
  return runtime;
}

/** Waits for the calls before it, and makes those after it wait. */
export function inTurn<T>(call: () => Promise<T>): Promise<T> {
  const mine = lastCall.then(call, call);
  lastCall = mine.catch(() => {});
  return mine;
}

/** `y = Neg(x)`, both `float [N]`, opset 17: the least model that makes ONNX Runtime allocate an output. */
export const ALLOCATING_MODEL = Uint8Array.fromBase64(
  "CAg6NwoLCgF4EgF5IgNOZWcSBHN0ZXBaEAoBeBILCgkIARIFCgMSAU5iEAoBeRILCgkIARIFCgMSAU5CAhAR",
);

/**
 * Makes GPU buffers that ONNX Runtime owns.
 *
 * A captured graph keeps the handles of the buffers it was recorded with. For a buffer made outside, onnxruntime-web 1.30
 * imports a handle before each run and releases it after the run; the next replay then uses a handle that is free or, worse,
 * another buffer's: `createBindGroup` fails, or reads something else. A buffer that ONNX Runtime gave out as an output keeps
 * its handle as long as its tensor lives, also when it is used as an input, so all inputs and outputs are made that way.
 */
export class TensorBuffers {
  readonly #ort: typeof Ort;
  readonly #session: Ort.InferenceSession;
  readonly #tensors: Ort.Tensor[] = [];

  private constructor(ort: typeof Ort, session: Ort.InferenceSession) {
    this.#ort = ort;
    this.#session = session;
  }

  static async start(ort: typeof Ort, device: GPUDevice): Promise<TensorBuffers> {
    const session = await inTurn(() =>
      ort.InferenceSession.create(ALLOCATING_MODEL, {
        executionProviders: [{ name: "webgpu", device }],
        preferredOutputLocation: "gpu-buffer",
        logSeverityLevel: 3,
      }),
    );
    return new TensorBuffers(ort, session);
  }

  /** A zeroed buffer for an f32 tensor of this many values, usable in storage bindings and as source and target of copies. */
  async take(length: number): Promise<GPUBuffer> {
    const x = new this.#ort.Tensor("float32", new Float32Array(length), [length]);
    const { y } = await inTurn(() => this.#session.run({ x }));
    invariant(
      y !== undefined && y.location === "gpu-buffer",
      "the allocating model's output is on the device",
    );
    this.#tensors.push(y);
    return y.gpuBuffer as GPUBuffer;
  }

  async release(): Promise<void> {
    for (const tensor of this.#tensors) tensor.dispose();
    await inTurn(() => this.#session.release());
  }
}
