import { type Pointer, ptr } from "bun:ffi";
import { mkdirSync, statSync } from "node:fs";
import { resolve } from "node:path";
import { DeviceUnavailableError, ModelRefusedError } from "../core/errors.ts";
import { invariant } from "../core/invariant.ts";
import { type NativeMemory, nativeFloats, nativeMemory } from "../core/native.ts";
import { EngineLostError, type StepEngine } from "./engine.ts";
import { type EngineSettings, TENSORRT_PRECISIONS, type TensorRtSettings } from "./settings.ts";
import { SlotRows } from "./slot-rows.ts";
import { FEATURES_INPUT, nextName, PROBABILITIES_OUTPUT, type StepModel, stateSize } from "./step-model.ts";
import { openShim, SHIM_CODE, type TensorRtShim } from "./tensorrt-library.ts";
import { warmUpSteps } from "./warm-up.ts";

/** Steps run by `warmUp`: the clocks of an idle GPU take some milliseconds to rise. */
const WARM_UP_STEPS = 512;
const MESSAGE_BYTES = 8_192;
/** Probabilities of half-precision products may differ by this from the card's. */
const HALF_TOLERANCE = 5e-3;

/**
 * TensorRT through the shim in `ffi/tensorrt_shim.cpp`: the states stay on the device, and a step is the launch of one captured
 * CUDA graph. Synchronous: a step waits for the GPU and is done when it returns.
 */
