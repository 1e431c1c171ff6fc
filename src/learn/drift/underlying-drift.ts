import type { Distances, ProfileDistribution, TrainingProfile } from "../../inference/profile.ts";
import { LABEL_OPTIONS, Labeller } from "../labels.ts";
import { DistributionWindow, WINDOW_SLICES } from "./distribution-window.ts";
import { HeadOutcomes, type HeadScores, OUTCOME_SAMPLE_US } from "./head-outcomes.ts";
import type { DriftParameters } from "./parameters.ts";
import { type DriftSignal, StageKeeper } from "./stage.ts";

/** Rows of an underlying that may wait for their outcome; at most 100 ms of them do. */
const WAITING_ROWS = 4_096;
/** Distances below these are no drift, however alike the windows in training were. */
const DISTANCE_FLOORS: Distances = { psi: 0.1, ks: 0.1, wasserstein: 0.05 };
/** Share of the heads, or a multiple of the margin for intervals, at which quotes widen, and which they never do beyond. */
const PREDICTIONS_WIDEN = 0.7;
/** In the place of a row's first probability. */
const NOT_COUNTED = -1;
const NEVER = Number.POSITIVE_INFINITY;
/** Nothing is judged on a window that was gathered over less than this part of its length. */
const WINDOW_PART_MIN = 0.5;

/**
 * How many times further from the training rows a window is than their own windows were: the median of the three distances'
 * ratios, so that at least two of them say so.
 */
function driftRatio(found: Distances, { usual }: ProfileDistribution): number {
  const psi = found.psi / Math.max(usual.psi, DISTANCE_FLOORS.psi);
  const ks = found.ks / Math.max(usual.ks, DISTANCE_FLOORS.ks);
  const wasserstein = found.wasserstein / Math.max(usual.wasserstein, DISTANCE_FLOORS.wasserstein);
  return Math.max(Math.min(psi, ks), Math.min(Math.max(psi, ks), wasserstein));
}

/** A number that has moved away from its training rows. */
export interface DriftedNumber {
  readonly at: number;
  readonly ratio: number;
  readonly distances: Distances;
}

/** Everything that is kept of one underlying: sketches of its features, predictions, outcomes and update times; no copy of any row. */
export class UnderlyingDrift {
  readonly keeper: StageKeeper;
  /** As of the last look. */
  signals: readonly DriftSignal[] = [];
  /** Features that have drifted, the worst first, as of the last look. */
  drifted: readonly DriftedNumber[] = [];
  /** Numbers of the features that stand still and did not in training. */
  missing: readonly number[] = [];
  scores: readonly HeadScores[] = [];
  /** Since when an alert or more has lasted, µs; NaN when none does. */
  alertedSinceUs = Number.NaN;

  readonly #parameters: DriftParameters;
  readonly #profile: TrainingProfile | null;
  readonly #heads: number;
  readonly #features: DistributionWindow | null;
  readonly #predictions: DistributionWindow | null;
  readonly #intervals: DistributionWindow | null;
  readonly #outcomes: HeadOutcomes;
  readonly #labeller: Labeller;
  /** `[WAITING_ROWS, heads]`: predictions that wait for their outcome. */
  readonly #waiting: Float32Array;
  readonly #logits: Float64Array;
  readonly #interval = new Float64Array(1);
  #sampledUs = Number.NEGATIVE_INFINITY;
  #countedUs = Number.NEGATIVE_INFINITY;
  #loggedUs = Number.NEGATIVE_INFINITY;
  #predictedUs = Number.NaN;

  /** @param columns the label of each head, as an index into `HEADS` */
  constructor(columns: readonly number[], profile: TrainingProfile | null, parameters: DriftParameters) {
    const windowUs = parameters.windowSeconds * 1e6;
    this.#parameters = parameters;
    this.#profile = profile;
    this.#heads = columns.length;
    this.keeper = new StageKeeper(parameters);
    this.#features = profile === null ? null : new DistributionWindow(profile.features, windowUs);
    this.#predictions = profile === null ? null : new DistributionWindow(profile.predictions, windowUs);
    this.#intervals = profile === null ? null : new DistributionWindow([profile.intervals], windowUs);
    this.#outcomes = new HeadOutcomes(columns.length, windowUs, WINDOW_SLICES);
    this.#waiting = new Float32Array(WAITING_ROWS * columns.length);
    this.#logits = new Float64Array(columns.length);
    this.#labeller = new Labeller(
      (row, labels) => {
        const from = (row & (WAITING_ROWS - 1)) * this.#heads;
        if (this.#waiting[from] === NOT_COUNTED) return;
        for (let head = 0; head < this.#heads; head += 1) {
          this.#outcomes.add(head, this.#waiting[from + head], labels[columns[head]]);
        }
      },
      { ...LABEL_OPTIONS, capacity: WAITING_ROWS },
    );
  }

