import type { MetricRegistry } from "../monitor/metrics.ts";
import type { ModelDirector } from "./model-director.ts";

/** Registers what is known of champion and challengers. Names are listed in `docs/metrics.md`. */
export function registerModelMetrics(metrics: MetricRegistry, director: ModelDirector): void {
  metrics.add({
    name: "keel_model_changes_total",
    type: "counter",
    help: "Changes of the model: switches to another champion, rollbacks of a canary or a champion, models refused, failed looks at the registry.",
    collect: (emit) => {
      emit(director.switches, { change: "switch" });
      emit(director.rollbacks, { change: "rollback" });
      emit(director.refusals, { change: "refusal" });
      emit(director.failures, { change: "failure" });
    },
  });
  metrics.single(
    "keel_model_canary_underlyings",
    "gauge",
    "Underlyings for which the canary is in force.",
    () => director.canaryUnderlyings.length,
  );
  metrics.single(
    "keel_model_verdicts_waiting",
    "gauge",
    "Verdicts of the policy that a person has to carry out.",
    () => director.waiting,
  );
  metrics.single(
    "keel_model_challenge_dropped_total",
    "counter",
    "Observations that did not fit the ring to the challengers' thread.",
    () => director.line.dropped,
  );
  metrics.single(
    "keel_model_challenge_failed",
    "gauge",
    "1 when that thread has died: nothing is compared any more; the champion goes on.",
    () => (director.line.failure === null ? 0 : 1),
  );
  metrics.add({
    name: "keel_model_logloss_difference",
    type: "gauge",
    help: "Log loss of a challenger less the champion's, with the bounds of its confidence sequence; below 0 it is better.",
    collect: (emit) => {
      for (const { version, mean, lower, upper } of director.differences()) {
        emit(lower, { version, bound: "lower" });
        emit(mean, { version, bound: "mean" });
        emit(upper, { version, bound: "upper" });
      }
    },
  });
}
