import { invariant } from "../core/invariant.ts";
import type { LoadParameters } from "./load-parameters.ts";

/** What a desk does about load beyond its capacity; each stage does what the ones before it do, too. */
export const LOAD_STAGES = ["normal", "conflate", "widen", "pull"] as const;
export type LoadStageName = (typeof LOAD_STAGES)[number];
export const LOAD_STAGE = { normal: 0, conflate: 1, widen: 2, pull: 3 } as const;

/**
 * A turn that has waited for the quoting thread for this long, ms, is too old to be quoted on: its shard is given up unless quotes have been
 * pulled.
 */
export const TURN_WAIT_MAX_MS = 500;
/** Turns that wait call for every stage at half of that at the latest, so that it is not the shards that are given up. */
const TURN_WAIT_PULL_MS = TURN_WAIT_MAX_MS / 2;

/** How far behind a desk is: of each measure its least value in a window. NaN where it cannot be told. */
export interface LoadMeasures {
  /** Lateness of the event loop's timer, ms. */
  readonly loopMs: number;
  /** How much longer than usual data was on its way when it was taken, ms; of the feed that is furthest behind. */
  readonly ageMs: number;
  /** Bytes of feeds that this host has received and nobody has read. */
  readonly queuedBytes: number;
  /** Part of the fullest shard's ring that is in use. */
  readonly ringFill: number;
  /** For how long the oldest turn in a shard's ring has waited for the quoting thread, ms. */
  readonly ringMs: number;
  /** For how long the oldest relayed message in this process has waited for the quoting thread, ms. */
  readonly relayMs: number;
}

const LOAD_MEASURES = ["loopMs", "ageMs", "queuedBytes", "ringFill", "ringMs", "relayMs"] as const;
export type LoadMeasure = (typeof LOAD_MEASURES)[number];

/** A stage that began again within so many of its calm times is held for longer. */
const RELAPSE_CALMS = 10;
const HOLD_FACTOR_MAX = 32;

/**
 * Decides what is shed, one window of measures after the other. It goes up by one stage a window, so that quotes are conflated,
 * then widened, then pulled, in that order; and down by one stage once everything has been well below what began the stage for as
 * long as that stage is held. A stage that sheds so well that its cause vanishes would begin again at once: it is held twice as
 * long each time.
 *
 * A standing queue is told from a burst by the least value in a window (CoDel, Nichols and Jacobson, RFC 8289).
 * Deterministic: reads no clock.
 */
export class LoadShedder {
  stage: number = LOAD_STAGE.normal;
  /** The measure that called for the stage in force; null in the normal one. */
  cause: LoadMeasure | null = null;
  /** Times that each stage began, by stage. */
  readonly entries = new Float64Array(LOAD_STAGES.length);
  readonly #parameters: LoadParameters;
  readonly #highest: number;
  readonly #thresholds: Readonly<Record<LoadMeasure, readonly number[]>>;
  /** How often its calm time each stage is held. */
  readonly #holdFactor = new Float64Array(LOAD_STAGES.length).fill(1);
  readonly #leftUs = new Float64Array(LOAD_STAGES.length).fill(Number.NEGATIVE_INFINITY);
  #calmSinceUs = Number.NaN;

  /** @param highest the last stage that may be taken; `normal` sheds nothing */
  constructor(parameters: LoadParameters, highest: LoadStageName) {
    const { conflateMs, widenMs, pullMs, conflateKb, widenKb, pullKb } = parameters;
    const { conflateRing, widenRing, pullRing } = parameters;
    this.#parameters = parameters;
    this.#highest = LOAD_STAGE[highest];
    const times = [0, conflateMs, widenMs, pullMs];
    this.#thresholds = {
      loopMs: times,
      ageMs: times,
      queuedBytes: [0, conflateKb * 1_024, widenKb * 1_024, pullKb * 1_024],
      ringFill: [0, conflateRing, widenRing, pullRing],
      ringMs: times.map((ms) => Math.min(ms, TURN_WAIT_PULL_MS)),
      relayMs: times,
    };
    for (const steps of Object.values(this.#thresholds)) {
      invariant(
        steps[1] <= steps[2] && steps[2] <= steps[3],
        "what begins a stage of load shedding is not below what begins the one before",
      );
    }
  }

  /** How long every measure has to be low before the stage in force ends, ms. */
  get holdMs(): number {
    return this.#parameters.calmMs * this.#holdFactor[this.stage];
  }

  /** A window has ended. @returns whether the stage has changed */
  onWindow(measures: LoadMeasures, timeUs: number): boolean {
    const { stage } = this;
    const cause = stage < this.#highest ? this.#exceeds(measures, stage + 1, 1) : null;
    if (cause !== null) {
      this.#enter(stage + 1, cause, timeUs);
      return true;
    }
    if (stage === LOAD_STAGE.normal) return false;
    if (this.#exceeds(measures, stage, this.#parameters.calmShare) !== null) {
      this.#calmSinceUs = Number.NaN;
      return false;
    }
    if (Number.isNaN(this.#calmSinceUs)) this.#calmSinceUs = timeUs;
    if (timeUs - this.#calmSinceUs < this.holdMs * 1_000) return false;
    this.#leave(timeUs);
    return true;
  }

  #enter(stage: number, cause: LoadMeasure, timeUs: number): void {
    const relapseUs = this.#parameters.calmMs * this.#holdFactor[stage] * RELAPSE_CALMS * 1_000;
    const isRelapse = timeUs - this.#leftUs[stage] < relapseUs;
    this.#holdFactor[stage] = isRelapse ? Math.min(this.#holdFactor[stage] * 2, HOLD_FACTOR_MAX) : 1;
    this.stage = stage;
    this.cause = cause;
    this.entries[stage] += 1;
    this.#calmSinceUs = Number.NaN;
  }

  #leave(timeUs: number): void {
    this.#leftUs[this.stage] = timeUs;
    this.stage -= 1;
    if (this.stage === LOAD_STAGE.normal) this.cause = null;
    this.#calmSinceUs = Number.NaN;
  }

  /** The first measure that reaches this share of what begins a stage; null when none does. */
  #exceeds(measures: LoadMeasures, stage: number, share: number): LoadMeasure | null {
    for (const measure of LOAD_MEASURES) {
      if (measures[measure] >= this.#thresholds[measure][stage] * share) return measure;
    }
    return null;
  }
}
