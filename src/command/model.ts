import { EXIT, type ExitCode } from "../core/errors.ts";
import { defineCommand, UsageError } from "./command.ts";
import type { RegistryAction } from "./model/registered.ts";

const ACTIONS = ["ls", "check", "bench"] as const;
type Action = (typeof ACTIONS)[number];
/** Of the registry, see `model/registered.ts`, which is loaded only for them. */
const REGISTERED = [
  "add",
  "versions",
  "show",
  "promote",
  "rollback",
  "retire",
  "alias",
  "diff",
  "verify",
] as const satisfies readonly RegistryAction[];

export const model = defineCommand({
  name: "model",
  summary: "List models, examine or time one; keep their versions in a registry",
  usage: "ls [FOLDER] | check MODEL | bench MODEL | ACTION [VERSION] …",
  details: `ls     the built-in models, and those in FOLDER: what they are and which engines take them
check  card, digest, feature schema, ONNX file, inputs and outputs, operators, state shapes; then the card's self-test on
       every engine, the cpu engine with every instruction set. An ONNX file without a card is run on made-up features.
bench  time of a step on every engine, at batch 1, 16 and 128

In the registry of KEEL_REGISTRY (see docs/registry.md); a VERSION is NAME@DIGEST, digits of the digest, champion, canary,
latest or an alias:
add       a model as a candidate, with --parent, --dataset and --log
versions  every version, its stage since when, its aliases
show      what a version is, where it is from, and all that happened to it
promote   one stage onward (candidate, shadow, canary, champion), or --to a stage
rollback  the canary back to the shadow; without one, the champion of before
retire    takes a version out of the way
alias     ALIAS VERSION names a version; ALIAS alone takes the name away
diff      what is different between two versions
verify    every signature, link, digest and file

Exit code 5 when check or bench refuse the model, with all reasons told; 0 when it may be used on this host. An engine that
this host does not offer is no reason.

The result of ls holds \`models\`: name, version, source, heads, onnxBytes, slotBytes, schemaOk, digestOk, engines, refused.
That of check holds \`name\`, \`version\`, \`source\`, \`card\`, \`onnxBytes\`, \`onnxSha256\`, \`checks\`, \`opset\`, \`inputs\`,
\`outputs\`, \`operators\`, \`heads\`, \`states\`, \`window\`, \`slotBytes\`, \`engines\` (engine, isa, verdict, difference,
memoryBytes, detail) and \`refused\`. That of bench is as keel bench's; its rows count instruments in perSecond.`,
  options: {
    seconds: {
      type: "number",
      value: "N",
      min: 0.01,
      max: 60,
      default: 0.5,
      description: "bench: time for each engine at each batch size",
    },
    why: { type: "string", value: "TEXT", default: "", description: "Reason of a change of the registry" },
    who: { type: "string", value: "NAME", description: "Who makes it; the user when left out" },
    to: { type: "string", value: "STAGE", description: "promote: another stage than the next" },
    parent: {
      type: "string",
      value: "VERSION",
      description: "add: what it was made from; the champion when left out",
    },
    dataset: { type: "string", value: "DIR", description: "add: dataset that it was trained on" },
    log: { type: "string", value: "FILE", description: "add: log of its training" },
    seed: {
      type: "number",
      value: "N",
      integer: true,
      min: 0,
      default: 1,
      description: "bench: seed of the features",
    },
  },
  positionals: ["ACTION", "MODEL?", "OTHER?"],
  environment: true,
  async run({ options, positionals, config, log, out }): Promise<ExitCode> {
    const [given, target, other] = positionals;
    const registered = REGISTERED.find((action) => action === given);
    if (registered !== undefined) {
      const { runRegistryAction } = await import("./model/registered.ts");
      const targets = [target, other].filter((each) => each !== undefined);
      return runRegistryAction(registered, targets, options, config, out);
    }
    const action = readAction(given, target);
    const { FEATURE_COUNT, SCHEMA_HASH } = await import("../feature/schema.ts");
    const schema = { schemaHash: SCHEMA_HASH, featureCount: FEATURE_COUNT };
    const settings = config.engines;
    if (action.name === "ls") {
      const { listModels } = await import("./model/list.ts");
      const { listLines } = await import("./model/text.ts");
      const models = await listModels(action.folder, { schema, settings });
      for (const line of listLines(models)) out.line(line);
      out.result({ models });
      return EXIT.ok;
    }
    if (action.name === "check") {
      const { examineModel } = await import("./model/examine.ts");
      const { examinationLines } = await import("./model/text.ts");
      const found = await examineModel(action.target, { schema, settings, run: true });
      for (const line of examinationLines(found)) out.line(line);
      out.result(found);
      return found.refused === null ? EXIT.ok : EXIT.modelRefused;
    }
    const { loadModel } = await import("../inference/model.ts");
    const { runModelBench } = await import("../bench/model.ts");
    const { benchTable } = await import("../bench/report.ts");
    const loaded = await loadModel(action.target, schema);
    const report = await runModelBench({
      ...options,
      model: loaded,
      settings,
      log: (line) => log.info(line),
    });
    for (const line of benchTable(report)) out.line(line);
    out.result(report);
    return report.rows.length > 0 ? EXIT.ok : EXIT.modelRefused;
  },
});

type Given = { name: "ls"; folder: string | null } | { name: Exclude<Action, "ls">; target: string };

function readAction(given: string | undefined, target: string | undefined): Given {
  const name = ACTIONS.find((action) => action === given);
  if (name === undefined) {
    throw new UsageError(
      `model: found ${JSON.stringify(given ?? "")}, expected one of ${[...ACTIONS, ...REGISTERED].join(", ")}`,
    );
  }
  if (name === "ls") return { name, folder: target ?? null };
  if (target === undefined) throw new UsageError(`model ${name}: needs a model, found nothing`);
  return { name, target };
}
