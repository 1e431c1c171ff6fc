import { HISTOGRAM_BUCKETS, type Histogram, middleOf } from "../../core/histogram.ts";
import { percentilesUs, STAGES, type StageHistograms } from "../../desk/latency.ts";
import type { LatencySection, StageView } from "./protocol.ts";

const WINDOW_SECONDS = 10;
/** A window is made of as many parts, the oldest of which falls off. */
const PARTS = 5;
const PART_US = (WINDOW_SECONDS / PARTS) * 1e6;
/** From 100 ns to 100 ms, eight to a decade. */
const BOUNDS_US = Array.from({ length: 49 }, (_, at) => Number((0.1 * 10 ** (at / 8)).toPrecision(3)));

const counts = new Float64Array(HISTOGRAM_BUCKETS);

/** Latencies of the last seconds, by stage, as the difference of what the histograms counted now and then. */
export class LatencyWindow {
  readonly #names: readonly string[];
  readonly #histograms: readonly Histogram[];
  /** By part and histogram; the oldest part first. */
  readonly #parts: { readonly us: number; readonly counts: readonly Float64Array[] }[] = [];

  constructor(timer: StageHistograms) {
    this.#names = [...STAGES, "quoted"];
    this.#histograms = [...timer.stages, timer.quoted];
  }

  /** To be called about every second while somebody looks on. */
  look(timeUs: number): void {
    const last = this.#parts.at(-1);
    if (last !== undefined && timeUs - last.us < PART_US && timeUs >= last.us) return;
    const recycled = this.#parts.length > PARTS ? this.#parts.shift()?.counts : undefined;
    const copies = recycled ?? this.#histograms.map(() => new Float64Array(HISTOGRAM_BUCKETS));
    for (const [at, histogram] of this.#histograms.entries()) histogram.copyCounts(copies[at]);
    this.#parts.push({ us: timeUs, counts: copies });
  }

  section(timeUs: number): LatencySection {
    const [oldest] = this.#parts;
    return {
      windowSeconds: oldest === undefined ? 0 : Math.round((timeUs - oldest.us) / 1e6),
      boundsUs: BOUNDS_US,
      stages: this.#names.map((stage, at) => this.#view(stage, at)),
    };
  }

  /** Median and 99th percentile of an event's whole way, µs; null while there was none in the window. */
  total(): { readonly p50Us: number | null; readonly p99Us: number | null } {
    const { p50, p99 } = this.#view("total", this.#names.indexOf("total"));
    return { p50Us: p50, p99Us: p99 };
  }

  #view(stage: string, at: number): StageView {
    const histogram = this.#histograms[at];
    histogram.copyCounts(counts);
    const before = this.#parts[0]?.counts[at];
    let count = 0;
    for (let bucket = 0; bucket < HISTOGRAM_BUCKETS; bucket += 1) {
      if (before !== undefined) counts[bucket] -= before[bucket];
      count += counts[bucket];
    }
    const bins = new Array<number>(BOUNDS_US.length + 1).fill(0);
    const ranks = [0.5, 0.99, 0.999, 1].map((q) => Math.max(1, Math.ceil(q * count)));
    const found: number[] = [];
    let seen = 0;
    let bin = 0;
    for (let bucket = 0; bucket < HISTOGRAM_BUCKETS && count > 0; bucket += 1) {
      if (counts[bucket] === 0) continue;
      const us = middleOf(bucket) / 1_000;
      while (bin < BOUNDS_US.length && us > BOUNDS_US[bin]) bin += 1;
      bins[bin] += counts[bucket];
      seen += counts[bucket];
      while (found.length < ranks.length && seen >= ranks[found.length]) found.push(us);
    }
    const [p50 = null, p99 = null, p999 = null, max = null] = found.map((us) => Number(us.toPrecision(4)));
    const all = percentilesUs(histogram);
    return {
      ...{ stage, count, p50, p99, p999, max, bins },
      all: { count: all.count, p50: all.p50, p99: all.p99, max: all.max },
    };
  }
}
