import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { ModelRefusedError } from "../../src/core/errors.ts";
import { Rng } from "../../src/core/rng.ts";
import { FEATURE_COUNT, SCHEMA_HASH } from "../../src/feature/schema.ts";
import { CpuEngine, cpuIsas } from "../../src/inference/cpu.ts";
import type { StepEngine } from "../../src/inference/engine.ts";
import { EngineAround } from "../../src/inference/engine-around.ts";
import { loadModel } from "../../src/inference/model.ts";
import { SwitchedEngine } from "../../src/inference/switched-engine.ts";
import { skipUnlessNative } from "../support/native.ts";

// Loads the native library, which is compiled when its sources have changed, before tests are timed.
await cpuIsas();

const SLOTS = 3;
const HISTORY = 256;
const schema = { schemaHash: SCHEMA_HASH, featureCount: FEATURE_COUNT };
const first = await loadModel("lstm-residual-int8", schema);
const second = await loadModel("lstm-residual-pruned-int8", schema);
const noEngine = await skipUnlessNative("exchanging models, which the cpu engine alone does");
const [one, other, alone, otherAlone] = await Promise.all(
  (noEngine ? [] : [first, second, first, second]).map((model) => CpuEngine.start(model, SLOTS, SLOTS)),
);
const HEADS = first.card.heads.length;

function reset(...engines: StepEngine[]): void {
  for (const engine of engines) for (let slot = 0; slot < SLOTS; slot += 1) engine.resetSlot(slot);
}

function rows(count: number, seed: number): Float32Array<ArrayBuffer>[] {
  const rng = new Rng(seed);
  return Array.from({ length: count }, () =>
    Float32Array.from({ length: FEATURE_COUNT }, () => rng.normal()),
  );
}

function stepOne(engine: StepEngine, slot: number, row: Float32Array): Float32Array {
  engine.slots[0] = slot;
  engine.features.set(row);
  engine.step(1);
  return engine.probabilities.slice(0, HEADS);
}

/** Runs rows through slot 1, with what is to be done before some of them. */
function run(
  models: SwitchedEngine,
  given: readonly Float32Array[],
  before: Readonly<Record<number, () => void>> = {},
): Float32Array[] {
  return given.map((row, at) => {
    before[at]?.();
    return stepOne(models, 1, row);
  });
}

class Odd extends EngineAround {
  steps = 0;
  override step(count: number): void {
    this.inner.step(count);
    this.steps += 1;
    if (this.steps === 40) this.probabilities[3] = Number.NaN;
  }
}

