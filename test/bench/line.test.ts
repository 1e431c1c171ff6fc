import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { runBookBench } from "../../src/bench/book.ts";
import { runIngestBench } from "../../src/bench/ingest.ts";
import { simulatedCapture } from "../../src/bench/input.ts";
import type { BenchReport } from "../../src/bench/report.ts";
import { benchTable } from "../../src/bench/report.ts";
import { runTickBench } from "../../src/bench/tick.ts";
import { runWireBench } from "../../src/bench/wire.ts";
import { allowedCpus } from "../../src/core/threads.ts";

setDefaultTimeout(120_000);

const cpus = allowedCpus(process.pid);

/** The benchmarks of the line, small, so that they cannot rot. Their figures are not judged here. */
describe("benchmarks of the line", () => {
  let folder = "";
  let capture = "";

  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), "keel-bench-test-"));
    capture = join(folder, "simulated.txt");
    writeFileSync(capture, simulatedCapture(1, 5));
  });

  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  function expectSound(report: BenchReport, rows: readonly string[], ratios: readonly string[]): void {
    for (const name of rows) {
      const row = report.rows.find((candidate) => candidate.name === name);
      expect(row?.n).toBeGreaterThan(0);
      expect(row?.p50).toBeLessThanOrEqual(row?.p99 ?? 0);
      expect(row?.p99).toBeLessThanOrEqual(row?.max ?? 0);
    }
    for (const name of ratios) {
      expect(report.ratios.find((candidate) => candidate.name === name)?.value).toBeGreaterThan(0);
    }
    expect(benchTable(report).length).toBeGreaterThan(rows.length);
  }

  test("the simulated input is the same for the same seed", () => {
    expect(simulatedCapture(4, 1)).toBe(simulatedCapture(4, 1));
    expect(simulatedCapture(4, 1)).not.toBe(simulatedCapture(5, 1));
  });

  test("book", async () => {
    const report = await runBookBench({ capture, seed: 1, rounds: 1 });
    expectSound(report, ["book/update", "book/map"], ["book/map:update"]);
  });

  test("ingest, the same at the end every time", async () => {
    const report = await runIngestBench({ capture, seed: 1, rounds: 1 });
    expectSound(
      report,
      [
        ...["ingest/keel", "ingest/keel-decode", "ingest/keel-feed", "ingest/keel-book", "ingest/json-parse"],
        ...["ingest/flood/receive", "ingest/flood/keel"],
      ],
      ["ingest/json-parse:keel", "ingest/json-parse:keel-decode", "ingest/flood/keel:receive/wall"],
    );
    expect(report.rows[0]?.heapAfter).toBeGreaterThan(0);
    expect((await runIngestBench({ capture, seed: 1, rounds: 1 })).checksum).toBe(report.checksum);
  });

  test("tick gives every stage, and the same decisions every time", async () => {
    const options = { capture, seed: 1, rounds: 1, log: () => {} };
    const report = await runTickBench(options);
    const stages = ["decode", "book", "feature", "inference", "quote", "risk", "encode", "total"];
    expectSound(
      report,
      stages.map((stage) => `tick/${stage}`),
      [],
    );
    // Without a native library a busy host may have another model chosen, by the time of its step.
    const chosen = ({ notes }: typeof report) =>
      notes.map((note) => /^engine \w+, model \S+/.exec(note)?.[0]).join("");
    let again = await runTickBench(options);
    for (let tries = 0; tries < 5 && chosen(again) !== chosen(report); tries += 1)
      again = await runTickBench(options);
    expect(again.checksum).toBe(report.checksum);
  });

  test("wire answers frames over real sockets, beside the relay", async () => {
    const report = await runWireBench({
      seed: 1,
      rounds: 1,
      framesPerRound: 400,
      perSecond: 1_000,
      warmUpMs: 2_500,
      spin: true,
    });
    const paths = cpus.length > 1 ? ["wire", "wire/spin"] : ["wire"];
    expectSound(
      report,
      paths.flatMap((path) => [`${path}/keel`, `${path}/relay`]),
      paths.flatMap((path) => [`${path}/keel:relay`, `${path}/keel:relay/p99`]),
    );
    expect(allowedCpus(process.pid)).toEqual(cpus);
  });
});
