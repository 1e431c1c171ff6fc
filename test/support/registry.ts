import { mkdirSync, readFileSync } from "node:fs";
import { BUILTIN_MODELS } from "../../src/inference/builtin.ts";
import { FolderStore } from "../../src/learn/registry/folder-store.ts";
import { Registry } from "../../src/learn/registry/registry.ts";

/** Makes a registry of built-in models in a folder: a champion, and one in its shadow. Nothing in it is signed. */
export async function registerModels(folder: string, champion: string, challenger: string): Promise<void> {
  mkdirSync(folder, { recursive: true });
  const registry = await Registry.open({
    store: new FolderStore(folder),
    signer: null,
    trusted: null,
    nowMs: Date.now,
  });
  const author = { who: "test", why: "a champion and one in its shadow" };
  const add = async (builtin: string): Promise<string> => {
    const { cardPath, onnxPath } = BUILTIN_MODELS[builtin];
    const { version } = await registry.add(
      {
        card: new Uint8Array(readFileSync(cardPath)),
        onnx: new Uint8Array(readFileSync(onnxPath)),
        lineage: { parent: null, dataset: null, code: { keel: "0.0.0", commit: null } },
      },
      author,
    );
    return version;
  };
  const first = await add(champion);
  for (const stage of ["shadow", "canary", "champion"] as const)
    await registry.setStage(first, stage, author);
  await registry.setStage(await add(challenger), "shadow", author);
}
