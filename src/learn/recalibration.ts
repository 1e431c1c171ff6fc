import { invariant } from "../core/invariant.ts";
import { type Calibration, isIsotonic, type Platt, type Scaling } from "../inference/calibration.ts";
import { HEADS, type HeadName } from "../inference/card.ts";
import { scale } from "../inference/isotonic.ts";
import { fitIsotonic } from "./isotonic-fit.ts";
import { LABEL_OPTIONS, Labeller } from "./labels.ts";

/** Rows of an instrument that may wait for their outcome; at most 100 ms of them do. */
const WAITING_ROWS = 4_096;
/** Logits are counted in this many bins from −{@link LOGIT_MAX} to {@link LOGIT_MAX}; beyond it they stand at the end. */
const BINS = 64;
const LOGIT_MAX = 8;
/** Of a bin: rows, those whose outcome came, sum of the logits. */
const FIELDS = 3;
/** A row weighs half after this time. */
const HALF_LIFE_MS = 3_600_000;
/** Rows next to each other tell of the same move: so many count as one outcome. */
const ROWS_PER_OUTCOME = 50;
/** How firmly the card's parameters are held, as the precision of a normal prior: 1 / 0.25² and 1 / 0.5². */
const SLOPE_PRECISION = 16;
const INTERCEPT_PRECISION = 4;
/** However odd the outcomes are, a slope stays within a factor and an intercept within a distance of the card's. */
const SLOPE_FACTOR_MAX = 3;
const INTERCEPT_DISTANCE_MAX = 2;
const NEWTON_STEPS = 8;
/** Parameters that would move less than this stay as they are. */
const CHANGE_MIN = 0.01;
/** Every instrument and head is fitted anew once in this time. */
const ROUND_MS = 10_000;

/** By slope and intercept, or by steps that rise with the logit. */
export type RecalibrationMethod = "platt" | "isotonic";

export interface RecalibratorOptions {
  readonly method: RecalibrationMethod;
  /** The model's outputs in order. */
  readonly heads: readonly HeadName[];
  readonly slotCount: number;
  /** Where the parameters stand; what it holds at first is what they are held to. */
  readonly calibration: Calibration;
  /** Told of each change, for it to be put in force: `calibration` holds it from then on. */
  readonly onChange: (slot: number, head: number, scaling: Scaling) => void;
}

/**
 * Fits Platt parameters, or an isotonic curve, of each instrument and head to what came of its predictions: labels as the models are trained on, made
 * as a stream; their counts by logit, forgotten by half in an hour; the maximum a posteriori of slope and intercept under a normal
 * prior around the card's, one head at a call of {@link onTimer}, so that no call takes long. Memory is taken when an instrument's
 * first prediction comes and does not grow. Reads no clock: the same calls give the same parameters.
 */
export class Recalibrator {
  readonly #options: RecalibratorOptions;
  readonly #slots: (SlotOutcomes | null)[];
  readonly #initial: Platt[];
  #next = 0;
  #roundUs = Number.NaN;

