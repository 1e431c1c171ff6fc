import { renameSync, writeFileSync } from "node:fs";
import { type Comparison, compareStrategies } from "../../backtest/compare/compare.ts";
import { comparisonPage } from "../../backtest/compare/page.ts";
import type { ComparisonPlan, Variant } from "../../backtest/compare/plan.ts";
import { MARKOUT_MS } from "../../backtest/result.ts";
import { BadInputError, EXIT, type ExitCode } from "../../core/errors.ts";
import { captureFiles } from "../../feed/capture.ts";
import type { RowSource } from "../../learn/dataset/row.ts";
import { type CommandContext, type OptionValues, UsageError } from "../command.ts";
import { captureSource } from "../dataset/capture-rows.ts";
import type { COMPARE_OPTIONS } from "./compare-options.ts";
import { ProgressBar } from "./progress.ts";
import { readStrategyName, runOptions } from "./read.ts";
import { combinations, gridSpecs, RUNS_MAX, readAxis } from "./specs.ts";

type Options = OptionValues<typeof COMPARE_OPTIONS>;
type Context = CommandContext<typeof COMPARE_OPTIONS, true>;

/** Strategies that are compared where none is named. */
const STRATEGIES_COMPARED = ["static", "queue-imbalance", "logistic", "model"];

/** `keel backtest compare`: makes the runs, prints what they came to, writes the page. */
export async function compareCommand(
  recordings: readonly string[],
  { options, env, out, shutdown }: Pick<Context, "options" | "env" | "out" | "shutdown">,
): Promise<ExitCode> {
  const plan = readPlan(recordings, options, env);
  const runs = plan.recordings.length * plan.variants.length * (plan.scales.length + plan.latenciesUs.length);
  if (runs > RUNS_MAX) throw new UsageError(`${runs} runs: more than ${RUNS_MAX}`);
  const bar = new ProgressBar();
  let comparison: Comparison;
  try {
    comparison = await compareStrategies({
      ...{ plan, out: options.out, workers: options.workers, signal: shutdown, rowsOf },
      choose: options.choose === "adverse" ? "adverseBp" : "markoutBp",
      fit: options.fit.map((name) => (name === "logistic" ? "logistic" : "queue-imbalance")),
      onProgress: (progress) => bar.show(progress),
    });
  } finally {
    bar.close();
  }
  const [html, json] = [`${options.report}.html`, `${options.report}.json`];
  write(html, comparisonPage(comparison));
  write(json, `${JSON.stringify(comparison, (_key, value) => (Number.isNaN(value) ? null : value), 1)}\n`);
  for (const line of comparisonLines(comparison)) out.line(line);
  out.line(`${html}, ${json}`);
  out.result({
    ...{ html, json, markets: comparison.markets, blocks: comparison.blocks },
    equalVolume: comparison.equalVolume,
    walkForward: comparison.walkForward,
  });
  return EXIT.ok;
}

function readPlan(recordings: readonly string[], options: Options, env: Context["env"]): ComparisonPlan {
  const scales = numbersOf("scales", options.scales).sort((a, b) => a - b);
  if (!scales.includes(1)) throw new UsageError("--scales: 1 must be among them");
  if (scales.some((scale, at) => !(scale > 0) || scale === scales[at - 1]))
    throw new UsageError(`--scales: found ${options.scales}, expected different numbers above 0`);
  const latenciesUs =
    options["latencies-us"] === "none" ? [] : numbersOf("latencies-us", options["latencies-us"]);
  if (latenciesUs.some((us) => us < 0 || us > 60_000_000))
    throw new UsageError("--latencies-us: expected 0 to 60000000");
  return {
    recordings: recordings.map((joined) => joined.split("+")),
    variants: readVariants(options, env),
    ...{ scales, latenciesUs, parts: options.parts, blockS: options["block-s"] },
    ...{
      resamples: options.resamples,
      level: 0.95,
      seed: options.seed,
      horizonMs: horizonOf(options.horizon),
    },
  };
}

