import type { DatasetManifest } from "../../learn/dataset/manifest.ts";
import { thinningLine } from "../../learn/dataset/thinning.ts";

/** A dataset for people. */
export function datasetLines(folder: string, manifest: DatasetManifest): string[] {
  const { digest, code, schemaHash, rows, fromUs, toUs, parts, splits } = manifest;
  const lines = [
    `${folder}: ${rows} rows, ${iso(fromUs)} to ${iso(toUs)}`,
    `  digest ${digest}, features ${schemaHash}, keel ${code.keel}${code.commit === null ? "" : ` ${code.commit}`}`,
  ];
  if (code.label !== "") lines.push(`  ${code.label}`);
  if (manifest.thinning !== undefined) lines.push(`  ${thinningLine(manifest.thinning)}`);
  for (const { name, fromUs: from, toUs: to } of splits.ranges)
    lines.push(`  ${name}: ${iso(from)} to ${iso(to)}`);
  for (const part of parts) {
    const { validation } = part;
    lines.push(
      `  ${part.kind} ${part.source}: ${part.rows} rows of ${part.instruments.join(", ")}, ${part.unlabelled} without labels, ` +
        `longest gap ${validation.longestGapMs.toFixed(0)} ms`,
    );
    const rates = Object.entries(validation.baseRates).map(
      ([head, rate]) => `${head} ${rate?.toFixed(4) ?? "–"}`,
    );
    lines.push(`    base rates ${rates.join(", ")}`);
    const found = Object.entries(validation.counts).filter(([, count]) => count > 0);
    if (found.length > 0) lines.push(`    ${found.map(([kind, count]) => `${count} × ${kind}`).join(", ")}`);
    for (const { table, rows: count } of part.outcomes) lines.push(`    ${count} outcomes of kind ${table}`);
  }
  return lines;
}

function iso(timeUs: number): string {
  return new Date(timeUs / 1_000).toISOString();
}
