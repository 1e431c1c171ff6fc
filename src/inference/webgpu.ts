import { DeviceUnavailableError, ModelRefusedError } from "../core/errors.ts";
import { InvariantError, invariant } from "../core/invariant.ts";
import type { GpuAdapterEntry } from "../gpu/adapter.ts";
import type { Gpu } from "../gpu/device.ts";
import { GpuLostError } from "../gpu/errors.ts";
import { type DeviceStepEngine, EngineLostError } from "./engine.ts";
import { type DeviceState, SlotMover } from "./gpu-slots.ts";
import { openTriedGpu } from "./gpu-trial.ts";
import { inTurn, type Ort, startRuntime, TensorBuffers } from "./ort-webgpu.ts";
import type { EngineSettings } from "./settings.ts";
import { SlotRows } from "./slot-rows.ts";
import { FEATURES_INPUT, nextName, PROBABILITIES_OUTPUT, type StepModel, stateSize } from "./step-model.ts";
import { warmUpSteps } from "./warm-up.ts";
import type { FeatureTarget } from "./wgsl/device-step.ts";

/** Steps run by `warmUp`: the first compiles the pipelines, the second captures the graph. */
const WARM_UP_STEPS = 8;

/**
 * ONNX Runtime's WebGPU provider on Dawn. The states stay on the device and so do the model's inputs and outputs, all in
 * buffers taken at start; of a step only the probabilities come back. Every step runs the full batch, idle rows included, so
 * that one captured graph serves all. Asynchronous: a step ends when the device has answered.
 */
export class WebGpuEngine implements DeviceStepEngine {
  readonly name = "webgpu";
  readonly synchronous = false;
  readonly card: StepModel["card"];
  readonly slotCount: number;
  readonly maxBatch: number;
  readonly features: Float32Array<ArrayBuffer>;
  readonly slots: Int32Array;
  readonly probabilities: Float32Array;
  readonly adapter: GpuAdapterEntry;
  /** ONNX Runtime recorded the model's dispatches once and replays them; false where a node of the model does not allow it. */
  readonly graphCaptured: boolean;
  readonly gpu: Gpu;
  readonly featureTarget: FeatureTarget;
  readonly #device: GPUDevice;
  readonly #session: Ort.InferenceSession;
  readonly #buffers: Buffers;
  readonly #rows: SlotRows;
  readonly #feeds: Readonly<Record<string, Ort.Tensor>>;
  readonly #fetches: Readonly<Record<string, Ort.Tensor>>;
  readonly #outputs: readonly string[];
  readonly #modelBytes: number;
  #lost: string | null = null;
  #busy = false;
  #disposed = false;

  private constructor(
    model: StepModel,
    buffers: Buffers,
    ort: typeof Ort,
    gpu: Gpu,
    session: Ort.InferenceSession,
    graphCaptured: boolean,
  ) {
    const { card } = model;
    const { slotCount, maxBatch } = buffers;
    this.card = card;
    this.slotCount = slotCount;
    this.maxBatch = maxBatch;
    this.features = new Float32Array(maxBatch * card.featureCount);
    this.slots = new Int32Array(maxBatch);
    this.probabilities = new Float32Array(maxBatch * card.heads.length);
    this.adapter = { name: gpu.adapter, software: gpu.software };
    this.graphCaptured = graphCaptured;
    this.gpu = gpu;
    this.featureTarget = { buffer: buffers.set.features, offset: 0 };
    this.#device = gpu.device;
    this.#session = session;
    this.#modelBytes = model.onnx.byteLength;
    this.#rows = new SlotRows(slotCount, new Uint32Array(maxBatch));
    this.#buffers = buffers;
    const tensor = (gpuBuffer: GPUBuffer, dims: readonly number[]): Ort.Tensor =>
      ort.Tensor.fromGpuBuffer(gpuBuffer, { dataType: "float32", dims: [maxBatch, ...dims] });
    const feeds: Record<string, Ort.Tensor> = {
      [FEATURES_INPUT]: tensor(buffers.set.features, [card.featureCount]),
    };
    const fetches: Record<string, Ort.Tensor> = {
      [PROBABILITIES_OUTPUT]: tensor(buffers.set.probabilities, [card.heads.length]),
    };
    for (const [index, { name, shape }] of card.states.entries()) {
      const { input, output } = buffers.set.states[index];
      feeds[name] = tensor(input, shape);
      fetches[nextName(name)] = tensor(output, shape);
    }
    this.#feeds = feeds;
    this.#fetches = fetches;
    this.#outputs = Object.keys(fetches);
    gpu.loss.catch((error: unknown) => {
      this.#lost = causeOf(error);
    });
  }

