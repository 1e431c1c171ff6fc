import { EXIT } from "../core/errors.ts";
import { defineCommand, UsageError } from "./command.ts";

export const audit = defineCommand({
  name: "audit",
  summary: "Prove that a journal is as it was written, show why a quote was made, export it",
  usage: "verify | show | export [--journal DIR] [options]",
  details: `verify  reads every byte: CRCs, sequences, checkpoints, their signatures, links between segments and runs
show    why a quote stood at a time: what came in, model, features, probabilities, terms, limits
export  writes quotes and events of a run to Parquet files

verify finds what was changed, dropped, put elsewhere or put in, and says in which file and where. With --key it proves as well that
who holds the private key wrote it, but for the newest records, which must be short (--unsworn). A run that a crash cut off is told as such and is no failure. The end of the newest run can be
cut off unseen unless a digest of it (the result's \`head\`) is kept elsewhere and given with --head.

show takes --quote ID, or --instrument SYMBOL with --at TIME (ISO 8601 or µs since the epoch; the run's end when left out).

The result of verify holds \`ok\`, \`runs\`, \`retired\`, \`head\` and \`problems\`; exit code 1 when something is not as it was written.`,
  options: {
    journal: { type: "string", value: "DIR", description: "Folder of the journal; default KEEL_JOURNAL_DIR" },
    key: {
      type: "string",
      value: "FILE",
      multiple: true,
      description: "verify: public keys (PEM), of one key or several, that signed",
    },
    "signed-from": {
      type: "string",
      value: "RUN",
      description: "verify: the first run with a key; those before it may be unsigned",
    },
    head: {
      type: "string",
      value: "DIGEST",
      description: "verify: a digest that was told earlier and must be found",
    },
    unsworn: {
      type: "number",
      value: "SECONDS",
      min: 0,
      description: "verify: how long the newest records may go on that nothing signed swears to",
    },
    run: { type: "string", value: "ID", description: "show, export: the run; the latest when left out" },
    quote: { type: "number", integer: true, value: "ID", description: "show: id of a quote that was sent" },
    instrument: { type: "string", value: "SYMBOL", description: "show: whose quote" },
    at: { type: "string", value: "TIME", description: "show: when" },
    out: { type: "string", value: "DIR", description: "export: folder that is written to" },
  },
  positionals: ["ACTION"],
  environment: true,
  async run({ options, positionals: [action], config, log, out }) {
    const directory = options.journal ?? config.journal?.dir;
    if (directory === undefined) {
      throw new UsageError("audit: --journal DIR is missing, and KEEL_JOURNAL_DIR is not set");
    }
    switch (action) {
      case "verify": {
        const { verify } = await import("./audit/verify.ts");
        return (await verify(directory, options, out)) ? EXIT.ok : EXIT.failed;
      }
      case "show": {
        const { show } = await import("./audit/show.ts");
        await show(directory, options, (line) => log.warn(line), out);
        return EXIT.ok;
      }
      case "export": {
        if (options.out === undefined) throw new UsageError("audit export: --out DIR is missing");
        const { exportRun } = await import("./audit/export.ts");
        await exportRun(directory, options.run, options.out, (line) => log.warn(line), out);
        return EXIT.ok;
      }
      default:
        throw new UsageError(`audit: found ${JSON.stringify(action)}, expected one of verify, show, export`);
    }
  },
});
