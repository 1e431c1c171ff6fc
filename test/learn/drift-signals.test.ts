import { describe, expect, test } from "bun:test";
import { HEADS } from "../../src/inference/card.ts";
import type { ProfileDistribution, TrainingProfile } from "../../src/inference/profile.ts";
import { DEFAULT_DRIFT_PARAMETERS } from "../../src/learn/drift/parameters.ts";
import { UnderlyingDrift } from "../../src/learn/drift/underlying-drift.ts";

const WINDOW_SECONDS = 60;
const RISING = 2;
const CALM = 12;
const parameters = {
  ...DEFAULT_DRIFT_PARAMETERS,
  windowSeconds: WINDOW_SECONDS,
  rowsMin: 100,
  positivesMin: 20,
};
const { margin, calmShare, alertShare, featuresWiden, missingWiden, calibrationWiden } = parameters;

/** Far from anything: a distance that is never the one that decides. */
const NEVER = 1e9;
const usually = (psi: number, ks: number, wasserstein: number) => ({ psi, ks, wasserstein });
/** 0 and 1, as often as each other, on either side of an edge. */
const coin = (usual: ProfileDistribution["usual"], rests = true): ProfileDistribution => ({
  ...{ edges: [0.5], shares: [0.5, 0.5], low: 0, high: 1, rests, usual },
});
const calm = usually(NEVER, NEVER, NEVER);
const psiOf = (moved: number): number => moved * Math.log((0.5 + moved) / (0.5 - moved));

const profileOf = (
  given: Partial<Pick<TrainingProfile, "features" | "predictions" | "intervals">>,
): TrainingProfile => ({
  ...{ sampleMs: 1, windowSeconds: WINDOW_SECONDS, rows: 1_000, outcomes: [] },
  features: [],
  predictions: HEADS.map(() => coin(calm)),
  intervals: coin(calm),
  ...given,
});

/** An underlying whose windows are filled anew with a world of which one number is set. */
class Bed {
  readonly drift: UnderlyingDrift;
  timeUs = 1e9;
  mid = 1_000_000;
  readonly #fill: (bed: Bed, level: number) => void;

  constructor(
    heads: readonly number[],
    profile: TrainingProfile | null,
    fill: (bed: Bed, level: number) => void,
  ) {
    this.drift = new UnderlyingDrift(heads, profile, parameters);
    this.#fill = fill;
  }

  /** The windows hold nothing but this level from now on. */
  set(level: number): void {
    this.timeUs += WINDOW_SECONDS * 1e6;
    this.drift.look(this.timeUs);
    this.drift.interrupt();
    this.#fill(this, level);
  }

  /** @returns the stage after each look */
  look(looks: number): number[] {
    return Array.from({ length: looks }, () => {
      this.drift.look(this.timeUs);
      return this.drift.keeper.stage;
    });
  }

  signal(name: string) {
    const signal = this.drift.signals.find((one) => one.name === name);
    if (signal === undefined) throw new Error(`a signal of ${name}`);
    return signal;
  }
}

/** 1 in `share` of the rows, the others 0, evenly mixed. */
const mixed = (row: number, share: number): number =>
  Math.floor((row + 1) * share + 1e-9) - Math.floor(row * share + 1e-9);

const FEATURES = 20;
/** So many of them make an alert. */
const ALERTING = Math.ceil(alertShare * featuresWiden * FEATURES - 1e-9);

/** Features of which as many move by a level as it takes. */
function features(usual: ProfileDistribution["usual"]): Bed {
  const all = Array.from({ length: FEATURES }, (_, at) => coin(at < ALERTING ? usual : calm));
  const row = new Float32Array(FEATURES);
  return new Bed([0], profileOf({ features: all, predictions: [coin(calm)] }), (bed, moved) => {
    for (let at = 0; at < 4_000; at += 1) {
      bed.timeUs += 10_000;
      row.fill(mixed(at, 0.5));
      row.fill(mixed(at, 0.5 + moved), 0, ALERTING);
      bed.drift.takeFeatures(row, 0, bed.timeUs);
    }
  });
}

/** Features of which so many stand still. */
function missing(): Bed {
  const count = 100;
  const row = new Float32Array(count);
  const all = Array.from({ length: count }, () => coin(calm, false));
  return new Bed([0], profileOf({ features: all, predictions: [coin(calm)] }), (bed, still) => {
    for (let at = 0; at < 400; at += 1) {
      bed.timeUs += 100_000;
      row.fill(mixed(at, 0.5));
      row.fill(0, 0, still);
      bed.drift.takeFeatures(row, 0, bed.timeUs);
    }
  });
}

