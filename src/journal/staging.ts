import { existsSync, renameSync, rmSync } from "node:fs";
import { join } from "node:path";
import { z } from "zod";
import { segmentFiles } from "./chain.ts";
import { isTimedRunId } from "./format.ts";
import { JournalReader, journalRuns } from "./reader.ts";
import { RECORD } from "./record.ts";

/**
 * Folder in a journal's own in which a run lies that was begun beside another one, until it takes that one's place. What never does is no
 * part of the chain: everything that happened is in the other one's.
 */
export const STAGING = "handover";

const link = z.object({ run: z.string().nullable(), digest: z.string().nullable() });
export type RunLink = z.infer<typeof link>;

/** What a `link` record tells; null when it cannot be read. */
export function linkOf(payload: Uint8Array): RunLink | null {
  try {
    return link.safeParse(JSON.parse(Buffer.from(payload).toString("utf8"))).data ?? null;
  } catch {
    return null;
  }
}

/**
 * What a process left that ended while it took another one's place: a run that had got as far as to be linked is put into the
 * folder, others are removed.
 */
export function recoverStaged(directory: string): void {
  const staging = join(directory, STAGING);
  if (!existsSync(staging)) return;
  const linked = new Set(
    journalRuns(staging).flatMap(({ runId }) => (isLinked(staging, runId) ? [runId] : [])),
  );
  for (const { runId, path } of segmentFiles(staging)) {
    if (linked.has(runId)) renameSync(path, join(directory, path.slice(staging.length + 1)));
    else rmSync(path);
  }
}

/**
 * The last run id of a folder that names a time, runs that were begun beside another one included; empty where there is none, or where the
 * folder cannot be read, which who writes there will say.
 */
export function lastRunId(directory: string): string {
  return (
    [directory, join(directory, STAGING)]
      .flatMap((folder) => {
        try {
          return journalRuns(folder);
        } catch {
          return [];
        }
      })
      .map(({ runId }) => runId)
      .filter(isTimedRunId)
      .sort()
      .at(-1) ?? ""
  );
}

function isLinked(staging: string, runId: string): boolean {
  for (const { type } of new JournalReader(staging, runId, true).records()) {
    if (type === RECORD.link) return true;
  }
  return false;
}
