/**
 * Strategies over the same recordings, side by side: at equal volume, chosen on the past and judged on what came next, and with
 * orders that are under way for longer.
 *
 * @module
 */
import { mkdirSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { BadInputError } from "../../core/errors.ts";
import type { RowSource } from "../../learn/dataset/row.ts";
import { type CellOutcome, type GridProgress, runGrid } from "../grid.ts";
import { type BacktestResult, MARKOUT_MS } from "../result.ts";
import { ResultStore } from "../store.ts";
import { type AsRun, asRun, type LatencyCost, latencyCosts } from "./as-run.ts";
import { type EqualVolume, equalVolume } from "./equal-volume.ts";
import { type FittedName, fitRule, type LabelledRows, labelledRows } from "./fit.ts";
import { type Cell, type ComparisonPlan, cellsOf, scaled } from "./plan.ts";
import type { Score } from "./score.ts";
import { blockSums } from "./sums.ts";
import { ladderTable, type SummedRun } from "./table.ts";
import {
  type Candidate,
  type FoldBlocks,
  foldsOf,
  type WalkForwardFamily,
  walkForwardOf,
} from "./walk-forward.ts";

export interface CompareOptions {
  readonly plan: ComparisonPlan;
  /** Folder of the runs; those whose result is there are not run again. */
  readonly out: string;
  readonly workers?: number | undefined;
  /** By which score a walk-forward chooses among a family's parameters. */
  readonly choose: Score;
  /** Rules that the walk-forward fits anew before each part. */
  readonly fit: readonly FittedName[];
  /** Rows to fit on, by recording; null where a recording has none. Asked for only where something is fitted. */
  readonly rowsOf: (paths: readonly string[]) => Promise<readonly RowSource[] | null>;
  readonly onProgress?: (progress: GridProgress, stage: string) => void;
  readonly signal?: AbortSignal;
}

/** Everything that a comparison found; plain JSON but for NaN. */
export interface Comparison {
  readonly keel: string;
  readonly plan: ComparisonPlan;
  readonly choose: Score;
  readonly blocks: number;
  readonly markets: readonly string[];
  /** Every variant at scale 1, as it would have been run. */
  readonly asRun: readonly AsRun[];
  readonly equalVolume: readonly EqualVolume[];
  readonly walkForward: readonly WalkForwardFamily[];
  /** When the tested parts begin, µs. */
  readonly folds: readonly {
    readonly testFromUs: number;
    readonly trainBlocks: number;
    readonly testBlocks: number;
  }[];
  readonly latency: readonly LatencyCost[];
  /** What the runs found wrong with their recordings, each once. */
  readonly problems: readonly string[];
  /** Digests of all runs, in the order of the plan's cells, then of fitted ones. */
  readonly runs: readonly string[];
}

/**
 * Makes the runs that are not there yet and compares.
 *
 * @throws BadInputError when a run failed, so that nothing is compared that is not whole
 */
export async function compareStrategies(options: CompareOptions): Promise<Comparison> {
  const { plan, out, choose } = options;
  const horizon = MARKOUT_MS.indexOf(plan.horizonMs);
  const rule = { blockUs: plan.blockS * 1e6, horizon };
  const store = new ResultStore(out);
  const run = async (cells: readonly Cell[], stage: string): Promise<readonly CellOutcome[]> => {
    const outcomes = await runGrid({
      ...{ specs: cells.map(({ spec }) => spec), out, workers: options.workers },
      ...(options.signal === undefined ? {} : { signal: options.signal }),
      onProgress: (progress) => options.onProgress?.(progress, stage),
    });
    const failed = outcomes.find(({ error }) => error !== null);
    if (failed !== undefined)
      throw new BadInputError(failed.spec.recordings.join("+"), failed.error ?? "", "a run that ends");
    return outcomes;
  };
  const summed = (cell: Cell, outcome: CellOutcome, variant: number): SummedRun => {
    const result: BacktestResult = store.load(outcome.digest);
    return {
      ...{ variant, recording: cell.recording, scale: cell.scale, summary: result.summary },
      sums: blockSums(result, rule),
      symbols: new Set(result.fills.map(({ venue, symbol }) => `${venue}:${symbol}`)),
    };
  };
  const cells = cellsOf(plan);
  const outcomes = await run(cells, "runs");
  const laddered = cells.flatMap((cell, at) => {
    const outcome = outcomes[at];
    return cell.latencyUs === null && outcome !== undefined ? [summed(cell, outcome, cell.variant)] : [];
  });
  const names = plan.variants.map(({ name }) => name);
  const table = ladderTable(laddered, names.length, plan.scales, rule.blockUs);
  const blocks = [...table.blocksUs.keys()];
  const folds = plan.parts > 1 ? foldsOf(blocks.length, plan.parts) : [];
  const candidates: Candidate[] = plan.variants.map(({ name, family }, row) => ({
    name,
    family,
    row,
    fold: null,
  }));
  const fittedCells: Cell[] = [];
  if (folds.length > 0 && options.fit.length > 0)
    await planFits(options, folds, table.blocksUs, rule.blockUs, candidates, fittedCells);
  const fittedOutcomes = await run(fittedCells, "fitted runs");
  const fitted = fittedCells.flatMap((cell, at) => {
    const outcome = fittedOutcomes[at];
    return outcome === undefined ? [] : [summed(cell, outcome, cell.variant)];
  });
  const whole =
    fitted.length === 0
      ? table
      : ladderTable([...laddered, ...fitted], candidates.length, plan.scales, rule.blockUs);
  const first = outcomes[0];
  return {
    keel: first?.result?.keel ?? "",
    ...{ plan, choose, blocks: blocks.length, markets: table.markets },
    asRun: asRun(plan, cells, outcomes, store),
    equalVolume: equalVolume(table, names, blocks, plan),
    walkForward: walkForwardOf(whole, candidates, folds, choose, plan),
    folds: folds.map(({ train, test }) => ({
      testFromUs: table.blocksUs[test[0] ?? 0] ?? 0,
      trainBlocks: train.length,
      testBlocks: test.length,
    })),
    latency: latencyCosts(plan, cells, outcomes),
    problems: [...new Set(outcomes.flatMap(({ result }) => result?.summary.problems ?? []))],
    runs: [...outcomes, ...fittedOutcomes].map(({ digest }) => digest),
  };
}

/** Fits each rule before each part, writes it beside the runs, and adds what is to be run with it. */
async function planFits(
  { plan, out, fit, rowsOf, signal }: CompareOptions,
  folds: readonly FoldBlocks[],
  blocksUs: readonly number[],
  blockUs: number,
  candidates: Candidate[],
  cells: Cell[],
): Promise<void> {
  const rows: LabelledRows[] = [];
  for (const paths of plan.recordings) {
    for (const source of (await rowsOf(paths)) ?? []) {
      if (signal?.aborted === true) return;
      rows.push(await labelledRows(source));
    }
  }
  const [reference] = plan.variants;
  if (reference === undefined) return;
  const folder = join(out, "rules");
  mkdirSync(folder, { recursive: true });
  for (const [fold, { train, test }] of folds.entries()) {
    const known = new Set(train.map((block) => Math.floor((blocksUs[block] ?? 0) / blockUs)));
    const endUs = (blocksUs[test.at(-1) ?? 0] ?? 0) + blockUs;
    for (const name of fit) {
      const about = `${name}, ${train.length} blocks of ${plan.blockS} s before part ${fold + 2} of ${plan.parts}`;
      const rule = fitRule(name, rows, (timeUs) => known.has(Math.floor(timeUs / blockUs)), about);
      if (rule === null) continue;
      const text = `${JSON.stringify(rule)}\n`;
      const path = join(
        folder,
        `${new Bun.CryptoHasher("sha256").update(text).digest("hex").slice(0, 16)}.json`,
      );
      writeFileSync(`${path}.part`, text);
      renameSync(`${path}.part`, path);
      const row = candidates.length;
      candidates.push({ name: `${name}, fitted`, family: `${name}, fitted`, row, fold });
      const like = plan.variants.find(({ family }) => family === name) ?? reference;
      for (const [recording, paths] of plan.recordings.entries()) {
        for (const scale of plan.scales) {
          cells.push({
            ...{ variant: row, recording, scale, latencyUs: null },
            spec: {
              ...scaled(like.spec, scale),
              ...{ recordings: paths, strategy: `rule:${path}` },
              toUs: Math.min(endUs, like.spec.toUs ?? Number.POSITIVE_INFINITY),
            },
          });
        }
      }
    }
  }
}
