import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { Rng } from "../../src/core/rng.ts";
import { FEATURE_COUNT, SCHEMA_HASH } from "../../src/feature/schema.ts";
import { BUILTIN_MODELS } from "../../src/inference/builtin.ts";
import { loadModel } from "../../src/inference/model.ts";
import type { ProfileDistribution } from "../../src/inference/profile.ts";
import { binOf, distancesOf } from "../../src/learn/drift/distances.ts";
import { HeadOutcomes } from "../../src/learn/drift/head-outcomes.ts";
import { type DriftChange, DriftMonitor } from "../../src/learn/drift/monitor.ts";
import { DEFAULT_DRIFT_PARAMETERS } from "../../src/learn/drift/parameters.ts";
import { type ProfiledRows, trainingProfileOf } from "../../src/learn/drift/profile-builder.ts";
import { SlidingCounts } from "../../src/learn/drift/sliding-counts.ts";
import { type DriftSignal, StageKeeper } from "../../src/learn/drift/stage.ts";

const quarters: ProfileDistribution = {
  edges: [1, 2, 3],
  shares: [0.25, 0.25, 0.25, 0.25],
  low: 0,
  high: 4,
  rests: false,
  usual: { psi: 0, ks: 0, wasserstein: 0 },
};

describe("distances from a profile", () => {
  test("are the ones computed by hand", () => {
    const { psi, ks, wasserstein } = distancesOf(quarters, [50, 50, 0, 0], 0, 100);
    expect(psi).toBeCloseTo(2 * 0.25 * Math.log(2) + 2 * (1e-4 - 0.25) * Math.log(1e-4 / 0.25), 10);
    expect(ks).toBeCloseTo(0.5, 12);
    // Half of the mass moved from a mean of 3 to one of 1: 2 × 0.5, over a range of 4.
    expect(wasserstein).toBeCloseTo(0.25, 12);
  });

  test("are nothing where nothing has moved, and never negative", () => {
    expect(distancesOf(quarters, [5, 5, 5, 5], 0, 20)).toEqual({ psi: 0, ks: 0, wasserstein: 0 });
    fc.assert(
      fc.property(fc.array(fc.nat(1_000), { minLength: 4, maxLength: 4 }), (counts) => {
        const total = counts.reduce((sum, each) => sum + each, 1);
        counts[0] += 1;
        const { psi, ks, wasserstein } = distancesOf(quarters, counts, 0, total);
        expect(psi).toBeGreaterThanOrEqual(0);
        expect(ks).toBeGreaterThanOrEqual(0);
        expect(wasserstein).toBeGreaterThanOrEqual(0);
        expect(wasserstein).toBeLessThanOrEqual(1);
      }),
    );
  });

  test("put a value on an edge into the bin below it", () => {
    expect([-9, 1, 1.5, 2, 3, 3.1].map((value) => binOf([1, 2, 3], value))).toEqual([0, 0, 1, 1, 2, 3]);
  });
});

test("a sliding window forgets what is older than its length, and nothing else, but for one slice", () => {
  fc.assert(
    fc.property(fc.array(fc.nat(400), { minLength: 1, maxLength: 200 }), (gaps) => {
      const window = new SlidingCounts(1, 1_000, 10);
      const times: number[] = [];
      let timeUs = 0;
      for (const gap of gaps) {
        timeUs += gap;
        times.push(timeUs);
        window.advance(timeUs);
        window.add(0);
      }
      const within = (length: number): number => times.filter((at) => at > timeUs - length).length;
      expect(window.sums[0]).toBeGreaterThanOrEqual(within(900));
      expect(window.sums[0]).toBeLessThanOrEqual(
        within(1_000) + times.filter((at) => at === timeUs - 1_000).length,
      );
    }),
  );
});

