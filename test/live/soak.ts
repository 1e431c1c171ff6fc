/**
 * Lets a desk with everything on run for as long as one likes: journal, metrics that are scraped, somebody who looks on at sixty
 * updates a second, a challenger in the shadow (with which there is no recalibration), outcomes, drift, Redis, Kafka, a FIX counterparty that trades.
 * Recordings of Binance are served at their own speed, again and again, beside a simulated Deribit with its options. Two desks
 * with nothing on run beside it on the same feeds: the 99th percentile is held against the first one's in the same ten seconds,
 * and what the two of them differ by is what the host adds.
 *
 * @example bun test/live/soak.ts 60      # minutes
 * @example bun test/live/soak.ts 5 --each      # desks with one part on each: which of them takes memory or time
 * @example bun test/live/soak.ts 60 --priority 20   # every desk's loop at that real-time priority (`KEEL_LOOP_PRIORITY`), where
 *   the host has fewer processors than the desks have threads
 *
 * Ends with 1 when memory grew by more than 2 %, anything was lost, something that was on stood still, or the median of the ratios
 * of the 99th percentiles is above 1.10.
 *
 * @module
 */
import { parseArgs } from "node:util";
import { STAGES } from "../../src/desk/latency.ts";
import type { LatencySection, StageView } from "../../src/monitor/dashboard/protocol.ts";
import type { RunSummary } from "../../src/monitor/summary.ts";
import type { Memory, Samples } from "./soak/desk-process.ts";
import { type DeskName, PARTS, Scene } from "./soak/scene.ts";
import {
  idle,
  losses,
  type MemorySample,
  type MemoryVerdict,
  memoryVerdict,
  type RatioVerdict,
  ratioVerdict,
  type WindowPair,
} from "./soak/verdict.ts";
import { Viewer } from "./soak/viewer.ts";

const GROWTH_MAX = 0.02;
const P99_RATIO_MAX = 1.1;
const LOOK_SECONDS = 2;
const WINDOW_SECONDS = 10;
const PAGE_MS = 15_000;

export interface SoakOptions {
  readonly seconds: number;
  /** Time before the first window counts. */
  readonly settleSeconds: number;
  readonly kafka: boolean;
  readonly control: boolean;
  /** Of every desk, before what is otherwise set. */
  readonly environment?: Readonly<Record<string, string>>;
  /** How often a row is told, s. */
  readonly rowSeconds: number;
  /** For how long who looks on stays on each page of the dashboard. */
  readonly pageMs: number;
  readonly progress: (line: string) => void;
}

export interface SoakReport {
  readonly services: readonly string[];
  readonly memory: MemoryVerdict;
  readonly anonymous: MemoryVerdict;
  readonly last: Memory;
  /** JavaScript heap of the desk's own thread, at the end. */
  readonly heapBytes: number;
  readonly losses: Readonly<Record<string, number>>;
  readonly idle: readonly string[];
  /** Sections of the dashboard that were never sent. */
  readonly unseen: readonly string[];
  readonly updatesPerSecond: number;
  readonly scrapes: number;
  readonly journalBytes: number;
  readonly challenger: unknown;
  /** By stage: the desk with everything on, over the bare one. */
  readonly p99: Readonly<Record<string, RatioVerdict>>;
  /** The other bare one over the first. */
  readonly control: RatioVerdict | null;
  readonly runs: Readonly<Record<string, RunSummary>>;
}

type Windows = Map<DeskName, LatencySection>;

export async function soak(options: SoakOptions): Promise<SoakReport> {
  return await inScene((scene) => soakIn(scene, options), options.kafka, options.environment);
}

async function inScene<T>(
  work: (scene: Scene) => Promise<T>,
  kafka: boolean,
  environment: Readonly<Record<string, string>> = {},
): Promise<T> {
  const scene = new Scene(kafka, environment);
  const interrupted = (): void => void scene.stop().finally(() => process.exit(1));
  process.on("SIGINT", interrupted);
  process.on("SIGTERM", interrupted);
  try {
    return await work(scene);
  } finally {
    await scene.stop();
    process.off("SIGINT", interrupted);
    process.off("SIGTERM", interrupted);
  }
}

