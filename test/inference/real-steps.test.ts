import { beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { FEATURE_COUNT, SCHEMA_HASH } from "../../src/feature/schema.ts";
import { HEADS } from "../../src/inference/card.ts";
import { CpuEngine, cpuIsas } from "../../src/inference/cpu.ts";
import type { StepEngine } from "../../src/inference/engine.ts";
import { builtinModelNames, loadModel } from "../../src/inference/model.ts";
import type { StepModel } from "../../src/inference/step-model.ts";
import { WasmEngine } from "../../src/inference/wasm.ts";
import { areaUnderCurve } from "../support/area-under-curve.ts";
import { type RealSource, type RealSteps, realSteps } from "../support/real-steps.ts";
import { skipUnless, skipUnlessShared } from "../support/shared-data.ts";

setDefaultTimeout(120_000);
const schema = { schemaHash: SCHEMA_HASH, featureCount: FEATURE_COUNT };
const isas = await cpuIsas();
const noCpu = skipUnless(isas.length > 0, "engines on real steps: no native library");

const STEPS = 10_000;
const PERPETUAL: RealSource = {
  venue: "binance-usdm",
  symbol: "BTCUSDT",
  captures: ["data/binance/usdm-btcusdt-20240808.gz"],
};
/** The second capture is the one that no built-in model was trained on; the first builds up its book. */
const HELD_OUT: RealSource = {
  venue: "binance-spot",
  symbol: "BTCUSDT",
  captures: ["data/binance/spot-btcusdt-20240808.gz", "data/binance/spot-btcusdt-20240809.gz"],
};
const HELD_OUT_STEPS_MAX = 100_000;

const roundsToLevels = ({ graph }: StepModel): boolean =>
  graph.nodes.some(({ operator }) => operator === "QuantizeLinear");

/** `[count, K]`: what the engine makes of the steps, the state carried from each to the next. */
async function run(engine: StepEngine, { features, count }: RealSteps): Promise<Float32Array> {
  const heads = engine.card.heads.length;
  const probabilities = new Float32Array(count * heads);
  engine.slots[0] = 0;
  for (let row = 0; row < count; row += 1) {
    engine.features.set(features.subarray(row * FEATURE_COUNT, (row + 1) * FEATURE_COUNT));
    if (engine.synchronous) engine.step(1);
    else await engine.submit(1);
    probabilities.set(engine.probabilities.subarray(0, heads), row * heads);
  }
  await engine.dispose();
  return probabilities;
}

/** Column `head` of `[rows, K]`, its first `rows` values. */
const column = (values: ArrayLike<number>, head: number, rows: number): Float32Array =>
  Float32Array.from({ length: rows }, (_, row) => values[row * HEADS.length + head]);

describe.skipIf(noCpu || skipUnlessShared(...PERPETUAL.captures))(
  "over 10,000 consecutive steps of a real market",
  () => {
    let steps: RealSteps;
    beforeAll(async () => {
      steps = await realSteps(PERPETUAL, STEPS);
      expect(steps.count).toBe(STEPS);
    });

    test.each(builtinModelNames())(
      "%s gives on the cpu engine what it gives on WebAssembly",
      async (name) => {
        const model = await loadModel(name, schema);
        const reference = await run(await WasmEngine.start(model, 1, 1), steps);
        const found = await run(await CpuEngine.start(model, 1, 1), steps);
        const worst = found.reduce((most, p, at) => Math.max(most, Math.abs(p - reference[at])), 0);
        // A sum that lies between two levels may fall on either, by the order of its terms.
        expect(worst).toBeLessThanOrEqual(roundsToLevels(model) ? model.card.selfTest.tolerance : 1e-5);
      },
    );

    test("every model gives the same with every instruction set", async () => {
      for (const name of builtinModelNames()) {
        const model = await loadModel(name, schema);
        const [best, ...others] = await Promise.all(
          [...isas].reverse().map(async (isa) => run(await CpuEngine.start(model, 1, 1, isa), steps)),
        );
        const tolerance = roundsToLevels(model) ? model.card.selfTest.tolerance : 1e-5;
        for (const other of others) {
          const worst = other.reduce((most, p, at) => Math.max(most, Math.abs(p - best[at])), 0);
          expect(worst).toBeLessThanOrEqual(tolerance);
        }
      }
    });
  },
);

/** Built-in models in INT8 beside the same in float32. */
const PAIRS = builtinModelNames()
  .filter((name) => name.endsWith("-int8") && builtinModelNames().includes(name.slice(0, -"-int8".length)))
  .map((name) => [name, name.slice(0, -"-int8".length)] as const);

describe.skipIf(noCpu || skipUnlessShared(...HELD_OUT.captures))("over the capture that was held out", () => {
  let steps: RealSteps;
  beforeAll(async () => {
    steps = await realSteps(HELD_OUT, HELD_OUT_STEPS_MAX, 1);
    expect(steps.labelled).toBeGreaterThan(50_000);
  });

  test("there is a model in both", () => expect(PAIRS.length).toBeGreaterThan(0));

  test.each(PAIRS)(
    "%s loses at most 0.0005 of AUC on average against %s, and 0.002 on a head, on the cpu engine",
    async (int8, f32) => {
      const [of8, of32] = await Promise.all(
        [int8, f32].map(async (name) =>
          run(await CpuEngine.start(await loadModel(name, schema), 1, 1), steps),
        ),
      );
      const losses = HEADS.map((_, head) => {
        const labels = column(steps.labels, head, steps.labelled);
        const [area8, area32] = [of8, of32].map((of) =>
          areaUnderCurve(column(of, head, steps.labelled), labels),
        );
        return area32 - area8;
      });
      expect(Math.max(...losses)).toBeLessThanOrEqual(0.002);
      expect(losses.reduce((sum, loss) => sum + loss, 0) / losses.length).toBeLessThanOrEqual(0.0005);
    },
  );
});
