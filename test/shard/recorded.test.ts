import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { existsSync } from "node:fs";
import {
  type ReferenceRun,
  runReference,
  runShards,
  SHARD_RUN_SLOTS,
  type ShardRunOptions,
} from "../../src/bench/shard-run.ts";
import { loadConfig } from "../../src/config.ts";
import { loadNative } from "../../src/core/native.ts";
import { FEATURE_COUNT, SCHEMA_HASH } from "../../src/feature/schema.ts";
import type { StepEngine } from "../../src/inference/engine.ts";
import { loadModels } from "../../src/inference/model.ts";
import { startEngine } from "../../src/inference/registry.ts";

const DATA = "../shared/data/";
const CAPTURES = [
  "binance/usdm-btcusdt-20240808.gz",
  "ws/DERIBIT.ws.1.0.gz",
  "binance/spot-ethusdt-20240808.gz",
  "binance/cm-ethusd_perp-20240808.gz",
].map((path) => DATA + path);
const SECONDS = 20;
const isThere = CAPTURES.every((path) => existsSync(path));
if (!isThere) console.log(`skipped: no captures at ${DATA}`);

describe.skipIf(!isThere)("recorded frames on several threads", () => {
  let engine: StepEngine;
  let options: ShardRunOptions;
  let reference: ReferenceRun;

  beforeAll(async () => {
    await loadNative();
    const config = loadConfig({});
    const [preferred, ...standIns] = await loadModels(undefined, {
      schemaHash: SCHEMA_HASH,
      featureCount: FEATURE_COUNT,
    });
    const slots = { slotCount: SHARD_RUN_SLOTS, maxBatch: SHARD_RUN_SLOTS };
    const started = await startEngine({
      ...{ device: "cpu", settings: config.engines, model: preferred, standIns, ...slots },
      log: () => {},
    });
    engine = started.engine;
    options = { engine, config, seed: 1, digestsRows: true };
    reference = await runReference(CAPTURES, SECONDS, options);
  });

  afterAll(() => engine.dispose());

  test("the reference predicts and quotes", () => {
    expect(reference.outcome.predictions).toBeGreaterThan(1_000);
    expect(reference.outcome.decisions).toBeGreaterThan(10);
    expect(new Set(reference.inputs.map(({ feed }) => feed)).size).toBe(CAPTURES.length);
  });

  test.each([0, 1, 2, 4])(
    "with %i threads every row of features, prediction and quote is the same",
    async (shards) => {
      const { seconds: _, ...outcome } = await runShards(reference, shards, options);
      const { seconds: __, ...expected } = reference.outcome;
      expect(outcome).toEqual(expected);
    },
  );

  test("so it is with features made on the quoting thread", async () => {
    const { seconds: _, ...outcome } = await runShards(reference, 2, { ...options, makesFeatures: false });
    const { seconds: __, ...expected } = reference.outcome;
    expect(outcome).toEqual(expected);
  });

  test("a ring that is nearly always full changes nothing", async () => {
    const { seconds: _, ...outcome } = await runShards(reference, 2, options, undefined, 1 << 20);
    const { seconds: __, ...expected } = reference.outcome;
    expect(outcome).toEqual(expected);
  });
});
