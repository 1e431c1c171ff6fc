import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Histogram } from "../../src/core/histogram.ts";
import { RECORD } from "../../src/journal/record.ts";
import { JournalWriter } from "../../src/journal/writer.ts";

export interface JournalBenchOptions {
  /** Records of each size. */
  readonly records: number;
}

/** Time of one call as the desk's thread sees it; `floor` is the same text encoded into a buffer and nothing else. */
export interface JournalBenchRow {
  readonly name: string;
  readonly unit: "ns";
  readonly n: number;
  readonly p50: number;
  readonly p99: number;
  readonly p999: number;
}

/** The clock is read once for this many records. */
const GROUP = 16;
/** The journal's thread is let catch up (not timed) when this much waits for it. */
const BACKLOG_BYTES_MAX = 4 * 1024 * 1024;
const SIZES: readonly [string, number][] = [
  ["300", 300],
  ["20k", 20_000],
];

/** Times `JournalWriter.text` beside bare encoding, in turn. */
export async function benchJournal({ records }: JournalBenchOptions): Promise<JournalBenchRow[]> {
  const directory = mkdtempSync(join(tmpdir(), "keel-journal-bench-"));
  const rows: JournalBenchRow[] = [];
  const writer = await JournalWriter.open({ directory, runId: "bench", fsync: "never" });
  try {
    for (const [label, length] of SIZES) {
      const text = '{"p":"61800.20"},'.repeat(Math.ceil(length / 17)).slice(0, length);
      const scratch = Buffer.alloc(BACKLOG_BYTES_MAX);
      const journal = new Histogram();
      const floor = new Histogram();
      const groups = Math.ceil(records / GROUP);
      let at = 0;
      for (let group = -Math.min(200, groups); group < groups; group += 1) {
        while (writer.backlogBytes > BACKLOG_BYTES_MAX) await Bun.sleep(1);
        const startNs = Bun.nanoseconds();
        for (let i = 0; i < GROUP; i += 1) writer.text(RECORD.feedFrame, 0, group, text);
        const middleNs = Bun.nanoseconds();
        for (let i = 0; i < GROUP; i += 1) {
          if (at + length * 3 > scratch.length) at = 0;
          at += scratch.write(text, at, length * 3, "utf8");
        }
        const endNs = Bun.nanoseconds();
        if (group < 0) continue;
        journal.record((middleNs - startNs) / GROUP);
        floor.record((endNs - middleNs) / GROUP);
      }
      rows.push(row(`journal/text/${label}`, journal, groups * GROUP));
      rows.push(row(`journal/floor/${label}`, floor, groups * GROUP));
    }
    const { dropped } = await writer.close();
    if (dropped > 0) throw new Error(`${dropped} records were dropped: the figures are too good`);
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
  return rows;
}

function row(name: string, histogram: Histogram, n: number): JournalBenchRow {
  const [p50, p99, p999] = [0.5, 0.99, 0.999].map((q) => histogram.quantile(q));
  return { name, unit: "ns", n, p50, p99, p999 };
}

if (import.meta.main) {
  for (const { name, n, p50, p99, p999 } of await benchJournal({ records: 100_000 })) {
    const figures = [p50, p99, p999].map((ns) => ns.toFixed(0).padStart(8)).join("");
    console.log(`${name.padEnd(18)} n ${n}  p50 p99 p99.9 (ns)${figures}`);
  }
}
