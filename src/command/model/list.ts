import { readdir, stat } from "node:fs/promises";
import { join } from "node:path";
import { BadInputError, KeelError } from "../../core/errors.ts";
import { builtinModelNames } from "../../inference/model.ts";
import type { EngineTrial } from "./engine-trial.ts";
import { succeeded } from "./engine-trial.ts";
import { type ExamineOptions, examineModel } from "./examine.ts";

/** Entries of a folder that are looked at. */
const ENTRIES_MAX = 1_000;

export interface ListedModel {
  readonly name: string;
  readonly version: string | null;
  /** `built-in` or the folder. */
  readonly source: string;
  readonly heads: readonly string[];
  readonly onnxBytes: number;
  /** State, or window, of one instrument. */
  readonly slotBytes: number;
  /** The card's feature schema is this build's; null where there is no card to tell. */
  readonly schemaOk: boolean | null;
  readonly digestOk: boolean | null;
  /** Engines of this host that take it. */
  readonly engines: readonly string[];
  readonly refused: string | null;
}

/**
 * The built-in models, and those of a folder: the folder itself where it is a model, and its sub-folders that hold
 * `model.onnx` or `card.json`.
 *
 * @throws BadInputError when there is no such folder.
 */
export async function listModels(
  folder: string | null,
  options: Omit<ExamineOptions, "run">,
): Promise<ListedModel[]> {
  const targets = [...builtinModelNames(), ...(folder === null ? [] : await modelFolders(folder))];
  const models: ListedModel[] = [];
  for (const target of targets) models.push(await listed(target, options));
  return models;
}

async function modelFolders(folder: string): Promise<string[]> {
  let names: string[];
  try {
    names = (await readdir(folder)).sort().slice(0, ENTRIES_MAX);
  } catch (error) {
    throw new BadInputError(
      folder,
      error instanceof Error ? error.message : String(error),
      "a folder of models",
    );
  }
  const found: string[] = [];
  for (const candidate of [folder, ...names.map((name) => join(folder, name))]) {
    const parts = ["model.onnx", "card.json"].map((name) => Bun.file(join(candidate, name)).exists());
    const isFolder = (await stat(candidate).catch(() => null))?.isDirectory() === true;
    if (isFolder && (await Promise.all(parts)).includes(true)) found.push(candidate);
  }
  return found;
}

async function listed(target: string, options: Omit<ExamineOptions, "run">): Promise<ListedModel> {
  try {
    const { name, version, source, heads, onnxBytes, slotBytes, checks, engines, refused } =
      await examineModel(target, { ...options, run: false });
    const ok = (wanted: string): boolean | null => checks.find(({ check }) => check === wanted)?.ok ?? null;
    return {
      ...{ name, version, source, heads, onnxBytes, slotBytes },
      ...{ schemaOk: ok("schema"), digestOk: ok("digest"), engines: takers(engines), refused },
    };
  } catch (error) {
    if (!(error instanceof KeelError)) throw error;
    const nothing = { version: null, heads: [], onnxBytes: 0, slotBytes: 0, engines: [] };
    return {
      name: target,
      source: target,
      ...nothing,
      schemaOk: null,
      digestOk: null,
      refused: error.message,
    };
  }
}

const takers = (trials: readonly EngineTrial[]): string[] => [
  ...new Set(trials.filter(succeeded).map(({ engine }) => engine)),
];
