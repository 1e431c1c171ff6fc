import { BadInputError, EXIT } from "../core/errors.ts";
import { defineCommand, UsageError } from "./command.ts";

export const rfq = defineCommand({
  name: "rfq",
  summary: "List the requests for quotes in a journal, or show the life of one",
  usage: "ls | show [RFQ] --journal DIR [options]",
  details: `ls    every request and order of the run: when, who, what, how it ended
show  everything that was said and answered in one of them, with what each price was made of

RFQ is a name that ls shows, CLIENT/REQUEST, or one of its quotes' ids. Texts that clients were not told, such as the limit that
refused, are shown as \`cause\`.

The result of ls holds \`rfqs\` and \`counterparties\` (requests, quotes, trades, last looks by outcome); that of show the RFQ with its
\`steps\`. Exit code 6 when there is no such journal or RFQ.`,
  options: {
    journal: { type: "string", value: "DIR", description: "Folder of the journal; default KEEL_JOURNAL_DIR" },
    run: { type: "string", value: "ID", description: "Run to read; the latest when left out" },
    client: { type: "string", value: "NAME", description: "ls: only this client's" },
  },
  positionals: ["ACTION", "RFQ?"],
  environment: true,
  async run({ options, positionals, config, out }) {
    const [action, name] = positionals;
    if (action !== "ls" && action !== "show") {
      throw new UsageError(`rfq: found ${JSON.stringify(action)}, expected one of ls, show`);
    }
    const directory = options.journal ?? config.journal?.dir;
    if (directory === undefined)
      throw new UsageError("rfq: --journal DIR is missing, and KEEL_JOURNAL_DIR is not set");
    const { JournalReader } = await import("../journal/reader.ts");
    const { rfqLives } = await import("../journal/rfq-lives.ts");
    const { counterpartyLine, counterpartyTotals, lifeLine, stepLines } = await import("./rfq/text.ts");
    const reader = new JournalReader(directory, options.run);
    const { lives, beyond } = rfqLives(reader.records());
    if (action === "show") {
      if (name === undefined) throw new UsageError("rfq show: the RFQ is missing");
      const found = lives.find((life) => life.name === name || life.quoteIds.includes(name));
      if (found === undefined)
        throw new BadInputError(directory, `no RFQ ${name}`, "a name that `keel rfq ls` shows");
      out.line(lifeLine(found));
      for (const line of found.steps.flatMap(stepLines)) out.line(line);
      out.result(found);
      return EXIT.ok;
    }
    const wanted = lives.filter(({ client }) => options.client === undefined || client === options.client);
    for (const life of wanted) out.line(lifeLine(life));
    if (wanted.length === 0) out.line(`no request for a quote in run ${reader.run.runId}`);
    if (beyond > 0) out.line(`${beyond} more are not shown`);
    const counterparties = counterpartyTotals(wanted);
    if (counterparties.length > 0) out.line();
    for (const totals of counterparties) out.line(counterpartyLine(totals));
    out.result({
      rfqs: wanted.map(({ steps, ...life }) => ({ ...life, steps: steps.length })),
      counterparties,
    });
    return EXIT.ok;
  },
});