describe("stages", () => {
  const signal = (value: number): DriftSignal[] => [
    { name: "features", value, alert: 0.15, widen: 0.25, defend: 0.5 },
  ];
  const parameters = { ...DEFAULT_DRIFT_PARAMETERS, risingLooks: 2, calmLooks: 3, calmShare: 0.8 };
  const play = (values: readonly number[]): number[] => {
    const keeper = new StageKeeper(parameters);
    return values.map((value) => {
      keeper.look(signal(value));
      return keeper.stage;
    });
  };

  test("rise when two looks in a row call for it, to the least of what they call for", () => {
    expect(play([0.6, 0.1, 0.6, 0.3, 0.6, 0.6])).toEqual([0, 0, 0, 2, 2, 3]);
  });

  test("fall step by step, and not while what is seen is near the limit", () => {
    expect(play([0.6, 0.6, 0.45, 0.45, 0.45, 0.45, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1])).toEqual([
      0, 3, 3, 3, 3, 3, 3, 3, 2, 2, 2, 1,
    ]);
  });

  test("stay where nothing can be judged", () => {
    expect(play([0.6, 0.6, Number.NaN, Number.NaN, Number.NaN, Number.NaN])).toEqual([0, 3, 3, 3, 3, 3]);
  });

  test("stay while what called for them cannot be judged, though something else is calm", () => {
    const keeper = new StageKeeper(parameters);
    const look = (features: number, skill: number | null): number => {
      const outcome = { name: "skill", alert: -0.14, widen: -0.1, defend: 0 };
      keeper.look([...signal(features), ...(skill === null ? [] : [{ ...outcome, value: skill }])]);
      return keeper.stage;
    };
    expect([look(0, -0.05), look(0, -0.05)]).toEqual([0, 2]);
    // Too few outcomes, then none in the window at all.
    expect(Array.from({ length: 12 }, (_, at) => look(0, at < 6 ? Number.NaN : null))).toEqual(
      new Array(12).fill(2),
    );
    expect([look(0, -0.3), look(0, -0.3), look(0, -0.3)]).toEqual([2, 2, 1]);
    // What was calm calls for it now, and is judged.
    expect([look(0.6, null), look(0.6, null)]).toEqual([1, 3]);
    expect([look(0.1, null), look(0.1, null), look(0.1, null)]).toEqual([3, 3, 2]);
  });

  test("take a limit below zero for what it is", () => {
    const keeper = new StageKeeper(parameters);
    const skill = (value: number): DriftSignal => ({
      name: "skill",
      value,
      alert: -0.14,
      widen: -0.1,
      defend: 0,
    });
    keeper.look([skill(-0.2)]);
    keeper.look([skill(-0.2)]);
    expect(keeper.stage).toBe(0);
    keeper.look([skill(-0.05)]);
    keeper.look([skill(-0.05)]);
    expect(keeper.stage).toBe(2);
  });
});

test("scores of a window are those computed by hand", () => {
  const outcomes = new HeadOutcomes(1, 1e6, 10);
  outcomes.advance(0);
  for (const [p, y] of [
    [0.9, 1],
    [0.9, 0],
    [0.1, 0],
    [0.1, 0],
  ] as const)
    outcomes.add(0, p, y);
  const { rows, baseRate, brier, auc, skill, calibrationError } = outcomes.scores(0);
  expect(rows).toBe(4);
  expect(baseRate).toBe(0.25);
  expect(brier).toBeCloseTo((0.01 + 0.81 + 0.01 + 0.01) / 4, 12);
  expect(auc).toBeCloseTo((0.5 + 2) / 3, 12);
  const loss = -(3 * Math.log(0.9) + Math.log(0.1)) / 4;
  const constant = -(0.25 * Math.log(0.25) + 0.75 * Math.log(0.75));
  expect(skill).toBeCloseTo(1 - loss / constant, 12);
  expect(calibrationError).toBeCloseTo((0.8 + 0.2) / 4, 12);
});

const WIDTH = 4;
const HEAD = {
  name: "down50",
  horizonMs: 50,
  thetaBp: 0.5,
  depthFraction: null,
  meanMoveBp: 1,
  baseRate: 0.3,
  metrics: {},
} as const;
const STEP_US = 5_000;

/** A world of four features, and a head that is right about it. */
function world(seed: number, shift = 0, inverted = false) {
  const rng = new Rng(seed);
  const features = new Float32Array(WIDTH);
  const probability = new Float32Array(1);
  let came = 0;
  return {
    features,
    probability,
    next: (): number => {
      for (let at = 0; at < WIDTH; at += 1) features[at] = rng.normal() + (at < 2 ? shift : 0);
      const p = 1 / (1 + Math.exp(-(1.5 * features[3] - 0.8)));
      probability[0] = p;
      came = rng.next() < (inverted ? 1 - p : p) ? 1 : 0;
      return came;
    },
  };
}

function profiled(seed: number, rows: number): ProfiledRows {
  const source = world(seed);
  const kept = Array.from({ length: rows }, () => {
    const label = source.next();
    return { features: source.features.slice(), probabilities: source.probability.slice(), labels: [label] };
  });
  const row = (at: number) =>
    kept[at] ?? { features: source.features, probabilities: source.probability, labels: [0] };
  return {
    rows,
    timeUs: (at) => at * STEP_US,
    features: (at) => row(at).features,
    probabilities: (at) => row(at).probabilities,
    labels: (at) => row(at).labels,
  };
}

const profile = trainingProfileOf([profiled(1, 24_000)], {
  featureCount: WIDTH,
  heads: 1,
  sampleMs: 20,
  windowSeconds: 20,
});

interface Watched {
  readonly changes: (DriftChange & { readonly timeUs: number })[];
  readonly requests: number[];
  readonly monitor: DriftMonitor;
  readonly play: (source: ReturnType<typeof world>, seconds: number) => void;
}

