import { describe, expect, test } from "bun:test";
import { InvariantError } from "../../src/core/invariant.ts";
import { Rng } from "../../src/core/rng.ts";
import { CalibratedEngine, Calibration, IDENTITY } from "../../src/inference/calibration.ts";
import { cpuIsas } from "../../src/inference/cpu.ts";
import { startEngine } from "../../src/inference/registry.ts";
import { selfTest } from "../../src/inference/self-test.ts";
import { WasmEngine } from "../../src/inference/wasm.ts";
import { drawFeatures, SMALL, testModel } from "./test-model.ts";

// Loads the native library, which is compiled when its sources have changed, before tests are timed.
await cpuIsas();

const { card } = testModel();
const K = card.heads.length;

const platt = (p: number, slope: number, intercept: number): number =>
  1 / (1 + Math.exp(-(slope * Math.log(p / (1 - p)) + intercept)));

describe("recalibration", () => {
  test("is the identity, bit for bit, until parameters are set", () => {
    const calibration = new Calibration(card.heads, 2);
    const rng = new Rng(1);
    const probabilities = Float32Array.from({ length: 2 * K }, () => rng.next());
    const before = probabilities.slice();
    calibration.apply(probabilities, Int32Array.of(1, 0), 2);
    expect(probabilities).toEqual(before);
    expect(calibration.get(1, 0)).toEqual(IDENTITY);
  });

  test("scales one head of one slot and leaves the others as they are", () => {
    const calibration = new Calibration(card.heads, 3);
    calibration.set(2, 1, { slope: 0.8, intercept: -0.5 });
    const probabilities = new Float32Array(2 * K).fill(0.3);
    calibration.apply(probabilities, Int32Array.of(0, 2), 2);
    expect(probabilities[1]).toBe(Math.fround(0.3));
    expect(probabilities[K + 1]).toBeCloseTo(platt(0.3, 0.8, -0.5), 6);
    expect(probabilities[K]).toBeCloseTo(0.3, 6);
    calibration.restore(2);
    const again = new Float32Array(K).fill(0.3);
    calibration.apply(again, Int32Array.of(2), 1);
    expect(again).toEqual(new Float32Array(K).fill(0.3));
  });

  test("keeps order, the ends, and what is no prediction", () => {
    const calibration = new Calibration(card.heads.slice(0, 1), 1);
    calibration.set(0, 0, { slope: 2.5, intercept: 1 });
    const inputs = [0, 1e-7, 0.2, 0.5, 0.999999, 1];
    const outputs = inputs.map((p) => {
      const row = Float32Array.of(p);
      calibration.apply(row, Int32Array.of(0), 1);
      return row[0];
    });
    expect(outputs).toEqual(outputs.toSorted((a, b) => a - b));
    expect([outputs[0], outputs[5]]).toEqual([0, 1]);
    const nothing = Float32Array.of(Number.NaN);
    calibration.apply(nothing, Int32Array.of(0), 1);
    expect(nothing[0]).toBeNaN();
  });

  test("refuses parameters that would turn or flatten the order", () => {
    const calibration = new Calibration(card.heads, 1);
    for (const slope of [0, -1, Number.NaN, Number.POSITIVE_INFINITY]) {
      expect(() => calibration.set(0, 0, { slope, intercept: 0 })).toThrow(InvariantError);
    }
    expect(() => calibration.set(0, 0, { slope: 1, intercept: Number.NaN })).toThrow(InvariantError);
    expect(() => calibration.set(1, 0, IDENTITY)).toThrow(InvariantError);
    expect(() => calibration.set(0, K, IDENTITY)).toThrow(InvariantError);
  });
});

describe("a calibrated engine", () => {
  test("scales what the engine beneath gives, by the slots the rows were submitted for", async () => {
    const model = testModel();
    const plain = await WasmEngine.start(model, 2, 2);
    const engine = new CalibratedEngine(await WasmEngine.start(model, 2, 2));
    engine.calibration.set(1, 0, { slope: 1.5, intercept: 0.25 });
    const features = drawFeatures(new Rng(4), 2 * SMALL.featureCount);
    for (const each of [plain, engine]) {
      each.features.set(features);
      each.slots.set([1, 0]);
    }
    await plain.submit(2);
    const flight = engine.submit(2);
    engine.slots.fill(0);
    await flight;
    const expected = plain.probabilities.slice();
    expected[0] = platt(expected[0], 1.5, 0.25);
    for (const [i, value] of engine.probabilities.entries()) expect(value).toBeCloseTo(expected[i], 6);
    engine.resetSlot(1);
    expect(engine.calibration.get(1, 0).slope).toBe(1.5);
    await plain.dispose();
    await engine.dispose();
  });

  test("is what starts for a card that states a calibration; its self-test is that of the bare model", async () => {
    const model = testModel();
    const stated = structuredClone(model.card);
    stated.heads[2].platt = { slope: 0.9, intercept: -0.1 };
    const options = { slotCount: 1, maxBatch: 1, device: "auto", log: () => {} } as const;
    const { engine } = await startEngine({ ...options, model: { ...model, card: stated } });
    expect(engine).toBeInstanceOf(CalibratedEngine);
    const bare = await startEngine({ ...options, model });
    expect(bare.engine).not.toBeInstanceOf(CalibratedEngine);
    await expect(selfTest(bare.engine)).resolves.toBeLessThan(1e-5);
    engine.features.set(stated.selfTest.features[0]);
    await engine.submit(1);
    expect(engine.probabilities[2]).toBeCloseTo(platt(stated.selfTest.probabilities[0][2], 0.9, -0.1), 5);
    await engine.dispose();
    await bare.engine.dispose();
  });

  test("hands what it has learnt on to the engine that is started in its place", async () => {
    const model = testModel();
    const options = { model, slotCount: 2, maxBatch: 1, device: "auto", log: () => {} } as const;
    const calibration = new Calibration(model.card.heads, 2);
    calibration.set(1, 0, { slope: 1.5, intercept: 0.25 });
    const { engine: before } = await startEngine({ ...options, calibration });
    await before.dispose();
    const { engine: after } = await startEngine({ ...options, calibration: before.calibration });
    expect(after.calibration?.get(1, 0)).toEqual({ slope: 1.5, intercept: 0.25 });
    after.slots[0] = 1;
    after.features.set(model.card.selfTest.features[0]);
    await after.submit(1);
    expect(after.probabilities[0]).toBeCloseTo(platt(model.card.selfTest.probabilities[0][0], 1.5, 0.25), 5);
    const other = new Calibration(model.card.heads, 3);
    await expect(startEngine({ ...options, calibration: other })).rejects.toThrow(InvariantError);
    await after.dispose();
  });
});
