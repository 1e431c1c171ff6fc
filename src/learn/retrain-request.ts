import { existsSync, readFileSync, renameSync, rmSync } from "node:fs";
import { join } from "node:path";
import { z } from "zod";

/** In the state directory; `keel-retrain.path` waits for it. */
const RETRAIN_REQUEST_FILE = "retrain-request.json";

const request = z.object({
  timeUs: z.number(),
  underlying: z.string(),
  causes: z.array(z.string()),
  model: z.string(),
});

/** Why a desk asks for a retraining. */
export type RetrainRequest = z.infer<typeof request>;

/** Leaves a request for the next `keel retrain`; one that stands there already is replaced. Never holds up the caller. */
export async function requestRetrain(stateDir: string, asked: RetrainRequest): Promise<void> {
  const path = join(stateDir, RETRAIN_REQUEST_FILE);
  await Bun.write(`${path}.new`, `${JSON.stringify(asked)}\n`);
  renameSync(`${path}.new`, path);
}

/** Takes the request away, so that it is answered once. @returns null where there is none, or none that can be read */
export function takeRetrainRequest(stateDir: string): RetrainRequest | null {
  const path = join(stateDir, RETRAIN_REQUEST_FILE);
  if (!existsSync(path)) return null;
  const text = readFileSync(path, "utf8");
  rmSync(path);
  try {
    return request.parse(JSON.parse(text));
  } catch {
    return null;
  }
}
