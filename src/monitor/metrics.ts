import type { Histogram } from "../core/histogram.ts";

export type MetricType = "counter" | "gauge" | "histogram";
export type Labels = Readonly<Record<string, string>>;

/** One family of the Prometheus text exposition, read when scraped. */
export interface MetricFamily {
  /** `keel_<room>_<thing>_<unit|total>`. */
  readonly name: string;
  readonly help: string;
  readonly type: MetricType;
  collect(emit: (value: number, labels?: Labels) => void, emitHistogram: HistogramEmitter): void;
}

/** How a histogram's numbers become seconds, and the upper bounds of its exported buckets. */
export interface HistogramScale {
  readonly perSecond: number;
  readonly boundsSeconds: readonly number[];
}

export type HistogramEmitter = (histogram: Histogram, labels?: Labels, scale?: HistogramScale) => void;

/** Upper bounds of the exported latency buckets, seconds; histograms are kept in ns. */
const LATENCY_BOUNDS_SECONDS = [
  1e-6, 2.5e-6, 5e-6, 1e-5, 2.5e-5, 5e-5, 1e-4, 2.5e-4, 5e-4, 1e-3, 2.5e-3, 5e-3, 1e-2, 0.1, 1,
] as const;

const LATENCY: HistogramScale = { perSecond: 1e9, boundsSeconds: LATENCY_BOUNDS_SECONDS };

/** For what takes as long as a turn of the event loop, kept in µs. */
export const LOOP_LAG: HistogramScale = {
  perSecond: 1e6,
  boundsSeconds: [1e-4, 2.5e-4, 5e-4, 1e-3, 2.5e-3, 5e-3, 1e-2, 2.5e-2, 5e-2, 0.1, 0.25, 0.5, 1, 5],
};

/** For recoveries, kept in µs: from the next frame to an outage. */
export const RECOVERY: HistogramScale = {
  perSecond: 1e6,
  boundsSeconds: [1e-3, 5e-3, 1e-2, 2.5e-2, 5e-2, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300],
};

/**
 * Families by name, written as the Prometheus text format 0.0.4. Families are collected only when scraped, so that the event
 * line keeps plain counters and histograms and pays nothing for being watched.
 */
export class MetricRegistry {
  readonly #families = new Map<string, MetricFamily>();

  /** @throws Error when a family of that name exists. */
  add(family: MetricFamily): void {
    if (this.#families.has(family.name)) throw new Error(`metric ${family.name} is registered twice`);
    this.#families.set(family.name, family);
  }

  /** A family with one sample without labels. */
  single(name: string, type: "counter" | "gauge", help: string, read: () => number): void {
    this.add({ name, type, help, collect: (emit) => emit(read()) });
  }

  /** The family of a name; undefined where this process has none. */
  family(name: string): MetricFamily | undefined {
    return this.#families.get(name);
  }

  names(): string[] {
    return [...this.#families.keys()];
  }

  /** @returns the exposition, families in the order they were added. */
  expose(): string {
    const lines: string[] = [];
    for (const family of this.#families.values()) {
      lines.push(`# HELP ${family.name} ${family.help.replaceAll("\\", "\\\\").replaceAll("\n", "\\n")}`);
      lines.push(`# TYPE ${family.name} ${family.type}`);
      family.collect(
        (value, labels) => lines.push(`${family.name}${labelText(labels)} ${numberText(value)}`),
        (histogram, labels, scale) => pushHistogram(lines, family.name, histogram, labels, scale),
      );
    }
    lines.push("");
    return lines.join("\n");
  }
}

function pushHistogram(
  lines: string[],
  name: string,
  histogram: Histogram,
  labels: Labels = {},
  { perSecond, boundsSeconds }: HistogramScale = LATENCY,
): void {
  for (const bound of boundsSeconds) {
    const bucket = labelText({ ...labels, le: String(bound) });
    lines.push(`${name}_bucket${bucket} ${histogram.countAtMost(bound * perSecond)}`);
  }
  lines.push(`${name}_bucket${labelText({ ...labels, le: "+Inf" })} ${histogram.count}`);
  lines.push(`${name}_sum${labelText(labels)} ${numberText(histogram.sum / perSecond)}`);
  lines.push(`${name}_count${labelText(labels)} ${histogram.count}`);
}

function labelText(labels: Labels | undefined): string {
  if (labels === undefined) return "";
  const pairs = Object.entries(labels).map(
    ([key, value]) =>
      `${key}="${value.replaceAll("\\", "\\\\").replaceAll('"', '\\"').replaceAll("\n", "\\n")}"`,
  );
  return pairs.length === 0 ? "" : `{${pairs.join(",")}}`;
}

function numberText(value: number): string {
  if (Number.isNaN(value)) return "NaN";
  if (value === Number.POSITIVE_INFINITY) return "+Inf";
  if (value === Number.NEGATIVE_INFINITY) return "-Inf";
  return String(value);
}
