import { invariant } from "../../core/invariant.ts";
import { FEATURE_COUNT } from "../../feature/schema.ts";
import { Calibration, type Scaling } from "../../inference/calibration.ts";
import { type DriftChange, DriftMonitor, type WatchedCard } from "../drift/monitor.ts";
import { OBSERVED, type ObservationSink, type ObservedKind, PREDICTED } from "../outcomes/observation.ts";
import { Recalibrator } from "../recalibration.ts";
import type { DriftReport, WatchOptions, WatchReport } from "./control.ts";

/** Takes what the watch finds. */
export interface WatchFindings {
  drift(change: DriftChange, timeUs: number): void;
  retrain(underlying: number, causes: readonly string[], timeUs: number): void;
  /** To be put in force, and then to be observed as such. */
  calibration(slot: number, head: number, scaling: Scaling): void;
}

/**
 * Watches, by a desk's observations, whether its model is still the right one: drift, and how far its probabilities are off. Reads no
 * clock: the same observations give the same findings, whichever thread they are made on.
 */
export class ModelWatch implements ObservationSink {
  readonly #drift: DriftMonitor | null;
  readonly #recalibrator: Recalibrator | null;
  readonly #calibration: Calibration;

  constructor({ card, underlyings, drift, recalibrates }: WatchOptions, findings: WatchFindings) {
    this.#calibration = new Calibration(card.heads, underlyings);
    this.#drift =
      drift === null
        ? null
        : new DriftMonitor({
            ...{ card, underlyings, parameters: drift },
            onChange: (change, timeUs) => findings.drift(change, timeUs),
            onRetrain: (underlying, causes, timeUs) => findings.retrain(underlying, causes, timeUs),
          });
    this.#recalibrator =
      recalibrates !== null
        ? new Recalibrator({
            heads: card.heads.map(({ name }) => name),
            slotCount: underlyings,
            calibration: this.#calibration,
            method: recalibrates,
            onChange: (slot, head, scaling) => findings.calibration(slot, head, scaling),
          })
        : null;
  }

  observe(kind: ObservedKind, subject: number, timeUs: number, values: Float64Array, count: number): void {
    const drift = this.#drift;
    const recalibrator = this.#recalibrator;
    switch (kind) {
      case OBSERVED.prediction: {
        if (values[PREDICTED.status] !== 0) {
          drift?.interrupt(subject);
          recalibrator?.interrupt(subject);
          break;
        }
        const mid = values[PREDICTED.midTicks];
        const bids = values[PREDICTED.bidDepth];
        const asks = values[PREDICTED.askDepth];
        const from = PREDICTED.probabilities;
        drift?.onPrediction(subject, values, from, timeUs, mid, bids, asks);
        recalibrator?.observe(subject, timeUs, values, from, mid, bids, asks);
        break;
      }
      case OBSERVED.features:
        invariant(count === FEATURE_COUNT, "a whole row of features");
        drift?.onFeatures(subject, values, 0, timeUs);
        break;
      case OBSERVED.lost:
        this.#interruptAll();
        break;
      case OBSERVED.timer:
        drift?.onTimer(timeUs);
        recalibrator?.onTimer(timeUs);
        break;
    }
  }

  describe(kind: ObservedKind, subject: number, timeUs: number, text: string): void {
    if (kind === OBSERVED.model) this.#drift?.follow(subject, JSON.parse(text) as WatchedCard, timeUs);
    if (kind !== OBSERVED.calibration) return;
    const { head, ...scaling } = JSON.parse(text) as { head: number } & Scaling;
    this.#calibration.set(subject, head, scaling);
  }

  /** Observations are missing: what waits for its outcome gets none, since it could be a wrong one. */
  #interruptAll(): void {
    const drift = this.#drift;
    for (let underlying = 0; underlying < this.#calibration.slotCount; underlying += 1) {
      drift?.interrupt(underlying);
      this.#recalibrator?.interrupt(underlying);
    }
  }

  report(): WatchReport {
    const drift = this.#drift;
    return {
      requests: drift?.requests ?? 0,
      memoryBytes: drift?.memoryBytes ?? 0,
      drift: drift === null ? [] : reportOf(drift, this.#calibration.slotCount),
    };
  }
}

function reportOf(drift: DriftMonitor, underlyings: number): DriftReport[] {
  const reports: DriftReport[] = [];
  for (let underlying = 0; underlying < underlyings; underlying += 1) {
    const one = drift.of(underlying);
    if (one === null) continue;
    const { keeper, rows, signals, drifted, missing, scores } = one;
    reports.push({
      ...{ underlying, stage: keeper.stage, causes: keeper.causes, rows, drifted, missing },
      signals: signals.map(({ value, defend, ...signal }) => ({
        ...signal,
        value: orNull(value),
        defend: orNull(defend),
      })),
      features: Array.from({ length: FEATURE_COUNT }, (_, at) => one.distances(at)),
      heads: scores,
    });
  }
  return reports;
}

function orNull(value: number): number | null {
  return Number.isFinite(value) ? value : null;
}
