import { stat } from "node:fs/promises";
import { basename, join } from "node:path";
import { z } from "zod";
import { ModelRefusedError } from "../core/errors.ts";
import { BUILTIN_MODELS } from "./builtin.ts";
import { type ModelCard, modelCard, silentRows } from "./card.ts";
import { readOnnx } from "./onnx/model-proto.ts";
import { checkInterface, type StepModel } from "./step-model.ts";

/** Files larger than this are refused unread. The largest STAC-ML model in f32 has 137 MB. */
export const MODEL_BYTES_MAX = 256 * 1024 * 1024;
const CARD_BYTES_MAX = 16 * 1024 * 1024;

/** What the features are that the model will be given; from the feature schema. */
export interface ExpectedSchema {
  readonly schemaHash: string;
  readonly featureCount: number;
}

/** Names of the models inside the executable. */
export function builtinModelNames(): string[] {
  return Object.keys(BUILTIN_MODELS);
}

/**
 * Loads a model by its built-in name, or from a folder that holds `model.onnx` and `card.json`.
 *
 * Checked here: the card's form, the ONNX file's digest against the card, the feature schema, the ONNX file's form and that
 * its inputs and outputs are those the card states. What it computes is checked by `selfTest` once an engine runs it.
 *
 * @param nameOrFolder a built-in name, or a path (anything with a `/`, or that is no built-in name).
 * @throws ModelRefusedError naming what was found and what was expected.
 */
export async function loadModel(nameOrFolder: string, expected: ExpectedSchema): Promise<StepModel> {
  const builtin = Object.hasOwn(BUILTIN_MODELS, nameOrFolder) ? BUILTIN_MODELS[nameOrFolder] : undefined;
  if (builtin !== undefined) {
    return readModel(nameOrFolder, builtin.cardPath, builtin.onnxPath, "built-in", expected);
  }
  const isFolder = await stat(nameOrFolder).then(
    (entry) => entry.isDirectory(),
    () => false,
  );
  if (!isFolder) {
    throw new ModelRefusedError(
      nameOrFolder,
      "neither a built-in model nor a folder",
      `one of ${builtinModelNames().join(", ") || "(no built-in models)"}, or a folder with card.json and model.onnx`,
    );
  }
  return readModel(
    basename(nameOrFolder),
    join(nameOrFolder, "card.json"),
    join(nameOrFolder, "model.onnx"),
    nameOrFolder,
    expected,
  );
}

/** Builds a model from the two files' contents. @throws ModelRefusedError as {@link loadModel}. */
export function parseModel(
  name: string,
  cardText: string,
  onnx: Uint8Array<ArrayBuffer>,
  source: string,
  expected: ExpectedSchema,
): StepModel {
  const card = parseCard(name, cardText);
  const digest = new Bun.CryptoHasher("sha256").update(onnx).digest("hex");
  if (digest !== card.onnxSha256) {
    throw new ModelRefusedError(
      card.name,
      `model.onnx with SHA-256 ${digest}`,
      `${card.onnxSha256} (its card)`,
    );
  }
  if (card.schemaHash !== expected.schemaHash) {
    throw new ModelRefusedError(
      card.name,
      `feature schema ${card.schemaHash}`,
      `${expected.schemaHash} (this build)`,
    );
  }
  if (card.featureCount !== expected.featureCount) {
    throw new ModelRefusedError(
      card.name,
      `${card.featureCount} features`,
      `${expected.featureCount} (this build)`,
    );
  }
  const graph = readOnnx(card.name, onnx);
  checkInterface(card, graph);
  return { card, onnx, graph, source };
}

function parseCard(name: string, text: string): ModelCard {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch (error) {
    throw new ModelRefusedError(
      name,
      `a card.json that is no JSON (${error instanceof Error ? error.message : String(error)})`,
      "a model card",
    );
  }
  const parsed = modelCard.safeParse(json);
  if (!parsed.success) {
    throw new ModelRefusedError(name, "a card.json that is no model card", z.prettifyError(parsed.error));
  }
  const card = parsed.data;
  const { features, probabilities } = card.selfTest;
  const ragged =
    probabilities.length === 0 ||
    features.length !== probabilities.length + silentRows(card) ||
    features.some((row) => row.length !== card.featureCount) ||
    probabilities.some((row) => row.length !== card.heads.length);
  if (ragged) {
    throw new ModelRefusedError(
      card.name,
      `self-test of ${features.length} feature rows and ${probabilities.length} probability rows`,
      `${silentRows(card) === 0 ? "as many of both" : `${silentRows(card)} more of the former`}, one or more, of ${card.featureCount} and ${card.heads.length} numbers`,
    );
  }
  return card;
}

async function readModel(
  name: string,
  cardPath: string,
  onnxPath: string,
  source: string,
  expected: ExpectedSchema,
): Promise<StepModel> {
  const cardBytes = await readBounded(name, cardPath, CARD_BYTES_MAX);
  const onnx = await readBounded(name, onnxPath, MODEL_BYTES_MAX);
  return parseModel(name, new TextDecoder().decode(cardBytes), onnx, source, expected);
}

async function readBounded(name: string, path: string, bytesMax: number): Promise<Uint8Array<ArrayBuffer>> {
  const file = Bun.file(path);
  if (!(await file.exists())) {
    throw new ModelRefusedError(name, `no file ${path}`, "card.json and model.onnx side by side");
  }
  if (file.size > bytesMax) {
    throw new ModelRefusedError(name, `${path} of ${file.size} bytes`, `at most ${bytesMax} bytes`);
  }
  return file.bytes();
}