/** Desks with a part each beside a bare one: which of them takes memory, and which time. */
async function eachPart(
  seconds: number,
  environment: Readonly<Record<string, string>>,
  progress: (line: string) => void,
): Promise<void> {
  await inScene(
    async (scene) => {
      const names: DeskName[] = ["bare", ...PARTS];
      await scene.start(names);
      const viewer = await Viewer.open(scene.desk("viewer").base, PAGE_MS);
      const windows: Windows[] = [];
      const begunMs = performance.now();
      progress(["minute", ...names].map((name) => name.padStart(13)).join(" "));
      for (let second = LOOK_SECONDS; second <= seconds; second += LOOK_SECONDS) {
        await Bun.sleep(Math.max(0, begunMs + second * 1_000 - performance.now()));
        const seen: Windows = new Map();
        for (const name of names) seen.set(name, await scene.desk(name).latency());
        if (second % WINDOW_SECONDS !== 0) continue;
        windows.push(seen);
        if (second % 60 !== 0) continue;
        const cells = names.map((name) => {
          const ratio = ratioVerdict(pairs(windows, "total", name), "p99").median;
          return `${(scene.desk(name).memory().residentBytes / 1_048_576).toFixed(1)} MB ×${ratio.toFixed(2)}`;
        });
        progress([(second / 60).toFixed(0), ...cells].map((cell) => cell.padStart(13)).join(" "));
      }
      viewer.close();
      for (const name of names) await scene.desk(name).stop();
    },
    true,
    environment,
  );
}

async function soakIn(scene: Scene, options: SoakOptions): Promise<SoakReport> {
  const { seconds, settleSeconds, progress } = options;
  const names: DeskName[] = options.control ? ["full", "bare", "control"] : ["full", "bare"];
  await scene.start(names);
  const full = scene.desk("full");
  const viewer = await Viewer.open(full.base, options.pageMs);
  const begunMs = performance.now();
  const elapsed = (): number => (performance.now() - begunMs) / 1_000;
  const resident: MemorySample[] = [];
  const anonymous: MemorySample[] = [];
  const windows: Windows[] = [];
  let first: Samples | null = null;
  let last = await full.samples();
  let scrapes = 0;
  progress(header(options.control));
  for (let second = 1; elapsed() < settleSeconds + seconds; second += 1) {
    await Bun.sleep(Math.max(0, second * 1_000 - elapsed() * 1_000));
    last = await full.samples();
    scrapes += 1;
    const memory = full.memory();
    resident.push({ seconds: elapsed(), bytes: memory.residentBytes });
    anonymous.push({ seconds: elapsed(), bytes: memory.anonymousBytes });
    if (second % LOOK_SECONDS === 0) {
      const seen: Windows = new Map();
      // The same order each time would favour somebody.
      const order = (second / LOOK_SECONDS) % 2 === 0 ? names : [...names].reverse();
      for (const name of order) seen.set(name, await scene.desk(name).latency());
      if (second % WINDOW_SECONDS === 0 && elapsed() > settleSeconds) {
        first ??= last;
        windows.push(seen);
      }
    }
    if (second % options.rowSeconds === 0)
      progress(row(elapsed(), resident, last, windows.slice(-options.rowSeconds / WINDOW_SECONDS), viewer));
  }
  const report = {
    services: scene.services,
    memory: memoryVerdict(resident),
    anonymous: memoryVerdict(anonymous),
    last: full.memory(),
    heapBytes: last.sum("keel_process_heap_bytes"),
    losses: { ...losses(last), ...(viewer.lost > 0 ? { "dashboard connections": viewer.lost } : {}) },
    idle: idle(first ?? last, last, scene.services),
    unseen: viewer.unseen,
    updatesPerSecond: viewer.updates / elapsed(),
    scrapes,
    journalBytes: scene.journalBytes(),
    challenger: await full.get("/models"),
    p99: Object.fromEntries(
      [...STAGES, "quoted"].map((stage) => [stage, ratioVerdict(pairs(windows, stage, "full"), "p99")]),
    ),
    control: options.control ? ratioVerdict(pairs(windows, "total", "control"), "p99") : null,
  };
  viewer.close();
  const runs: Record<string, RunSummary> = {};
  for (const name of names) runs[name] = await scene.desk(name).stop();
  return { ...report, runs };
}

function pairs(windows: readonly Windows[], stage: string, name: DeskName): WindowPair[] {
  return windows.flatMap((seen) => {
    const [of, bare] = [stageOf(seen, name, stage), stageOf(seen, "bare", stage)];
    return of === null || bare === null ? [] : [{ of, bare }];
  });
}

function stageOf(seen: Windows, name: DeskName, stage: string): StageView | null {
  return seen.get(name)?.stages.find((view) => view.stage === stage) ?? null;
}

function header(control: boolean): string {
  const columns = [
    "minute",
    "RSS MB",
    "events",
    "quotes",
    "trades",
    "lost",
    "updates",
    "p99 µs",
    "bare",
    "ratio",
  ];
  return [...columns, ...(control ? ["control"] : [])].map((name) => name.padStart(8)).join(" ");
}

