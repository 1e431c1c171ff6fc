import { afterAll, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { auditJournal } from "../../src/journal/audit.ts";
import { RECORD } from "../../src/journal/record.ts";
import { JournalWriter } from "../../src/journal/writer.ts";

const root = mkdtempSync(join(tmpdir(), "keel-folder-lock-"));
afterAll(() => rmSync(root, { recursive: true, force: true }));

const RUNS = ["20260101T000000.000000Z-1", "20260101T000001.000000Z-2", "20260101T000002.000000Z-3"] as const;

async function run(directory: string, runId: string): Promise<JournalWriter> {
  const writer = await JournalWriter.open({ directory, runId });
  writer.text(RECORD.start, 0, 1, "{}");
  return writer;
}

test("a second process is refused a journal's folder by the number of the first, and has it after that has ended", async () => {
  const directory = join(root, "shared");
  const first = await run(directory, RUNS[0]);
  expect(run(directory, RUNS[1])).rejects.toThrow(`process ${process.pid} writes there`);
  first.text(RECORD.end, 0, 2, "{}");
  await first.close();
  const next = await run(directory, RUNS[2]);
  next.text(RECORD.end, 0, 3, "{}");
  await next.close();
  const { ok, runs, problems } = auditJournal(directory, { trusted: null, expected: null });
  expect(problems).toEqual([]);
  expect([ok, runs.length]).toEqual([true, 2]);
});

test("a process that was killed leaves the folder to the next one", async () => {
  const directory = join(root, "killed");
  const code = `
    const { JournalWriter } = await import(${JSON.stringify(join(import.meta.dir, "../../src/journal/writer.ts"))});
    await JournalWriter.open({ directory: ${JSON.stringify(directory)}, runId: ${JSON.stringify(RUNS[0])} });
    console.log("open");
    setInterval(() => {}, 1_000);
  `;
  const child = Bun.spawn([process.execPath, "-e", code], { stdout: "pipe", stderr: "inherit" });
  await child.stdout.getReader().read();
  expect(run(directory, RUNS[1])).rejects.toThrow(`process ${child.pid} writes there`);
  child.kill("SIGKILL");
  await child.exited;
  await (await run(directory, RUNS[2])).close();
});
