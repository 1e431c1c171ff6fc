import { mkdir, rename, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { sha256 } from "./entry.ts";

/** A version's files, as they are. */
export interface VersionFiles {
  readonly "card.json": Uint8Array<ArrayBuffer>;
  readonly "model.onnx": Uint8Array<ArrayBuffer>;
}

/**
 * Lays a version's files out as a folder that models are loaded from, `FOLDER/NAME@DIGEST`, whole or not at all; one that is there and
 * whole stays as it is.
 *
 * @returns that folder
 */
export async function layOut(folder: string, version: string, files: VersionFiles): Promise<string> {
  const path = join(folder, version);
  const { "card.json": card, "model.onnx": onnx } = files;
  if ((await holds(path, "card.json", card)) && (await holds(path, "model.onnx", onnx))) return path;
  const fresh = join(folder, `.new-${version}-${process.pid}-${performance.now()}`);
  await mkdir(fresh, { recursive: true });
  await writeFile(join(fresh, "card.json"), card);
  await writeFile(join(fresh, "model.onnx"), onnx);
  await rm(path, { recursive: true, force: true });
  await rename(fresh, path).catch(async (error: unknown) => {
    // Another process has laid out the same files meanwhile.
    await rm(fresh, { recursive: true, force: true });
    if (!(await Bun.file(join(path, "model.onnx")).exists())) throw error;
  });
  return path;
}

async function holds(folder: string, name: string, bytes: Uint8Array): Promise<boolean> {
  const file = Bun.file(join(folder, name));
  return (await file.exists()) && file.size === bytes.length && sha256(await file.bytes()) === sha256(bytes);
}
