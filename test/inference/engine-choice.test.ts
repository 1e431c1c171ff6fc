import { describe, expect, test } from "bun:test";
import type { EngineName, StepEngine } from "../../src/inference/engine.ts";
import { chooseEngine, shownUs } from "../../src/inference/engine-choice.ts";
import { testModel } from "./test-model.ts";

const { card } = testModel();

/** An engine that is only as fast as it is told to be. */
class PacedEngine implements StepEngine {
  readonly name: EngineName;
  readonly card = card;
  readonly slotCount = 1;
  readonly maxBatch = 1;
  readonly synchronous = true;
  readonly features = new Float32Array(card.featureCount);
  readonly slots = new Int32Array(1);
  readonly probabilities = new Float32Array(card.heads.length);
  disposed = false;
  resets = 0;
  readonly #stepMs: number;

  constructor(name: EngineName, stepMs: number) {
    this.name = name;
    this.#stepMs = stepMs;
  }

  step(): void {
    if (this.#stepMs > 0) Bun.sleepSync(this.#stepMs);
  }

  async submit(): Promise<void> {
    this.step();
  }

  resetSlot(): void {
    this.resets += 1;
  }

  async warmUp(): Promise<void> {}

  memoryBytes(): number {
    return 0;
  }

  async dispose(): Promise<void> {
    this.disposed = true;
  }
}

/** Chooses among engines with these times of a step, ms; null for one that does not start. */
async function choose(stepMs: Partial<Record<EngineName, number | null>>) {
  const started: PacedEngine[] = [];
  const starters = new Map(
    Object.entries(stepMs).map(([name, ms]) => [
      name as EngineName,
      async (): Promise<StepEngine> => {
        if (ms === null) throw new Error(`${name}: not here`);
        const engine = new PacedEngine(name as EngineName, ms ?? 0);
        started.push(engine);
        return engine;
      },
    ]),
  );
  const choice = await chooseEngine(starters);
  return { choice, started, names: started.map(({ name }) => name) };
}

describe("choosing an engine", () => {
  test("takes the fastest, gives the others back and says how slow they were", async () => {
    const { choice, started, names } = await choose({ webgpu: 2, wasm: 6, cpu: 20 });
    if (!("engine" in choice)) throw new Error("an engine was to be chosen");
    expect(names).toEqual(["cpu", "wasm", "webgpu"]);
    expect(choice.engine.name).toBe("webgpu");
    expect(choice.stepUs).toBeGreaterThan(1_900);
    expect(choice.passedOver.map(({ engine }) => engine)).toEqual(["cpu", "wasm"]);
    for (const { reason } of choice.passedOver) expect(reason).toMatch(/^\d+ µs a step$/);
    expect(started.map(({ disposed }) => disposed)).toEqual([true, true, false]);
    expect(started[2].resets).toBe(1);
  });

  test("does not start what cannot be faster than what is at hand", async () => {
    const { choice, names } = await choose({ tensorrt: 0, webgpu: 0, wasm: 0, cpu: 0 });
    if (!("engine" in choice)) throw new Error("an engine was to be chosen");
    expect([names, choice.engine.name]).toEqual([["cpu"], "cpu"]);
    expect(choice.passedOver).toEqual([
      { engine: "wasm", reason: "a call alone takes 13 µs and more" },
      { engine: "tensorrt", reason: "a call alone takes 8 µs and more" },
      { engine: "webgpu", reason: "a call alone takes 40 µs and more" },
    ]);
  });

  test("goes on past engines that do not work, and is empty-handed when none does", async () => {
    const { choice } = await choose({ cpu: null, wasm: 1, webgpu: null });
    if (!("engine" in choice)) throw new Error("an engine was to be chosen");
    expect(choice.engine.name).toBe("wasm");
    expect(choice.passedOver).toContainEqual({ engine: "cpu", reason: "cpu: not here" });
    const none = await choose({ cpu: null, wasm: null });
    expect(none.choice).toEqual([
      { engine: "cpu", reason: "cpu: not here" },
      { engine: "wasm", reason: "wasm: not here" },
    ]);
  });

  test("keeps the first of two when the second is slower", async () => {
    const { choice, started } = await choose({ cpu: 1, wasm: 5 });
    if (!("engine" in choice)) throw new Error("an engine was to be chosen");
    expect(choice.engine.name).toBe("cpu");
    expect(started.map(({ disposed }) => disposed)).toEqual([false, true]);
  });
});

test("times are shown with two digits below ten", () => {
  expect([0.0512, 2.13, 9.94, 38.4, 1_204.2].map(shownUs)).toEqual([
    "0.051 µs",
    "2.1 µs",
    "9.9 µs",
    "38 µs",
    "1204 µs",
  ]);
});