/** Predictions of all heads but four move by a level: three of seven alert. */
function predictions(): Bed {
  const moving = 3;
  const logits = { edges: [0], shares: [0.5, 0.5], low: -1, high: 1, rests: true };
  const profile = profileOf({
    predictions: HEADS.map((_, at) => ({ ...logits, usual: at < moving ? usually(0, 0.3, NEVER) : calm })),
  });
  const said = new Float32Array(HEADS.length);
  return new Bed(
    HEADS.map((_, at) => at),
    profile,
    (bed, moved) => {
      for (let at = 0; at < 4_000; at += 1) {
        bed.timeUs += 10_000;
        for (let head = 0; head < HEADS.length; head += 1)
          said[head] = mixed(at, 0.5 + (head < moving ? moved : 0)) === 1 ? 0.7 : 0.3;
        bed.drift.takePrediction(said, 0, bed.timeUs, bed.mid, 100, 100);
      }
    },
  );
}

/** Steps of the model come 5 or 15 ms after each other. */
function intervals(): Bed {
  const between = { edges: [Math.log1p(10)], shares: [0.5, 0.5], low: 0, high: Math.log1p(20), rests: true };
  const profile = profileOf({
    predictions: [coin(calm)],
    intervals: { ...between, usual: usually(0, 0.3, NEVER) },
  });
  const said = Float32Array.of(0.5);
  return new Bed([0], profile, (bed, moved) => {
    for (let at = 0; at < 4_000; at += 1) {
      bed.timeUs += mixed(at, 0.5 + moved) === 1 ? 15_000 : 5_000;
      bed.drift.takePrediction(said, 0, bed.timeUs, bed.mid, 100, 100);
    }
  });
}

/** Predictions of a fall of `p` and 1 − `p`, in turn, that come true at `rate` and 1 − `rate`. */
function outcomes(pOf: (level: number) => number, rateOf: (level: number) => number): Bed {
  const said = new Float32Array(1);
  return new Bed([0], null, (bed, level) => {
    for (let at = 0; at < 400; at += 1) {
      const likely = at % 2 === 0;
      const rate = likely ? rateOf(level) : 1 - rateOf(level);
      said[0] = likely ? pOf(level) : 1 - pOf(level);
      bed.drift.takePrediction(said, 0, bed.timeUs, bed.mid, 100, 100);
      if (mixed(Math.floor(at / 2), rate) === 1) bed.mid -= 100;
      // The next prediction's book is a row like any other: within the horizon it says what came.
      bed.timeUs += 4_000;
      bed.drift.takePrediction(said, 0, bed.timeUs, bed.mid, 100, 100);
      bed.timeUs += 106_000;
    }
  });
}

interface Case {
  readonly what: string;
  /** Signal by which it is told. */
  readonly signal: string;
  readonly bed: () => Bed;
  /** Levels: at the limit of an alert or just beyond; below it and within the band; below the band. */
  readonly at: number;
  readonly band: number;
  readonly clear: number;
}

const CASES: readonly Case[] = [
  // The median of three distances decides: of the other two one is far and one is near.
  {
    what: "PSI",
    signal: "features",
    bed: () => features(usually(psiOf(0.3), 0, NEVER)),
    at: 0.325,
    band: 0.31,
    clear: 0.27,
  },
  {
    what: "Kolmogorov–Smirnov",
    signal: "features",
    bed: () => features(usually(0, 0.3, NEVER)),
    at: 0.365,
    band: 0.33,
    clear: 0.27,
  },
  {
    what: "Wasserstein",
    signal: "features",
    bed: () => features(usually(0, NEVER, 0.15)),
    at: 0.365,
    band: 0.33,
    clear: 0.27,
  },
  { what: "predictions", signal: "predictions", bed: predictions, at: 0.365, band: 0.33, clear: 0.27 },
  {
    what: "shape of the feed: intervals",
    signal: "intervals",
    bed: intervals,
    at: 0.365,
    band: 0.33,
    clear: 0.27,
  },
  // Alerts at 4.8, clear below 3.84 of a hundred.
  { what: "shape of the feed: missing fields", signal: "missing", bed: missing, at: 5, band: 4, clear: 3 },
  // 0.9 comes true less often: alerts at 0.072, clear below 0.0576.
  {
    what: "calibration error",
    signal: "calibration",
    bed: () =>
      outcomes(
        () => 0.9,
        (off) => 0.9 - off,
      ),
    at: 0.075,
    band: 0.06,
    clear: 0.05,
  },
  // Right on the average, and saying less and less: alerts below a skill of 0.14, clear above 0.168.
  {
    what: "AUC and Brier score",
    signal: "skill",
    bed: () =>
      outcomes(
        (p) => p,
        (p) => p,
      ),
    at: 0.71,
    band: 0.725,
    clear: 0.8,
  },
];

