import { EXIT, type ExitCode } from "../core/errors.ts";
import { defineCommand, UsageError } from "./command.ts";

export const retrain = defineCommand({
  name: "retrain",
  summary: "Train a candidate on recent recordings and put it in the shadow",
  usage: "[SOURCE…] [--runs DIR] [--run ID] [--seed N]",
  details: `One job, which may be run again at any time:

dataset   of each SOURCE, a capture or a journal's folder; KEEL_JOURNAL_DIR
          without one. Leaks, gaps and base rates are checked
baseline  logistic regression, in this process
train     KEEL_TRAIN_COMMAND, given --dataset, --out, --scratch and --seed;
          without one the baseline is the candidate
quantise  KEEL_QUANTISE_COMMAND, given --model besides; left out without one
profile   what the training rows were like goes into the candidate's card
evaluate  on the newest block, which nothing was trained on: the gate, logistic
          regression, the champion
register  in KEEL_REGISTRY, and from candidate to shadow

A run's folder below --runs keeps each step's artefacts and log. The same
sources, trainer and code are the same run: what is done is not done again. A
failure leaves the champion as it was, and stands in retrain.json of the state
directory, from which the desk's alerts are told.

Exit code 0 when a candidate is in the shadow, 5 when the gate refuses it, 1
when a step fails. The result holds run, dataset, resumed, version, problems,
heads and againstChampion.`,
  options: {
    runs: { type: "string", value: "DIR", description: "Folder of the runs; retrain in KEEL_STATE_DIR" },
    run: { type: "string", value: "ID", description: "Run of a journal; the latest when left out" },
    seed: {
      type: "number",
      value: "N",
      integer: true,
      min: 0,
      default: 1,
      description: "Seed of the training",
    },
  },
  positionals: ["SOURCE…"],
  environment: true,
  async run({ options, positionals, config, log, out }): Promise<ExitCode> {
    const { join } = await import("node:path");
    const { writeRetrainStatus } = await import("../learn/retrain-status.ts");
    const { takeRetrainRequest } = await import("../learn/retrain-request.ts");
    const { StepFailedError } = await import("../learn/retrain/run-folder.ts");
    const { rowSources } = await import("./dataset/sources.ts");
    const { retrain: work } = await import("../learn/retrain/job.ts");
    const { retrainSetup } = await import("./retrain/setup.ts");
    const { stateDir, journal } = config;
    const paths = positionals.length > 0 ? positionals : journal === undefined ? [] : [journal.dir];
    if (paths.length === 0) throw new UsageError("keel retrain needs a SOURCE, or KEEL_JOURNAL_DIR");
    const runs = options.runs ?? join(stateDir, "retrain");
    const { mkdirSync } = await import("node:fs");
    mkdirSync(stateDir, { recursive: true });
    const asked = takeRetrainRequest(stateDir);
    if (asked !== null) log.info("a desk asks for it", { ...asked });
    const ended = (
      result: "registered" | "refused" | "failed",
      step: string,
      version: string | null,
      why: string,
    ) => writeRetrainStatus(stateDir, { run: runs, endedMs: Date.now(), result, step, version, why });
    try {
      const setup = await retrainSetup(config, (line) => log.info(line));
      const sources = await rowSources(paths, options.run, (line) => log.warn(line));
      const result = await work({
        ...setup,
        sources,
        runs,
        seed: options.seed,
        told: (line) => out.line(line),
      });
      out.result(result);
      if (result.resumed > 0) out.line(`${result.resumed} steps were done before`);
      if (result.version === null) {
        ended("refused", "evaluate", null, result.problems.map(({ reason }) => reason).join(", "));
        return EXIT.modelRefused;
      }
      ended("registered", "register", result.version, "");
      return EXIT.ok;
    } catch (error) {
      const step = error instanceof StepFailedError ? error.step : "start";
      ended("failed", step, null, error instanceof Error ? error.message : String(error));
      throw error;
    }
  },
});
