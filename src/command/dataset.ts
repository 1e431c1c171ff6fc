import { EXIT, type ExitCode } from "../core/errors.ts";
import { defineCommand, UsageError } from "./command.ts";
import { SELECTION_OPTIONS } from "./dataset/selection.ts";

const ACTIONS = ["build", "info", "check"] as const;

export const dataset = defineCommand({
  name: "dataset",
  summary: "Make training data of captures and journals; look into it and check it",
  usage: "build SOURCE… --out DIR | info DIR | check DIR [SOURCE…]",
  details: `build  one part per SOURCE to a folder of Parquet files below --out, called by the digest of what it holds: a row for every step of
       the model with its features and, by the labels' own code, what came of it; a journal's outcomes besides; provenance, validation
       and splits in manifest.json
info   what a dataset holds
check  its files against their digests, its splits against their rule, what its validation found; of each SOURCE given again, that its
       features come out the same without what came after them. Exit code 1 when something is wrong

A SOURCE is a capture file, a folder of captures (the parts of one recording), or a folder with a journal, whose latest run or --run is
taken. With --since or --max-age rows from then on are taken, of a journal those of every run. The same sources, code and options give the same dataset; one that is there already is not built again, and a build that was cut
off goes on. Splits are consecutive in time; rows whose label reaches into the next part and rows within --embargo are in none.

The result of build holds folder, digest, rows, splits, existed, resumed; that of info the manifest; that of check problems, remarks and
reproduced.`,
  options: {
    out: { type: "string", value: "DIR", description: "build: folder that datasets stand in" },
    ...SELECTION_OPTIONS,
    split: {
      type: "string",
      value: "NAME=SHARE,…",
      default: "train=0.7,validation=0.15,test=0.15",
      description: "build: parts of the time, by their share of rows",
    },
    embargo: {
      type: "number",
      value: "SECONDS",
      min: 0,
      max: 86_400,
      default: 10,
      description: "build: time between two parts that is in none",
    },
    "max-rows": {
      type: "number",
      value: "N",
      integer: true,
      min: 1,
      description: "build: of more rows, pieces of the time spread evenly; all when left out",
    },
    label: {
      type: "string",
      value: "TEXT",
      default: "",
      description: "build: what it is for; part of its digest",
    },
    "no-leak-check": {
      type: "boolean",
      description: "build: do not play parts of each source again to show that no feature looks ahead",
    },
  },
  positionals: ["ACTION", "PATH…"],
  environment: false,
  async run({ options, positionals, log, out }): Promise<ExitCode> {
    const [given, ...paths] = positionals;
    const action = ACTIONS.find((name) => name === given);
    if (action === undefined) {
      throw new UsageError(
        `${JSON.stringify(given)} is no action of keel dataset, expected ${ACTIONS.join(", ")}`,
      );
    }
    const [first, ...rest] = paths;
    if (first === undefined) throw new UsageError(`keel dataset ${action} needs a path`);
    const { datasetLines } = await import("./dataset/text.ts");
    const { rowSources, sinceOf } = await import("./dataset/sources.ts");
    const selection = { run: options.run, sinceUs: sinceOf(options.since, options["max-age"], Date.now()) };
    const warn = (line: string): void => log.warn(line);
    if (action === "build") {
      if (options.out === undefined) throw new UsageError("--out is required by keel dataset build");
      const { buildDataset } = await import("../learn/dataset/build.ts");
      const { splitsOf } = await import("./dataset/sources.ts");
      const splits = splitsOf(options.split);
      const sources = await rowSources(paths, selection, warn);
      const built = await buildDataset(
        sources,
        {
          directory: options.out,
          splits,
          embargoUs: options.embargo * 1e6,
          label: options.label,
          leakCheck: options["no-leak-check"] !== true,
          rowsMax: options["max-rows"] ?? null,
        },
        (line) => out.line(line),
      );
      const { folder, manifest, existed, resumed } = built;
      if (existed) out.line("it was there already");
      for (const line of datasetLines(folder, manifest)) out.line(line);
      const { digest, rows, splits: made } = manifest;
      out.result({ folder, digest, rows, splits: made, existed, resumed });
      return EXIT.ok;
    }
    if (action === "info") {
      const { readManifest } = await import("../learn/dataset/manifest.ts");
      const manifest = readManifest(first);
      for (const line of datasetLines(first, manifest)) out.line(line);
      out.result(manifest);
      return EXIT.ok;
    }
    const { checkDataset } = await import("../learn/dataset/check.ts");
    const sources = rest.length === 0 ? [] : await rowSources(rest, selection, warn);
    const { problems, remarks, reproduced } = await checkDataset(first, sources);
    for (const remark of remarks) out.line(`note: ${remark}`);
    for (const problem of problems) out.line(`wrong: ${problem}`);
    if (reproduced > 0) out.line(`${reproduced} sources played again`);
    out.line(
      problems.length === 0 ? "the dataset is as it was built" : "the dataset is not to be trained on",
    );
    out.result({ problems, remarks, reproduced });
    return problems.length === 0 ? EXIT.ok : EXIT.failed;
  },
});
