import { readFileSync } from "node:fs";
import { gunzipSync } from "node:zlib";
import { sharedPath, skipUnlessShared } from "../support/shared-data.ts";

/** The lines of a recorded file, or null when the optional data folder is not there; whoever wants them skips, and says so, by `skipUnlessShared`. */
export function sharedLines(name: string): string[] | null {
  const file = `data/${name}`;
  if (skipUnlessShared(file)) return null;
  return gunzipSync(readFileSync(sharedPath(file)))
    .toString("utf8")
    .split("\n");
}
