import { describe, expect, test } from "bun:test";
import { FEATURE_COUNT, SCHEMA_HASH } from "../../src/feature/schema.ts";
import { DEFAULT_MODEL, DEFAULT_STAND_INS } from "../../src/inference/builtin.ts";
import type { Choice } from "../../src/inference/engine-choice.ts";
import { loadModels } from "../../src/inference/model.ts";
import { chooseModel } from "../../src/inference/model-choice.ts";
import { startEngine } from "../../src/inference/registry.ts";
import { ScriptedEngine } from "../desk/scripted-engine.ts";

/** Chooses among models whose best engines take these times, µs; null for one that nothing runs. */
async function choose(...stepUs: (number | null)[]) {
  const tried: string[] = [];
  const disposed: string[] = [];
  const candidates = stepUs.map((us, at) => ({
    name: `m${at}`,
    choose: async (): Promise<Choice> => {
      tried.push(`m${at}`);
      if (us === null) throw new Error("nothing runs it");
      const engine = new ScriptedEngine();
      engine.dispose = async () => {
        disposed.push(`m${at}`);
      };
      return { engine, stepUs: us, passedOver: [] };
    },
  }));
  const { name, passedOver } = await chooseModel(candidates);
  return { name, passedOver, tried, disposed };
}

describe("choosing between a model and its stand-ins", () => {
  test("a preferred model that is fast enough is taken without a look at another", async () => {
    const { name, passedOver, tried } = await choose(4.9, 0.1);
    expect([name, tried]).toEqual(["m0", ["m0"]]);
    expect(passedOver).toEqual([{ model: "m1", reason: "not tried, 4.9 µs is fast enough" }]);
  });

  test("a stand-in that is much faster is taken, and the preferred model's time told", async () => {
    const { name, passedOver, disposed } = await choose(211, 64);
    expect([name, disposed]).toEqual(["m1", ["m0"]]);
    expect(passedOver).toEqual([{ model: "m0", reason: "211 µs a step on cpu" }]);
  });

  test("one that is only a little faster is not", async () => {
    const { name, passedOver, disposed } = await choose(60, 45, 43);
    expect([name, disposed]).toEqual(["m0", ["m1", "m2"]]);
    expect(passedOver.map(({ model }) => model)).toEqual(["m1", "m2"]);
  });

  test("a stand-in that does not run is passed over, a preferred model that does not run is an error", async () => {
    const { name, passedOver } = await choose(60, null);
    expect([name, passedOver]).toEqual(["m0", [{ model: "m1", reason: "nothing runs it" }]]);
    await expect(choose(null, 1)).rejects.toThrow("nothing runs it");
  });
});

describe("the default model", () => {
  const schema = { schemaHash: SCHEMA_HASH, featureCount: FEATURE_COUNT };
  const options = { slotCount: 1, maxBatch: 1 } as const;

  test("stand-ins come with it, and with no model that is named", async () => {
    const [first, ...standIns] = await loadModels(undefined, schema);
    expect(first.card.name).toBe(DEFAULT_MODEL);
    expect(standIns.map(({ card }) => card.name)).toEqual([...DEFAULT_STAND_INS]);
    expect(await loadModels(DEFAULT_MODEL, schema)).toHaveLength(1);
  });

  test("on WebAssembly, which is slow at 8-bit levels, float32 stands in for it, and the line says why", async () => {
    const [model, ...standIns] = await loadModels(undefined, schema);
    const lines: string[] = [];
    const start = () =>
      startEngine({ ...options, model, standIns, device: "wasm", log: (line) => lines.push(line) });
    let started = await start();
    // A measurement on a busy host may come out otherwise once.
    for (let more = 0; more < 4 && started.engine.card.name === DEFAULT_MODEL; more += 1) {
      await started.engine.dispose();
      lines.length = 0;
      started = await start();
    }
    expect(started.model.card.name).toBe(DEFAULT_STAND_INS[0]);
    expect(started.engine.card.name).toBe(DEFAULT_STAND_INS[0]);
    expect(started.modelsPassedOver.map((other) => other.model)).toEqual([DEFAULT_MODEL]);
    expect(lines).toEqual([
      expect.stringMatching(
        /^engine wasm \(as configured, \d+ µs a step\) for model lstm-residual; not model lstm-residual-int8: \d+ µs a step on wasm$/,
      ),
    ]);
    await started.engine.dispose();
  });

  test("a device that is not there is told of once, not hidden by a stand-in", async () => {
    const [model, ...standIns] = await loadModels(undefined, schema);
    const attempt = startEngine({ ...options, model, standIns, device: "tensorrt", log: () => {} });
    await expect(attempt).rejects.toThrow(/^tensorrt: /);
  });
});
