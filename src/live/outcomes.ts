import packageJson from "../../package.json";
import type { Config } from "../config.ts";
import { SCHEMA_HASH } from "../feature/schema.ts";
import { type ModelCard, modelLabel } from "../inference/card.ts";
import { runIdAt } from "../journal/format.ts";
import { outcomeHeaderOf } from "../learn/outcomes/file.ts";
import { OutcomeRecorder } from "../learn/outcomes/recorder.ts";
import { type ObservedDesk, type ObservedPredictions, OutcomeTap } from "../learn/outcomes/tap.ts";
import type { MetricRegistry } from "../monitor/metrics.ts";

/** Follows what comes of a live desk's predictions, quotes and fills, off the line. */
export class LiveOutcomes extends OutcomeTap {
  readonly recorder: OutcomeRecorder;

  constructor(
    options: NonNullable<Config["outcomes"]>,
    { market, predictions }: { readonly market: ObservedDesk; readonly predictions: ObservedPredictions },
    card: ModelCard,
    { wallUs, onProblem }: { readonly wallUs: number; readonly onProblem: (problem: string) => void },
  ) {
    const { dir: directory, partBytes, totalBytes } = options;
    const header = outcomeHeaderOf({
      keel: packageJson.version,
      run: runIdAt(wallUs, process.pid),
      schemaHash: SCHEMA_HASH,
      model: modelLabel(card),
    });
    const heads = card.heads.map(({ name }) => name);
    const recorder = new OutcomeRecorder({
      heads,
      files: { directory, header, partBytes, totalBytes },
      onProblem,
    });
    super(market, predictions, header.model, recorder, () => recorder.close());
    this.recorder = recorder;
  }

  /** Resolves when everything is in the files, after the tap was closed. */
  ended(): Promise<void> {
    return this.recorder.ended();
  }

  /** For `/outcomes`; null before the first second has passed. */
  view(): unknown {
    const { report, dropped, failure } = this.recorder;
    if (report === null) return null;
    const { counters, waitingFills, rows, view } = report;
    return { ...view, counters, waitingFills, rows, dropped, failure };
  }
}

/** Registers what outcomes have to tell. Names are listed in `docs/metrics.md`. */
export function registerOutcomeMetrics(metrics: MetricRegistry, { recorder }: LiveOutcomes): void {
  metrics.single(
    "keel_outcome_dropped_total",
    "counter",
    "Observations that did not fit the ring to the outcomes' thread; outcomes that rest on them are missing or wrong.",
    () => recorder.dropped,
  );
  metrics.single(
    "keel_outcome_failed",
    "gauge",
    "1 when outcomes are recorded no more: the disk is full, or their thread has died.",
    () => (recorder.failure === null ? 0 : 1),
  );
  metrics.add({
    name: "keel_outcome_rows_total",
    type: "counter",
    help: "Outcomes found, by kind: labelled predictions, ended quotes, fills with all marks, fills that the model kept from us.",
    collect: (emit) => {
      const counters = recorder.report?.counters;
      emit(counters?.predictions ?? 0, { kind: "prediction" });
      emit(counters?.quotes ?? 0, { kind: "quote" });
      emit(counters?.fills ?? 0, { kind: "fill" });
      emit(counters?.unfilled ?? 0, { kind: "unfilled" });
    },
  });
  metrics.single(
    "keel_outcome_unlabelled_total",
    "counter",
    "Predictions that never got labels: their book broke, the model went out of force, or there was no room.",
    () => recorder.report?.counters.unlabelled ?? 0,
  );
  metrics.single(
    "keel_outcome_cut_short_total",
    "counter",
    "Fills recorded without all of their marks, for want of room.",
    () => recorder.report?.counters.cutShort ?? 0,
  );
  metrics.add({
    name: "keel_outcome_markout",
    type: "gauge",
    help: "Markout of all fills of this process, quote currency, by horizon.",
    collect: (emit) => {
      const view = recorder.report?.view;
      for (const [at, horizon] of (view?.horizons ?? []).entries()) {
        emit(view?.fills.markout[at] ?? 0, { horizon });
      }
    },
  });
  metrics.add({
    name: "keel_outcome_kept",
    type: "gauge",
    help: "What fills that the model kept from us would have made within 1 s, quote currency: losses avoided and profits missed, both ≥ 0.",
    collect: (emit) => {
      const unfilled = recorder.report?.view.unfilled;
      emit(unfilled?.avoidedLoss ?? 0, { what: "avoided" });
      emit(unfilled?.missedProfit ?? 0, { what: "missed" });
    },
  });
  metrics.add({
    name: "keel_outcome_brier",
    type: "gauge",
    help: "Mean squared error of the probabilities of this process, by head; NaN before the first label.",
    collect: (emit) => {
      for (const [head, { brier }] of Object.entries(recorder.report?.view.heads ?? {})) {
        emit(brier ?? Number.NaN, { head });
      }
    },
  });
}