  constructor(options: RecalibratorOptions) {
    const { heads, slotCount, calibration } = options;
    this.#options = options;
    this.#slots = new Array<SlotOutcomes | null>(slotCount).fill(null);
    this.#initial = Array.from({ length: slotCount * heads.length }, (_, at) =>
      calibration.get(Math.floor(at / heads.length), at % heads.length),
    );
  }

  /**
   * A prediction is in force.
   *
   * @param probabilities calibrated, one per head from `offset` on
   * @param midTicks of the book it was made from, any overlay included
   * @param bidDepth sizes of the ten best levels; likewise `askDepth`
   */
  observe(
    slot: number,
    timeUs: number,
    probabilities: ArrayLike<number>,
    offset: number,
    midTicks: number,
    bidDepth: number,
    askDepth: number,
  ): void {
    invariant(slot >= 0 && slot < this.#slots.length, "0 ≤ slot < slotCount");
    let outcomes = this.#slots[slot];
    if (outcomes === null) {
      outcomes = new SlotOutcomes(this.#options.heads);
      this.#slots[slot] = outcomes;
    }
    outcomes.push(
      slot,
      timeUs,
      probabilities,
      offset,
      this.#options.calibration,
      midTicks,
      bidDepth,
      askDepth,
    );
  }

  /** The instrument's predictions are not in force, or its book broke: rows that wait get no outcome. */
  interrupt(slot: number): void {
    this.#slots[slot]?.labeller.reset();
  }

  /** To be called about every 10 ms. */
  onTimer(timeUs: number): void {
    const { heads, calibration, method, onChange } = this.#options;
    if (this.#next === this.#initial.length) {
      if (timeUs - this.#roundUs < ROUND_MS * 1_000) return;
      this.#next = 0;
    }
    if (this.#next === 0) this.#roundUs = timeUs;
    while (this.#next < this.#initial.length) {
      const at = this.#next;
      const slot = Math.floor(at / heads.length);
      const outcomes = this.#slots[slot];
      this.#next += 1;
      if (outcomes === null) continue;
      const head = at % heads.length;
      if (head === 0) outcomes.age(timeUs);
      const initial = this.#initial[at];
      const fitted = method === "platt" ? outcomes.fit(head, initial) : outcomes.fitIsotonic(head, initial);
      if (fitted === null || distance(fitted, calibration.scaling(slot, head)) < CHANGE_MIN) return;
      onChange(slot, head, fitted);
      return;
    }
  }
}

/** What came of one instrument's predictions. */
class SlotOutcomes {
  readonly labeller: Labeller;
  readonly #heads: number;
  /** `[WAITING_ROWS, heads]`: logits before recalibration of the rows that wait. */
  readonly #logits: Float32Array;
  /** `[heads, BINS, FIELDS]`. */
  readonly #counts: Float64Array;
  #agedUs = Number.NaN;

  constructor(heads: readonly HeadName[]) {
    const columns = heads.map((head) => HEADS.indexOf(head));
    this.#heads = heads.length;
    this.#logits = new Float32Array(WAITING_ROWS * heads.length);
    this.#counts = new Float64Array(heads.length * BINS * FIELDS);
    this.labeller = new Labeller(
      (row, labels) => {
        for (let head = 0; head < columns.length; head += 1) this.#count(row, head, labels[columns[head]]);
      },
      { ...LABEL_OPTIONS, capacity: WAITING_ROWS },
    );
  }

  push(
    slot: number,
    timeUs: number,
    probabilities: ArrayLike<number>,
    offset: number,
    calibration: Calibration,
    midTicks: number,
    bidDepth: number,
    askDepth: number,
  ): void {
    const row = this.labeller.push(timeUs, midTicks, bidDepth, askDepth);
    const to = (row & (WAITING_ROWS - 1)) * this.#heads;
    for (let head = 0; head < this.#heads; head += 1) {
      this.#logits[to + head] = calibration.logitBefore(slot, head, probabilities[offset + head]);
    }
  }

  /** Lets the counts fade with the time since the last call. */
  age(timeUs: number): void {
    const kept = Math.min(1, 2 ** (-(timeUs - this.#agedUs) / (HALF_LIFE_MS * 1_000)));
    this.#agedUs = timeUs;
    if (!(kept < 1)) return;
    for (let at = 0; at < this.#counts.length; at += 1) this.#counts[at] *= kept;
  }

  /** The parameters that the counts and the prior around `initial` make most likely. */
  fit(head: number, initial: Platt): Platt {
    let { slope, intercept } = initial;
    for (let step = 0; step < NEWTON_STEPS; step += 1) {
      let slopeGradient = SLOPE_PRECISION * (slope - initial.slope);
      let interceptGradient = INTERCEPT_PRECISION * (intercept - initial.intercept);
      let slopes = SLOPE_PRECISION;
      let both = 0;
      let intercepts = INTERCEPT_PRECISION;
      for (let bin = 0; bin < BINS; bin += 1) {
        const at = (head * BINS + bin) * FIELDS;
        const rows = this.#counts[at];
        if (rows === 0) continue;
        const logit = this.#counts[at + 2] / rows;
        const p = 1 / (1 + Math.exp(-(slope * logit + intercept)));
        const excess = (rows * p - this.#counts[at + 1]) / ROWS_PER_OUTCOME;
        const weight = (rows * p * (1 - p)) / ROWS_PER_OUTCOME;
        slopeGradient += excess * logit;
        interceptGradient += excess;
        slopes += weight * logit * logit;
        both += weight * logit;
        intercepts += weight;
      }
      const determinant = slopes * intercepts - both * both;
      slope -= (intercepts * slopeGradient - both * interceptGradient) / determinant;
      intercept -= (slopes * interceptGradient - both * slopeGradient) / determinant;
      slope = clamp(slope, initial.slope / SLOPE_FACTOR_MAX, initial.slope * SLOPE_FACTOR_MAX);
      intercept = clamp(
        intercept,
        initial.intercept - INTERCEPT_DISTANCE_MAX,
        initial.intercept + INTERCEPT_DISTANCE_MAX,
      );
    }
    return { slope, intercept };
  }

  /** The curve by the same counts, held to `initial`; null while there is none. */
  fitIsotonic(head: number, initial: Platt): Scaling | null {
    const bins = Array.from({ length: BINS }, (_, bin) => {
      const at = (head * BINS + bin) * FIELDS;
      const rows = this.#counts[at];
      return {
        logit: this.#counts[at + 2] / rows,
        outcomes: rows / ROWS_PER_OUTCOME,
        came: this.#counts[at + 1] / ROWS_PER_OUTCOME,
      };
    });
    return fitIsotonic(bins, initial, INTERCEPT_DISTANCE_MAX);
  }

  #count(row: number, head: number, label: number): void {
    const logit = this.#logits[(row & (WAITING_ROWS - 1)) * this.#heads + head];
    if (Number.isNaN(logit)) return;
    const held = clamp(logit, -LOGIT_MAX, LOGIT_MAX);
    const bin = Math.min(BINS - 1, Math.floor(((held + LOGIT_MAX) / (2 * LOGIT_MAX)) * BINS));
    const at = (head * BINS + bin) * FIELDS;
    this.#counts[at] += 1;
    this.#counts[at + 1] += label;
    this.#counts[at + 2] += held;
  }
}

/** How far two calibrations are apart: in their parameters, or where the first one has knots. */
function distance(fitted: Scaling, current: Scaling): number {
  if (!isIsotonic(fitted)) {
    if (isIsotonic(current)) return Number.POSITIVE_INFINITY;
    return Math.abs(fitted.slope - current.slope) + Math.abs(fitted.intercept - current.intercept);
  }
  let most = 0;
  for (const [at, logit] of fitted.logits.entries()) {
    const now = isIsotonic(current) ? scale(current, logit) : current.slope * logit + current.intercept;
    most = Math.max(most, Math.abs(fitted.scaled[at] - now));
  }
  return most;
}

const clamp = (value: number, low: number, high: number): number => Math.min(Math.max(value, low), high);
