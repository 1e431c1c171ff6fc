import { afterAll, beforeAll } from "bun:test";
import { mkdirSync } from "node:fs";

/** Only root may mount. */
export const canMount = process.getuid?.() === 0;
if (!canMount) console.warn("skipped: a disk of its own, to be filled, needs root");

/** A disk of so many KiB at `path` for the tests of the block that this is called in. */
export function smallDisk(path: string, kibibytes: number): void {
  beforeAll(() => {
    mkdirSync(path);
    const size = `size=${kibibytes}k`;
    const { exitCode, stderr } = Bun.spawnSync(["mount", "-t", "tmpfs", "-o", size, "none", path]);
    if (exitCode !== 0) throw new Error(stderr.toString());
  });
  afterAll(() => {
    Bun.spawnSync(["umount", "-l", path]);
  });
}
