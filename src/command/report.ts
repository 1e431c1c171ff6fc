import { EXIT } from "../core/errors.ts";
import { defineCommand, UsageError } from "./command.ts";

export const report = defineCommand({
  name: "report",
  summary: "Say how well quotes and orders were executed, day by day, as HTML and JSON",
  usage: "[--outcomes DIR | --journal DIR] [--from TIME] [--to TIME]",
  details: `Reads what came of predictions, quotes and fills, from the files of a running desk (KEEL_OUTCOMES_DIR, or --outcomes) or by
following the run of a journal anew, and writes for each UTC day execution-DAY.html and execution-DAY.json to the folder --out.

A page holds money captured and markouts with block-bootstrap intervals, what the model was worth with the fills that it avoided and
missed, counterparties, model versions, instruments, the life of quotes and their time at best, how predictions came true, and the worst
trades with every term of the quote that was hit. It is one file that loads nothing else. What the measures are: docs/learning.md.

The result holds \`days\`: day, html, json, fills, markout (by horizon), difference (with − without the model, with its interval). Exit
code 6 when there is nothing in the time asked for.`,
  options: {
    outcomes: { type: "string", value: "DIR", description: "Folder of outcomes; default KEEL_OUTCOMES_DIR" },
    journal: { type: "string", value: "DIR", description: "Folder of a journal, instead" },
    run: { type: "string", value: "ID", description: "With --journal: the run; the latest when left out" },
    from: {
      type: "string",
      value: "TIME",
      description: "From then on: a date, ISO 8601, or µs since the epoch",
    },
    to: { type: "string", value: "TIME", description: "Before then" },
    out: { type: "string", value: "DIR", default: ".", description: "Folder for the pages" },
  },
  environment: false,
  async run({ options, env, log, out }) {
    const outcomes = options.journal === undefined ? (options.outcomes ?? env.KEEL_OUTCOMES_DIR) : undefined;
    if (options.journal !== undefined && options.outcomes !== undefined) {
      throw new UsageError("report: --outcomes and --journal exclude each other");
    }
    if (options.journal === undefined && outcomes === undefined) {
      throw new UsageError("report: --outcomes DIR, KEEL_OUTCOMES_DIR or --journal DIR is needed");
    }
    if (options.run !== undefined && options.journal === undefined) {
      throw new UsageError("report: --run belongs to --journal");
    }
    const { executionReports, writeReports } = await import("./report/write.ts");
    const { withInterval } = await import("../learn/report/execution-page.ts");
    const { timeOf } = await import("./report/time.ts");
    const source = {
      outcomes,
      journal: options.journal,
      run: options.run,
      fromUs: options.from === undefined ? Number.NEGATIVE_INFINITY : timeOf("--from", options.from),
      toUs: options.to === undefined ? Number.POSITIVE_INFINITY : timeOf("--to", options.to),
    };
    const reports = await executionReports(source, (line) => log.warn(line));
    const written = writeReports(reports, options.out);
    for (const { day, html, fills, report: of } of written) {
      const worth = withInterval(of.value.difference);
      out.line(`${day}: ${fills} fills of quotes, with − without the model ${worth}: ${html}`);
    }
    out.result({
      days: written.map(({ day, html, json, fills, report: of }) => ({
        ...{ day, html, json, fills },
        markout: Object.fromEntries(of.horizons.map((name, at) => [name, of.all.markout[at] ?? null])),
        difference: of.value.difference,
      })),
    });
    return EXIT.ok;
  },
});
