import { randomUUID } from "node:crypto";
import { link, mkdir, open, unlink } from "node:fs/promises";
import { dirname, join } from "node:path";
import { KeelError } from "../../core/errors.ts";
import { invariant } from "../../core/invariant.ts";
import { type RegistryStore, STORE_KEY } from "./store.ts";

/**
 * A registry in a folder, which may be on shared storage. An object is written beside its place under a name of its own, synced, and
 * then linked to its place: link(2) fails where something is there already and is atomic on local file systems and on NFS, so
 * that a crash leaves at most a file `.new-…` that nobody reads.
 */
export class FolderStore implements RegistryStore {
  readonly name: string;

  constructor(folder: string) {
    this.name = folder;
  }

  async get(key: string, bytesMax: number): Promise<Uint8Array<ArrayBuffer> | null> {
    const path = this.#path(key);
    try {
      const file = await open(path, "r");
      try {
        const { size } = await file.stat();
        if (size > bytesMax) throw new TooLargeError(path, size, bytesMax);
        return new Uint8Array(await file.readFile());
      } finally {
        await file.close();
      }
    } catch (error) {
      if (isCode(error, "ENOENT")) return null;
      throw asStoreError(error, path);
    }
  }

  async create(key: string, bytes: Uint8Array): Promise<boolean> {
    const path = this.#path(key);
    const folder = dirname(path);
    const fresh = join(folder, `.new-${randomUUID()}`);
    try {
      await mkdir(folder, { recursive: true });
      const file = await open(fresh, "wx", 0o644);
      try {
        await file.writeFile(bytes);
        await file.sync();
      } finally {
        await file.close();
      }
      try {
        await link(fresh, path);
      } catch (error) {
        if (isCode(error, "EEXIST")) return false;
        throw error;
      } finally {
        await unlink(fresh);
      }
      const entries = await open(folder, "r");
      await entries.sync().finally(() => entries.close());
      return true;
    } catch (error) {
      throw asStoreError(error, path);
    }
  }

  #path(key: string): string {
    invariant(STORE_KEY.test(key), "a key of the registry");
    return join(this.name, key);
  }
}

/** An object of the registry is larger than any that it writes. */
export class TooLargeError extends KeelError {
  constructor(where: string, bytes: number, bytesMax: number) {
    super("registry-object", `${where}: found ${bytes} bytes, expected at most ${bytesMax}`);
  }
}

function asStoreError(error: unknown, path: string): unknown {
  if (error instanceof KeelError) return error;
  const cause = error instanceof Error ? error.message : String(error);
  return new KeelError("registry-store", `${path}: ${cause}`);
}

function isCode(error: unknown, code: string): boolean {
  return error instanceof Error && "code" in error && error.code === code;
}
