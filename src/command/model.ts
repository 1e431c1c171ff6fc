import { EXIT, type ExitCode } from "../core/errors.ts";
import { defineCommand, UsageError } from "./command.ts";

const ACTIONS = ["ls", "check", "bench"] as const;
type Action = (typeof ACTIONS)[number];

export const model = defineCommand({
  name: "model",
  summary: "List models, examine one on every engine of this host, or time its steps",
  usage: "ls [FOLDER] | check FILE|NAME|FOLDER | bench NAME|FOLDER",
  details: `ls     the built-in models, and those in FOLDER: what they are and which engines take them
check  card, digest, feature schema, ONNX file, inputs and outputs, operators, state shapes; then the card's self-test on
       every engine, the cpu engine with every instruction set. An ONNX file without a card is run on made-up features.
bench  time of a step on every engine, at batch 1, 16 and 128

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
    seed: {
      type: "number",
      value: "N",
      integer: true,
      min: 0,
      default: 1,
      description: "bench: seed of the features",
    },
  },
  positionals: ["ACTION", "MODEL?"],
  environment: true,
  async run({ options, positionals, config, log, out }): Promise<ExitCode> {
    const [given, target] = positionals;
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
      `model: found ${JSON.stringify(given ?? "")}, expected one of ${ACTIONS.join(", ")}`,
    );
  }
  if (name === "ls") return { name, folder: target ?? null };
  if (target === undefined) throw new UsageError(`model ${name}: needs a model, found nothing`);
  return { name, target };
}
