import { ModelRefusedError } from "../core/errors.ts";
import { invariant } from "../core/invariant.ts";
import type { Calibration } from "./calibration.ts";
import type { StepEngine } from "./engine.ts";

/** Steps of an instrument that are kept to warm a model with; as many events as a step model remembers, and more. */
const HISTORY_ROWS = 256;

/** Where an engine's rows are. */
type Rows = Pick<StepEngine, "features" | "slots" | "probabilities">;

/**
 * An engine whose model can be changed between two events, one slot after the other or all at once, without losing one.
 *
 * It holds up to two models. Each slot has one of them in force; the other one follows: it is stepped on the same rows of
 * features, later, by {@link catchUp} or at the latest when its history is full. A model that is loaded begins with the rows that are
 * in the history, from the initial state. So the state of either model depends on the rows alone and not on when it was brought up to
 * date, and a run that makes the same changes between the same events gives the same probabilities bit for bit.
 *
 * A model alone is stepped on its own rows: they are written and read where it has them. Beside a second one rows are this engine's, and
 * each model is given its share.
 *
 * A model loaded beside the first that gives something which is no probability loses the slot within that very step: the
 * row is answered by the first model.
 */
export class SwitchedEngine implements StepEngine {
  readonly name: StepEngine["name"];
  readonly slotCount: number;
  readonly maxBatch: number;
  readonly synchronous = true;
  /** Rows that the second model answered with something else than probabilities. */
  oddRows = 0;
  /** Is told of each slot that a row without probabilities took from the second model, within the step. */
  onFallBack: ((slot: number) => void) | null = null;
  /** Rows that a following model was stepped on within {@link step}, because its history was full. */
  forcedRows = 0;
  #first: StepEngine;
  #second: StepEngine | null = null;
  /** `[slotCount]`: 1 where the second model is in force. */
  readonly #onSecond: Uint8Array;
  /** `[slotCount, HISTORY_ROWS, F]`. */
  readonly #history: Float32Array;
  /** `[slotCount]`: rows of each slot since its reset, and how many of them the model that follows has taken. */
  readonly #written: Float64Array;
  readonly #followed: Float64Array;
  readonly #rowsOf: readonly [Int32Array, Int32Array];
  /** What rows go through while there are two models, and views of its rows of features. */
  readonly #own: Rows;
  readonly #row: readonly Float32Array[];
  /** In force: the first model's own, or {@link #own}. */
  #rows: Rows;
  readonly #features: number;
  readonly #heads: number;
  /** Rows of the last step that are not in the history yet; the first model's own input still has them, seen through these views. */
  #unkept = 0;
  #input: readonly Float32Array[];
  #nextSlot = 0;

