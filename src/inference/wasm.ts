import * as ort from "onnxruntime-web/wasm";
import { ModelRefusedError } from "../core/errors.ts";
import { InvariantError, invariant } from "../core/invariant.ts";
import { EngineLostError, type StepEngine } from "./engine.ts";
import { createWasmSession, messageOf } from "./ort-wasm.ts";
import { FEATURES_INPUT, nextName, PROBABILITIES_OUTPUT, type StepModel, stateSize } from "./step-model.ts";

/** Steps run by `warmUp`; ONNX Runtime's timings settle within the first few dozen. */
const WARM_UP_STEPS = 64;

interface State {
  readonly name: string;
  readonly nextName: string;
  readonly shape: readonly number[];
  readonly size: number;
  /** `[slotCount, size]`: what every slot holds. */
  readonly held: Float32Array;
  /** `[maxBatch, size]`: the rows of the batch in flight. */
  readonly batch: Float32Array<ArrayBuffer>;
}

/**
 * ONNX Runtime's WebAssembly build on one thread: runs everywhere and is the reference for the other engines. It is
 * asynchronous, because onnxruntime-web's public interface is.
 */
export class WasmEngine implements StepEngine {
  readonly name = "wasm";
  readonly synchronous = false;
  readonly card: StepModel["card"];
  readonly slotCount: number;
  readonly maxBatch: number;
  readonly features: Float32Array<ArrayBuffer>;
  readonly slots: Int32Array;
  readonly probabilities: Float32Array;
  readonly #session: ort.InferenceSession;
  readonly #states: readonly State[];
  /** The inputs of a batch of `n` rows at index `n`: views of the batch arrays, made when a size is first used. */
  readonly #feeds: (Record<string, ort.Tensor> | undefined)[];
  readonly #batchFeatures: Float32Array<ArrayBuffer>;
  /** The slots of the rows in flight. */
  readonly #inFlight: Int32Array;
  /** `[slotCount]`: 1 where the slot was reset while a batch was in flight; its result is then not kept. */
  readonly #resetInFlight: Uint8Array;
  readonly #modelBytes: number;
  #busy = false;
  #disposed = false;

  private constructor(model: StepModel, session: ort.InferenceSession, slotCount: number, maxBatch: number) {
    const { card } = model;
    this.card = card;
    this.slotCount = slotCount;
    this.maxBatch = maxBatch;
    this.features = new Float32Array(maxBatch * card.featureCount);
    this.slots = new Int32Array(maxBatch);
    this.probabilities = new Float32Array(maxBatch * card.heads.length);
    this.#session = session;
    this.#states = card.states.map(({ name, shape }) => {
      const size = stateSize(shape);
      return {
        name,
        nextName: nextName(name),
        shape,
        size,
        held: new Float32Array(slotCount * size),
        batch: new Float32Array(maxBatch * size),
      };
    });
    this.#feeds = new Array(maxBatch + 1).fill(undefined);
    this.#batchFeatures = new Float32Array(maxBatch * card.featureCount);
    this.#inFlight = new Int32Array(maxBatch);
    this.#resetInFlight = new Uint8Array(slotCount);
    this.#modelBytes = model.onnx.byteLength;
  }

  /**
   * @throws ModelRefusedError when ONNX Runtime does not take the model.
   * @throws DeviceUnavailableError when the WebAssembly runtime cannot be started.
   */
  static async start(model: StepModel, slotCount: number, maxBatch: number): Promise<WasmEngine> {
    invariant(slotCount >= 1 && maxBatch >= 1 && maxBatch <= slotCount, "1 ≤ maxBatch ≤ slotCount");
    const session = await createWasmSession(model);
    return new WasmEngine(model, session, slotCount, maxBatch);
  }

  step(): void {
    throw new InvariantError("the wasm engine is asynchronous: use submit");
  }

  async submit(count: number): Promise<void> {
    invariant(!this.#disposed, "the engine is not disposed");
    invariant(!this.#busy, "at most one submit is in flight");
    invariant(Number.isInteger(count) && count >= 1 && count <= this.maxBatch, "1 ≤ count ≤ maxBatch");
    for (let row = 0; row < count; row += 1) {
      const slot = this.slots[row];
      invariant(slot >= 0 && slot < this.slotCount, "0 ≤ slot < slotCount");
      this.#inFlight[row] = slot;
    }
    this.#batchFeatures.set(this.features.subarray(0, count * this.card.featureCount));
    for (const { size, held, batch } of this.#states) {
      for (let row = 0; row < count; row += 1) {
        const slot = this.#inFlight[row];
        batch.set(held.subarray(slot * size, (slot + 1) * size), row * size);
      }
    }
    this.#resetInFlight.fill(0);
    this.#busy = true;
    let outputs: ort.InferenceSession.OnnxValueMapType;
    try {
      outputs = await this.#session.run(this.#feedsOf(count));
    } catch (error) {
      throw new EngineLostError("wasm", messageOf(error));
    } finally {
      this.#busy = false;
    }
    this.probabilities.set(this.#floats(outputs, PROBABILITIES_OUTPUT, count * this.card.heads.length));
    for (const state of this.#states) {
      const { size, held } = state;
      const next = this.#floats(outputs, state.nextName, count * size);
      for (let row = 0; row < count; row += 1) {
        const slot = this.#inFlight[row];
        if (this.#resetInFlight[slot] === 0)
          held.set(next.subarray(row * size, (row + 1) * size), slot * size);
      }
    }
  }

  resetSlot(slot: number): void {
    invariant(slot >= 0 && slot < this.slotCount, "0 ≤ slot < slotCount");
    this.#resetInFlight[slot] = 1;
    for (const { held, size } of this.#states) held.fill(0, slot * size, (slot + 1) * size);
  }

  async warmUp(): Promise<void> {
    this.features.fill(0);
    for (let i = 0; i < WARM_UP_STEPS; i += 1) {
      const count = i % 2 === 0 ? 1 : this.maxBatch;
      for (let row = 0; row < count; row += 1) this.slots[row] = row;
      await this.submit(count);
    }
    for (let slot = 0; slot < this.slotCount; slot += 1) this.resetSlot(slot);
  }

  memoryBytes(): number {
    let bytes = this.features.byteLength + this.slots.byteLength + this.probabilities.byteLength;
    for (const { held, batch } of this.#states) bytes += held.byteLength + batch.byteLength;
    return bytes + this.#modelBytes;
  }

  async dispose(): Promise<void> {
    if (this.#disposed) return;
    this.#disposed = true;
    await this.#session.release();
  }

  #feedsOf(count: number): Record<string, ort.Tensor> {
    const made = this.#feeds[count];
    if (made !== undefined) return made;
    const { featureCount } = this.card;
    const feeds: Record<string, ort.Tensor> = {
      [FEATURES_INPUT]: new ort.Tensor("float32", this.#batchFeatures.subarray(0, count * featureCount), [
        count,
        featureCount,
      ]),
    };
    for (const { name, shape, size, batch } of this.#states) {
      feeds[name] = new ort.Tensor("float32", batch.subarray(0, count * size), [count, ...shape]);
    }
    this.#feeds[count] = feeds;
    return feeds;
  }

  #floats(outputs: ort.InferenceSession.OnnxValueMapType, name: string, length: number): Float32Array {
    const data = outputs[name]?.data;
    if (!(data instanceof Float32Array) || data.length !== length) {
      throw new ModelRefusedError(
        this.card.name,
        `output ${name} of ${data?.length ?? 0} values`,
        `${length} floats`,
      );
    }
    return data;
  }
}
