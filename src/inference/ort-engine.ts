import type * as ort from "onnxruntime-web/wasm";
import { InvariantError, invariant } from "../core/invariant.ts";
import { EngineLostError, type StepEngine } from "./engine.ts";
import { messageOf } from "./ort-wasm.ts";
import type { StepModel } from "./step-model.ts";
import { warmUpSteps } from "./warm-up.ts";

export type Feeds = Record<string, ort.Tensor>;
export type Outputs = ort.InferenceSession.OnnxValueMapType;

/**
 * What engines on a session of ONNX Runtime's WebAssembly build have in common: the rows, one submit at a time, the checks of a
 * batch, warm-up and the end. They are asynchronous, because onnxruntime-web's public interface is.
 */
export abstract class OrtEngine implements StepEngine {
  readonly name = "wasm";
  readonly synchronous = false;
  readonly card: StepModel["card"];
  readonly slotCount: number;
  readonly maxBatch: number;
  readonly features: Float32Array<ArrayBuffer>;
  readonly slots: Int32Array;
  readonly probabilities: Float32Array;
  readonly #session: ort.InferenceSession;
  readonly #modelBytes: number;
  readonly #warmUpSteps: number;
  #busy = false;
  #disposed = false;

  /** @param warmUpSteps steps until ONNX Runtime's timings have settled */
  protected constructor(
    { card, onnx }: StepModel,
    session: ort.InferenceSession,
    slotCount: number,
    maxBatch: number,
    warmUpSteps: number,
  ) {
    this.card = card;
    this.slotCount = slotCount;
    this.maxBatch = maxBatch;
    this.features = new Float32Array(maxBatch * card.featureCount);
    this.slots = new Int32Array(maxBatch);
    this.probabilities = new Float32Array(maxBatch * card.heads.length);
    this.#session = session;
    this.#modelBytes = onnx.byteLength;
    this.#warmUpSteps = warmUpSteps;
  }

  /** Takes the rows' features and slots, which the caller may overwrite as soon as this has returned, and runs them. */
  protected abstract advance(count: number): Promise<void>;

  /** Bytes that the states or windows take. */
  protected abstract stateBytes(): number;

  abstract resetSlot(slot: number): void;

  step(): void {
    throw new InvariantError("the wasm engine is asynchronous: use submit");
  }

  async submit(count: number): Promise<void> {
    invariant(!this.#disposed, "the engine is not disposed");
    invariant(!this.#busy, "at most one submit is in flight");
    invariant(Number.isInteger(count) && count >= 1 && count <= this.maxBatch, "1 ≤ count ≤ maxBatch");
    for (let row = 0; row < count; row += 1) this.checkSlot(this.slots[row]);
    this.#busy = true;
    try {
      await this.advance(count);
    } finally {
      this.#busy = false;
    }
  }

  async warmUp(): Promise<void> {
    await warmUpSteps(this, this.#warmUpSteps);
    for (let slot = 0; slot < this.slotCount; slot += 1) this.resetSlot(slot);
  }

  memoryBytes(): number {
    const { features, slots, probabilities } = this;
    const rows = features.byteLength + slots.byteLength + probabilities.byteLength;
    return rows + this.stateBytes() + this.#modelBytes;
  }

  async dispose(): Promise<void> {
    if (this.#disposed) return;
    this.#disposed = true;
    await this.#session.release();
  }

  protected checkSlot(slot: number): void {
    invariant(slot >= 0 && slot < this.slotCount, "0 ≤ slot < slotCount");
  }

  /** @param wanted the outputs to compute; all of them when left out. @throws EngineLostError when the session fails. */
  protected async run(feeds: Feeds, wanted?: readonly string[]): Promise<Outputs> {
    try {
      return await (wanted === undefined ? this.#session.run(feeds) : this.#session.run(feeds, [...wanted]));
    } catch (error) {
      throw new EngineLostError("wasm", messageOf(error));
    }
  }
}

/** The floats of an output; empty where there is none or it is of another type. */
export function floatsOf(outputs: Outputs, name: string): Float32Array {
  const data = outputs[name]?.data;
  return data instanceof Float32Array ? data : new Float32Array(0);
}