export class TensorRtEngine implements StepEngine {
  readonly name = "tensorrt";
  readonly synchronous = true;
  readonly card: StepModel["card"];
  readonly slotCount: number;
  readonly maxBatch: number;
  readonly features: Float32Array;
  readonly slots: Int32Array;
  readonly probabilities: Float32Array;
  readonly precisionTolerance: number;
  /** GPU, TensorRT's version, precision, and whether the plan was built or came from the cache. */
  readonly description: string;
  readonly #shim: TensorRtShim;
  readonly #rows: SlotRows;
  readonly #addresses: {
    readonly rows: Pointer;
    readonly features: Pointer;
    readonly probabilities: Pointer;
  };
  /** What the addresses point to. */
  readonly #memories: readonly NativeMemory[];
  readonly #deviceBytes: number;
  #handle: Pointer | null;
  #lost: string | null = null;

  private constructor(
    model: StepModel,
    slotCount: number,
    maxBatch: number,
    shim: TensorRtShim,
    handle: Pointer,
    precisionTolerance: number,
  ) {
    const { card } = model;
    this.card = card;
    this.slotCount = slotCount;
    this.maxBatch = maxBatch;
    this.precisionTolerance = precisionTolerance;
    const rows = nativeMemory(maxBatch * 4);
    const features = nativeFloats(maxBatch * card.featureCount);
    const probabilities = nativeFloats(maxBatch * card.heads.length);
    this.features = features.values;
    this.slots = new Int32Array(maxBatch);
    this.probabilities = probabilities.values;
    this.#rows = new SlotRows(slotCount, new Uint32Array(rows.buffer, rows.byteOffset, maxBatch));
    this.#memories = [rows, features.memory, probabilities.memory];
    this.#addresses = {
      rows: rows.address,
      features: features.memory.address,
      probabilities: probabilities.memory.address,
    };
    this.#shim = shim;
    this.#handle = handle;
    this.description = String(shim.keel_trt_describe(handle));
    this.#deviceBytes = Number(shim.keel_trt_memory(handle));
  }

  /**
   * Builds the plan, or takes it from the cache; a first build takes seconds to minutes.
   *
   * @throws DeviceUnavailableError when the host lacks the shim, the driver, TensorRT, or memory: the message says what to
   * install or change.
   * @throws ModelRefusedError when TensorRT does not take the model, naming the node or the layer.
   */
  static async start(
    model: StepModel,
    slotCount: number,
    maxBatch: number,
    { tensorrt: settings }: Pick<EngineSettings, "tensorrt">,
  ): Promise<TensorRtEngine> {
    invariant(slotCount >= 1 && maxBatch >= 1 && maxBatch <= slotCount, "1 ≤ maxBatch ≤ slotCount");
    const shim = await openShim(settings.library);
    const cacheDir = settings.cacheDir === null ? null : ownFolder(settings.cacheDir);
    const options = new OptionBlock(model, slotCount, maxBatch, { ...settings, cacheDir });
    const handle = new BigUint64Array(1);
    const message = Buffer.alloc(MESSAGE_BYTES);
    const code = shim.keel_trt_create(ptr(options.block), ptr(handle), ptr(message), BigInt(MESSAGE_BYTES));
    if (code !== SHIM_CODE.ok) {
      const reason = message.toString("utf8", 0, message.indexOf(0));
      if (code === SHIM_CODE.refused) {
        throw new ModelRefusedError(
          model.card.name,
          `something the tensorrt engine cannot run (${reason})`,
          "a model it takes",
        );
      }
      throw new DeviceUnavailableError("tensorrt", reason);
    }
    const tolerance = settings.precision === "fp16" ? HALF_TOLERANCE : 0;
    return new TensorRtEngine(model, slotCount, maxBatch, shim, Number(handle[0]) as Pointer, tolerance);
  }

  step(count: number): void {
    invariant(this.#handle !== null, "the engine is not disposed");
    this.#rows.take(this.slots, count);
    if (this.#lost !== null) throw new EngineLostError("tensorrt", this.#lost);
    const { rows, features, probabilities } = this.#addresses;
    const code = this.#shim.keel_trt_step(this.#handle, count, rows, features, probabilities);
    if (code === SHIM_CODE.ok) return;
    this.#lost = String(this.#shim.keel_trt_message(this.#handle));
    throw new EngineLostError("tensorrt", this.#lost);
  }

  async submit(count: number): Promise<void> {
    this.step(count);
  }

  resetSlot(slot: number): void {
    this.#rows.reset(slot);
  }

  async warmUp(): Promise<void> {
    await warmUpSteps(this, WARM_UP_STEPS);
    this.#rows.resetAll();
  }

  /** Bytes here, on the device and in pinned memory, without what TensorRT takes for its kernels. */
  memoryBytes(): number {
    const here = this.#memories.reduce((sum, { buffer }) => sum + buffer.byteLength, this.slots.byteLength);
    return here + this.#deviceBytes;
  }

  async dispose(): Promise<void> {
    if (this.#handle === null) return;
    const handle = this.#handle;
    this.#handle = null;
    this.#shim.keel_trt_destroy(handle);
  }
}

/** Plans are code for the GPU, so nobody else may write where they are kept. */
function ownFolder(path: string): string {
  const folder = resolve(path);
  try {
    mkdirSync(folder, { recursive: true, mode: 0o700 });
    if ((statSync(folder).mode & 0o022) !== 0) throw new Error("others may write to it: chmod go-w");
  } catch (error) {
    throw new DeviceUnavailableError(
      "tensorrt",
      `KEEL_TENSORRT_CACHE_DIR ${folder} cannot be used: ${error instanceof Error ? error.message : error}`,
    );
  }
  return folder;
}

/** `keel_trt_options` of `ffi/tensorrt_shim.h`, and everything it points to. */
class OptionBlock {
  readonly block: BigUint64Array;
  readonly #kept: object[] = [];

  constructor(
    { card, onnx }: StepModel,
    slotCount: number,
    maxBatch: number,
    { cacheDir, device, precision, wait }: TensorRtSettings,
  ) {
    const { states } = card;
    const sizes = BigInt64Array.from(states, ({ shape }) => BigInt(stateSize(shape)));
    this.block = BigUint64Array.of(
      this.#address(onnx),
      BigInt(onnx.byteLength),
      this.#text(card.onnxSha256),
      cacheDir === null ? 0n : this.#text(cacheDir),
      this.#text(FEATURES_INPUT),
      this.#text(PROBABILITIES_OUTPUT),
      this.#texts(states.map(({ name }) => name)),
      this.#texts(states.map(({ name }) => nextName(name))),
      sizes.length === 0 ? 0n : this.#address(sizes),
      BigInt(states.length),
      BigInt(card.featureCount),
      BigInt(card.heads.length),
      BigInt(slotCount),
      BigInt(maxBatch),
      BigInt(device),
      BigInt(TENSORRT_PRECISIONS.indexOf(precision)),
      wait === "spin" ? 1n : 0n,
    );
  }

  #address(values: Uint8Array | BigInt64Array | BigUint64Array): bigint {
    this.#kept.push(values);
    return BigInt(ptr(values));
  }

  #text(text: string): bigint {
    return this.#address(Buffer.from(`${text}\0`));
  }

  #texts(texts: readonly string[]): bigint {
    return texts.length === 0 ? 0n : this.#address(BigUint64Array.from(texts, (text) => this.#text(text)));
  }
}
