import { Histogram } from "../core/histogram.ts";
import { type BenchRatio, type BenchRow, rowOf } from "./report.ts";

/** Fewest samples of anything, and the longest that one thing is sampled. */
const SAMPLES_MIN = 5;
const TIME_MAX_MS = 3_000;

/** The same work on the GPU and on the CPU. */
export interface GpuPair {
  /** Of the row, e.g. `features-16`. */
  readonly name: string;
  /** What the sizes of one kind of work have in common, e.g. `features`. */
  readonly kind: string;
  readonly size: number;
  readonly gpu: () => Promise<void>;
  /** Null where the CPU has nothing to compare with. */
  readonly cpu: (() => void | Promise<void>) | null;
}

export interface PairRows {
  readonly pair: GpuPair;
  readonly gpu: BenchRow;
  readonly cpu: BenchRow | null;
}

/** Times `work`, after a few runs that are not measured. */
export async function sample(
  samples: number,
  ...works: readonly (() => void | Promise<void>)[]
): Promise<Histogram[]> {
  const histograms = works.map(() => new Histogram());
  for (let warm = 0; warm < 3; warm += 1) for (const work of works) await work();
  const untilNs = Bun.nanoseconds() + TIME_MAX_MS * 1e6;
  for (let at = 0; at < samples && (at < SAMPLES_MIN || Bun.nanoseconds() < untilNs); at += 1) {
    for (const [index, work] of works.entries()) {
      const beforeNs = Bun.nanoseconds();
      const pending = work();
      if (pending !== undefined) await pending;
      histograms[index].record(Bun.nanoseconds() - beforeNs);
    }
  }
  return histograms;
}

/** The two in turn. */
export async function timePair(pair: GpuPair, samples: number, software: boolean): Promise<PairRows> {
  const { name, gpu, cpu } = pair;
  const [gpuTimes, cpuTimes] = await sample(samples, ...(cpu === null ? [gpu] : [gpu, cpu]));
  return {
    pair,
    gpu: rowOf(`gpu/${name}`, gpuTimes, "us", { software }),
    cpu: cpu === null ? null : rowOf(`gpu/${name}/cpu`, cpuTimes, "us"),
  };
}

/** How many times as fast as the CPU the GPU was. */
export function pairRatio({ pair, gpu, cpu }: PairRows): BenchRatio[] {
  if (cpu === null) return [];
  // A software adapter is slower by so much that three decimals would show nothing.
  return [{ name: `gpu/${pair.name}/cpu:gpu`, value: Number((cpu.p50 / gpu.p50).toPrecision(3)) }];
}

/** From which size on the GPU is the faster one, a line for each kind of work. */
export function crossOvers(rows: readonly PairRows[]): string[] {
  const kinds = [...new Set(rows.filter(({ cpu }) => cpu !== null).map(({ pair }) => pair.kind))];
  return kinds.map((kind) => {
    const sizes = rows
      .filter(({ pair, cpu }) => pair.kind === kind && cpu !== null)
      .sort((a, b) => a.pair.size - b.pair.size);
    const slower = sizes.findLastIndex(({ gpu, cpu }) => cpu === null || gpu.p50 >= cpu.p50);
    if (slower === sizes.length - 1) {
      return `cross-over of ${kind}: none up to ${sizes.at(-1)?.pair.size}; the CPU is faster`;
    }
    return `cross-over of ${kind}: the GPU is faster from ${sizes[slower + 1].pair.size} on`;
  });
}
