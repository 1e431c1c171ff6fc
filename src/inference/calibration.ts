import { invariant } from "../core/invariant.ts";
import type { ModelCard } from "./card.ts";
import type { StepEngine } from "./engine.ts";
import { EngineAround } from "./engine-around.ts";
import { checkIsotonic, type Isotonic, scale, unscale } from "./isotonic.ts";

/**
 * Platt scaling of one head: `p' = sigmoid(slope · logit(p) + intercept)` (Platt 1999, *Probabilistic outputs for support
 * vector machines*). A positive slope keeps the order of predictions, so ranking metrics stay.
 */
export interface Platt {
  readonly slope: number;
  readonly intercept: number;
}

/** How a head's probabilities are calibrated. */
export type Scaling = Platt | Isotonic;

export const isIsotonic = (scaling: Scaling): scaling is Isotonic => "logits" in scaling;

export const IDENTITY: Platt = { slope: 1, intercept: 0 };

/**
 * Platt parameters of each head for each slot, so that every instrument can be calibrated by its own recent outcomes. They
 * begin as the card states them, the identity where it states none, and outlive a reset of the slot's state: a gap in the
 * market data does not change how far a model's probabilities are off.
 */
export class Calibration {
  readonly #heads: number;
  readonly #initial: readonly Platt[];
  /** `[slotCount, heads, 2]`: slope, intercept. */
  readonly #parameters: Float64Array;
  /** `[slotCount]`: 1 where a head is not the identity. */
  readonly #active: Uint8Array;
  /** `[slotCount, heads]`: knots that stand in the place of slope and intercept. */
  readonly #knots: (Isotonic | null)[];

  constructor(heads: ModelCard["heads"], slotCount: number) {
    this.#heads = heads.length;
    this.#initial = heads.map(({ platt }) => platt ?? IDENTITY);
    this.#parameters = new Float64Array(slotCount * heads.length * 2);
    this.#active = new Uint8Array(slotCount);
    this.#knots = new Array<Isotonic | null>(slotCount * heads.length).fill(null);
    for (let slot = 0; slot < slotCount; slot += 1) this.restore(slot);
  }

  /** Replaces a head's parameters for one slot from its next step on. @throws InvariantError when they are no order-keeping scaling. */
  set(slot: number, head: number, scaling: Scaling): void {
    const at = this.#at(slot, head);
    if (isIsotonic(scaling)) {
      checkIsotonic(scaling);
      this.#knots[at / 2] = scaling;
      this.#active[slot] = 1;
      return;
    }
    this.#knots[at / 2] = null;
    const { slope, intercept } = scaling;
    invariant(Number.isFinite(slope) && slope > 0, `a positive slope, not ${slope}`);
    invariant(Number.isFinite(intercept), `a finite intercept, not ${intercept}`);
    this.#parameters[at] = slope;
    this.#parameters[at + 1] = intercept;
    const own = this.#parameters.subarray(slot * this.#heads * 2, (slot + 1) * this.#heads * 2);
    const isIdentity =
      own.every((value, i) => value === (i % 2 === 0 ? 1 : 0)) &&
      this.#knots.slice(slot * this.#heads, (slot + 1) * this.#heads).every((knots) => knots === null);
    this.#active[slot] = isIdentity ? 0 : 1;
  }

  /** Slope and intercept that were set last; where knots stand in their place see {@link scaling}. */
  get(slot: number, head: number): Platt {
    const at = this.#at(slot, head);
    return { slope: this.#parameters[at], intercept: this.#parameters[at + 1] };
  }

  /** What is in force. */
  scaling(slot: number, head: number): Scaling {
    return this.#knots[this.#at(slot, head) / 2] ?? this.get(slot, head);
  }

  /** The logit of a probability that {@link apply} gave with the slot's present parameters, as it was before; NaN stays NaN. */
  logitBefore(slot: number, head: number, probability: number): number {
    const at = this.#at(slot, head);
    const logit = Math.log(probability / (1 - probability));
    const knots = this.#knots[at / 2];
    if (knots !== null) return unscale(knots, logit);
    return (logit - this.#parameters[at + 1]) / this.#parameters[at];
  }

  get slotCount(): number {
    return this.#active.length;
  }

  fits(heads: number, slotCount: number): boolean {
    return heads === this.#heads && slotCount === this.#active.length;
  }

  /** Takes the slot back to the card's parameters. */
  restore(slot: number): void {
    for (const [head, platt] of this.#initial.entries()) this.set(slot, head, platt);
  }

  /**
   * Calibrates rows in place. A slot whose parameters are the identity keeps its probabilities bit for bit; NaN stays NaN.
   *
   * @param probabilities `[count, heads]`
   * @param slots `[count]`: whose rows they are
   */
  apply(probabilities: Float32Array, slots: Int32Array, count: number): void {
    const heads = this.#heads;
    for (let row = 0; row < count; row += 1) {
      const slot = slots[row];
      if (this.#active[slot] === 0) continue;
      for (let head = 0; head < heads; head += 1) {
        const at = (slot * heads + head) * 2;
        const p = probabilities[row * heads + head];
        const logit = Math.log(p / (1 - p));
        const knots = this.#knots[at / 2];
        const scaled =
          knots === null ? this.#parameters[at] * logit + this.#parameters[at + 1] : scale(knots, logit);
        probabilities[row * heads + head] = 1 / (1 + Math.exp(-scaled));
      }
    }
  }

  #at(slot: number, head: number): number {
    invariant(slot >= 0 && slot < this.#active.length, "0 ≤ slot < slotCount");
    invariant(head >= 0 && head < this.#heads, "0 ≤ head < heads");
    return (slot * this.#heads + head) * 2;
  }
}

/** Whether the card states a calibration of its own, so that even its initial one changes probabilities. */
export const statesCalibration = ({ heads }: ModelCard): boolean =>
  heads.some(({ platt }) => platt !== undefined);

/** An engine whose probabilities are calibrated slot by slot; otherwise the engine it is given. */
export class CalibratedEngine extends EngineAround {
  readonly #calibration: Calibration;
  /** Slots of the rows in flight. */
  readonly #inFlight: Int32Array;

  /** @param calibration of the same model, as an engine before this one left it; the card's when left out */
  constructor(engine: StepEngine, calibration = new Calibration(engine.card.heads, engine.slotCount)) {
    super(engine);
    invariant(
      calibration.fits(engine.card.heads.length, engine.slotCount),
      "a calibration of this engine's slots",
    );
    this.#calibration = calibration;
    this.#inFlight = new Int32Array(engine.maxBatch);
  }

  override get calibration(): Calibration {
    return this.#calibration;
  }

  override step(count: number): void {
    this.inner.step(count);
    this.#calibration.apply(this.probabilities, this.slots, count);
  }

  override async submit(count: number): Promise<void> {
    const flight = this.inner.submit(count);
    this.#inFlight.set(this.slots);
    await flight;
    this.#calibration.apply(this.probabilities, this.#inFlight, count);
  }

  override memoryBytes(): number {
    return this.inner.memoryBytes() + this.slotCount * this.card.heads.length * 16;
  }
}
