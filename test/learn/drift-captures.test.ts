import { describe, expect, test } from "bun:test";
import { CaptureSession } from "../../models/train/capture-events.ts";
import { FEATURE_COUNT, SCHEMA_HASH } from "../../src/feature/schema.ts";
import type { BinanceVenueName } from "../../src/feed/binance/venue.ts";
import { CaptureReader } from "../../src/feed/capture.ts";
import { CpuEngine, cpuIsas } from "../../src/inference/cpu.ts";
import { loadModel } from "../../src/inference/model.ts";
import { DriftMonitor, watchedOf } from "../../src/learn/drift/monitor.ts";
import { DEFAULT_DRIFT_PARAMETERS } from "../../src/learn/drift/parameters.ts";
import { sharedPath, skipUnless, skipUnlessShared } from "../support/shared-data.ts";
import { exchanged } from "./regime-bed.ts";

const hasCpu = (await cpuIsas()).length > 0;
const PLANTED_SECONDS = 120;
const model = await loadModel("lstm-residual-int8", { schemaHash: SCHEMA_HASH, featureCount: FEATURE_COUNT });

interface Told {
  readonly stage: string;
  readonly seconds: number;
  readonly causes: readonly string[];
}

/** What the default parameters make of a capture with windows of a minute; `alter` takes part from two minutes on. */
async function watch(
  name: string,
  venue: BinanceVenueName,
  symbol: string,
  alter: (frame: string) => string | null = (frame) => frame,
): Promise<Told[]> {
  const engine = await CpuEngine.start(model, 1, 1);
  engine.slots[0] = 0;
  const session = new CaptureSession(venue, symbol);
  const told: Told[] = [];
  let startUs = Number.NaN;
  const monitor = new DriftMonitor({
    card: watchedOf(model.card),
    underlyings: 1,
    parameters: { ...DEFAULT_DRIFT_PARAMETERS, windowSeconds: 60 },
    onChange: ({ stage, causes }, timeUs) => told.push({ stage, causes, seconds: (timeUs - startUs) / 1e6 }),
    onRetrain: () => {},
  });
  const features = new Float32Array(FEATURE_COUNT);
  const depth = new Float64Array(2);
  let timerUs = 0;
  const take = (text: string, timeUs: number): void => {
    const frame = timeUs - startUs >= PLANTED_SECONDS * 1e6 ? alter(text) : text;
    if (frame === null || !session.take(frame, timeUs)) return;
    const { book } = session;
    if (!session.features.ready(0, timeUs) || book.crossed) return;
    if (Number.isNaN(startUs)) startUs = timeUs;
    session.features.write(0, timeUs, features, 0);
    session.features.depths(0, depth);
    engine.features.set(features);
    engine.step(1);
    monitor.onFeatures(0, features, 0, timeUs);
    const midTicks = (book.bestBidTicks + book.bestAskTicks) / 2;
    monitor.onPrediction(0, engine.probabilities, 0, timeUs, midTicks, depth[0], depth[1]);
    if (timeUs - timerUs < 10_000) return;
    timerUs = timeUs;
    monitor.onTimer(timeUs);
  };
  for await (const entries of new CaptureReader(sharedPath(`data/binance/${name}.gz`)).batches()) {
    for (const { text, timeUs } of entries) take(text, timeUs);
  }
  await engine.dispose();
  return told;
}

const CAPTURE = "data/binance/usdm-ethusdt-20240808.gz";
describe.skipIf(skipUnlessShared(CAPTURE) || skipUnless(hasCpu, "the native library"))(
  "drift on real captures",
  () => {
    test("is not told of one that the model was trained on the first part of", async () => {
      expect(await watch("usdm-ethusdt-20240808", "binance-usdm", "ETHUSDT")).toEqual([]);
    });

    test("is told within a window, and answered defensively, when a venue tells best sizes the other way round", async () => {
      const told = await watch("usdm-ethusdt-20240808", "binance-usdm", "ETHUSDT", exchanged);
      const widened = told.find(({ stage }) => stage === "widened" || stage === "defensive");
      expect(widened?.seconds).toBeGreaterThan(PLANTED_SECONDS);
      expect(widened?.seconds).toBeLessThan(PLANTED_SECONDS + 60);
      expect(told.map(({ stage }) => stage)).toContain("defensive");
      expect(widened?.causes).toContain("skill");
    });

    test("is told within a window and a half when a feed has no more trades, with what is missing", async () => {
      const told = await watch("usdm-ethusdt-20240808", "binance-usdm", "ETHUSDT", (frame) =>
        frame.includes("@trade") ? null : frame,
      );
      const widened = told.find(({ stage }) => stage === "widened");
      expect(widened?.seconds).toBeLessThan(PLANTED_SECONDS + 90);
      expect(widened?.causes).toContain("missing");
    });
  },
);
