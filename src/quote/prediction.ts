import type { ModelCard } from "../inference/card.ts";
import type { QuoteParameters } from "./parameters.ts";
import { Adjustment, QuotePolicy } from "./policy.ts";
import { REASON } from "./quote-batch.ts";

/** Changes of an adjustment below these are not worth recomputing a chain for. */
const WIDEN_NOISE_BP = 0.25;
const VOLATILITY_NOISE_POINTS = 0.05;
const SIZE_NOISE = 0.02;

/**
 * The latest prediction of each underlying, how far it can be trusted, and the adjustment that is in force because of it.
 *
 * A prediction renewed by no event for `predictionLifeMs` has passed: its horizon is over and nothing happened. A market event
 * that has waited for an answer longer than `modelMaxAgeMs` makes the model late. A quiet market alone makes no model late.
 *
 * What a prediction calls for is in force at once; less is in force only when every prediction of the last `calmMs` has called
 * for less, so that quotes do not follow a model that wavers in and out again.
 */
export class Predictions {
  /** In force per underlying after the last {@link refresh}. */
  readonly adjustments: readonly Adjustment[];
  readonly #predicted: readonly Adjustment[];
  /** As of the last time a change was reported. */
  readonly #reported: readonly Adjustment[];
  readonly #wanted = new Adjustment();
  readonly #parameters: QuoteParameters;
  #policy: QuotePolicy;
  readonly #statusMask: Int32Array;
  readonly #predictedAtUs: Float64Array;
  readonly #eventAtUs: Float64Array;
  readonly #unansweredSinceUs: Float64Array;
  /** When a prediction last called for as much as is in force. */
  readonly #calledUs: Float64Array;
  /** Share of the defensive adjustment that is added because the model drifts, in [0, 1]. */
  readonly #drift: Float64Array;
  /** The same because the desk is beyond its capacity, of every underlying. */
  #load = 0;

  constructor(underlyings: number, parameters: QuoteParameters) {
    const make = (): Adjustment[] => Array.from({ length: underlyings }, () => new Adjustment());
    this.adjustments = make();
    this.#predicted = make();
    this.#reported = make();
    this.#parameters = parameters;
    this.#policy = new QuotePolicy(parameters);
    this.#statusMask = new Int32Array(underlyings).fill(REASON.modelMissing);
    this.#predictedAtUs = new Float64Array(underlyings).fill(Number.NEGATIVE_INFINITY);
    this.#eventAtUs = new Float64Array(underlyings).fill(Number.NEGATIVE_INFINITY);
    this.#unansweredSinceUs = new Float64Array(underlyings).fill(Number.NaN);
    this.#calledUs = new Float64Array(underlyings).fill(Number.NEGATIVE_INFINITY);
    this.#drift = new Float64Array(underlyings);
    for (let underlying = 0; underlying < underlyings; underlying += 1) this.refresh(underlying, 0);
  }

  setHeads(heads: ModelCard["heads"]): void {
    this.#policy = new QuotePolicy(this.#parameters, heads);
  }

  onEvent(underlying: number, timeUs: number): void {
    this.#eventAtUs[underlying] = timeUs;
    if (Number.isNaN(this.#unansweredSinceUs[underlying])) this.#unansweredSinceUs[underlying] = timeUs;
  }

  onPrediction(
    underlying: number,
    probabilities: ArrayLike<number>,
    offset: number,
    eventTimeUs: number,
  ): void {
    this.#policy.decide(this.#predicted[underlying], probabilities, offset);
    this.#predictedAtUs[underlying] = eventTimeUs;
    this.#unansweredSinceUs[underlying] =
      eventTimeUs >= this.#eventAtUs[underlying] ? Number.NaN : eventTimeUs;
  }

  onStatus(underlying: number, reasonMask: number): void {
    this.#statusMask[underlying] = reasonMask;
  }

  /** @param share of the defensive adjustment that is added to the model's; at 1 the model is not listened to */
  onDrift(underlying: number, share: number): void {
    this.#drift[underlying] = share;
  }

  /** @param share in [0, 1] of the defensive adjustment that is added to whatever is called for, of every underlying */
  onLoad(share: number): void {
    this.#load = share;
  }

  /** Brings the adjustment in force up to the time. @returns true when it moved by more than noise since this last was true. */
  refresh(underlying: number, timeUs: number): boolean {
    const parameters = this.#parameters;
    const inForce = this.adjustments[underlying];
    const waitedUs = timeUs - this.#unansweredSinceUs[underlying];
    const late = waitedUs > parameters.modelMaxAgeMs * 1_000 ? REASON.modelLate : 0;
    const drift = this.#drift[underlying];
    const cause = this.#statusMask[underlying] | late | (drift >= 1 ? REASON.drift : 0);
    const predicted = this.#predicted[underlying];
    const wanted = this.#wanted;
    const ageUs = timeUs - this.#predictedAtUs[underlying];
    if (cause !== 0) this.#policy.defend(wanted, cause);
    else if (ageUs > parameters.predictionLifeMs * 1_000 && !isDefensive(predicted)) wanted.setNeutral();
    else wanted.copy(predicted);
    if (cause === 0 && drift > 0 && !isDefensive(wanted)) this.#policy.distrust(wanted, drift, REASON.drift);
    if (this.#load > 0) this.#policy.distrust(wanted, this.#load, REASON.overload);
    this.#ease(underlying, inForce, wanted, timeUs);
    const reported = this.#reported[underlying];
    if (!differs(inForce, reported)) return false;
    reported.copy(inForce);
    return true;
  }

  /** Puts what is wanted in force; where that is less, not before its time. */
  #ease(underlying: number, inForce: Adjustment, wanted: Adjustment, timeUs: number): void {
    const eases = isLess(wanted, inForce) && !isDefensive(inForce) && !isDefensive(wanted);
    if (eases && timeUs - this.#calledUs[underlying] < this.#parameters.calmMs * 1_000) {
      const grows = isLess(inForce, wanted);
      inForce.widen(wanted);
      if (grows) this.#calledUs[underlying] = timeUs;
      return;
    }
    inForce.copy(wanted);
    this.#calledUs[underlying] = timeUs;
  }
}

function isDefensive(adjustment: Adjustment): boolean {
  return (adjustment.reasons & REASON.defensive) !== 0;
}

/** Whether `a` asks for less than `b`, by more than noise, in some respect. */
function isLess(a: Adjustment, b: Adjustment): boolean {
  return (
    b.widenLongBp - a.widenLongBp >= WIDEN_NOISE_BP ||
    b.widenShortBp - a.widenShortBp >= WIDEN_NOISE_BP ||
    b.volatilityPoints - a.volatilityPoints >= VOLATILITY_NOISE_POINTS ||
    a.sizeLong - b.sizeLong >= SIZE_NOISE ||
    a.sizeShort - b.sizeShort >= SIZE_NOISE
  );
}

function differs(a: Adjustment, b: Adjustment): boolean {
  return (
    Math.abs(a.widenLongBp - b.widenLongBp) >= WIDEN_NOISE_BP ||
    Math.abs(a.widenShortBp - b.widenShortBp) >= WIDEN_NOISE_BP ||
    Math.abs(a.volatilityPoints - b.volatilityPoints) >= VOLATILITY_NOISE_POINTS ||
    Math.abs(a.sizeLong - b.sizeLong) >= SIZE_NOISE ||
    Math.abs(a.sizeShort - b.sizeShort) >= SIZE_NOISE ||
    ((a.reasons ^ b.reasons) & (REASON.defensive | REASON.engineLost | REASON.drift | REASON.overload)) !== 0
  );
}
