import { afterAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { ModelRefusedError } from "../../src/core/errors.ts";
import { InvariantError } from "../../src/core/invariant.ts";
import { Rng } from "../../src/core/rng.ts";
import { CpuEngine, cpuIsas } from "../../src/inference/cpu.ts";
import type { StepEngine } from "../../src/inference/engine.ts";
import { ENGINE_STARTERS } from "../../src/inference/registry.ts";
import { selfTest } from "../../src/inference/self-test.ts";
import type { StepModel } from "../../src/inference/step-model.ts";
import { SOFTWARE_ENGINES } from "../support/software-gpu.ts";
import { drawFeatures, ReferenceLstm, SMALL, testModel } from "./test-model.ts";

// A GPU in software takes seconds to compile a model's pipelines.
setDefaultTimeout(120_000);

const SLOTS = 6;
const BATCH = 4;
const F = SMALL.featureCount;
const K = SMALL.heads;

/** The engines, and the cpu engine once more for each of the host's instruction sets. */
const candidates = [
  ...ENGINE_STARTERS.map(({ name, start }) => ({
    label: name as string,
    name,
    start: (model: StepModel, slotCount: number, maxBatch: number) =>
      start(model, slotCount, maxBatch, SOFTWARE_ENGINES),
  })),
  ...(await cpuIsas()).map((isa) => ({
    label: `cpu with ${isa}`,
    name: "cpu" as const,
    start: (model: StepModel, slotCount: number, maxBatch: number) =>
      CpuEngine.start(model, slotCount, maxBatch, isa),
  })),
];

/** What holds for every engine. An engine that cannot start on this host says so and is passed over. */
for (const { label, name, start } of candidates) {
  const model = testModel();
  const started = await start(model, SLOTS, BATCH).catch((error: Error) => error.message);
  const reason = typeof started === "string" ? started : null;
  if (reason !== null) console.warn(`engine contract: ${label} not tested here: ${reason}`);

  describe.skipIf(reason !== null)(`engine ${label}`, () => {
    const engine = started as StepEngine;
    /** A second engine beside the first, started once: some take seconds. Its card is wrong. */
    let second: Promise<StepEngine> | undefined;
    const other = (): Promise<StepEngine> => {
      const wrong = structuredClone(model.card);
      wrong.selfTest.probabilities[1][2] += 0.01;
      second ??= start({ ...model, card: wrong }, 1, 1);
      return second;
    };
    afterAll(async () => {
      await engine.dispose();
      await (await second)?.dispose();
    });

    const resetAll = (): void => {
      for (let slot = 0; slot < SLOTS; slot += 1) engine.resetSlot(slot);
    };
    const write = (row: number, slot: number, features: readonly number[]): void => {
      engine.slots[row] = slot;
      engine.features.set(features, row * F);
    };
    const read = (row: number): number[] => [...engine.probabilities.subarray(row * K, (row + 1) * K)];
    const stepOne = async (slot: number, features: readonly number[]): Promise<number[]> => {
      write(0, slot, features);
      await engine.submit(1);
      return read(0);
    };
    const expectClose = (found: readonly number[], expected: readonly number[], within = 1e-5): void => {
      expect(found.length).toBe(expected.length);
      for (let i = 0; i < found.length; i += 1) {
        expect(Math.abs(found[i] - expected[i])).toBeLessThanOrEqual(within);
      }
    };

    test("computes the model over many steps", async () => {
      resetAll();
      const reference = new ReferenceLstm(SMALL);
      const rng = new Rng(1);
      for (let i = 0; i < 300; i += 1) {
        const features = drawFeatures(rng, F);
        expectClose(await stepOne(2, features), reference.step(features));
      }
    });

    test("a batch gives what single steps give, in row order", async () => {
      resetAll();
      const rng = new Rng(2);
      const references = Array.from({ length: SLOTS }, () => new ReferenceLstm(SMALL));
      for (let round = 0; round < 40; round += 1) {
        const count = 1 + rng.int(BATCH);
        const order = Array.from({ length: SLOTS }, (_, slot) => slot).sort(() => rng.next() - 0.5);
        const rows = order.slice(0, count).map((slot) => ({ slot, features: drawFeatures(rng, F) }));
        for (const [row, { slot, features }] of rows.entries()) write(row, slot, features);
        await engine.submit(count);
        for (const [row, { slot, features }] of rows.entries()) {
          expectClose(read(row), references[slot].step(features));
        }
      }
    });

    test("slots do not touch each other", async () => {
      resetAll();
      const rng = new Rng(3);
      const features = drawFeatures(rng, F);
      const fresh = await stepOne(0, features);
      for (let i = 0; i < 5; i += 1) await stepOne(1, drawFeatures(rng, F));
      expect(await stepOne(2, features)).toEqual(fresh);
    });

    test("a reset slot starts again from the initial state", async () => {
      resetAll();
      const features = drawFeatures(new Rng(4), F);
      const first = await stepOne(3, features);
      expect(await stepOne(3, features)).not.toEqual(first);
      engine.resetSlot(3);
      expect(await stepOne(3, features)).toEqual(first);
    });

    test("a slot reset while its batch is in flight stays reset", async () => {
      resetAll();
      const features = drawFeatures(new Rng(5), F);
      write(0, 1, features);
      const flight = engine.submit(1);
      engine.resetSlot(1);
      await flight;
      const first = read(0);
      expect(await stepOne(1, features)).toEqual(first);
    });

    test("inputs may be overwritten once submit has returned", async () => {
      resetAll();
      const features = drawFeatures(new Rng(6), F);
      const expected = await stepOne(0, features);
      engine.resetSlot(0);
      write(0, 0, features);
      const flight = engine.submit(1);
      engine.features.fill(1e3);
      engine.slots.fill(5);
      await flight;
      expect(read(0)).toEqual(expected);
    });

    test("passes the model's self-test and leaves its slot reset", async () => {
      const features = drawFeatures(new Rng(8), F);
      engine.resetSlot(0);
      const fresh = await stepOne(0, features);
      expect(await selfTest(engine)).toBeLessThanOrEqual(model.card.selfTest.tolerance);
      expect(await stepOne(0, features)).toEqual(fresh);
    });

    test("refuses a model that computes something else than its card says", async () => {
      await expect(selfTest(await other())).rejects.toThrow(/self-test row 1, head up50/);
    });

    test("step is there exactly on synchronous engines", async () => {
      resetAll();
      const features = drawFeatures(new Rng(9), F);
      const expected = await stepOne(0, features);
      engine.resetSlot(0);
      write(0, 0, features);
      if (engine.synchronous) {
        engine.step(1);
        expect(read(0)).toEqual(expected);
      } else {
        expect(() => engine.step(1)).toThrow(InvariantError);
      }
    });

    test("counts and slots out of range are refused", async () => {
      engine.slots.fill(0);
      for (const count of [0, -1, BATCH + 1, 1.5, Number.NaN]) {
        await expect(engine.submit(count)).rejects.toThrow(InvariantError);
      }
      for (const slot of [-1, SLOTS]) {
        engine.slots[0] = slot;
        await expect(engine.submit(1)).rejects.toThrow(InvariantError);
        expect(() => engine.resetSlot(slot)).toThrow(InvariantError);
      }
    });

    test("warming up leaves all slots reset", async () => {
      const features = drawFeatures(new Rng(10), F);
      resetAll();
      const fresh = await stepOne(4, features);
      await engine.warmUp();
      expect(await stepOne(4, features)).toEqual(fresh);
    });

    test("reports its memory and its arrays have the stated sizes", () => {
      expect(engine.name).toBe(name);
      expect(engine.slotCount).toBe(SLOTS);
      expect(engine.features.length).toBe(BATCH * F);
      expect(engine.slots.length).toBe(BATCH);
      expect(engine.probabilities.length).toBe(BATCH * K);
      expect(engine.memoryBytes()).toBeGreaterThan(SLOTS * 2 * SMALL.hidden * 4);
    });

    test("a disposed engine is not used again", async () => {
      const disposed = await other();
      await disposed.dispose();
      await disposed.dispose();
      await expect(disposed.submit(1)).rejects.toThrow(InvariantError);
    });

    test("a file it cannot run is a refusal", async () => {
      const broken = { ...model, onnx: model.onnx.slice(0, 100) };
      const graph = { ...model.graph, nodes: model.graph.nodes.slice(1) };
      await expect(start({ ...broken, graph }, 1, 1)).rejects.toThrow(ModelRefusedError);
    });
  });
}
