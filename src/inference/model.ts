import { stat } from "node:fs/promises";
import { basename, join } from "node:path";
import { z } from "zod";
import { ModelRefusedError } from "../core/errors.ts";
import { BUILTIN_MODELS, DEFAULT_MODEL, DEFAULT_STAND_INS } from "./builtin.ts";
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

/** Where the two files of a model lie. */
export interface ModelFiles {
  readonly name: string;
  readonly cardPath: string;
  readonly onnxPath: string;
  /** `built-in` or the folder. */
  readonly source: string;
}

/**
 * Finds a model by its built-in name, or as a folder.
 *
 * @param nameOrFolder a built-in name, or a path (anything with a `/`, or that is no built-in name).
 * @throws ModelRefusedError when it is neither.
 */
export async function locateModel(nameOrFolder: string): Promise<ModelFiles> {
  const builtin = Object.hasOwn(BUILTIN_MODELS, nameOrFolder) ? BUILTIN_MODELS[nameOrFolder] : undefined;
  if (builtin !== undefined) return { name: nameOrFolder, ...builtin, source: "built-in" };
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
  return {
    name: basename(nameOrFolder),
    cardPath: join(nameOrFolder, "card.json"),
    onnxPath: join(nameOrFolder, "model.onnx"),
    source: nameOrFolder,
  };
}

/**
 * Loads a model by its built-in name, or from a folder that holds `model.onnx` and `card.json`.
 *
 * Checked here: the card's form, the ONNX file's digest against the card, the feature schema, the ONNX file's form and that
 * its inputs and outputs are those the card states. What it computes is checked by `selfTest` once an engine runs it.
 *
 * @throws ModelRefusedError naming what was found and what was expected.
 */
export async function loadModel(nameOrFolder: string, expected: ExpectedSchema): Promise<StepModel> {
  const { name, cardPath, onnxPath, source } = await locateModel(nameOrFolder);
  const card = await readCardFile(name, cardPath);
  return parseModel(name, card, await readOnnxFile(name, onnxPath), source, expected);
}

/**
 * Loads the model that is named, or the default one and what may stand in for it.
 *
 * @returns the model first; then stand-ins, for `startEngine`
 * @throws ModelRefusedError as {@link loadModel}.
 */
export async function loadModels(
  nameOrFolder: string | undefined,
  expected: ExpectedSchema,
): Promise<readonly [StepModel, ...StepModel[]]> {
  if (nameOrFolder !== undefined) return [await loadModel(nameOrFolder, expected)];
  const standIns = DEFAULT_STAND_INS.map((name) => loadModel(name, expected));
  return [await loadModel(DEFAULT_MODEL, expected), ...(await Promise.all(standIns))];
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
  checkDigest(card, onnx);
  checkSchema(card, expected);
  const graph = readOnnx(card.name, onnx);
  checkInterface(card, graph);
  return { card, onnx, graph, source };
}

/** @throws ModelRefusedError when the card is of another ONNX file. */
export function checkDigest(card: ModelCard, onnx: Uint8Array): void {
  const digest = digestOf(onnx);
  if (digest === card.onnxSha256) return;
  throw new ModelRefusedError(
    card.name,
    `model.onnx with SHA-256 ${digest}`,
    `${card.onnxSha256} (its card)`,
  );
}

export const digestOf = (onnx: Uint8Array): string =>
  new Bun.CryptoHasher("sha256").update(onnx).digest("hex");

/** @throws ModelRefusedError when the model was trained on other features. */
export function checkSchema(card: ModelCard, expected: ExpectedSchema): void {
  const { schemaHash, featureCount } = expected;
  if (card.schemaHash !== schemaHash) {
    throw new ModelRefusedError(card.name, `feature schema ${card.schemaHash}`, `${schemaHash} (this build)`);
  }
  if (card.featureCount !== featureCount) {
    throw new ModelRefusedError(card.name, `${card.featureCount} features`, `${featureCount} (this build)`);
  }
}

/** Reads a card's text. @throws ModelRefusedError naming the first thing that is wrong with it. */
export function parseCard(name: string, text: string): ModelCard {
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

/** @throws ModelRefusedError when the file is missing or too large. */
export async function readCardFile(name: string, path: string): Promise<string> {
  return new TextDecoder().decode(await readBounded(name, path, CARD_BYTES_MAX));
}

/** @throws ModelRefusedError when the file is missing or too large. */
export function readOnnxFile(name: string, path: string): Promise<Uint8Array<ArrayBuffer>> {
  return readBounded(name, path, MODEL_BYTES_MAX);
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