function row(
  seconds: number,
  resident: readonly MemorySample[],
  samples: Samples,
  windows: readonly Windows[],
  viewer: Viewer,
): string {
  const of = (name: DeskName): string => {
    const values = windows.map((seen) => stageOf(seen, name, "total")?.p99 ?? Number.NaN);
    return (values.reduce((sum, value) => sum + value, 0) / values.length).toFixed(1);
  };
  const { median } = ratioVerdict(pairs(windows, "total", "full"), "p99");
  const control = ratioVerdict(pairs(windows, "total", "control"), "p99").median;
  const lost = Object.values(losses(samples)).reduce((sum, value) => sum + value, 0);
  return [
    (seconds / 60).toFixed(1),
    ((resident.at(-1)?.bytes ?? 0) / 1_048_576).toFixed(1),
    samples.sum("keel_market_events_total"),
    samples.sum("keel_quote_sent_total"),
    samples.sum("keel_gateway_executions_total"),
    ...[lost, viewer.updates, of("full"), of("bare"), median.toFixed(2)],
    ...(Number.isNaN(control) ? [] : [control.toFixed(2)]),
  ]
    .map((value) => String(value).padStart(8))
    .join(" ");
}

/** Why the soak is not passed; empty when it is. */
export function failures({ memory, losses: lost, idle: still, unseen, p99 }: SoakReport): string[] {
  const why: string[] = [];
  if (!(memory.growth <= GROWTH_MAX)) why.push(`memory grew by ${(memory.growth * 100).toFixed(1)} %`);
  for (const [name, count] of Object.entries(lost)) why.push(`${name}: ${count}`);
  for (const name of still) why.push(`${name} stood still`);
  for (const name of unseen) why.push(`the dashboard never sent ${name}`);
  if (!(p99.total.median <= P99_RATIO_MAX))
    why.push(`p99 is ${p99.total.median.toFixed(2)} times that of the bare run`);
  return why;
}

function told(report: SoakReport): string {
  const ratio = ({ median, low, high, windows }: RatioVerdict): string =>
    `${median.toFixed(3)} (${low.toFixed(3)} … ${high.toFixed(3)}, ${windows} windows)`;
  const mb = (bytes: number): string => (bytes / 1_048_576).toFixed(1);
  const { memory, anonymous, p99, control, runs } = report;
  const hourly = ({ hourly: { slope, low, high } }: MemoryVerdict): string =>
    `${mb(slope)} MB an hour (${mb(low)} … ${mb(high)})`;
  return [
    `memory: ${mb(memory.settledBytes)} MB settled, ${mb(memory.lastBytes)} MB at the end: ${(memory.growth * 100).toFixed(2)} %` +
      ` (anonymous ${(anonymous.growth * 100).toFixed(2)} %); ${report.last.threads} threads, ${report.last.descriptors} descriptors`,
    `memory's trend: ${hourly(memory)}, anonymous ${hourly(anonymous)}; at the end ${mb(report.last.anonymousBytes)} MB anonymous,` +
      ` ${mb(report.last.sharedBytes)} MB shared, ${mb(report.heapBytes)} MB JavaScript's of the desk's thread`,
    `lost: ${JSON.stringify(report.losses)}; stood still: ${JSON.stringify([...report.idle, ...report.unseen])}`,
    `dashboard ${report.updatesPerSecond.toFixed(1)} updates/s, ${report.scrapes} scrapes, journal ${mb(report.journalBytes)} MB`,
    ...Object.entries(p99).map(
      ([stage, verdict]) => `p99 of ${stage}, everything : bare = ${ratio(verdict)}`,
    ),
    ...(control === null ? [] : [`p99 of total, bare : bare = ${ratio(control)}`]),
    ...Object.entries(runs).map(
      ([
        name,
        {
          latencyUs: { total, quoted },
        },
      ]) => {
        const of = ({ p50, p99: high, p999, count }: typeof total): string =>
          `${count} p50 ${p50} p99 ${high} p99.9 ${p999} µs`;
        return `${name}: total ${of(total)}; quoted ${of(quoted)}`;
      },
    ),
  ].join("\n");
}

if (import.meta.main) {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: { each: { type: "boolean", default: false }, priority: { type: "string" } },
  });
  const minutes = Number(positionals[0] ?? 60);
  const environment = values.priority === undefined ? {} : { KEEL_LOOP_PRIORITY: values.priority };
  if (values.each) {
    await eachPart(minutes * 60, environment, console.log);
    process.exit(0);
  }
  const report = await soak({
    seconds: minutes * 60,
    settleSeconds: Math.min(60, minutes * 12),
    kafka: true,
    control: true,
    rowSeconds: 60,
    pageMs: PAGE_MS,
    environment,
    progress: console.log,
  });
  console.log(told(report));
  console.log(JSON.stringify(report));
  const why = failures(report);
  console.log(why.length === 0 ? "passed" : `not passed: ${why.join("; ")}`);
  process.exit(why.length === 0 ? 0 : 1);
}
