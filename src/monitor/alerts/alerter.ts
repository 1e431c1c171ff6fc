import type { Histogram } from "../../core/histogram.ts";
import { RowQueue } from "../../core/row-queue.ts";
import type { HistogramScale, Labels, MetricRegistry } from "../metrics.ts";
import type { AlertRule, Condition, Severity } from "./rule.ts";

/** An alert that fires, or has ended since it was last told. */
export interface Alert {
  readonly name: string;
  readonly severity: Severity;
  readonly summary: string;
  /** Of the sample. */
  readonly labels: Labels;
  /** What was found: the gauge, the increase, or the share of events beyond the latency. */
  readonly value: number;
  readonly startsUs: number;
  /** Null while it fires. */
  readonly endsUs: number | null;
}

/** Samples of one rule that are told apart by their labels; a rule on a family with more shows the first ones. */
const SERIES_MAX = 64;
/** Samples kept of a series beyond what its window holds. */
const SPARE_SAMPLES = 2;

/** One labelled sample of a rule over time. */
class Series {
  readonly labels: Labels;
  /** Time, value, and of a histogram the events beyond the latency. */
  readonly #samples = new RowQueue(3);
  /** Since when the condition has held, µs; null while it does not. */
  heldUs: number | null = null;
  startsUs: number | null = null;
  value = Number.NaN;

  constructor(labels: Labels) {
    this.labels = labels;
  }

  push(timeUs: number, value: number, beyond: number, windowUs: number): void {
    const samples = this.#samples;
    // A clock that was put back makes what was seen before it useless.
    if (timeUs < (samples.at(-1, 0) ?? timeUs)) samples.clear();
    samples.push(timeUs, value, beyond);
    while (samples.size > SPARE_SAMPLES && (samples.at(1, 0) ?? timeUs) <= timeUs - windowUs) samples.shift();
  }

  /** The value at the window's beginning, or the first there is. */
  get oldestValue(): number {
    return this.#samples.at(0, 1) ?? 0;
  }

  /** As {@link oldestValue}: the events beyond the latency. */
  get oldestBeyond(): number {
    return this.#samples.at(0, 2) ?? 0;
  }
}

/**
 * Looks at the metrics of this very process by the rules of `rules.ts`, as Prometheus would, so that somebody is told even where no
 * Prometheus runs. Time is a parameter; only the families that rules name are read.
 */
export class Alerter {
  readonly #metrics: MetricRegistry;
  readonly #rules: readonly AlertRule[];
  readonly #series = new Map<string, Map<string, Series>>();
  #lookedUs = Number.NaN;

  constructor(metrics: MetricRegistry, rules: readonly AlertRule[]) {
    this.#metrics = metrics;
    this.#rules = rules;
    for (const { name } of rules) this.#series.set(name, new Map());
  }

  /** @returns every alert that fires, and those that ended with this look */
  look(timeUs: number): Alert[] {
    const alerts = this.#rules.flatMap((rule) => this.#lookAt(rule, timeUs));
    this.#lookedUs = timeUs;
    return alerts;
  }

  /** What fires by the latest look. */
  firing(): Alert[] {
    return this.#rules.flatMap((rule) =>
      [...(this.#series.get(rule.name)?.values() ?? [])].flatMap((series) =>
        series.startsUs === null ? [] : alertOf(rule, series, series.startsUs, null),
      ),
    );
  }

  #lookAt(rule: AlertRule, timeUs: number): Alert[] {
    const all = this.#series.get(rule.name);
    const alerts: Alert[] = [];
    const seen = new Set<Series>();
    this.#sample(rule.when, (labels, value, beyond) => {
      const key = JSON.stringify(labels);
      let series = all?.get(key);
      if (series === undefined) {
        if (all === undefined || all.size >= SERIES_MAX) return;
        series = new Series(labels);
        // A counter that was not there at the last look was 0 then.
        if (!Number.isNaN(this.#lookedUs)) series.push(this.#lookedUs, 0, 0, windowUsOf(rule.when));
        all.set(key, series);
      }
      series.push(timeUs, value, beyond, windowUsOf(rule.when));
      seen.add(series);
      alerts.push(...judge(rule, series, holds(rule.when, series, value, beyond), timeUs));
    });
    for (const series of all?.values() ?? []) {
      if (!seen.has(series)) alerts.push(...judge(rule, series, false, timeUs));
    }
    return alerts;
  }

  /** Gives the samples of a condition: a gauge's or counter's value, or a histogram's events and those beyond the latency. */
  #sample(when: Condition, take: (labels: Labels, value: number, beyond: number) => void): void {
    const matches = (labels: Labels): boolean =>
      Object.entries(when.labels ?? {}).every(([name, value]) => labels[name] === value);
    const onValue = (value: number, labels: Labels = {}): void => {
      if (matches(labels)) take(labels, value, 0);
    };
    const onHistogram = (histogram: Histogram, labels: Labels = {}, scale?: HistogramScale): void => {
      if (when.kind !== "quantile" || !matches(labels)) return;
      const bound = when.aboveSeconds * (scale?.perSecond ?? 1e9);
      take(labels, histogram.count, histogram.count - histogram.countAtMost(bound));
    };
    this.#metrics.family(when.metric)?.collect(onValue, onHistogram);
  }
}

function windowUsOf(when: Condition): number {
  return when.kind === "gauge" ? 0 : when.windowSeconds * 1e6;
}

function holds(when: Condition, series: Series, current: number, beyond: number): boolean {
  const before = series.oldestValue;
  switch (when.kind) {
    case "gauge":
      series.value = current;
      if (when.is === "unknown") return Number.isNaN(current);
      if (when.is === "equal") return current === when.value;
      return when.is === "above" ? current > when.value : current < when.value;
    case "increase":
      series.value = current - before;
      return series.value > when.above;
    case "quantile":
      series.value = current === before ? 0 : (beyond - series.oldestBeyond) / (current - before);
      return current - before >= when.eventsMin && series.value > 1 - when.quantile;
  }
}

/** Moves a series between quiet, waiting and firing. */
function judge(rule: AlertRule, series: Series, isHeld: boolean, timeUs: number): Alert[] {
  if (!isHeld) {
    const { startsUs } = series;
    series.heldUs = null;
    series.startsUs = null;
    return startsUs === null ? [] : [alertOf(rule, series, startsUs, timeUs)];
  }
  series.heldUs ??= timeUs;
  if (timeUs < series.heldUs) series.heldUs = timeUs;
  if (series.startsUs === null && timeUs - series.heldUs >= rule.forSeconds * 1e6) series.startsUs = timeUs;
  return series.startsUs === null ? [] : [alertOf(rule, series, series.startsUs, null)];
}

function alertOf(rule: AlertRule, series: Series, startsUs: number, endsUs: number | null): Alert {
  const { name, severity, summary } = rule;
  return { name, severity, summary, labels: series.labels, value: series.value, startsUs, endsUs };
}
