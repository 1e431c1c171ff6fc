import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { gunzipSync } from "node:zlib";

const FOLDER = join(import.meta.dir, "../../../shared/data");

/** The lines of a recorded file, or null, said aloud once, when the optional data folder is not there. */
export function sharedLines(name: string): string[] | null {
  const path = join(FOLDER, name);
  if (!existsSync(path)) {
    console.warn(`skipped: ../shared/data/${name} is not there`);
    return null;
  }
  return gunzipSync(readFileSync(path)).toString("utf8").split("\n");
}
