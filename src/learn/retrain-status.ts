import { renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { z } from "zod";

/** In the state directory: how the latest `keel retrain` ended. */
const RETRAIN_STATUS_FILE = "retrain.json";

const status = z.object({
  /** Folder of the run; of all runs where it failed before one began. */
  run: z.string(),
  endedMs: z.number(),
  /** `refused`: a candidate was trained and did not keep the gate. */
  result: z.enum(["registered", "refused", "failed"]),
  /** The step that it ended in. */
  step: z.string(),
  /** Version that came of it; null where none did. */
  version: z.string().nullable(),
  why: z.string(),
});

/** How a retraining ended. */
export type RetrainStatus = z.infer<typeof status>;

export function writeRetrainStatus(stateDir: string, ended: RetrainStatus): void {
  const path = join(stateDir, RETRAIN_STATUS_FILE);
  writeFileSync(`${path}.new`, `${JSON.stringify(ended)}\n`);
  renameSync(`${path}.new`, path);
}

/** @returns null where there is none, or none that can be read */
export async function readRetrainStatus(stateDir: string): Promise<RetrainStatus | null> {
  try {
    return status.parse(await Bun.file(join(stateDir, RETRAIN_STATUS_FILE)).json());
  } catch {
    return null;
  }
}
