import { readdirSync, statSync } from "node:fs";
import { BadInputError } from "../../core/errors.ts";
import { captureFiles } from "../../feed/capture.ts";
import { parseSegmentName } from "../../journal/format.ts";
import { journalRuns } from "../../journal/reader.ts";
import type { RunStart } from "../../journal/run-start.ts";
import { journalSource } from "../../learn/dataset/journal-rows.ts";
import type { RowSource } from "../../learn/dataset/row.ts";
import { rowsSince } from "../../learn/dataset/since.ts";
import { engineForReplay } from "../../live/replay-engine.ts";
import { UsageError } from "../command.ts";
import { timeOf } from "../report/time.ts";
import { captureSource } from "./capture-rows.ts";

/** What of the sources is taken. */
export interface Selection {
  /** Of a journal; the latest run, or with `sinceUs` every run that was written since then, when left out. */
  readonly run: string | undefined;
  /** Local time of the first row that counts; all rows do when it is null. */
  readonly sinceUs: number | null;
}

/**
 * What the paths given hold: captures and journals. With a time, files that were last written before it are not even read: what a recorder
 * receives it writes later.
 *
 * @throws BadInputError when one is neither, or nothing is as new as asked for
 */
export async function rowSources(
  paths: readonly string[],
  { run, sinceUs }: Selection,
  warn: (line: string) => void,
): Promise<RowSource[]> {
  const sources: RowSource[] = [];
  const isNew = (files: readonly string[]): boolean =>
    sinceUs === null || files.some((file) => statSync(file).mtimeMs * 1_000 >= sinceUs);
  for (const path of paths) {
    const isFolder = statSync(path, { throwIfNoEntry: false })?.isDirectory() === true;
    if (isFolder && readdirSync(path).some((name) => parseSegmentName(name) !== null)) {
      const isAll = run === undefined && sinceUs !== null;
      const recent = isAll ? journalRuns(path).filter(({ files }) => isNew(files)) : [];
      for (const runId of isAll ? recent.map((one) => one.runId) : [run])
        sources.push(await journalSource(path, runId, (start) => hostEngine(start, warn)));
    } else {
      const files = captureFiles(path);
      if (isNew(files)) sources.push(await captureSource(files));
    }
  }
  if (sinceUs === null) return sources;
  if (sources.length === 0) {
    const expected = `a recording that was written since ${new Date(sinceUs / 1_000).toISOString()}`;
    throw new BadInputError(paths.join(", "), "nothing as new as that", expected);
  }
  return sources.map((source) => rowsSince(source, sinceUs));
}

const DAY_US = 86_400_000_000;

/**
 * Where `--since TIME` or `--max-age DAYS` begins, µs; an age counts from the beginning of today (UTC), so that a job that is run again
 * on the same day selects the same.
 *
 * @returns null where neither is given
 * @throws UsageError when both are
 */
export function sinceOf(
  since: string | undefined,
  maxAgeDays: number | undefined,
  nowMs: number,
): number | null {
  if (since !== undefined && maxAgeDays !== undefined)
    throw new UsageError("--since and --max-age exclude each other");
  if (since !== undefined) return timeOf("--since", since);
  if (maxAgeDays === undefined) return null;
  return Math.floor((nowMs * 1_000) / DAY_US) * DAY_US - maxAgeDays * DAY_US;
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
