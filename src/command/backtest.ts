import { EXIT, type ExitCode } from "../core/errors.ts";
import { COMPARE_OPTIONS } from "./backtest/compare-options.ts";
import { defineCommand, UsageError } from "./command.ts";

export const backtest = defineCommand({
  name: "backtest",
  summary: "Run the desk over recordings, matched against the recorded market",
  usage: "run|compare RECORDING… [options]",
  details: `run  plays each RECORDING to a desk with the configuration of the environment, under each --strategy and each
     combination of --grid, on all cores. Paths joined by + are played together.
compare  puts strategies side by side: each --strategy or --variant (default: static, queue-imbalance, logistic, model) under
     each combination of --grid, at several --scales of its half-spread, so that all have the volume of the first; chosen on the
     past and judged on what came next; and again at each of --latencies-us. Writes a page and JSON to --report.

A RECORDING is a capture, a session of keel record, a folder with the parts of one, or a folder with a journal (DIR, or
DIR@RUN for a run of it). How orders are matched, and what that assumes, is in docs/backtest.md.

Each run is named by a digest of its inputs' contents, its parameters and keel's version; its result is DIGEST.json in --out, with
DIGEST.fills.jsonl and DIGEST.intervals.jsonl. What is there is not run again, so a command that was stopped goes on where it
was. A progress bar is on stderr.

The result of run holds \`runs\`: digest, recordings, strategy, resumed, error, summary. Exit code 1 when a run failed or was given up. That
of compare holds \`equalVolume\` and \`walkForward\`, with intervals.`,
  options: COMPARE_OPTIONS,
  positionals: ["ACTION", "RECORDING…"],
  environment: true,
  async run({ options, positionals, env, out, shutdown }): Promise<ExitCode> {
    const [action, ...recordings] = positionals;
    if (action !== "run" && action !== "compare")
      throw new UsageError(`backtest: found ${JSON.stringify(action)}, expected run or compare`);
    if (recordings.length === 0) throw new UsageError(`backtest ${action}: needs a recording, found nothing`);
    if (action === "compare") {
      const { compareCommand } = await import("./backtest/compare.ts");
      return compareCommand(recordings, { options, env, out, shutdown });
    }
    const { runGrid } = await import("../backtest/grid.ts");
    const { readSpecs } = await import("./backtest/read.ts");
    const { outcomeLines } = await import("./backtest/text.ts");
    const { ProgressBar } = await import("./backtest/progress.ts");
    const specs = readSpecs(recordings, options, env);
    const bar = new ProgressBar();
    const outcomes = await runGrid({
      ...{ specs, out: options.out, workers: options.workers, signal: shutdown },
      onProgress: (progress) => bar.show(progress),
    });
    bar.close();
    for (const outcome of outcomes) for (const line of outcomeLines(outcome)) out.line(line);
    out.result({
      runs: outcomes.map(({ spec, digest, result, timing, resumed, error }) => ({
        ...{ digest, recordings: spec.recordings, strategy: spec.strategy, timing, resumed, error },
        checksum: result?.checksum ?? null,
        summary: result?.summary ?? null,
      })),
    });
    return outcomes.every(({ error }) => error === null) ? EXIT.ok : EXIT.failed;
  },
});
