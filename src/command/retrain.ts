import { EXIT, type ExitCode } from "../core/errors.ts";
import type { RetrainStatus } from "../learn/retrain-status.ts";
import { defineCommand, UsageError } from "./command.ts";
import { SELECTION_OPTIONS } from "./dataset/selection.ts";

/** Of the desk's own journal, where nothing else is asked for. */
const JOURNAL_DAYS = 7;
/** What trains holds all of them, and copies of some, within what the unit allows. */
const ROWS_MAX = 2_000_000;

export const retrain = defineCommand({
  name: "retrain",
  summary: "Train a candidate on recent recordings and put it in the shadow",
  usage: "[SOURCE…] [--max-age DAYS] [--run ID] [--runs DIR]",
  details: `One job, which may be run again at any time:

dataset   of each SOURCE, a capture or a journal's folder; without one of what
          all runs in KEEL_JOURNAL_DIR recorded in the last 7 days, or since
          --since or --max-age. Leaks, gaps and base rates are checked
baseline  logistic regression, in this process
train     KEEL_TRAIN_COMMAND, given --dataset, --out, --scratch and --seed;
          without one the baseline is the candidate
quantise  KEEL_QUANTISE_COMMAND, given --model besides; left out without one
profile   what the training rows were like goes into the candidate's card
evaluate  on the newest block, which nothing was trained on: the gate, logistic
          regression, the champion
register  in KEEL_REGISTRY, and from candidate to shadow

A run's folder below --runs keeps each step's artefacts and log. The same
sources and code are the same run: what is done is not done again, and of a
job with another KEEL_QUANTISE_COMMAND that step and those after it are. A
failure leaves the champion as it was, and stands in retrain.json of the state
directory, from which the desk's alerts are told.

Exit code 0 when a candidate is in the shadow, 5 when the gate refuses it, 1
when a step fails. The result holds run, dataset, resumed, version, problems,
heads and againstChampion.`,
  options: {
    runs: { type: "string", value: "DIR", description: "Folder of the runs; retrain in KEEL_STATE_DIR" },
    ...SELECTION_OPTIONS,
    "max-rows": {
      type: "number",
      value: "N",
      integer: true,
      min: 1,
      default: ROWS_MAX,
      description: "Of more rows, pieces of the time spread evenly",
    },
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
  async run({ options, positionals, config, log, out, shutdown }): Promise<ExitCode> {
    const { join } = await import("node:path");
    const { writeRetrainStatus } = await import("../learn/retrain-status.ts");
    const { takeRetrainRequest } = await import("../learn/retrain-request.ts");
    const { StepFailedError } = await import("../learn/retrain/run-folder.ts");
    const { rowSources, sinceOf } = await import("./dataset/sources.ts");
    const { retrain: work } = await import("../learn/retrain/job.ts");
    const { retrainSetup } = await import("./retrain/setup.ts");
    const { stateDir, journal } = config;
    const paths = positionals.length > 0 ? positionals : journal === undefined ? [] : [journal.dir];
    if (paths.length === 0) throw new UsageError("keel retrain needs a SOURCE, or KEEL_JOURNAL_DIR");
    const isOwnJournal = positionals.length === 0 && options.run === undefined && options.since === undefined;
    const maxAge = options["max-age"] ?? (isOwnJournal ? JOURNAL_DAYS : undefined);
    const selection = { run: options.run, sinceUs: sinceOf(options.since, maxAge, Date.now()) };
    const runs = options.runs ?? join(stateDir, "retrain");
    const { mkdirSync } = await import("node:fs");
    mkdirSync(stateDir, { recursive: true });
    const asked = takeRetrainRequest(stateDir);
    if (asked !== null) log.info("a desk asks for it", { ...asked });
    const ended = (status: Omit<RetrainStatus, "endedMs">) =>
      writeRetrainStatus(stateDir, { ...status, endedMs: Date.now() });
    try {
      const setup = await retrainSetup(config, (line) => log.info(line));
      const sources = await rowSources(paths, selection, (line) => log.warn(line));
      const result = await work({
        ...setup,
        sources,
        runs,
        seed: options.seed,
        rowsMax: options["max-rows"],
        signal: shutdown,
        told: (line) => out.line(line),
      });
      out.result(result);
      if (result.resumed > 0) out.line(`${result.resumed} steps were done before`);
      const { run, version } = result;
      if (version === null) {
        const why = result.problems.map(({ reason }) => reason).join(", ");
        ended({ run, result: "refused", step: "evaluate", version, why });
        return EXIT.modelRefused;
      }
      ended({ run, result: "registered", step: "register", version, why: "" });
      return EXIT.ok;
    } catch (error) {
      const failed = error instanceof StepFailedError ? error : { run: runs, step: "start" };
      const why = error instanceof Error ? error.message : String(error);
      ended({ run: failed.run, result: "failed", step: failed.step, version: null, why });
      throw error;
    }
  },
});
