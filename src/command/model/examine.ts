import { stat } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { KeelError } from "../../core/errors.ts";
import type { ModelCard, ModelWindow } from "../../inference/card.ts";
import {
  checkDigest,
  checkSchema,
  digestOf,
  type ExpectedSchema,
  locateModel,
  parseCard,
  readCardFile,
  readOnnxFile,
} from "../../inference/model.ts";
import { type OnnxGraph, readOnnx, shownValue } from "../../inference/onnx/model-proto.ts";
import { OPERATORS } from "../../inference/onnx/operators.ts";
import type { EngineSettings } from "../../inference/settings.ts";
import { checkInterface, stateSize } from "../../inference/step-model.ts";
import { windowFeatures } from "../../inference/window.ts";
import { type EngineTrial, succeeded, tryEngines } from "./engine-trial.ts";
import { impliedCard } from "./implied-card.ts";

/** One thing a model must be, and whether it is. */
export interface ModelCheck {
  readonly check: "card" | "digest" | "schema" | "onnx" | "interface";
  readonly ok: boolean;
  /** What was found, and what was expected where it is not that. */
  readonly detail: string;
}

export interface OperatorUse {
  /** With its domain in front where it is not ONNX's own. */
  readonly operator: string;
  readonly count: number;
  /** The cpu engine has it. The other engines take what ONNX Runtime or TensorRT takes. */
  readonly cpu: boolean;
}

export interface Examination {
  readonly name: string;
  readonly version: string | null;
  readonly source: string;
  /** False for an ONNX file alone, of which nothing can be compared. */
  readonly card: boolean;
  readonly onnxBytes: number;
  readonly onnxSha256: string;
  readonly checks: readonly ModelCheck[];
  readonly opset: number | null;
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
  readonly operators: readonly OperatorUse[];
  readonly heads: readonly string[];
  readonly states: ModelCard["states"];
  readonly window: ModelWindow | null;
  /** What the states, or the window, of one instrument take. */
  readonly slotBytes: number;
  readonly engines: readonly EngineTrial[];
  /** Why the model may not be used on this host; null when it may. */
  readonly refused: string | null;
}

interface Files {
  readonly name: string;
  readonly source: string;
  readonly card: string | null;
  readonly onnx: Uint8Array<ArrayBuffer>;
}

export interface ExamineOptions {
  readonly schema: ExpectedSchema;
  readonly settings: EngineSettings;
  /** False: engines are only asked whether they take the model. */
  readonly run: boolean;
}

/**
 * Looks at everything about a model that can be wrong and goes on where it can, so that all of it is told at once.
 *
 * @param target a built-in name, a folder, or an ONNX file, which is examined with the `card.json` beside it where it is
 * named `model.onnx`
 * @throws ModelRefusedError when there is nothing to look at.
 */
export async function examineModel(target: string, options: ExamineOptions): Promise<Examination> {
  const { name, source, card: cardText, onnx } = await readFiles(target);
  const checks: ModelCheck[] = [];
  const attempt = <T>(check: ModelCheck["check"], good: string, make: () => T): T | null => {
    try {
      const made = make();
      checks.push({ check, ok: true, detail: good });
      return made;
    } catch (error) {
      if (!(error instanceof KeelError)) throw error;
      checks.push({ check, ok: false, detail: error.message });
      return null;
    }
  };
  const onnxSha256 = digestOf(onnx);
  const stated = cardText === null ? null : attempt("card", "a model card", () => parseCard(name, cardText));
  if (stated !== null) {
    attempt("digest", onnxSha256, () => checkDigest(stated, onnx));
    attempt("schema", `${stated.schemaHash}, ${stated.featureCount} features`, () =>
      checkSchema(stated, options.schema),
    );
  }
  const graph = attempt("onnx", `${onnx.length} bytes`, () => readOnnx(stated?.name ?? name, onnx));
  const implied =
    stated ?? (graph === null || cardText !== null ? null : impliedCard(graph, name, onnxSha256));
  const card = typeof implied === "string" ? null : implied;
  let engines: EngineTrial[] = [];
  if (typeof implied === "string") {
    checks.push({ check: "interface", ok: false, detail: implied });
  } else if (card !== null && graph !== null) {
    const kind = card.window === undefined ? "a step model" : "a windowed model";
    const fits = attempt("interface", kind, () => checkInterface(card, graph)) !== null;
    const trial = !options.run ? "take" : stated === null ? "run" : "self-test";
    if (fits) engines = await tryEngines({ card, onnx, graph, source }, options.settings, trial);
  }

  return {
    name: stated?.name ?? name,
    version: stated?.version ?? null,
    source,
    card: cardText !== null,
    onnxBytes: onnx.length,
    onnxSha256,
    checks,
    opset: graph?.opset ?? null,
    inputs: graph?.inputs.map(shownValue) ?? [],
    outputs: graph?.outputs.map(shownValue) ?? [],
    operators: graph === null ? [] : operatorsOf(graph),
    heads: stated?.heads.map((head) => head.name) ?? [],
    states: card?.states ?? [],
    window: card?.window ?? null,
    slotBytes: card === null ? 0 : slotBytes(card),
    engines,
    refused: refusal(checks, engines),
  };
}

async function readFiles(target: string): Promise<Files> {
  const isFile = await stat(target).then(
    (entry) => entry.isFile(),
    () => false,
  );
  const builtinOrFolder = isFile ? null : await locateModel(target);
  const onnxPath = builtinOrFolder?.onnxPath ?? target;
  const beside = basename(target) === "model.onnx" ? join(dirname(target), "card.json") : null;
  const cardPath = builtinOrFolder?.cardPath ?? beside;
  const name = builtinOrFolder?.name ?? basename(target);
  const hasCard = cardPath !== null && (await Bun.file(cardPath).exists());
  return {
    name,
    source: builtinOrFolder?.source ?? target,
    card: hasCard ? await readCardFile(name, cardPath) : null,
    onnx: await readOnnxFile(name, onnxPath),
  };
}

function operatorsOf(graph: OnnxGraph): OperatorUse[] {
  const uses = new Map<string, OperatorUse>();
  for (const { operator, domain } of graph.nodes) {
    const own = domain === "" || domain === "ai.onnx";
    const key = own ? operator : `${domain}.${operator}`;
    const count = (uses.get(key)?.count ?? 0) + 1;
    uses.set(key, { operator: key, count, cpu: own && OPERATORS.has(operator) });
  }
  return [...uses.values()].sort((a, b) => b.count - a.count);
}

function slotBytes(card: ModelCard): number {
  if (card.window !== undefined) return card.window.length * windowFeatures(card, card.window) * 4;
  return card.states.reduce((bytes, { shape }) => bytes + stateSize(shape) * 4, 0);
}

function refusal(checks: readonly ModelCheck[], engines: readonly EngineTrial[]): string | null {
  const failed = checks.find(({ ok }) => !ok) ?? engines.find(({ verdict }) => verdict === "wrong");
  if (failed !== undefined) return failed.detail;
  if (engines.some(succeeded)) return null;
  return `no engine of this host runs it (${engines.map(({ engine, detail }) => `${engine}: ${detail}`).join("; ")})`;
}
