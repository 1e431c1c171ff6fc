import { mkdirSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import packageJson from "../../../package.json";
import { BadInputError } from "../../core/errors.ts";
import { JournalReader } from "../../journal/reader.ts";
import { readOutcomes } from "../../learn/outcomes/file.ts";
import { journalOutcomes } from "../../learn/outcomes/journal.ts";
import type { OutcomeRows, OutcomeTable } from "../../learn/outcomes/table.ts";
import { ExecutionDay, type ExecutionReport } from "../../learn/report/execution.ts";
import { executionPage } from "../../learn/report/execution-page.ts";
import { engineForReplay } from "../../live/replay-engine.ts";

/** Days of one report run; more are refused. */
const DAYS_MAX = 400;

export interface ReportSource {
  /** A folder of outcomes. */
  readonly outcomes: string | undefined;
  /** A journal's folder, whose run is followed anew. */
  readonly journal: string | undefined;
  readonly run: string | undefined;
  readonly fromUs: number;
  readonly toUs: number;
}

export interface WrittenReport {
  readonly day: string;
  readonly html: string;
  readonly json: string;
  readonly fills: number;
  readonly report: ExecutionReport;
}

/** Reads outcomes, day by day. @throws BadInputError when there are none in the time asked for */
export async function executionReports(
  source: ReportSource,
  warn: (line: string) => void,
): Promise<ExecutionReport[]> {
  const days = new Map<string, ExecutionDay>();
  const take = <T extends OutcomeTable>(table: T, row: OutcomeRows[T]): void => {
    if (row.time_us < source.fromUs || row.time_us >= source.toUs) return;
    const name = new Date(row.time_us / 1_000).toISOString().slice(0, 10);
    let day = days.get(name);
    if (day === undefined) {
      if (days.size === DAYS_MAX)
        throw new BadInputError("report", `more than ${DAYS_MAX} days`, "--from and --to");
      day = new ExecutionDay(name);
      days.set(name, day);
    }
    day.outcome(table, row);
  };
  if (source.journal !== undefined) {
    const reader = new JournalReader(source.journal, source.run);
    await journalOutcomes(reader, (start) => engineForReplay(start, undefined, { info: () => {}, warn }), {
      outcome: take,
    });
    if (reader.damage !== null)
      warn(`${reader.damage.file}: ${reader.damage.reason}; what is before it was used`);
  } else {
    for (const { file, damage } of readOutcomes(source.outcomes ?? "", take)) {
      if (damage !== null) warn(`${file}: ${damage}; what is before it was used`);
    }
  }
  if (days.size === 0) {
    const where = source.journal ?? source.outcomes ?? "";
    throw new BadInputError(where, "no outcome in what was asked for", "another time");
  }
  return [...days.values()].sort((a, b) => (a.day < b.day ? -1 : 1)).map((day) => day.report());
}

/** Writes `execution-DAY.html` and `.json`, each at once or not at all. */
export function writeReports(reports: readonly ExecutionReport[], directory: string): WrittenReport[] {
  mkdirSync(directory, { recursive: true });
  return reports.map((report) => {
    const html = join(directory, `execution-${report.day}.html`);
    const json = join(directory, `execution-${report.day}.json`);
    write(html, executionPage(report, `keel ${packageJson.version}`));
    write(json, `${JSON.stringify(report, (_key, value) => (Number.isNaN(value) ? null : value), 1)}\n`);
    return { day: report.day, html, json, fills: report.all.fills, report };
  });
}

function write(path: string, text: string): void {
  const partial = `${path}.part`;
  writeFileSync(partial, text);
  renameSync(partial, path);
}
