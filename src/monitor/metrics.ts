import type { Histogram } from "../core/histogram.ts";
import { ExpositionText } from "./exposition.ts";

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
  readonly #text = new ExpositionText();
  /** The one that is being written. */
  #name = "";

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

  /** @returns the exposition in UTF-8, families in the order they were added; valid until the next one. */
  expose(): Uint8Array<ArrayBuffer> {
    const text = this.#text;
    text.clear();
    for (const family of this.#families.values()) {
      const { name, help, type } = family;
      text.write(`# HELP ${name} `);
      text.writeEscaped(help, false);
      text.write(`\n# TYPE ${name} ${type}\n`);
      this.#name = name;
      family.collect(this.#emit, this.#emitHistogram);
    }
    return text.bytes;
  }

  readonly #emit = (value: number, labels?: Labels): void => this.#sample("", labels, null, value);

  readonly #emitHistogram: HistogramEmitter = (
    histogram,
    labels,
    { perSecond, boundsSeconds } = LATENCY,
  ): void => {
    const counts = histogram.countsAtMost(boundsSeconds.map((seconds) => seconds * perSecond));
    for (const [at, count] of counts.entries()) {
      this.#sample("_bucket", labels, String(boundsSeconds[at]), count);
    }
    this.#sample("_bucket", labels, "+Inf", histogram.count);
    this.#sample("_sum", labels, null, histogram.sum / perSecond);
    this.#sample("_count", labels, null, histogram.count);
  };

  /** @param le upper bound of a histogram's bucket; null for any other sample */
  #sample(suffix: string, labels: Labels | undefined, le: string | null, value: number): void {
    const text = this.#text;
    text.write(this.#name);
    text.write(suffix);
    let open = "{";
    for (const label in labels) {
      text.write(open);
      text.write(label);
      text.write('="');
      text.writeEscaped(labels[label]);
      text.write('"');
      open = ",";
    }
    if (le !== null) {
      text.write(open);
      text.write('le="');
      text.write(le);
      text.write('"');
      open = ",";
    }
    text.write(open === "{" ? " " : "} ");
    text.writeNumber(value);
    text.write("\n");
  }
}
