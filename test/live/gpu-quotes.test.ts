import { beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { skipUnlessShared } from "../support/shared-data.ts";
import { skipUnlessSoftwareGpu } from "../support/software-gpu.ts";
import { CAPTURE, compareQuotes, type QuoteComparison, summary } from "./gpu-quotes.ts";

setDefaultTimeout(120_000);

const LINES = 1_000;
/** What the two engines' arithmetic may move a probability by in so short a run. */
const TOLERANCE = 1e-5;

describe.skipIf(skipUnlessSoftwareGpu() || skipUnlessShared(CAPTURE))("a capture on cpu and on a GPU", () => {
  let found: QuoteComparison;
  beforeAll(async () => {
    found = await compareQuotes(LINES, TOLERANCE);
    console.log(summary(found));
  });

  test("gives the same probabilities", () => {
    expect(found.predictions).toBeGreaterThan(900);
    expect(found.worst).toBeLessThan(TOLERANCE);
  });

  test("gives the same quotes, but where rounding or a threshold explains another", () => {
    expect(found.decisions).toBeGreaterThan(10);
    expect(found.unexplained).toEqual([]);
    expect(found.atTheEdge + found.atAThreshold).toBeLessThan(found.decisions / 10);
  });

  test("tells the age of the state behind each quote", () => {
    const { cpu, gpu } = found;
    expect(gpu.desk.freshness.count).toBeGreaterThan(0);
    expect(gpu.desk.freshness.count).toBe(cpu.desk.freshness.count);
  });
});
