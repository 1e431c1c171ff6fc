/** Any byte of a journal changed, dropped, inserted or put elsewhere is found, and the file is named. */
import { afterAll, expect, test } from "bun:test";
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { auditJournal } from "../../src/journal/audit.ts";
import { RECORD } from "../../src/journal/record.ts";
import { JournalWriter } from "../../src/journal/writer.ts";

const root = mkdtempSync(join(tmpdir(), "keel-mutation-"));
afterAll(() => rmSync(root, { recursive: true, force: true }));

test("every byte, at every border of files and in every checkpoint", async () => {
  const directory = join(root, "journal");
  const writer = await JournalWriter.open({
    ...{ directory, runId: "20260101T000000.000000Z-1", segmentBytes: 900, checkpointMs: 1 },
  });
  writer.text(RECORD.start, 0, 1, "{}");
  for (let i = 0; i < 24; i += 1) {
    writer.text(RECORD.feedFrame, 0, i + 2, `frame ${i}`.padEnd(20 + i, "."));
    if (i % 8 === 0) await Bun.sleep(20);
  }
  writer.text(RECORD.end, 0, 99, "{}");
  await writer.close();
  const untouched = auditJournal(directory, { checker: null, expected: null });
  expect(untouched.ok).toBeTrue();
  expect(untouched.runs[0]?.checkpoints).toBeGreaterThan(3);
  const expected = untouched.head;
  const names = readdirSync(directory).sort();
  expect(names.length).toBeGreaterThan(2);
  let tried = 0;
  const missed: string[] = [];
  const misplaced: string[] = [];
  for (const [at, name] of names.entries()) {
    const path = join(directory, name);
    const whole = readFileSync(path);
    const attempt = (what: string, bytes: Buffer): void => {
      tried += 1;
      writeFileSync(path, bytes);
      const { ok, problems } = auditJournal(directory, { checker: null, expected });
      if (ok) missed.push(`${what} in ${name}`);
      const near = [name, names[at + 1] ?? name];
      // What has lost its end is told of the run, by the digest that somebody else kept.
      const named = problems.some(({ file }) => file === null || near.some((one) => file.endsWith(one)));
      if (!ok && !named) misplaced.push(`${what} in ${name}: ${JSON.stringify(problems)}`);
    };
    for (let byte = 0; byte < whole.length; byte += 1) {
      const changed = Buffer.from(whole);
      changed[byte] ^= 1 << (byte % 8);
      attempt(`byte ${byte} changed`, changed);
      if (byte % 3 !== 0 && byte > 8 && byte < whole.length - 8) continue;
      attempt(`byte ${byte} dropped`, Buffer.concat([whole.subarray(0, byte), whole.subarray(byte + 1)]));
      attempt(
        `byte before ${byte} inserted`,
        Buffer.concat([whole.subarray(0, byte), Buffer.from([0x5a]), whole.subarray(byte)]),
      );
      if (byte === 0 || whole[byte] === whole[byte - 1]) continue;
      const swapped = Buffer.from(whole);
      [swapped[byte - 1], swapped[byte]] = [whole[byte] ?? 0, whole[byte - 1] ?? 0];
      attempt(`bytes ${byte - 1} and ${byte} exchanged`, swapped);
    }
    attempt("a byte behind the end", Buffer.concat([whole, Buffer.from([0])]));
    writeFileSync(path, whole);
  }
  expect(missed).toEqual([]);
  expect(misplaced).toEqual([]);
  expect(tried).toBeGreaterThan(3_000);
  expect(auditJournal(directory, { checker: null, expected }).ok).toBeTrue();
});
