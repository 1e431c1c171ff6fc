import type { DecodedInfo, FileInfo } from "./info.ts";
import type { Missing } from "./pack.ts";

const INSTRUMENTS_SHOWN = 20;

/** `keel capture info` for people. */
export function infoLines(
  files: readonly FileInfo[],
  decoded: DecodedInfo | null,
  undecodable: string | null,
): string[] {
  const lines = files.flatMap(fileLines);
  if (undecodable !== null) lines.push(`not decoded: ${undecodable}`);
  if (decoded === null) return lines;
  const { venue, instruments, gaps, checksums, unparsable, reconnects, resyncs, problem } = decoded;
  lines.push(
    `${venue}: ${instruments.length} instruments, ${gaps} gaps, ${checksums} checksums wrong, ${unparsable} frames unparsable, ` +
      `${reconnects} reconnects, ${resyncs} resyncs`,
  );
  for (const { symbol, bookSnapshots, bookDeltas, tops, trades, tickers } of instruments.slice(
    0,
    INSTRUMENTS_SHOWN,
  )) {
    lines.push(
      `  ${symbol}: ${bookSnapshots} book snapshots, ${bookDeltas} deltas, ${tops} tops, ${trades} trades, ${tickers} tickers`,
    );
  }
  if (instruments.length > INSTRUMENTS_SHOWN)
    lines.push(`  and ${instruments.length - INSTRUMENTS_SHOWN} more`);
  if (problem !== "") lines.push(`  last problem: ${problem}`);
  return lines;
}

/** What `keel capture cut` and `convert` could not take over, for people. */
export function missingLines(missing: readonly Missing[]): string[] {
  return missing.flatMap(({ file, lines, blocks, problems, truncated }) => {
    const told = problems.map((problem) => `  ${problem}`);
    if (lines + blocks > 0) {
      told.unshift(`${file}: left out ${lines} damaged lines and ${blocks} damaged blocks`);
      const more = lines + blocks - problems.length;
      if (more > 0) told.push(`  and ${more} more`);
    }
    return truncated === null ? told : [...told, `${file}: the end is missing: ${truncated}`];
  });
}

function fileLines(info: FileInfo): string[] {
  const { file, packing, format, bytes, textBytes, entries, frames, lost, firstUs, lastUs, about } = info;
  const lines = [`${file}: ${format ?? "nothing"}, ${packing}, ${bytes} bytes of ${textBytes} characters`];
  if (about !== null) lines.push(`  recorded ${JSON.stringify(about)}`);
  if (firstUs !== null && lastUs !== null) {
    const seconds = ((lastUs - firstUs) / 1e6).toFixed(3);
    lines.push(
      `  ${iso(firstUs)} to ${iso(lastUs)}, ${seconds} s, longest silence ${info.longestSilenceMs.toFixed(0)} ms`,
    );
  }
  lines.push(
    `  ${entries} entries: ${frames} frames, ${info.connects} connects, ${info.disconnects} disconnects, ` +
      `${info.httpAnswers} HTTP answers, ${lost} lost`,
  );
  if (info.skipped > 0) lines.push(`  ${info.skipped} lines are not of the layout`);
  if (info.damagedBlocks > 0) lines.push(`  ${info.damagedBlocks} blocks are damaged`);
  for (const problem of info.problems) lines.push(`  ${problem}`);
  if (info.truncated !== null) lines.push(`  the end is missing: ${info.truncated}`);
  return lines;
}

function iso(timeUs: number): string {
  return new Date(timeUs / 1_000).toISOString();
}
