import type { Desk } from "../desk/desk.ts";
import { FEATURES } from "../feature/schema.ts";
import type { DriftChange } from "../learn/drift/monitor.ts";
import { DRIFT_STAGES } from "../learn/drift/stage.ts";
import type { DriftReport, WatchOptions } from "../learn/watch/control.ts";
import { WatchLine } from "../learn/watch/line.ts";
import type { WatchFindings } from "../learn/watch/watch.ts";
import type { MetricRegistry } from "../monitor/metrics.ts";
import { WatchTap } from "./watch-tap.ts";

/** What has to be known of a desk to name what was found. */
export type WatchedDesk = { readonly market: Pick<Desk["market"], "underlyings"> };

export interface LiveWatchOptions {
  readonly watch: WatchOptions;
  /** What is found, on the desk's thread; a calibration is in force when it returns. */
  readonly findings: Pick<WatchFindings, "drift" | "retrain" | "calibration">;
  readonly onProblem: (problem: string) => void;
}

/**
 * Watches over a live desk's model on a thread of its own: drift, and calibration. When that thread dies while drift is watched, no
 * model is listened to any more: what nobody watches is not trusted.
 */
export class LiveWatch extends WatchTap {
  readonly line: WatchLine;
  readonly #desk: WatchedDesk;
  readonly #options: LiveWatchOptions;
  /** Underlyings that were told that nobody watches. */
  #unwatched = 0;

  constructor(desk: WatchedDesk, options: LiveWatchOptions) {
    const { watch, findings, onProblem } = options;
    const line = new WatchLine({
      watch,
      findings: {
        drift: (change, timeUs) => findings.drift(change, timeUs),
        retrain: (underlying, causes, timeUs) => findings.retrain(underlying, causes, timeUs),
        calibration: (slot, head, platt) => {
          findings.calibration(slot, head, platt);
          this.onCalibration(slot, head, platt);
        },
      },
      onFailure: (failure) => onProblem(`the model is not watched any more: ${failure}`),
    });
    super(line.sink, watch.card, watch.underlyings);
    this.line = line;
    this.#desk = desk;
    this.#options = options;
  }

  /** Drift is watched, and not calibration alone. */
  get watchesDrift(): boolean {
    return this.#options.watch.drift !== null;
  }

  override onTimer(timeUs: number): void {
    super.onTimer(timeUs);
    if (this.line.failure === null || !this.watchesDrift) return;
    const { size } = this.#desk.market.underlyings;
    for (; this.#unwatched < size; this.#unwatched += 1) {
      const change: DriftChange = {
        ...{ underlying: this.#unwatched, stage: "defensive", share: 1, causes: ["unwatched"] },
      };
      this.#options.findings.drift(change, timeUs);
    }
  }

  override close(): void {
    this.line.close();
  }

  /** Resolves when the thread has ended, after the tap was closed. */
  ended(): Promise<void> {
    return this.line.ended();
  }

  /** For `/drift`: by coin, with every feature that has a window. Null where drift is not watched. Allocates. */
  view(): unknown {
    if (!this.watchesDrift) return null;
    const { report, dropped, failure } = this.line;
    const heads = this.#heads();
    return {
      profile: this.#options.watch.card.profile !== undefined,
      ...{ requests: report?.requests ?? 0, memoryBytes: report?.memoryBytes ?? 0, dropped, failure },
      underlyings: (report?.drift ?? []).map((one) => ({
        underlying: this.#base(one),
        stage: DRIFT_STAGES[one.stage],
        causes: one.causes,
        rows: one.rows,
        signals: one.signals,
        drifted: one.drifted.map(({ at, ratio, distances }) => ({
          feature: FEATURES[at]?.name,
          ratio,
          ...distances,
        })),
        missing: one.missing.map((at) => FEATURES[at]?.name),
        features: Object.fromEntries(FEATURES.map(({ name }, at) => [name, one.features[at] ?? null])),
        heads: Object.fromEntries(one.heads.map((scores, head) => [heads[head], scores])),
      })),
    };
  }

  /** Registers what is to be told. Names are listed in `docs/metrics.md`. */
  register(metrics: MetricRegistry): void {
    const { line } = this;
    metrics.single(
      "keel_watch_dropped_total",
      "counter",
      "Observations that did not fit the ring to the thread that watches over the model: labels around them are left out.",
      () => line.dropped,
    );
    metrics.single(
      "keel_watch_failed",
      "gauge",
      "1 when the thread that watches over the model has died; with KEEL_DRIFT=act no model is listened to then.",
      () => (line.failure === null ? 0 : 1),
    );
    if (!this.watchesDrift) return;
    const heads = this.#heads();
    const each = (emit: (underlying: string, one: DriftReport) => void): void => {
      for (const one of line.report?.drift ?? []) emit(this.#base(one), one);
    };
    metrics.add({
      name: "keel_drift_stage",
      type: "gauge",
      help: "What is done about drift: 0 nothing, 1 an alert, 2 quotes are wider, 3 the model is not listened to.",
      collect: (emit) => each((underlying, { stage }) => emit(stage, { underlying })),
    });
    metrics.add({
      name: "keel_drift_signal",
      type: "gauge",
      help: "What drift is told from, by signal; the limits are those of KEEL_DRIFT_….",
      collect: (emit) =>
        each((underlying, { signals }) => {
          for (const { name, value } of signals) emit(value ?? Number.NaN, { underlying, signal: name });
        }),
    });
    metrics.add({
      name: "keel_drift_features",
      type: "gauge",
      help: "Features that lie further from the training rows than those' own windows do, and those that stand still.",
      collect: (emit) =>
        each((underlying, { drifted, missing }) => {
          emit(drifted.length, { underlying, kind: "drifted" });
          emit(missing.length, { underlying, kind: "missing" });
        }),
    });
    metrics.add({
      name: "keel_drift_head",
      type: "gauge",
      help: "Scores of the window's predictions whose outcome is known, by head and score.",
      collect: (emit) =>
        each((underlying, { heads: scores }) => {
          for (const [at, { auc, brier, skill, calibrationError }] of scores.entries()) {
            const head = heads[at] ?? "";
            emit(auc ?? Number.NaN, { underlying, head, score: "auc" });
            emit(brier ?? Number.NaN, { underlying, head, score: "brier" });
            emit(skill ?? Number.NaN, { underlying, head, score: "skill" });
            emit(calibrationError ?? Number.NaN, { underlying, head, score: "calibration" });
          }
        }),
    });
    metrics.single(
      "keel_drift_retrain_requests_total",
      "counter",
      "Retrainings that were asked for.",
      () => line.report?.requests ?? 0,
    );
  }

  /** The same for every model that can follow the first. */
  #heads(): string[] {
    return this.#options.watch.card.heads.map(({ name }) => name);
  }

  #base({ underlying }: DriftReport): string {
    return this.#desk.market.underlyings.base(underlying);
  }
}