function watch(parameters: Partial<typeof DEFAULT_DRIFT_PARAMETERS> = {}): Watched {
  const changes: Watched["changes"] = [];
  const requests: number[] = [];
  const monitor = new DriftMonitor({
    card: { heads: [{ ...HEAD }], featureCount: WIDTH, profile, model: "a" },
    underlyings: 2,
    parameters: {
      ...DEFAULT_DRIFT_PARAMETERS,
      windowSeconds: 20,
      lookSeconds: 1,
      rowsMin: 200,
      ...parameters,
    },
    onChange: (change, timeUs) => changes.push({ ...change, timeUs }),
    onRetrain: (_underlying, _causes, timeUs) => requests.push(timeUs),
  });
  let timeUs = 1e9;
  let mid = 10_000;
  return {
    changes,
    requests,
    monitor,
    play: (source, seconds) => {
      for (let at = 0; at < (seconds * 1e6) / STEP_US / 12; at += 1) {
        // A prediction, then for 55 ms a market in which what was drawn comes, or nothing does.
        const fell = source.next() === 1;
        monitor.onFeatures(1, source.features, 0, timeUs);
        monitor.onPrediction(1, source.probability, 0, timeUs, mid, 100, 100);
        if (fell) mid -= 1;
        for (let step = 1; step < 12; step += 1) {
          timeUs += STEP_US;
          monitor.onTimer(timeUs);
        }
        timeUs += STEP_US;
        monitor.onTimer(timeUs);
      }
    },
  };
}

describe("a monitor", () => {
  const few = { rowsMin: 100, positivesMin: 20 };

  test("says nothing of a world like the one of training", () => {
    const { play, changes, requests } = watch(few);
    play(world(2), 200);
    expect(changes).toEqual([]);
    expect(requests).toEqual([]);
  });

  test("tells within a window that half of the features have moved, and asks for a retraining once", () => {
    const { play, changes, requests, monitor } = watch(few);
    play(world(3), 60);
    const fromUs = 1e9 + 60e6;
    play(world(4, 3), 60);
    expect(changes.at(-1)).toMatchObject({ underlying: 1, stage: "defensive", share: 1 });
    expect(changes.at(-1)?.causes).toContain("features");
    expect((changes.at(-1)?.timeUs ?? 0) - fromUs).toBeLessThan(20e6);
    expect(
      monitor
        .of(1)
        ?.drifted.map(({ at }) => at)
        .sort(),
    ).toEqual([0, 1]);
    expect(requests).toHaveLength(1);
  });

  test("takes nothing back at once, and all of it step by step when the world is as it was", () => {
    const { play, changes } = watch({ ...few, calmLooks: 5 });
    play(world(5), 40);
    play(world(6, 3), 40);
    play(world(7), 80);
    expect(changes.slice(-3).map(({ stage }) => stage)).toEqual(["widened", "alerted", "steady"]);
    expect(changes.at(-1)?.share).toBe(0);
  });

  test("finds a feature that is no longer there", () => {
    const { play, changes, monitor } = watch(few);
    play(world(8), 40);
    const source = world(9);
    play(
      {
        ...source,
        next: () => {
          const came = source.next();
          source.features[2] = 0;
          return came;
        },
      },
      60,
    );
    expect(monitor.of(1)?.missing).toEqual([2]);
    expect(changes.at(-1)?.causes).toContain("missing");
  });

  test("of another model begins anew and lets the desk trust it", () => {
    const { play, changes, monitor } = watch(few);
    play(world(10), 40);
    play(world(11, 3), 40);
    expect(changes.at(-1)?.stage).toBe("defensive");
    const other = { heads: [{ ...HEAD }], featureCount: WIDTH, model: "b" };
    monitor.follow(0, other, 2e9);
    expect(changes.at(-1)?.stage).toBe("defensive");
    monitor.follow(1, other, 2e9);
    expect(changes.at(-1)).toMatchObject({ stage: "steady", share: 0, underlying: 1 });
    expect(monitor.of(1)).toBeNull();
  });

  test("of a model that comes back goes on where it was", () => {
    const { play, changes, monitor } = watch(few);
    play(world(10), 40);
    play(world(11, 3), 40);
    const before = monitor.of(1);
    const champion = { heads: [{ ...HEAD }], featureCount: WIDTH, profile, model: "a" };
    monitor.follow(1, { ...champion, model: "b" }, 2e9);
    monitor.follow(1, champion, 2e9 + 1);
    expect(monitor.of(1)).toBe(before);
    expect(changes.at(-1)).toMatchObject({ stage: "defensive", share: 1 });
    monitor.follow(1, champion, 2e9 + 2);
    expect(changes.filter(({ timeUs }) => timeUs >= 2e9)).toHaveLength(2);
  });

  test("keeps to a memory that does not grow", () => {
    const { play, monitor } = watch(few);
    play(world(12), 30);
    const { memoryBytes } = monitor;
    play(world(13), 60);
    expect(monitor.memoryBytes).toBe(memoryBytes);
  });
});

test("every shipped model tells in its card what it was trained on", async () => {
  for (const name of Object.keys(BUILTIN_MODELS)) {
    const { card } = await loadModel(name, { schemaHash: SCHEMA_HASH, featureCount: FEATURE_COUNT });
    const { profile: own } = card;
    expect(own?.features).toHaveLength(FEATURE_COUNT);
    expect(own?.predictions).toHaveLength(card.heads.length);
    for (const [head, { baseRate, skill, auc }] of (own?.outcomes ?? []).entries()) {
      expect(Math.abs(baseRate - (card.heads[head]?.baseRate ?? 0))).toBeLessThan(0.12);
      expect(skill).toBeGreaterThan(0.05);
      expect(auc).toBeGreaterThan(0.65);
    }
  }
});