describe.each(CASES.map((one) => [one.what, one] as const))(
  "%s",
  (_, { signal: name, bed: make, ...levels }) => {
    test("alerts at its limit, stays in the band and is clear below it", () => {
      const bed = make();
      const looks = (level: number, count: number): number[] => {
        bed.set(level);
        return bed.look(count);
      };
      expect(looks(levels.clear, 5)).toEqual([0, 0, 0, 0, 0]);
      expect(looks(levels.band, 3 * CALM)).toEqual(new Array(3 * CALM).fill(0));
      expect(looks(levels.at, RISING + 1)).toEqual([0, 1, 1]);
      expect(bed.drift.keeper.causes).toEqual([name]);
      expect(looks(levels.band, 3 * CALM)).toEqual(new Array(3 * CALM).fill(1));
      expect(looks(levels.clear, CALM)).toEqual([...new Array(CALM - 1).fill(1), 0]);
      expect(bed.drift.keeper.causes).toEqual([]);
    });

    test("does not flicker: around its limit it changes once, around the band's end never", () => {
      const bed = make();
      const stages = (turns: number, ...between: number[]): number[] =>
        Array.from({ length: turns }, (_, turn) => {
          bed.set(between[turn % between.length]);
          return bed.look(1)[0];
        });
      // One look is not enough, however often.
      expect(new Set(stages(8, levels.at, levels.clear))).toEqual(new Set([0]));
      expect(stages(8, levels.at, levels.at, levels.band, levels.band)).toEqual([0, 1, 1, 1, 1, 1, 1, 1]);
      expect(new Set(stages(2 * CALM + 2, levels.band, levels.clear))).toEqual(new Set([1]));
    });
  },
);

test("levels are where the cases say: on either side of the limit by little, and within the band", () => {
  const found = CASES.map(({ what, signal: name, bed: make, ...levels }) => {
    const value = (level: number): number => {
      const bed = make();
      bed.set(level);
      bed.look(1);
      return bed.signal(name).value;
    };
    return [what, value(levels.at), value(levels.band), value(levels.clear)] as const;
  });
  for (const [what, at, band, clear] of found) {
    const limit =
      {
        "calibration error": alertShare * calibrationWiden,
        "shape of the feed: missing fields": alertShare * missingWiden,
        "shape of the feed: intervals": margin,
        "AUC and Brier score": -0.14,
        predictions: alertShare * 0.7,
      }[what] ?? alertShare * featuresWiden;
    expect(at).toBeGreaterThanOrEqual(limit);
    expect(at).toBeLessThan(limit + 0.06 * Math.abs(limit) + 0.001);
    expect(band).toBeLessThan(limit);
    // A share falls at once; what it counts is held in the band.
    if (/PSI|Kol|Wasser|pred/.test(what)) expect([band, clear]).toEqual([0, 0]);
    else expect(band).toBeGreaterThanOrEqual(limit - (1 - calmShare) * Math.abs(limit));
  }
});

test("a model no better than a constant is not listened to, nor one that is hardly better", () => {
  const bed = outcomes(
    (p) => p,
    (p) => p,
  );
  // Skill 0, then 0.007 and 0.029; the band at 0 is a fifth of the widening limit.
  bed.set(0.5);
  expect(bed.look(RISING)).toEqual([0, 3]);
  bed.set(0.55);
  expect(bed.look(3 * CALM)).toEqual(new Array(3 * CALM).fill(3));
  bed.set(0.6);
  expect(bed.look(CALM).at(-1)).toBe(2);
});

test("scores of ranking and of size fall with what the skill falls with", () => {
  const bed = outcomes(
    (p) => p,
    (p) => p,
  );
  const scores = [0.8, 0.725, 0.71, 0.5].map((p) => {
    bed.set(p);
    bed.look(1);
    const { auc, brier, skill } = bed.drift.scores[0];
    return [auc ?? 0, -(brier ?? 1), skill ?? 0];
  });
  for (const column of [0, 1, 2]) {
    const falling = scores.map((row) => row[column]);
    expect(falling).toEqual(falling.toSorted((a, b) => b - a));
    expect(new Set(falling).size).toBe(4);
  }
});