  /**
   * @param automatic the engine was not asked for by name: a software adapter is then not taken.
   * @throws DeviceUnavailableError when there is no such adapter, or it does not compute, or lacks the memory.
   * @throws ModelRefusedError when ONNX Runtime does not take the model.
   */
  static async start(
    model: StepModel,
    slotCount: number,
    maxBatch: number,
    { gpu: selection }: Pick<EngineSettings, "gpu">,
    automatic = false,
  ): Promise<WebGpuEngine> {
    invariant(slotCount >= 1 && maxBatch >= 1 && maxBatch <= slotCount, "1 ≤ maxBatch ≤ slotCount");
    const gpu = await openTriedGpu(selection, automatic);
    let buffers: Buffers | null = null;
    try {
      checkSizes(gpu.device, model, slotCount, maxBatch);
      const ort = await startRuntime();
      buffers = await Buffers.take(ort, gpu, model, slotCount, maxBatch);
      const captured = await createSession(ort, model, gpu.device, maxBatch, true).catch(() => null);
      if (captured !== null) {
        const engine = new WebGpuEngine(model, buffers, ort, gpu, captured, true);
        if (await engine.#runs()) return engine;
        await inTurn(() => captured.release());
      }
      const session = await createSession(ort, model, gpu.device, maxBatch, false);
      return new WebGpuEngine(model, buffers, ort, gpu, session, false);
    } catch (error) {
      // A device that others hold too lives on.
      if (gpu.lost === null) await buffers?.release();
      gpu.close();
      throw error;
    }
  }

  step(): void {
    throw new InvariantError("the webgpu engine is asynchronous: use submit");
  }

  submit(count: number): Promise<void> {
    return this.#submit(count, null);
  }

  submitWith(count: number, encode: (encoder: GPUCommandEncoder) => void): Promise<void> {
    return this.#submit(count, encode);
  }

  async #submit(count: number, encode: ((encoder: GPUCommandEncoder) => void) | null): Promise<void> {
    invariant(!this.#disposed, "the engine is not disposed");
    invariant(!this.#busy, "at most one submit is in flight");
    this.#rows.take(this.slots, count);
    if (this.#lost !== null) throw new EngineLostError("webgpu", this.#lost);
    this.#busy = true;
    try {
      this.#upload(count, encode);
      await this.gpu.whileAlive(this.#advance(count));
    } catch (error) {
      throw new EngineLostError("webgpu", causeOf(error));
    } finally {
      this.#busy = false;
    }
  }

  resetSlot(slot: number): void {
    this.#rows.reset(slot);
  }

  async warmUp(): Promise<void> {
    await warmUpSteps(this, WARM_UP_STEPS);
    this.#rows.resetAll();
  }

  /** Bytes of the model, of the arrays here and of the buffers on the device, without what ONNX Runtime takes for itself. */
  memoryBytes(): number {
    const { features, slots, probabilities } = this;
    const arrays = features.byteLength + slots.byteLength + probabilities.byteLength;
    return arrays + this.#buffers.bytes + this.#modelBytes;
  }

  async dispose(): Promise<void> {
    if (this.#disposed) return;
    this.#disposed = true;
    // Releasing a session of a lost device would block every later call of ONNX Runtime.
    if (this.#lost === null) {
      await inTurn(() => this.#session.release());
      await this.#buffers.release();
    }
    this.gpu.close();
  }

  /** Whether the captured graph can be recorded and replayed: some models fail only then. */
  async #runs(): Promise<boolean> {
    try {
      await this.warmUp();
      return true;
    } catch (error) {
      if (this.#lost !== null) throw error;
      return false;
    }
  }

  /** Everything of the inputs that the device needs; they may change after this. */
  #upload(count: number, encode: ((encoder: GPUCommandEncoder) => void) | null): void {
    const { queue } = this.#device;
    const { rows, features } = this.#buffers.set;
    queue.writeBuffer(rows, 0, this.#rows.rows);
    if (encode === null) queue.writeBuffer(features, 0, this.features, 0, count * this.card.featureCount);
    const encoder = this.#device.createCommandEncoder();
    encode?.(encoder);
    this.#buffers.mover.gather(encoder);
    this.gpu.submit(encoder.finish());
  }

  async #advance(count: number): Promise<void> {
    const results = await inTurn(() => this.#session.run(this.#feeds, this.#fetches));
    for (const name of this.#outputs) {
      // A captured run answers with a second tensor over the same buffer.
      if (results[name] !== this.#fetches[name]) results[name]?.dispose();
    }
    const { mover, set } = this.#buffers;
    const { probabilities, readback } = set;
    const bytes = count * this.card.heads.length * 4;
    const encoder = this.#device.createCommandEncoder();
    mover.scatter(encoder);
    encoder.copyBufferToBuffer(probabilities, 0, readback, 0, bytes);
    this.gpu.submit(encoder.finish());
    await readback.mapAsync(GPUMapMode.READ, 0, bytes);
    this.probabilities.set(new Float32Array(readback.getMappedRange(0, bytes)));
    readback.unmap();
  }
}

interface BufferSet {
  /** `[maxBatch]` */
  readonly rows: GPUBuffer;
  /** `[maxBatch, F]` */
  readonly features: GPUBuffer;
  /** `[maxBatch, K]` */
  readonly probabilities: GPUBuffer;
  /** As `probabilities`, for the host to read. */
  readonly readback: GPUBuffer;
  readonly states: readonly DeviceState[];
}

/** Everything an engine holds on the device but ONNX Runtime's own. */
class Buffers {
  readonly slotCount: number;
  readonly maxBatch: number;
  readonly bytes: number;
  readonly set: BufferSet;
  readonly mover: SlotMover;
  readonly #gpu: Gpu;
  readonly #tensors: TensorBuffers;

  static async take(
    ort: typeof Ort,
    gpu: Gpu,
    { card }: StepModel,
    slotCount: number,
    maxBatch: number,
  ): Promise<Buffers> {
    const tensors = await TensorBuffers.start(ort, gpu.device);
    const { STORAGE, COPY_DST, MAP_READ } = GPUBufferUsage;
    const own = (words: number, usage: number) => gpu.buffers.take("engine", words * 4, usage);
    const heads = maxBatch * card.heads.length;
    const states: DeviceState[] = [];
    for (const { shape } of card.states) {
      const size = stateSize(shape);
      states.push({
        size,
        held: own(slotCount * size, STORAGE),
        input: await tensors.take(maxBatch * size),
        output: await tensors.take(maxBatch * size),
      });
    }
    const set = {
      rows: own(maxBatch, STORAGE | COPY_DST),
      features: await tensors.take(maxBatch * card.featureCount),
      probabilities: await tensors.take(heads),
      readback: own(heads, MAP_READ | COPY_DST),
      states,
    };
    return new Buffers(gpu, tensors, set, slotCount, maxBatch);
  }

  private constructor(gpu: Gpu, tensors: TensorBuffers, set: BufferSet, slotCount: number, maxBatch: number) {
    this.slotCount = slotCount;
    this.maxBatch = maxBatch;
    this.set = set;
    this.#tensors = tensors;
    this.#gpu = gpu;
    this.mover = new SlotMover(gpu.device, set.rows, maxBatch, set.states);
    const { rows, features, probabilities, readback, states } = set;
    const all = [rows, features, probabilities, readback].concat(
      ...states.map(({ held, input, output }) => [held, input, output]),
    );
    this.bytes = all.reduce((sum, { size }) => sum + size, 0);
  }

  release(): Promise<void> {
    const { rows, readback, states } = this.set;
    for (const buffer of [rows, readback, ...states.map(({ held }) => held)]) this.#gpu.buffers.give(buffer);
    return this.#tensors.release();
  }
}

/** @throws DeviceUnavailableError when a buffer would be larger than the device allows. */
function checkSizes(device: GPUDevice, { card }: StepModel, slotCount: number, maxBatch: number): void {
  const limit = Math.min(device.limits.maxBufferSize, device.limits.maxStorageBufferBindingSize);
  const largest = Math.max(
    maxBatch * card.featureCount * 4,
    ...card.states.map(({ shape }) => slotCount * stateSize(shape) * 4),
  );
  if (largest > limit || maxBatch > device.limits.maxComputeWorkgroupsPerDimension) {
    throw new DeviceUnavailableError(
      "webgpu",
      `${slotCount} slots and batches of ${maxBatch} need a buffer of ${largest} bytes, the device allows ${limit}: use fewer slots`,
    );
  }
}

async function createSession(
  ort: typeof Ort,
  { card, onnx, graph }: StepModel,
  device: GPUDevice,
  batch: number,
  enableGraphCapture: boolean,
): Promise<Ort.InferenceSession> {
  const batchName = graph.inputs.find(({ name }) => name === FEATURES_INPUT)?.dims?.[0];
  try {
    return await inTurn(() =>
      ort.InferenceSession.create(onnx, {
        executionProviders: [{ name: "webgpu", device }],
        preferredOutputLocation: "gpu-buffer",
        graphOptimizationLevel: "all",
        enableGraphCapture,
        // That a model cannot be captured is no error.
        logSeverityLevel: enableGraphCapture ? 4 : 3,
        ...(typeof batchName === "string" ? { freeDimensionOverrides: { [batchName]: batch } } : {}),
      }),
    );
  } catch (error) {
    throw new ModelRefusedError(
      card.name,
      `an ONNX file that ONNX Runtime's WebGPU provider does not take (${messageOf(error)})`,
      "an ONNX model with operators of opset 7 to 25",
    );
  }
}

const causeOf = (error: unknown): string => (error instanceof GpuLostError ? error.reason : messageOf(error));

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
