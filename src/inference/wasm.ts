import * as ort from "onnxruntime-web/wasm";
import { ModelRefusedError } from "../core/errors.ts";
import { invariant } from "../core/invariant.ts";
import { type Feeds, floatsOf, OrtEngine, type Outputs } from "./ort-engine.ts";
import { createWasmSession } from "./ort-wasm.ts";
import { FEATURES_INPUT, nextName, PROBABILITIES_OUTPUT, type StepModel, stateSize } from "./step-model.ts";

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

/** Step models on ONNX Runtime's WebAssembly build, on one thread: runs everywhere and is the reference for the other engines. */
export class WasmEngine extends OrtEngine {
  readonly #states: readonly State[];
  /** The inputs of a batch of `n` rows at index `n`: views of the batch arrays, made when a size is first used. */
  readonly #feeds: (Feeds | undefined)[];
  readonly #batchFeatures: Float32Array<ArrayBuffer>;
  /** The slots of the rows in flight. */
  readonly #inFlight: Int32Array;
  /** `[slotCount]`: 1 where the slot was reset while a batch was in flight; its result is then not kept. */
  readonly #resetInFlight: Uint8Array;

  private constructor(model: StepModel, session: ort.InferenceSession, slotCount: number, maxBatch: number) {
    super(model, session, slotCount, maxBatch, WARM_UP_STEPS);
    const { card } = model;
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

  resetSlot(slot: number): void {
    this.checkSlot(slot);
    this.#resetInFlight[slot] = 1;
    for (const { held, size } of this.#states) held.fill(0, slot * size, (slot + 1) * size);
  }

  protected override async advance(count: number): Promise<void> {
    this.#inFlight.set(this.slots);
    this.#batchFeatures.set(this.features.subarray(0, count * this.card.featureCount));
    for (const { size, held, batch } of this.#states) {
      for (let row = 0; row < count; row += 1) {
        const slot = this.#inFlight[row];
        batch.set(held.subarray(slot * size, (slot + 1) * size), row * size);
      }
    }
    this.#resetInFlight.fill(0);
    const outputs = await this.run(this.#feedsOf(count));
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

  protected override stateBytes(): number {
    return this.#states.reduce((bytes, { held, batch }) => bytes + held.byteLength + batch.byteLength, 0);
  }

  #feedsOf(count: number): Feeds {
    const made = this.#feeds[count];
    if (made !== undefined) return made;
    const { featureCount } = this.card;
    const features = this.#batchFeatures.subarray(0, count * featureCount);
    const feeds: Feeds = { [FEATURES_INPUT]: new ort.Tensor("float32", features, [count, featureCount]) };
    for (const { name, shape, size, batch } of this.#states) {
      feeds[name] = new ort.Tensor("float32", batch.subarray(0, count * size), [count, ...shape]);
    }
    this.#feeds[count] = feeds;
    return feeds;
  }

  #floats(outputs: Outputs, name: string, length: number): Float32Array {
    const data = floatsOf(outputs, name);
    if (data.length !== length) {
      const found = `output ${name} of ${data.length} floats`;
      throw new ModelRefusedError(this.card.name, found, `${length} floats`);
    }
    return data;
  }
}
