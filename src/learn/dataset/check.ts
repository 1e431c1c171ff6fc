import { existsSync } from "node:fs";
import { basename, join, resolve } from "node:path";
import { leakCuts, truncatedDiffers } from "./leakage.ts";
import { type DatasetManifest, datasetName, readManifest } from "./manifest.ts";
import { digestOf } from "./part.ts";
import type { RowSource } from "./row.ts";
import type { FindingKind } from "./validation.ts";

/** Findings with which nothing should be trained. */
const GRAVE: readonly FindingKind[] = ["leak", "leak-suspected", "not-finite", "clock-back"];

export interface DatasetCheck {
  readonly manifest: DatasetManifest;
  /** What is wrong; empty when the dataset is as it was built and may be trained on. */
  readonly problems: readonly string[];
  /** What should be known of it. */
  readonly remarks: readonly string[];
  /** Sources that were played again. */
  readonly reproduced: number;
}

/**
 * Holds a dataset to its digests, its splits to their rule and its validation to what may be trained on. Given its sources again, shows
 * that their features come out the same without what came after them.
 *
 * @throws BadInputError when there is no manifest, or it is not what its digest says
 */
export async function checkDataset(folder: string, sources: readonly RowSource[]): Promise<DatasetCheck> {
  const manifest = readManifest(folder);
  const problems: string[] = [];
  const remarks: string[] = [];
  const name = datasetName(manifest.digest);
  if (basename(resolve(folder)) !== name)
    problems.push(`the folder is called ${basename(resolve(folder))}, its digest says ${name}`);
  for (const part of manifest.parts) {
    for (const file of [part.file, ...part.outcomes.map((outcome) => outcome.file)]) {
      const path = join(folder, file.name);
      if (!existsSync(path)) problems.push(`${file.name} is missing`);
      else if ((await digestOf(path)).sha256 !== file.sha256)
        problems.push(`${file.name} is not what it was: SHA-256 differs`);
    }
    for (const [kind, count] of Object.entries(part.validation.counts)) {
      if (count === 0) continue;
      const first = part.validation.findings.find((finding) => finding.kind === kind);
      const text = `${part.source}: ${count} × ${kind}${first === undefined ? "" : `, first: ${first.detail}`}`;
      (GRAVE.includes(kind as FindingKind) ? problems : remarks).push(text);
    }
    if (!part.leakChecked) remarks.push(`${part.source}: no leak check was made`);
  }
  problems.push(...outcomeProblems(manifest), ...splitProblems(manifest));
  let reproduced = 0;
  for (const source of sources) {
    const part = manifest.parts.find(({ sources: of }) => Bun.deepEquals(of, source.files));
    if (part === undefined) {
      problems.push(`${source.name} is no source of the dataset, or not what it was`);
      continue;
    }
    for (const hash of leakCuts(part.hashes)) {
      const difference = await truncatedDiffers(source, hash);
      if (difference !== null) problems.push(`${source.name}: ${difference}`);
    }
    reproduced += 1;
  }
  return { manifest, problems, remarks, reproduced };
}

/** Of a short source an outcome may never come; of all of them it must, and its opposite. */
function outcomeProblems({ heads, parts, rows }: DatasetManifest): string[] {
  return heads.flatMap((head) => {
    const came = parts.reduce((sum, part) => sum + (part.validation.baseRates[head] ?? 0) * part.rows, 0);
    if (Math.round(came) > 0 && Math.round(came) < rows) return [];
    return [`${head} ${came > 0 ? "always" : "never"} comes in ${rows} rows`];
  });
}

function splitProblems({ splits: { ranges, horizonUs, embargoUs } }: DatasetManifest): string[] {
  return ranges.flatMap((range, at) => {
    const before = ranges[at - 1];
    if (before === undefined) return [];
    const apartUs = range.fromUs - before.toUs;
    return apartUs > Math.max(horizonUs, embargoUs)
      ? []
      : [
          `${range.name} begins ${apartUs} µs after ${before.name}: less than the labels' horizon and the embargo`,
        ];
  });
}
