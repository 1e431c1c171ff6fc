import type { Labels } from "../metrics.ts";

/** `critical` wakes somebody: nothing is quoted, or what is quoted cannot be trusted. `warning` can wait for the morning. */
export type Severity = "critical" | "warning";

interface Watched {
  /** A family of `docs/metrics.md`. */
  readonly metric: string;
  /** Only samples with these labels; every other label tells one alert from another. */
  readonly labels?: Labels;
}

/** A gauge compared with a number; `unknown` holds while the gauge is NaN. */
export interface GaugeCondition extends Watched {
  readonly kind: "gauge";
  readonly is: "above" | "below" | "equal" | "unknown";
  /** Not looked at by `unknown`. */
  readonly value: number;
}

/** A counter that rose by more than this within the window. */
export interface IncreaseCondition extends Watched {
  readonly kind: "increase";
  readonly above: number;
  readonly windowSeconds: number;
}

/** A latency that more than `1 − quantile` of the events in the window went beyond. */
export interface QuantileCondition extends Watched {
  readonly kind: "quantile";
  readonly quantile: number;
  /** One of the histogram's exported bounds. */
  readonly aboveSeconds: number;
  readonly windowSeconds: number;
  /** Fewer events in the window say nothing. */
  readonly eventsMin: number;
}

export type Condition = GaugeCondition | IncreaseCondition | QuantileCondition;

/** Something that a person has to know of. The same rule makes an alert of this process and a rule of Prometheus. */
export interface AlertRule {
  /** `KeelSomethingHappened`; its runbook stands under this name in `docs/runbooks.md`. */
  readonly name: string;
  readonly severity: Severity;
  /** One sentence for whoever is woken. */
  readonly summary: string;
  readonly when: Condition;
  /** How long the condition must hold before it is told. */
  readonly forSeconds: number;
}

/** The condition in PromQL. */
export function promQl(condition: Condition): string {
  const { metric } = condition;
  switch (condition.kind) {
    case "gauge": {
      const sample = `${metric}${selector(condition.labels)}`;
      if (condition.is === "unknown") return `${sample} != ${sample}`;
      const operator = { above: ">", below: "<", equal: "==" }[condition.is];
      return `${sample} ${operator} ${condition.value}`;
    }
    case "increase":
      return `increase(${metric}${selector(condition.labels)}[${condition.windowSeconds}s]) > ${condition.above}`;
    case "quantile": {
      const { quantile, windowSeconds, aboveSeconds, eventsMin } = condition;
      const labels = selector(condition.labels);
      const slow = `histogram_quantile(${quantile}, rate(${metric}_bucket${labels}[${windowSeconds}s])) > ${aboveSeconds}`;
      return `${slow} and increase(${metric}_count${labels}[${windowSeconds}s]) >= ${eventsMin}`;
    }
  }
}

function selector(labels: Labels = {}): string {
  const pairs = Object.entries(labels).map(([name, value]) => `${name}=${JSON.stringify(value)}`);
  return pairs.length === 0 ? "" : `{${pairs.join(",")}}`;
}