function readVariants(options: Options, env: Context["env"]): Variant[] {
  const named = [...options.strategy, ...options.variant];
  const axes = combinations(options.grid.map(readAxis));
  const base = runOptions(options);
  const variants = (named.length === 0 ? STRATEGIES_COMPARED : named).flatMap((text) => {
    const [family = "", ...own] = text.split(",");
    const strategy = readStrategyName(family);
    const parameters = own.map((one) => {
      const { variable, values } = readAxis(one);
      return [variable, values.join(",")] as const;
    });
    return axes.map((point): Variant => {
      const values = { ...Object.fromEntries(parameters), ...point };
      const [spec] = gridSpecs({ ...base, recordings: [], strategy }, [], { ...env, ...values });
      if (spec === undefined) throw new UsageError(`no variant in ${text}`);
      const told = Object.entries(values).map(
        ([name, value]) => `${name.replace(/^KEEL_(QUOTE_)?/, "")}=${value}`,
      );
      return { name: [family, ...told].join(" "), family, spec };
    });
  });
  const twice = variants.find(({ name }, at) => variants.findIndex((one) => one.name === name) !== at);
  if (twice !== undefined) throw new UsageError(`variant ${JSON.stringify(twice.name)} is named twice`);
  return variants;
}

function numbersOf(option: string, text: string): number[] {
  const values = text.split(",").map((one) => (one.trim() === "" ? Number.NaN : Number(one)));
  if (values.some((value) => !Number.isFinite(value)))
    throw new UsageError(`--${option}: found ${JSON.stringify(text)}, expected numbers with commas between`);
  return values;
}

/** Rows of captures, for rules that are fitted. */
async function rowsOf(paths: readonly string[]): Promise<RowSource[]> {
  return Promise.all(
    paths.map(async (path) => {
      try {
        return await captureSource(captureFiles(path));
      } catch (error) {
        if (!(error instanceof BadInputError)) throw error;
        throw new BadInputError(path, error.message, "a capture, where a rule is to be fitted");
      }
    }),
  );
}

function comparisonLines({ equalVolume, walkForward, plan, problems }: Comparison): string[] {
  const shown = (value: number): string => (Number.isFinite(value) ? value.toFixed(3) : "–");
  const bp = ({ value, low, high }: { value: number; low: number; high: number }): string =>
    `${shown(value)} (${shown(low)} … ${shown(high)})`;
  const head = `adverse selection within ${plan.horizonMs} ms and markout, bp of the volume, ${plan.level * 100} % intervals`;
  const lines = (
    title: string,
    rows: readonly (readonly [
      string,
      (typeof equalVolume)[number]["scores"],
      (typeof equalVolume)[number]["differences"],
      number | null,
    ])[],
  ) => [
    title,
    ...rows.flatMap(([name, scores, differences, p]) => [
      `  ${name}`,
      `    adverse ${bp(scores.adverseBp)}, markout ${bp(scores.markoutBp)}`,
      ...(differences === null
        ? []
        : [
            `    less the first: adverse ${bp(differences.adverseBp)}, p ${shown(p ?? Number.NaN)} (Holm); markout ${bp(differences.markoutBp)}`,
          ]),
    ]),
  ];
  return [
    head,
    ...lines(
      `at the volume of ${plan.variants[0]?.name ?? ""}`,
      equalVolume.map(({ variant, scores, differences, pHolm }) => [variant, scores, differences, pHolm]),
    ),
    ...lines(
      "chosen on the past, judged on what came next",
      walkForward.map(({ family, folds, volumeShare, scores, differences, pHolm }) => [
        folds.every((fold) => fold === null)
          ? `${family}, not run: at no scale did it trade in the past`
          : `${family}, volume × ${volumeShare.toFixed(2)}`,
        ...([scores, differences, pHolm] as const),
      ]),
    ),
    ...problems.map((problem) => `note: ${problem}`),
  ];
}

function write(path: string, text: string): void {
  writeFileSync(`${path}.part`, text);
  renameSync(`${path}.part`, path);
}

function horizonOf(text: string): ComparisonPlan["horizonMs"] {
  const horizon = MARKOUT_MS.find((ms) => String(ms) === text);
  if (horizon === undefined)
    throw new UsageError(`--horizon: found ${text}, expected one of ${MARKOUT_MS.join(", ")}`);
  return horizon;
}
