import { describe, expect, test } from "bun:test";
import { join } from "node:path";
import { CaptureSession } from "../../models/train/capture-events.ts";
import { FEATURE_COUNT, SCHEMA_HASH } from "../../src/feature/schema.ts";
import { CaptureReader } from "../../src/feed/capture.ts";
import { HEADS } from "../../src/inference/card.ts";
import { loadModel } from "../../src/inference/model.ts";
import { selfTest } from "../../src/inference/self-test.ts";
import { WasmEngine } from "../../src/inference/wasm.ts";
import { LABEL_OPTIONS, Labeller, LONG_HORIZON_MS, SHORT_HORIZON_MS } from "../../src/learn/labels.ts";
import { areaUnderCurve } from "../support/area-under-curve.ts";
import { sharedPath, skipUnlessShared } from "../support/shared-data.ts";

const FOLDER = join(import.meta.dir, "../../models/lstm-residual");
const model = await loadModel(FOLDER, { schemaHash: SCHEMA_HASH, featureCount: FEATURE_COUNT });

describe("the shipped model", () => {
  test("has all heads, with the horizons and thresholds of the label code", () => {
    expect(model.card.heads.map((head) => head.name)).toEqual([...HEADS]);
    for (const head of model.card.heads) {
      const expected = head.name.endsWith("50") ? SHORT_HORIZON_MS : LONG_HORIZON_MS;
      expect(head.horizonMs).toBe(expected);
      if (head.thetaBp !== null) expect(head.thetaBp).toBe(LABEL_OPTIONS.thetaBp);
      if (head.depthFraction !== null) expect(head.depthFraction).toBe(LABEL_OPTIONS.depthFraction);
    }
  });

  test("states a mean move larger than the move that counts", () => {
    for (const { thetaBp, meanMoveBp } of model.card.heads) {
      expect(meanMoveBp === null).toBe(thetaBp === null);
      if (thetaBp !== null) expect(meanMoveBp).toBeGreaterThan(thetaBp);
    }
  });

  test("computes its self-test on the reference engine, and nothing not finite from features that are not", async () => {
    const engine = await WasmEngine.start(model, 1, 1);
    expect(await selfTest(engine)).toBeLessThan(1e-5);
    engine.slots[0] = 0;
    for (const value of [Number.NaN, Infinity, -Infinity]) {
      engine.features.fill(value);
      await engine.submit(1);
      const probabilities = [...engine.probabilities.subarray(0, HEADS.length)];
      expect(probabilities.every((p) => p >= 0 && p <= 1)).toBe(true);
    }
    await engine.dispose();
  });

  const capture = "data/binance/cm-btcusd_perp-20240808.gz";
  test.skipIf(skipUnlessShared(capture))(
    "tells on a real capture what follows, fed as the desk feeds it",
    async () => {
      const engine = await WasmEngine.start(model, 1, 1);
      const session = new CaptureSession("binance-coinm", "BTCUSD_PERP");
      const labels: number[][] = [];
      const labeller = new Labeller((at, row) => {
        labels[at] = [...row];
      });
      const depth = new Float64Array(2);
      const scores: number[][] = [];
      for await (const { text, timeUs } of new CaptureReader(sharedPath(capture))) {
        if (!session.take(text, timeUs) || !session.features.ready(0, timeUs)) continue;
        session.features.write(0, timeUs, engine.features, 0);
        engine.slots[0] = 0;
        await engine.submit(1);
        scores.push([...engine.probabilities.subarray(0, HEADS.length)]);
        session.features.depths(0, depth);
        labeller.push(
          timeUs,
          (session.book.bestBidTicks + session.book.bestAskTicks) / 2,
          depth[0],
          depth[1],
        );
        if (scores.length === 8_000) break;
      }
      for (const head of ["down100", "up100", "bidWithdraw50", "askWithdraw50"] as const) {
        const at = HEADS.indexOf(head);
        const area = areaUnderCurve(
          labels.map((_, row) => scores[row][at]),
          labels.map((row) => row[at]),
        );
        expect(`${head} ${area > 0.75 ? "above 0.75" : area}`).toBe(`${head} above 0.75`);
      }
      await engine.dispose();
    },
  );
});
