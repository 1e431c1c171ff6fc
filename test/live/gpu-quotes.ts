/**
 * A capture through a whole desk on the cpu engine and on a GPU: every probability and every decision compared, and every
 * difference of a decision explained.
 *
 * @example bun test/live/gpu-quotes.ts 60000      # lines of the capture; KEEL_GPU chooses another adapter than the software one
 *
 * @module
 */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { loadConfig } from "../../src/config.ts";
import { loadNative } from "../../src/core/native.ts";
import { FEATURE_COUNT, SCHEMA_HASH } from "../../src/feature/schema.ts";
import { loadModel } from "../../src/inference/model.ts";
import { startEngine } from "../../src/inference/registry.ts";
import type { EngineSettings } from "../../src/inference/settings.ts";
import { sharedPath } from "../support/shared-data.ts";
import { SOFTWARE_ENGINES } from "../support/software-gpu.ts";
import { type CaptureRun, captureHead, deskOnCapture, type TimedDecision } from "./desk-on-capture.ts";

export const CAPTURE = "data/binance/usdm-btcusdt-20240808.gz";
const SLOTS = 16;

const { quote } = loadConfig({});
const THRESHOLDS = [quote.neutralMove, quote.neutralWithdrawal, quote.neutralVolatility];

export interface QuoteComparison {
  readonly cpu: CaptureRun;
  readonly gpu: CaptureRun;
  readonly predictions: number;
  /** Largest difference of a probability. */
  readonly worst: number;
  /** Decisions of the cpu engine, and how many of them the GPU made too, to the last tick and lot. */
  readonly decisions: number;
  readonly same: number;
  /** Different by at most a tick and a lot, at the same time, from the same widening and size but for the arithmetic. */
  readonly atTheEdge: number;
  /** Of either engine alone, with a probability within the tolerance of a threshold. */
  readonly atAThreshold: number;
  /** All others, of either engine. */
  readonly unexplained: readonly TimedDecision[];
}

/**
 * @param lines of the capture from its beginning
 * @param tolerance what the engines' arithmetic may move a probability by
 */