  /** @param first a synchronous engine */
  constructor(first: StepEngine) {
    invariant(first.synchronous && first.featureSource === undefined, "a synchronous engine");
    const { slotCount, maxBatch, card } = first;
    this.#first = first;
    this.name = first.name;
    this.slotCount = slotCount;
    this.maxBatch = maxBatch;
    this.#features = card.featureCount;
    this.#heads = card.heads.length;
    this.#own = {
      features: new Float32Array(maxBatch * this.#features),
      slots: new Int32Array(maxBatch),
      probabilities: new Float32Array(maxBatch * this.#heads),
    };
    this.#rows = first;
    this.#row = this.#rowsIn(this.#own.features);
    this.#input = this.#rowsIn(first.features);
    this.#onSecond = new Uint8Array(slotCount);
    this.#history = new Float32Array(slotCount * HISTORY_ROWS * this.#features);
    this.#written = new Float64Array(slotCount);
    this.#followed = new Float64Array(slotCount);
    this.#rowsOf = [new Int32Array(maxBatch), new Int32Array(maxBatch)];
  }

  /** Whoever asks for it may write: what is still to be kept of it is kept first. */
  get features(): Float32Array {
    this.settle();
    return this.#rows.features;
  }

  get slots(): Int32Array {
    this.settle();
    return this.#rows.slots;
  }

  get probabilities(): Float32Array {
    return this.#rows.probabilities;
  }

  /** Of the first model. */
  get card(): StepEngine["card"] {
    return this.#first.card;
  }

  get isa(): NonNullable<StepEngine["isa"]> {
    invariant(this.#first.isa !== undefined, "a synchronous engine tells its instruction set");
    return this.#first.isa;
  }

  /** Of the first model. */
  get calibration(): Calibration | undefined {
    return this.#first.calibration;
  }

  get second(): StepEngine | null {
    return this.#second;
  }

  /** Whether the second model is in force. */
  onSecond(slot: number): boolean {
    return this.#onSecond[slot] === 1;
  }

  /**
   * Takes a second model, which follows in all slots.
   *
   * @throws ModelRefusedError when it cannot stand in for the first: it is not synchronous, or has other heads
   */
  load(engine: StepEngine): void {
    invariant(this.#second === null, "one second model at a time");
    const { card } = this.#first;
    const headsOf = ({ heads }: StepEngine["card"]): string =>
      heads.map(({ name, horizonMs }) => `${name}/${horizonMs}`).join(" ");
    if (!engine.synchronous || engine.featureSource !== undefined) {
      throw new ModelRefusedError(
        engine.card.name,
        `an engine (${engine.name}) that answers later`,
        "one that answers in the same turn",
      );
    }
    if (engine.card.schemaHash !== card.schemaHash) {
      throw new ModelRefusedError(
        engine.card.name,
        `feature schema ${engine.card.schemaHash}`,
        `${card.schemaHash}, as the model beside it`,
      );
    }
    if (headsOf(engine.card) !== headsOf(card)) {
      throw new ModelRefusedError(
        engine.card.name,
        `heads ${headsOf(engine.card)}`,
        `${headsOf(card)}, as the model beside it`,
      );
    }
    invariant(engine.slotCount >= this.slotCount, "a slot for every slot");
    invariant(engine.maxBatch >= this.maxBatch, "a row for every row");
    this.#moveRows(this.#own);
    this.#second = engine;
    for (let slot = 0; slot < this.slotCount; slot += 1) {
      engine.resetSlot(slot);
      this.#followed[slot] = Math.max(0, this.#written[slot] - HISTORY_ROWS);
    }
  }

  /** Puts the second model, or the first one again, in force for a slot, from its next step on. */
  assign(slot: number, toSecond: boolean): void {
    const second = this.#second;
    invariant(second !== null, "a second model");
    if (this.onSecond(slot) === toSecond) return;
    this.#follow(slot, Number.POSITIVE_INFINITY);
    this.#onSecond[slot] = toSecond ? 1 : 0;
    this.#followed[slot] = this.#written[slot];
  }

  /** The second model is the first from now on and in force in all slots; what was the first follows, ready to be called back. */
  exchange(): void {
    const second = this.#second;
    invariant(second !== null, "a second model");
    for (let slot = 0; slot < this.slotCount; slot += 1) {
      this.assign(slot, true);
      this.#onSecond[slot] = 0;
    }
    this.#second = this.#first;
    this.#first = second;
    this.#input = this.#rowsIn(second.features);
  }

  /** Lets the second model go; the first is in force everywhere. @returns what is to be disposed of */
  unload(): StepEngine {
    const second = this.#second;
    invariant(second !== null, "a second model");
    for (let slot = 0; slot < this.slotCount; slot += 1) this.assign(slot, false);
    this.#second = null;
    this.#moveRows(this.#first);
    return second;
  }

  /**
   * Steps models that follow on rows they have not seen.
   *
   * @param rowsMax no more rows than this
   * @returns how many rows they were stepped on; fewer than `rowsMax` when they are up to date
   */
  catchUp(rowsMax: number): number {
    if (this.#second === null) return 0;
    let left = rowsMax;
    for (let looked = 0; looked < this.slotCount && left > 0; looked += 1) {
      left -= this.#follow(this.#nextSlot, left);
      if (left > 0) this.#nextSlot = (this.#nextSlot + 1) % this.slotCount;
    }
    return rowsMax - left;
  }

  step(count: number): void {
    const second = this.#second;
    if (second === null) {
      this.settle();
      this.#first.step(count);
      this.#unkept = count;
      return;
    }
    const { slots } = this.#own;
    for (let row = 0; row < count; row += 1) this.#record(this.#row[row], slots[row]);
    const [onFirst, onSecond] = this.#rowsOf;
    let firsts = 0;
    let seconds = 0;
    for (let row = 0; row < count; row += 1) {
      if (this.#onSecond[slots[row]] === 1) {
        onSecond[seconds] = row;
        seconds += 1;
      } else {
        onFirst[firsts] = row;
        firsts += 1;
      }
    }
    if (firsts > 0) this.#run(this.#first, onFirst, firsts);
    if (seconds === 0) return;
    this.#run(second, onSecond, seconds);
    for (let at = 0; at < seconds; at += 1) this.#fallBack(onSecond[at]);
  }

  submit(count: number): Promise<void> {
    this.step(count);
    return Promise.resolve();
  }

  /** Keeps the rows of the last step, which with one model alone is nothing that its answer has to wait for. */
  settle(): void {
    const count = this.#unkept;
    this.#unkept = 0;
    const { slots } = this.#first;
    for (let row = 0; row < count; row += 1) this.#record(this.#input[row], slots[row]);
  }

  /** Both models begin anew there, and the slot has no history. */
  resetSlot(slot: number): void {
    this.settle();
    this.#first.resetSlot(slot);
    this.#second?.resetSlot(slot);
    this.#written[slot] = 0;
    this.#followed[slot] = 0;
  }

  async warmUp(): Promise<void> {
    this.settle();
    await this.#first.warmUp();
    for (let slot = 0; slot < this.slotCount; slot += 1) this.resetSlot(slot);
  }

  memoryBytes(): number {
    const { features, probabilities } = this.#own;
    const own = this.#history.byteLength + features.byteLength + probabilities.byteLength;
    return this.#first.memoryBytes() + (this.#second?.memoryBytes() ?? 0) + own;
  }

  async dispose(): Promise<void> {
    await this.#second?.dispose();
    await this.#first.dispose();
  }

  /** Rows are somewhere else from now on; who has yet to look at those of the last step finds them there. */
  #moveRows(to: Rows): void {
    this.settle();
    const { maxBatch } = this;
    to.features.set(this.#rows.features.subarray(0, maxBatch * this.#features));
    to.slots.set(this.#rows.slots.subarray(0, maxBatch));
    to.probabilities.set(this.#rows.probabilities.subarray(0, maxBatch * this.#heads));
    this.#rows = to;
  }

  #rowsIn(features: Float32Array): Float32Array[] {
    const width = this.#features;
    return Array.from({ length: this.maxBatch }, (_, at) => features.subarray(at * width, (at + 1) * width));
  }

  /** Keeps a row for the model that follows. Where that is a whole history behind, it takes its oldest row first. */
  #record(row: Float32Array, slot: number): void {
    if (this.#second !== null && this.#written[slot] - this.#followed[slot] === HISTORY_ROWS) {
      this.forcedRows += this.#follow(slot, 1);
    }
    const at = slot * HISTORY_ROWS + (this.#written[slot] % HISTORY_ROWS);
    this.#history.set(row, at * this.#features);
    this.#written[slot] += 1;
  }

  /** @returns rows that the model which follows in the slot was stepped on */
  #follow(slot: number, rowsMax: number): number {
    const follower = this.#onSecond[slot] === 1 ? this.#first : this.#second;
    invariant(follower !== null, "a model that follows");
    const width = this.#features;
    const rows = Math.min(rowsMax, this.#written[slot] - this.#followed[slot]);
    for (let done = 0; done < rows; done += 1) {
      const from = (slot * HISTORY_ROWS + (this.#followed[slot] % HISTORY_ROWS)) * width;
      for (let i = 0; i < width; i += 1) follower.features[i] = this.#history[from + i];
      follower.slots[0] = slot;
      follower.step(1);
      this.#followed[slot] += 1;
    }
    return rows;
  }

  /** Steps one of two models on its rows. */
  #run(engine: StepEngine, rows: Int32Array, count: number): void {
    const heads = this.#heads;
    const { slots, probabilities } = this.#own;
    for (let at = 0; at < count; at += 1) {
      const row = rows[at];
      engine.slots[at] = slots[row];
      engine.features.set(this.#row[row], at * this.#features);
    }
    engine.step(count);
    for (let at = 0; at < count; at += 1) {
      const row = rows[at];
      for (let head = 0; head < heads; head += 1) {
        probabilities[row * heads + head] = engine.probabilities[at * heads + head];
      }
    }
  }

  /** Takes the slot of a row away from the second model where that gave no probabilities. */
  #fallBack(row: number): void {
    const heads = this.#heads;
    let sound = true;
    for (let head = 0; head < heads; head += 1) {
      const p = this.probabilities[row * heads + head];
      sound &&= p >= 0 && p <= 1;
    }
    if (sound) return;
    this.oddRows += 1;
    const slot = this.slots[row];
    this.assign(slot, false);
    for (let head = 0; head < heads; head += 1) {
      this.probabilities[row * heads + head] = this.#first.probabilities[head];
    }
    this.onFallBack?.(slot);
  }
}
