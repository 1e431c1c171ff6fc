import { readdirSync, statSync } from "node:fs";
import { captureFiles } from "../../feed/capture.ts";
import { parseSegmentName } from "../../journal/format.ts";
import type { RunStart } from "../../journal/run-start.ts";
import { journalSource } from "../../learn/dataset/journal-rows.ts";
import type { RowSource } from "../../learn/dataset/row.ts";
import { engineForReplay } from "../../live/replay-engine.ts";
import { UsageError } from "../command.ts";
import { captureSource } from "./capture-rows.ts";

/** What the paths given hold: captures and journals. @throws BadInputError when one is neither */
export async function rowSources(
  paths: readonly string[],
  run: string | undefined,
  warn: (line: string) => void,
): Promise<RowSource[]> {
  const sources: RowSource[] = [];
  for (const path of paths) {
    const isFolder = statSync(path, { throwIfNoEntry: false })?.isDirectory() === true;
    const isJournal = isFolder && readdirSync(path).some((name) => parseSegmentName(name) !== null);
    sources.push(
      isJournal
        ? await journalSource(path, run, (start) => hostEngine(start, warn))
        : await captureSource(captureFiles(path)),
    );
  }
  return sources;
}

/** The recorded engine, or the cpu engine in place of one that makes its features on a GPU, where they cannot be seen. */
async function hostEngine(start: RunStart, warn: (line: string) => void) {
  const lines = { info: () => {}, warn };
  const engine = await engineForReplay(start, undefined, lines);
  if (engine?.featureSource === undefined) return engine;
  await engine.dispose();
  return engineForReplay(start, "cpu", lines);
}

/** `train=0.7,test=0.3` → names and shares. @throws UsageError when that is none, or the shares do not add up to 1 */
export function splitsOf(text: string): (readonly [name: string, share: number])[] {
  const splits = text.split(",").map((part) => {
    const [, name, share] = /^([a-z][a-z0-9-]*)=(0?\.\d+|1|1\.0*)$/.exec(part) ?? [];
    if (name === undefined)
      throw new UsageError(`--split: found ${JSON.stringify(part)}, expected NAME=SHARE, as train=0.7`);
    return [name, Number(share)] as const;
  });
  const sum = splits.reduce((total, [, share]) => total + share, 0);
  if (Math.abs(sum - 1) > 1e-9) throw new UsageError(`--split: the shares add up to ${sum}, expected 1`);
  if (new Set(splits.map(([name]) => name)).size < splits.length)
    throw new UsageError("--split: a name is given twice");
  return splits;
}
