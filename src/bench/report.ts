import { cpus } from "node:os";
import type { Histogram } from "../core/histogram.ts";
import { probeIsa } from "../inference/probe.ts";

/** One measured thing. Percentiles are in `unit`. */
export interface BenchRow {
  readonly name: string;
  readonly unit: "us" | "ns";
  readonly n: number;
  readonly p50: number;
  readonly p99: number;
  readonly p999: number;
  readonly max: number;
  readonly perSecond?: number;
  readonly [extra: string]: string | number | boolean | undefined;
}

/** `a:b` = a's time over b's, measured in turn in the same run; more than 1 means b is that many times faster. */
export interface BenchRatio {
  readonly name: string;
  readonly value: number;
  /** Between these it lies with 95 %, where that was found. */
  readonly low?: number;
  readonly high?: number;
}

export interface BenchHost {
  readonly cpu: string;
  readonly cores: number;
  readonly isa: readonly string[];
  readonly gpu: string | null;
  readonly bun: string;
}

/** What a benchmark prints as its last line with `--json`. */
export interface BenchReport {
  readonly bench: string;
  readonly host: BenchHost;
  readonly seed: number;
  /** Digest of what was computed, so that two runs are known to have done the same work. */
  readonly checksum: string;
  /** Where the input came from. */
  readonly input: string;
  readonly rows: readonly BenchRow[];
  readonly ratios: readonly BenchRatio[];
  readonly notes: readonly string[];
}

export function benchHost(isa: readonly string[] = probeIsa(), gpu: string | null = null): BenchHost {
  const all = cpus();
  return { cpu: all[0]?.model ?? "unknown", cores: all.length, isa, gpu, bun: Bun.version };
}

/** A row from a histogram of ns. */
export function rowOf(
  name: string,
  histogram: Histogram,
  unit: "us" | "ns",
  extra: Readonly<Record<string, string | number | boolean>> = {},
): BenchRow {
  const scale = unit === "us" ? 1_000 : 1;
  const round = (ns: number): number =>
    histogram.count === 0 ? 0 : Math.round((ns / scale) * 1_000) / 1_000;
  return {
    name,
    unit,
    n: histogram.count,
    p50: round(histogram.quantile(0.5)),
    p99: round(histogram.quantile(0.99)),
    p999: round(histogram.quantile(0.999)),
    max: round(histogram.max),
    ...extra,
  };
}

/** p50 over p50, or p99 over p99 when the name ends in `/p99`. */
export function ratioOf(name: string, a: BenchRow, b: BenchRow): BenchRatio {
  const key = name.endsWith("/p99") ? "p99" : "p50";
  const inNs = (row: BenchRow): number => row[key] * (row.unit === "us" ? 1_000 : 1);
  return { name, value: Math.round((inNs(a) / inNs(b)) * 1_000) / 1_000 };
}

/** The report as a table for people. */
export function benchTable(report: BenchReport): string[] {
  const head = ["", "n", "p50", "p99", "p99.9", "max", "unit", "per second"];
  const body = report.rows.map((row) => [
    row.software === true ? `${row.name} (software)` : row.name,
    String(row.n),
    String(row.p50),
    String(row.p99),
    String(row.p999),
    String(row.max),
    row.unit,
    row.perSecond === undefined ? "" : Math.round(row.perSecond).toLocaleString("en-US"),
  ]);
  const widths = head.map((_title, column) =>
    Math.max(...[head, ...body].map((cells) => cells[column]?.length ?? 0)),
  );
  const line = (cells: readonly string[]): string =>
    cells
      .map((cell, column) =>
        column === 0 ? cell.padEnd(widths[0] ?? 0) : cell.padStart(widths[column] ?? 0),
      )
      .join("  ")
      .trimEnd();
  const gpu = report.host.gpu === null ? "" : `, ${report.host.gpu}`;
  return [
    `${report.bench} on ${report.host.cpu}, ${report.host.cores} cores${gpu}, Bun ${report.host.bun}; input: ${report.input}`,
    line(head),
    ...body.map(line),
    ...report.ratios.map(
      ({ name, value, low, high }) =>
        `${name} = ${value}${low === undefined || high === undefined ? "" : ` (${low} … ${high})`}`,
    ),
    ...report.notes,
  ];
}