export async function compareQuotes(
  lines: number,
  tolerance: number,
  settings: EngineSettings = SOFTWARE_ENGINES,
): Promise<QuoteComparison> {
  await loadNative();
  const folder = mkdtempSync(join(tmpdir(), "keel-gpu-quotes-"));
  try {
    const path = join(folder, "head.txt");
    writeFileSync(path, captureHead(sharedPath(CAPTURE), lines));
    const cpu = await runOn("cpu", path, settings);
    const gpu = await runOn("wgsl", path, settings);
    return compare(cpu, gpu, tolerance);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

async function runOn(device: "cpu" | "wgsl", path: string, settings: EngineSettings): Promise<CaptureRun> {
  const schema = { schemaHash: SCHEMA_HASH, featureCount: FEATURE_COUNT };
  const { engine } = await startEngine({
    device,
    model: await loadModel("lstm-residual", schema),
    slotCount: SLOTS,
    maxBatch: SLOTS,
    settings,
    sweep: true,
    log: () => {},
  });
  const run = await deskOnCapture(path, engine);
  await engine.dispose();
  return run;
}

function compare(cpu: CaptureRun, gpu: CaptureRun, tolerance: number): QuoteComparison {
  let worst = cpu.probabilities.length === gpu.probabilities.length ? 0 : Number.POSITIVE_INFINITY;
  for (const [at, row] of cpu.probabilities.entries()) {
    for (const [head, value] of row.entries()) {
      const difference = Math.abs(value - (gpu.probabilities[at]?.[head] ?? Number.NaN));
      worst = Math.max(worst, Number.isNaN(difference) ? Number.POSITIVE_INFINITY : difference);
    }
  }
  const [ofCpu, ofGpu] = [new Set(cpu.decisions.map(shown)), new Set(gpu.decisions.map(shown))];
  const onlyCpu = cpu.decisions.filter((decision) => !ofGpu.has(shown(decision)));
  const onlyGpu = gpu.decisions.filter((decision) => !ofCpu.has(shown(decision)));
  let atTheEdge = 0;
  let atAThreshold = 0;
  const unexplained: TimedDecision[] = [];
  const others = Map.groupBy(onlyGpu, ({ timeUs }) => timeUs);
  for (const decision of onlyCpu) {
    const candidates = others.get(decision.timeUs) ?? [];
    const twin = candidates.findIndex((other) => rounded(decision, other, tolerance));
    if (twin >= 0) {
      candidates.splice(twin, 1);
      atTheEdge += 1;
    } else if (nearThreshold(decision, tolerance)) atAThreshold += 1;
    else unexplained.push(decision);
  }
  for (const decision of [...others.values()].flat()) {
    if (nearThreshold(decision, tolerance)) atAThreshold += 1;
    else unexplained.push(decision);
  }
  return {
    cpu,
    gpu,
    predictions: cpu.probabilities.length,
    worst,
    decisions: cpu.decisions.length,
    same: cpu.decisions.length - onlyCpu.length,
    atTheEdge,
    atAThreshold,
    unexplained,
  };
}

const nearThreshold = ({ probabilities }: TimedDecision, tolerance: number): boolean =>
  probabilities.some((p) => THRESHOLDS.some((threshold) => Math.abs(p - threshold) <= tolerance));

/** What a difference of a probability within the tolerance may change a widening by, bp. */
const widenTolerance = (tolerance: number): number =>
  ((quote.adverseMoveBp + quote.spikeMoveBp) * tolerance) / (1 - Math.max(...THRESHOLDS));

/** The same quotes up to the last tick and lot: an unrounded price or size lies at the edge of two. */
function rounded(a: TimedDecision, b: TimedDecision, tolerance: number): boolean {
  const near = (one: number, other: number): boolean => Math.abs(one - other) <= 1;
  return (
    a.quotes.length === b.quotes.length &&
    a.quotes.every((quote, at) => {
      const other = b.quotes[at];
      return (
        quote.instrument === other.instrument &&
        Math.abs(quote.widenBp - other.widenBp) <= widenTolerance(tolerance) &&
        Math.abs(quote.sizeFactor - other.sizeFactor) <= 2 * tolerance &&
        near(quote.bidTicks, other.bidTicks) &&
        near(quote.askTicks, other.askTicks) &&
        near(quote.bidLots, other.bidLots) &&
        near(quote.askLots, other.askLots)
      );
    })
  );
}

/** What a counterparty sees of a decision. */
const shown = ({ timeUs, quotes }: TimedDecision): string =>
  JSON.stringify([
    timeUs,
    quotes.map(({ instrument, bidTicks, bidLots, askTicks, askLots }) => [
      instrument,
      bidTicks,
      bidLots,
      askTicks,
      askLots,
    ]),
  ]);

/** One line of what was found. */
export function summary(found: QuoteComparison): string {
  const { predictions, worst, decisions, same, atTheEdge, atAThreshold, unexplained } = found;
  return `${predictions} predictions, largest difference ${worst.toExponential(1)}; ${decisions} decisions: ${same} the same, ${atTheEdge} other by a tick or a lot, ${atAThreshold} at a threshold, ${unexplained.length} unexplained`;
}

if (import.meta.main) {
  const lines = Number(process.argv[2] ?? 60_000);
  const adapter = process.env.KEEL_GPU;
  const settings =
    adapter === undefined
      ? SOFTWARE_ENGINES
      : {
          ...SOFTWARE_ENGINES,
          gpu: { ...SOFTWARE_ENGINES.gpu, adapter, vulkanDir: process.env.KEEL_VULKAN_DIR ?? null },
        };
  const found = await compareQuotes(lines, 1e-4, settings);
  console.log(`${CAPTURE}, ${lines} lines: ${summary(found)}`);
  for (const decision of found.unexplained) console.log(JSON.stringify(decision));
  process.exit(found.unexplained.length === 0 && found.worst <= 1e-4 ? 0 : 1);
}