describe.skipIf(noEngine)("an engine with two models", () => {
  test("gives the bits of its only model while there is one", () => {
    reset(one, alone);
    const given = rows(20, 1);
    expect(run(new SwitchedEngine(one), given)).toEqual(given.map((row) => stepOne(alone, 1, row)));
  });

  test("gives, once the second is in force, what that gives which has seen every row", () => {
    reset(one, otherAlone);
    const given = rows(120, 2);
    const models = new SwitchedEngine(one);
    const made = run(models, given, { 60: () => models.load(other), 90: () => models.assign(1, true) });
    const wanted = given.map((row) => stepOne(otherAlone, 1, row));
    expect(made.slice(90)).toEqual(wanted.slice(90));
    expect(made[89]).not.toEqual(wanted[89]);
  });

  test("warms a model with the rows of its history where there were more", () => {
    reset(one, otherAlone);
    const given = rows(HISTORY + 60, 3);
    const models = new SwitchedEngine(one);
    const made = run(models, given, {
      [HISTORY + 50]: () => {
        models.load(other);
        models.assign(1, true);
      },
    });
    const wanted = given.slice(50).map((row) => stepOne(otherAlone, 1, row));
    expect(made.slice(HISTORY + 50)).toEqual(wanted.slice(HISTORY));
  });

  test("warms a model with every row, whether or not it was asked to keep them before", () => {
    const given = rows(60, 13);
    const warmed = (settlesAfter: (row: number) => boolean): Float32Array[] => {
      reset(one);
      const models = new SwitchedEngine(one);
      return given.map((row, at) => {
        if (at === 40) {
          models.load(other);
          models.assign(1, true);
        }
        const answer = stepOne(models, 1, row);
        if (settlesAfter(at)) models.settle();
        return answer;
      });
    };
    reset(otherAlone);
    const wanted = given.map((row) => stepOne(otherAlone, 1, row)).slice(40);
    for (const settlesAfter of [() => true, () => false, (at: number) => at % 3 === 0]) {
      expect(warmed(settlesAfter).slice(40)).toEqual(wanted);
    }
  });

  test("has no rows of its own while there is one model, and those of the last step stay where they are looked for", () => {
    reset(one, other);
    const models = new SwitchedEngine(one);
    expect([models.features, models.slots, models.probabilities]).toEqual([
      ...[one.features, one.slots, one.probabilities],
    ]);
    expect(models.features).toBe(one.features);
    const [row, next] = rows(2, 21);
    const seen = (): unknown[] => [
      ...[models.slots[0], models.features.slice(0, FEATURE_COUNT), models.probabilities.slice(0, HEADS)],
    ];
    const answer = stepOne(models, 1, row);
    models.load(other);
    expect(models.features).not.toBe(one.features);
    expect(seen()).toEqual([1, row, answer]);
    const second = stepOne(models, 2, next);
    models.unload();
    expect(models.features).toBe(one.features);
    expect(seen()).toEqual([2, next, second]);
  });

  test("forgets rows that wait to be kept when their slot begins anew", () => {
    reset(one, otherAlone);
    const models = new SwitchedEngine(one);
    const given = rows(20, 14);
    run(models, given.slice(0, 10));
    models.resetSlot(1);
    const made = run(models, given.slice(10), {
      5: () => {
        models.load(other);
        models.assign(1, true);
      },
    });
    const wanted = given.slice(10).map((row) => stepOne(otherAlone, 1, row));
    expect(made.slice(5)).toEqual(wanted.slice(5));
  });

  test("goes back to the first as if that had been in force all the time", () => {
    reset(one, alone);
    const given = rows(90, 4);
    const models = new SwitchedEngine(one);
    const made = run(models, given, {
      10: () => models.load(other),
      30: () => models.assign(1, true),
      60: () => models.assign(1, false),
    });
    const wanted = given.map((row) => stepOne(alone, 1, row));
    expect(made.slice(60)).toEqual(wanted.slice(60));
    expect(made.slice(30, 60)).not.toEqual(wanted.slice(30, 60));
  });

  test("keeps the old model warm after the second has taken its place", () => {
    reset(one, alone);
    const given = rows(700, 5);
    const models = new SwitchedEngine(one);
    const made = run(models, given, {
      10: () => models.load(other),
      20: () => models.exchange(),
      690: () => models.exchange(),
    });
    expect(made.slice(690)).toEqual(given.map((row) => stepOne(alone, 1, row)).slice(690));
    expect(models.forcedRows).toBeGreaterThan(0);
  });

  test("gives the same bits whenever the model that follows is brought up to date", () => {
    const given = rows(330, 6);
    const acts = (models: SwitchedEngine) => ({
      20: () => models.load(other),
      300: () => models.assign(1, true),
      315: () => models.exchange(),
    });
    reset(one);
    const late = new SwitchedEngine(one);
    const wanted = run(late, given, acts(late));
    late.unload();
    fc.assert(
      fc.property(fc.array(fc.nat({ max: 40 }), { minLength: 330, maxLength: 330 }), (budgets) => {
        reset(one);
        const models = new SwitchedEngine(one);
        const act: Record<number, () => void> = acts(models);
        const made = given.map((row, at) => {
          act[at]?.();
          const probabilities = stepOne(models, 1, row);
          models.catchUp(budgets[at]);
          return probabilities;
        });
        models.unload();
        expect(made).toEqual(wanted);
      }),
      { numRuns: 20 },
    );
  });

  test("answers rows of one batch by the model of each", () => {
    reset(one, alone, otherAlone);
    const models = new SwitchedEngine(one);
    models.load(other);
    models.assign(0, true);
    models.assign(2, true);
    for (const [at, row] of rows(5, 7).entries()) {
      for (let slot = 0; slot < SLOTS; slot += 1) {
        models.slots[slot] = slot;
        models.features.set(row, slot * FEATURE_COUNT);
      }
      models.step(SLOTS);
      const made = [0, 1, 2].map((slot) => models.probabilities.slice(slot * HEADS, (slot + 1) * HEADS));
      const wanted = [otherAlone, alone, otherAlone].map((engine, slot) => stepOne(engine, slot, row));
      expect({ at, made: made.map((row) => [...row]) }).toEqual({ at, made: wanted.map((row) => [...row]) });
    }
  });

  test("takes a slot from a second model that gives no probability, within that step", () => {
    reset(one, alone, other);
    const models = new SwitchedEngine(one);
    const given = rows(60, 8);
    const fellBack: number[] = [];
    models.onFallBack = (slot) => fellBack.push(slot);
    const made = run(models, given, {
      0: () => {
        models.load(new Odd(other));
        models.assign(1, true);
      },
    });
    expect(models.oddRows).toBe(1);
    expect(fellBack).toEqual([1]);
    expect(models.onSecond(1)).toBe(false);
    expect(made.flatMap((row) => [...row]).every((p) => p >= 0 && p <= 1)).toBe(true);
    expect(made.slice(39)).toEqual(given.map((row) => stepOne(alone, 1, row)).slice(39));
  });

  test("begins anew in both models where a slot is reset", () => {
    reset(one, otherAlone);
    const models = new SwitchedEngine(one);
    models.load(other);
    const given = rows(30, 9);
    run(models, given.slice(0, 20));
    models.resetSlot(1);
    run(models, given.slice(20, 25));
    models.assign(1, true);
    const wanted = given.slice(20).map((row) => stepOne(otherAlone, 1, row));
    expect(run(models, given.slice(25))).toEqual(wanted.slice(5));
  });

  test("refuses a model with other heads or horizons, and stays as it was", () => {
    const models = new SwitchedEngine(one);
    class Other extends EngineAround {
      override readonly card = { ...second.card, heads: second.card.heads.slice(1) };
    }
    expect(() => models.load(new Other(other))).toThrow(ModelRefusedError);
    expect(models.second).toBeNull();
  });
});