  /** Whether a row of features is to be taken at this time. */
  samples(timeUs: number): boolean {
    const profile = this.#profile;
    if (profile === null || Math.abs(timeUs - this.#sampledUs) < profile.sampleMs * 1_000) return false;
    this.#sampledUs = timeUs;
    return true;
  }

  takeFeatures(features: ArrayLike<number>, offset: number, timeUs: number): void {
    this.#features?.advance(timeUs);
    this.#features?.add(features, offset);
  }

  /** A prediction that is in force, with the book that it was made from. */
  takePrediction(
    probabilities: ArrayLike<number>,
    offset: number,
    timeUs: number,
    midTicks: number,
    bidDepth: number,
    askDepth: number,
  ): void {
    this.#outcomes.advance(timeUs);
    const row = this.#labeller.push(timeUs, midTicks, bidDepth, askDepth);
    const to = (row & (WAITING_ROWS - 1)) * this.#heads;
    if (Math.abs(timeUs - this.#countedUs) >= OUTCOME_SAMPLE_US) {
      this.#countedUs = timeUs;
      for (let head = 0; head < this.#heads; head += 1)
        this.#waiting[to + head] = probabilities[offset + head];
    } else {
      this.#waiting[to] = NOT_COUNTED;
    }
    const sinceMs = (timeUs - this.#predictedUs) / 1_000;
    this.#predictedUs = timeUs;
    const { sampleMs = NEVER } = this.#profile ?? {};
    if (sinceMs >= 0) {
      this.#interval[0] = Math.log1p(sinceMs);
      this.#intervals?.advance(timeUs);
      this.#intervals?.add(this.#interval, 0);
    }
    if (this.#predictions === null || Math.abs(timeUs - this.#loggedUs) < sampleMs * 1_000) return;
    this.#loggedUs = timeUs;
    for (let head = 0; head < this.#heads; head += 1)
      this.#logits[head] = logit(probabilities[offset + head]);
    this.#predictions.advance(timeUs);
    this.#predictions.add(this.#logits, 0);
  }

  /** The book broke, or the model is not in force: what waits gets no outcome. */
  interrupt(): void {
    this.#labeller.reset();
    this.#predictedUs = Number.NaN;
  }

  /** Judges the windows as they stand. @returns whether the stage has changed */
  look(timeUs: number): boolean {
    this.#outcomes.advance(timeUs);
    this.#features?.advance(timeUs);
    this.#predictions?.advance(timeUs);
    this.#intervals?.advance(timeUs);
    const neededUs = WINDOW_PART_MIN * this.#parameters.windowSeconds * 1e6;
    this.signals = [
      ...(timeUs - (this.#features?.sinceUs(timeUs) ?? timeUs) >= neededUs ? this.#inputSignals() : []),
      ...(timeUs - this.#outcomes.sinceUs(timeUs) >= neededUs ? this.#outcomeSignals() : []),
    ];
    const changed = this.keeper.look(this.signals);
    if (this.keeper.stage === 0) this.alertedSinceUs = Number.NaN;
    else if (Number.isNaN(this.alertedSinceUs)) this.alertedSinceUs = timeUs;
    return changed;
  }

  /** Distances of a feature's window; null while there are too few rows. */
  distances(feature: number): Distances | null {
    const features = this.#features;
    return features === null || features.rows < this.#parameters.rowsMin ? null : features.distances(feature);
  }

  get rows(): number {
    return this.#features?.rows ?? 0;
  }

  get memoryBytes(): number {
    const windows = [this.#features, this.#predictions, this.#intervals, this.#outcomes];
    return windows.reduce((sum, window) => sum + (window?.memoryBytes ?? 0), this.#waiting.byteLength);
  }

  #inputSignals(): DriftSignal[] {
    const profile = this.#profile;
    const {
      margin,
      calmShare,
      rowsMin,
      alertShare,
      featuresWiden,
      featuresDefend,
      missingWiden,
      missingDefend,
    } = this.#parameters;
    const features = this.#features;
    const signals: DriftSignal[] = [];
    if (profile === null || features === null) return signals;
    if (features.rows >= rowsMin) {
      const drifted: DriftedNumber[] = [];
      const missing: number[] = [];
      let nearly = 0;
      let moving = 0;
      let restless = 0;
      for (const [at, distribution] of profile.features.entries()) {
        if (distribution.low === distribution.high) continue;
        moving += 1;
        if (!distribution.rests) restless += 1;
        if (features.still(at)) missing.push(at);
        const distances = features.distances(at);
        const ratio = distances === null ? NEVER : driftRatio(distances, distribution);
        if (ratio >= calmShare * margin && distances !== null) nearly += 1;
        if (ratio >= margin && distances !== null) drifted.push({ at, ratio, distances });
      }
      this.drifted = drifted.sort((a, b) => b.ratio - a.ratio);
      this.missing = missing;
      signals.push(
        {
          name: "features",
          value: moving === 0 ? Number.NaN : drifted.length / moving,
          nearValue: moving === 0 ? Number.NaN : nearly / moving,
          alert: alertShare * featuresWiden,
          widen: featuresWiden,
          defend: featuresDefend,
        },
        {
          name: "missing",
          value: restless === 0 ? Number.NaN : missing.length / restless,
          alert: alertShare * missingWiden,
          widen: missingWiden,
          defend: missingDefend,
        },
      );
    }
    const predictions = this.#predictions;
    if (predictions !== null && predictions.rows >= rowsMin) {
      const ratios = profile.predictions.map((distribution, head) => {
        const distances = predictions.distances(head);
        return distances === null ? 0 : driftRatio(distances, distribution);
      });
      const share = (least: number): number =>
        ratios.filter((ratio) => ratio >= least).length / ratios.length;
      signals.push({
        name: "predictions",
        value: share(margin),
        nearValue: share(calmShare * margin),
        alert: alertShare * PREDICTIONS_WIDEN,
        widen: PREDICTIONS_WIDEN,
        defend: NEVER,
      });
    }
    const intervals = this.#intervals;
    if (intervals !== null && intervals.rows >= rowsMin) {
      const distances = intervals.distances(0);
      const ratio = distances === null ? Number.NaN : driftRatio(distances, profile.intervals);
      signals.push({ name: "intervals", value: ratio, alert: margin, widen: 2 * margin, defend: NEVER });
    }
    return signals;
  }

  #outcomeSignals(): DriftSignal[] {
    const { positivesMin, alertShare, calibrationWiden, calibrationDefend, skillWiden, skillDefend } =
      this.#parameters;
    this.scores = Array.from({ length: this.#heads }, (_, head) => this.#outcomes.scores(head));
    const judged = this.scores.filter(
      ({ rows, positives }) => positives >= positivesMin && rows - positives >= positivesMin,
    );
    const meanOf = (pick: (scores: HeadScores) => number | null): number =>
      judged.length === 0
        ? Number.NaN
        : judged.reduce((sum, scores) => sum + (pick(scores) ?? 0), 0) / judged.length;
    // A skill falls with drift: its signal is what it lacks, against limits of the same kind.
    const lacking = -meanOf(({ skill }) => skill);
    return [
      {
        name: "calibration",
        value: meanOf(({ calibrationError }) => calibrationError),
        alert: alertShare * calibrationWiden,
        widen: calibrationWiden,
        defend: calibrationDefend,
      },
      {
        name: "skill",
        value: lacking,
        alert: -skillWiden - (1 - alertShare) * Math.abs(skillWiden),
        widen: -skillWiden,
        defend: -skillDefend,
        scale: Math.max(Math.abs(skillWiden), Math.abs(skillDefend)),
      },
    ];
  }
}

/** Held within ±16, where a probability in 32 bits ends. */
function logit(p: number): number {
  return Math.min(Math.max(Math.log(p / (1 - p)), -16), 16);
}
