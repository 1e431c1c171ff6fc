import { randomUUID } from "node:crypto";
import { constants } from "node:fs";
import { access, open, stat, statfs, unlink } from "node:fs/promises";
import { dirname, join, resolve } from "node:path";
import { type Check, type Finding, findings } from "./check.ts";

const { ok, warn, fail } = findings("disk");

const TEST_BYTES = 1 << 20;
/** A journal segment that takes longer than this to reach the disk is a sign of a slow or shared one. */
export const SLOW_SYNC_MS = 200;
const MIN_STATE_BYTES = 16 << 20;

/** Space, permission and a write test of the folders that keel writes to. */
export const disk: Check = {
  area: "disk",
  async run({ config }) {
    const state = await folder("KEEL_STATE_DIR", config.stateDir, MIN_STATE_BYTES, MIN_STATE_BYTES * 4);
    if (config.journal === undefined) {
      return [
        state,
        warn("KEEL_JOURNAL_DIR", "not set: nothing is journalled", "set it to a folder on a fast disk"),
      ];
    }
    const { dir, segmentBytes } = config.journal;
    return [state, await folder("KEEL_JOURNAL_DIR", dir, segmentBytes * 2, segmentBytes * 20)];
  },
};

async function folder(name: string, dir: string, failBytes: number, warnBytes: number): Promise<Finding> {
  const path = resolve(dir);
  const existing = await nearestExisting(path);
  if (!(await stat(existing)).isDirectory()) {
    return fail(name, `${existing} is no folder`, "name another folder or move the file away");
  }
  try {
    await access(existing, constants.W_OK | constants.X_OK);
  } catch {
    return fail(name, `${existing} cannot be written to`, "give the user that runs keel write permission");
  }
  const { bavail, bsize, ffree, files } = await statfs(existing);
  return judged(
    name,
    existing === path ? path : `${path} (will be made in ${existing})`,
    {
      freeBytes: bavail * bsize,
      inodesLeft: files === 0 || ffree > 0,
      syncMs: await writeTest(existing),
    },
    { failBytes, warnBytes },
  );
}

/** What was measured in a folder. */
export interface FolderSample {
  readonly freeBytes: number;
  readonly inodesLeft: boolean;
  /** From the beginning of a write to its being on the disk. */
  readonly syncMs: number;
}

/** @param bounds less free space than this fails, or is warned of */
export function judged(
  name: string,
  where: string,
  { freeBytes, inodesLeft, syncMs }: FolderSample,
  { failBytes, warnBytes }: { readonly failBytes: number; readonly warnBytes: number },
): Finding {
  const detail = `${where}: ${gibibytes(freeBytes)} GiB free, ${TEST_BYTES >> 20} MiB written and synced in ${syncMs.toFixed(1)} ms`;
  if (!inodesLeft) return fail(name, `${where}: no inodes left`, "remove files");
  if (freeBytes < failBytes) return fail(name, detail, `free at least ${gibibytes(failBytes)} GiB`);
  if (freeBytes < warnBytes) return warn(name, detail, `free at least ${gibibytes(warnBytes)} GiB`);
  if (syncMs > SLOW_SYNC_MS)
    return warn(name, detail, "use a local disk: the journal's ring may overflow on this one");
  return ok(name, detail);
}

async function nearestExisting(path: string): Promise<string> {
  let at = path;
  for (;;) {
    const found = await stat(at).then(
      () => true,
      () => false,
    );
    if (found || dirname(at) === at) return at;
    at = dirname(at);
  }
}

/** Writes and syncs a file of its own, removes it, and answers how long that took. */
async function writeTest(dir: string): Promise<number> {
  const path = join(dir, `.keel-doctor-${randomUUID()}`);
  const started = performance.now();
  const file = await open(path, "wx", 0o600);
  try {
    await file.write(new Uint8Array(TEST_BYTES).fill(0x6b));
    await file.sync();
    return performance.now() - started;
  } finally {
    await file.close();
    await unlink(path);
  }
}

function gibibytes(bytes: number): string {
  const value = bytes / 2 ** 30;
  return value >= 10 ? value.toFixed(0) : value.toFixed(2);
}
