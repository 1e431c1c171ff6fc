import * as ort from "onnxruntime-web/wasm";
import { ModelRefusedError } from "../core/errors.ts";
import { invariant } from "../core/invariant.ts";
import type { ModelWindow } from "./card.ts";
import { type Feeds, floatsOf, OrtEngine } from "./ort-engine.ts";
import { createWasmSession } from "./ort-wasm.ts";
import type { StepModel } from "./step-model.ts";
import { singleRow, windowFeatures, windowShape } from "./window.ts";

const WARM_UP_STEPS = 16;

/** Bytes that all slots' windows may take; checked before they are taken. */
const WINDOW_BYTES_MAX = 1 << 30;

/**
 * A windowed model on ONNX Runtime's WebAssembly build, behind the contract of a step model: every slot keeps a ring of its
 * last `T` events, a step adds one and runs the model over all of them. Until a slot's ring is full after a reset its
 * probabilities are NaN: nothing is predicted, and the desk quotes as without a prediction.
 */
export class WindowedEngine extends OrtEngine {
  readonly #window: ModelWindow;
  readonly #shape: readonly number[];
  /** Features of an event that the model takes, and floats of a window. */
  readonly #width: number;
  readonly #size: number;
  /** Rows of one run: the batch, or 1 where the graph takes no more. */
  readonly #rowsPerRun: number;
  /** `[slotCount, T, width]`, and of each slot the place of its next event and how many it holds. */
  readonly #rings: Float32Array;
  readonly #next: Int32Array;
  readonly #held: Int32Array;
  /** `[maxBatch, T, width]`: the windows of the batch in flight, oldest event first. */
  readonly #batch: Float32Array<ArrayBuffer>;
  /** `[maxBatch]`: 1 where the row in flight has a full window. */
  readonly #full: Uint8Array;
  readonly #feeds = new Map<number, Feeds>();

  private constructor(
    model: StepModel,
    window: ModelWindow,
    session: ort.InferenceSession,
    slotCount: number,
    maxBatch: number,
  ) {
    super(model, session, slotCount, maxBatch, WARM_UP_STEPS);
    const { card } = model;
    this.#window = window;
    this.#shape = windowShape(card, window);
    this.#width = windowFeatures(card, window);
    this.#size = window.length * this.#width;
    this.#rowsPerRun = singleRow(window, model.graph) ? 1 : maxBatch;
    this.#rings = new Float32Array(slotCount * this.#size);
    this.#next = new Int32Array(slotCount);
    this.#held = new Int32Array(slotCount);
    this.#batch = new Float32Array(maxBatch * this.#size);
    this.#full = new Uint8Array(maxBatch);
  }

  /**
   * @throws ModelRefusedError when ONNX Runtime does not take the model, or the slots' windows are too large.
   * @throws DeviceUnavailableError when the WebAssembly runtime cannot be started.
   */
  static async start(model: StepModel, slotCount: number, maxBatch: number): Promise<WindowedEngine> {
    const { card } = model;
    invariant(slotCount >= 1 && maxBatch >= 1 && maxBatch <= slotCount, "1 ≤ maxBatch ≤ slotCount");
    invariant(card.window !== undefined, "the model is windowed");
    const bytes = (slotCount + maxBatch) * card.window.length * windowFeatures(card, card.window) * 4;
    if (bytes > WINDOW_BYTES_MAX) {
      throw new ModelRefusedError(
        card.name,
        `windows of ${bytes} bytes for ${slotCount} slots`,
        `at most ${WINDOW_BYTES_MAX}`,
      );
    }
    const session = await createWasmSession(model);
    return new WindowedEngine(model, card.window, session, slotCount, maxBatch);
  }

  resetSlot(slot: number): void {
    this.checkSlot(slot);
    this.#next[slot] = 0;
    this.#held[slot] = 0;
  }

  protected override async advance(count: number): Promise<void> {
    for (let row = 0; row < count; row += 1) this.#push(row);
    for (let from = 0; from < count; from += this.#rowsPerRun) {
      await this.#runRows(from, Math.min(this.#rowsPerRun, count - from));
    }
  }

  protected override stateBytes(): number {
    return this.#rings.byteLength + this.#batch.byteLength;
  }

  /** Adds the row's event to its slot's ring and lays the ring out, oldest first, in the batch. */
  #push(row: number): void {
    const { features: columns, length } = this.#window;
    const slot = this.slots[row];
    const width = this.#width;
    const ring = slot * this.#size;
    const next = this.#next[slot];
    const from = row * this.card.featureCount;
    for (let i = 0; i < width; i += 1) {
      this.#rings[ring + next * width + i] = this.features[from + (columns === null ? i : columns[i])];
    }
    const oldest = (next + 1) % length;
    this.#next[slot] = oldest;
    this.#held[slot] = Math.min(this.#held[slot] + 1, length);
    this.#full[row] = this.#held[slot] === length ? 1 : 0;
    const to = row * this.#size;
    const tail = (length - oldest) * width;
    this.#batch.set(this.#rings.subarray(ring + oldest * width, ring + this.#size), to);
    this.#batch.set(this.#rings.subarray(ring, ring + oldest * width), to + tail);
  }

  async #runRows(from: number, count: number): Promise<void> {
    const { columns, output } = this.#window;
    const heads = this.card.heads.length;
    const data = floatsOf(await this.run(this.#feedsOf(from, count), [output]), output);
    const width = data.length / count;
    const fits = columns === null ? width === heads : width > Math.max(...columns);
    if (!Number.isInteger(width) || !fits) {
      throw new ModelRefusedError(
        this.card.name,
        `output ${output} of ${data.length} floats for ${count} rows`,
        columns === null ? `${heads} floats a row` : `columns ${columns.join(", ")} in every row`,
      );
    }
    for (let row = 0; row < count; row += 1) {
      for (let head = 0; head < heads; head += 1) {
        const value = data[row * width + (columns === null ? head : columns[head])];
        this.probabilities[(from + row) * heads + head] = this.#full[from + row] === 1 ? value : Number.NaN;
      }
    }
  }

  /** Inputs over a part of the batch, made when it is first used. */
  #feedsOf(from: number, count: number): Feeds {
    const key = from * (this.maxBatch + 1) + count;
    const made = this.#feeds.get(key);
    if (made !== undefined) return made;
    const windows = this.#batch.subarray(from * this.#size, (from + count) * this.#size);
    const feeds = { [this.#window.input]: new ort.Tensor("float32", windows, [count, ...this.#shape]) };
    this.#feeds.set(key, feeds);
    return feeds;
  }
}
