import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { loadConfig } from "../../src/config.ts";
import { FEATURE_COUNT, SCHEMA_HASH } from "../../src/feature/schema.ts";
import { loadModel } from "../../src/inference/model.ts";
import { startEngine } from "../../src/inference/registry.ts";
import { sharedPath, skipUnlessShared } from "../support/shared-data.ts";
import { SOFTWARE_ENGINES, skipUnlessSoftwareGpu } from "../support/software-gpu.ts";
import { type CaptureRun, captureHead, deskOnCapture, type TimedDecision } from "./desk-on-capture.ts";

setDefaultTimeout(120_000);

const CAPTURE = "data/binance/usdm-btcusdt-20240808.gz";
const LINES = 1_000;
const SLOTS = 16;
/** What the two engines' arithmetic may move a probability by. */
const TOLERANCE = 1e-5;

const { quote } = loadConfig({});
const THRESHOLDS = [quote.neutralMove, quote.neutralWithdrawal, quote.neutralVolatility];

const nearThreshold = ({ probabilities }: TimedDecision): boolean =>
  probabilities.some((p) => THRESHOLDS.some((threshold) => Math.abs(p - threshold) <= TOLERANCE));

/** The same quotes up to the last tick and lot: an unrounded price or size lies at the edge of two. */
function rounded(a: TimedDecision, b: TimedDecision): boolean {
  const near = (one: number, other: number): boolean => Math.abs(one - other) <= 1;
  return (
    a.quotes.length === b.quotes.length &&
    a.quotes.every((quote, at) => {
      const other = b.quotes[at];
      return (
        quote.instrument === other.instrument &&
        near(quote.bidTicks, other.bidTicks) &&
        near(quote.askTicks, other.askTicks) &&
        near(quote.bidLots, other.bidLots) &&
        near(quote.askLots, other.askLots)
      );
    })
  );
}

/** What a counterparty sees of a decision. */
const shown = ({ timeUs, quotes }: TimedDecision): string =>
  JSON.stringify([
    timeUs,
    quotes.map(({ instrument, bidTicks, bidLots, askTicks, askLots }) => [
      instrument,
      bidTicks,
      bidLots,
      askTicks,
      askLots,
    ]),
  ]);

describe.skipIf(skipUnlessSoftwareGpu() || skipUnlessShared(CAPTURE))("a capture on cpu and on a GPU", () => {
  const folder = mkdtempSync(join(tmpdir(), "keel-gpu-quotes-"));
  let cpu: CaptureRun;
  let gpu: CaptureRun;

  beforeAll(async () => {
    const path = join(folder, "head.txt");
    writeFileSync(path, captureHead(sharedPath(CAPTURE), LINES));
    const schema = { schemaHash: SCHEMA_HASH, featureCount: FEATURE_COUNT };
    const model = await loadModel("lstm-residual", schema);
    const run = async (device: "cpu" | "wgsl"): Promise<CaptureRun> => {
      const { engine } = await startEngine({
        device,
        model,
        slotCount: SLOTS,
        maxBatch: SLOTS,
        settings: SOFTWARE_ENGINES,
        sweep: true,
        log: () => {},
      });
      expect(engine.featureSource === undefined).toBe(device === "cpu");
      const result = await deskOnCapture(path, engine);
      await engine.dispose();
      return result;
    };
    cpu = await run("cpu");
    gpu = await run("wgsl");
  });
  afterAll(() => rmSync(folder, { recursive: true }));

  test("gives the same probabilities", () => {
    expect(gpu.probabilities.length).toBe(cpu.probabilities.length);
    expect(cpu.probabilities.length).toBeGreaterThan(900);
    let worst = 0;
    for (const [at, row] of cpu.probabilities.entries()) {
      for (const [head, value] of row.entries()) {
        worst = Math.max(worst, Math.abs(value - gpu.probabilities[at][head]));
      }
    }
    expect(worst).toBeLessThan(TOLERANCE);
  });

  test("gives the same quotes, but where a probability lies at a threshold", () => {
    expect(cpu.decisions.length).toBeGreaterThan(10);
    const others = new Set(gpu.decisions.map(shown));
    const different = cpu.decisions.filter((decision) => !others.has(shown(decision)));
    const unexplained = different.filter(
      (decision) =>
        !nearThreshold(decision) &&
        !gpu.decisions.some((other) => other.timeUs === decision.timeUs && rounded(decision, other)),
    );
    console.log(
      `${cpu.decisions.length} decisions, ${different.length} different, ${unexplained.length} away from a threshold`,
    );
    expect(unexplained).toEqual([]);
    expect(Math.abs(gpu.decisions.length - cpu.decisions.length)).toBeLessThanOrEqual(different.length);
  });

  test("tells the age of the state behind each quote", () => {
    expect(gpu.desk.freshness.count).toBeGreaterThan(0);
    expect(gpu.desk.freshness.count).toBe(cpu.desk.freshness.count);
  });
});
