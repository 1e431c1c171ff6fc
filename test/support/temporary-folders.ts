import { afterAll } from "bun:test";
import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** A folder of a test file's own, which goes when its tests have ended, and further ones in it, each new. */
export function temporaryFolders(prefix: string): { readonly root: string; readonly folder: () => string } {
  const root = mkdtempSync(join(tmpdir(), prefix));
  afterAll(() => rmSync(root, { recursive: true, force: true }));
  let folders = 0;
  const folder = (): string => {
    folders += 1;
    const path = join(root, String(folders));
    mkdirSync(path);
    return path;
  };
  return { root, folder };
}
