import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { Rng } from "../../src/core/rng.ts";
import { FEATURE_COUNT, SCHEMA_HASH } from "../../src/feature/schema.ts";
import { CpuEngine, cpuIsas } from "../../src/inference/cpu.ts";
import type { StepEngine } from "../../src/inference/engine.ts";
import { EngineAround } from "../../src/inference/engine-around.ts";
import { loadModel } from "../../src/inference/model.ts";
import { Challenge } from "../../src/learn/challenge/challenge.ts";
import { ConfidenceSequence } from "../../src/learn/challenge/confidence.ts";
import {
  type ChallengeEvidence,
  type ChallengePhase,
  DEFAULT_CHALLENGE_POLICY,
  judge,
} from "../../src/learn/challenge/policy.ts";
import { HeadScores } from "../../src/learn/challenge/scores.ts";
import { canaryUnderlyings } from "../../src/learn/challenge/split.ts";
import { WouldBeQuotes } from "../../src/learn/challenge/would-be.ts";
import {
  OBSERVED,
  OBSERVED_VALUES_MAX,
  QUOTED,
  QUOTED_VALUES,
} from "../../src/learn/outcomes/observation.ts";
import type { OutcomeRows, OutcomeTable } from "../../src/learn/outcomes/table.ts";
import { DEFAULT_QUOTE_PARAMETERS } from "../../src/quote/parameters.ts";
import { TERM } from "../../src/quote/term.ts";
import { skipUnlessNative } from "../support/native.ts";

// Loads the native library, which is compiled when its sources have changed, before tests are timed.
await cpuIsas();

describe("a confidence sequence", () => {
  test("is the published interval", () => {
    const sequence = new ConfidenceSequence(0.05, 100);
    for (const value of [1, 2, 4, 7]) sequence.add(value);
    const spread = -2 * Math.log(0.05);
    const mixed = (4 * (spread + Math.log(spread + 1))) / 100 + 1;
    const variance = (6.25 + 2.25 + 0.25 + 12.25) / 4;
    const radius = Math.sqrt((2 * variance * mixed * Math.log(Math.sqrt(mixed) / 0.05)) / (4 * (mixed - 1)));
    expect(sequence.mean).toBe(3.5);
    expect(sequence.radius).toBeCloseTo(radius, 12);
  });

  test("leaves out the true mean, at any of 2,000 looks, in no more streams than alpha", () => {
    const rng = new Rng(5);
    let wrong = 0;
    for (let stream = 0; stream < 400; stream += 1) {
      const sequence = new ConfidenceSequence(0.05, 500);
      let left = false;
      for (let t = 0; t < 2_000; t += 1) {
        // Skewed, as losses are.
        sequence.add(-Math.log(1 - rng.next()) - 1);
        left ||= t >= 30 && (sequence.lower > 0 || sequence.upper < 0);
      }
      if (left) wrong += 1;
    }
    expect(wrong / 400).toBeLessThan(0.07);
  });

  test("finds a difference of a tenth of the deviation", () => {
    const rng = new Rng(6);
    const sequence = new ConfidenceSequence(0.05, 1_000);
    let looks = 0;
    while (!(sequence.upper < 0) && looks < 20_000) {
      sequence.add(rng.normal() - 0.1);
      looks += 1;
    }
    expect(looks).toBeLessThan(6_000);
  });
});

test("scores of a head are those of its rows", () => {
  const rng = new Rng(9);
  const rows = Array.from({ length: 2_000 }, () => {
    const p = 1 / (1 + Math.exp(-(rng.normal() * 2 - 1)));
    return { p, y: rng.next() < p ? 1 : 0 };
  });
  const scores = new HeadScores();
  for (const { p, y } of rows) scores.add(p, y);
  const { auc, brier, logLoss, baseRate, calibrationError } = scores.score();
  const positives = rows.filter(({ y }) => y === 1);
  const negatives = rows.filter(({ y }) => y === 0);
  let above = 0;
  for (const a of positives) for (const b of negatives) above += a.p > b.p ? 1 : a.p === b.p ? 0.5 : 0;
  expect(auc).toBeCloseTo(above / positives.length / negatives.length, 3);
  expect(brier).toBeCloseTo(rows.reduce((sum, { p, y }) => sum + (p - y) ** 2, 0) / 2_000, 12);
  expect(logLoss).toBeCloseTo(
    rows.reduce((sum, { p, y }) => sum - Math.log(y === 1 ? p : 1 - p), 0) / 2_000,
    9,
  );
  expect(baseRate).toBe(positives.length / 2_000);
  expect(calibrationError).toBeLessThan(0.1);
});

describe("the written policy", () => {
  const head = { rows: 5_000, baseRate: 0.1, logLoss: 0.3, brier: 0.1, auc: 0.8, calibrationError: 0.01 };
  const evidence = (
    blocks: number,
    logLoss: readonly [number, number, number],
    more: Partial<ChallengeEvidence> = {},
    value: readonly [number, number, number] = [0, -1, 1],
  ): ChallengeEvidence => {
    const of = ([mean, lower, upper]: readonly [number, number, number]) => ({ mean, lower, upper });
    const paired = { blocks, rows: blocks * 100, logLoss: of(logLoss), brier: of(logLoss), value: of(value) };
    return { paired, heads: { down50: head }, oddRows: 0, stepUs: 3, events: 1e5, shed: 0, ...more };
  };
  const better = [-0.01, -0.015, -0.005] as const;
  const unclear = [0, -0.01, 0.01] as const;
  const worse = [0.01, 0.005, 0.015] as const;
  const { shadowBlocks, canaryBlocks, guardBlocks, blocksMax } = DEFAULT_CHALLENGE_POLICY;
  const cases: readonly [ChallengePhase, ChallengeEvidence, string, string][] = [
    ["shadow", evidence(shadowBlocks, better), "promote", "better"],
    ["shadow", evidence(shadowBlocks - 1, better), "wait", "too-early"],
    ["shadow", evidence(shadowBlocks, unclear), "wait", "undecided"],
    ["shadow", evidence(blocksMax, unclear), "reject", "no-difference"],
    ["shadow", evidence(40, worse), "reject", "worse"],
    ["shadow", evidence(20, worse), "wait", "too-early"],
    ["shadow", evidence(shadowBlocks, better, {}, [-5, -9, -1]), "reject", "costs-money"],
    ["shadow", evidence(shadowBlocks, better, { oddRows: 1 }), "reject", "odd-output"],
    ["shadow", evidence(shadowBlocks, better, { stepUs: 51 }), "reject", "too-slow"],
    ["shadow", evidence(shadowBlocks, better, { shed: 6_000 }), "reject", "shed"],
    [
      "shadow",
      evidence(shadowBlocks, better, { heads: { down50: { ...head, calibrationError: 0.2 } } }),
      "reject",
      "miscalibrated",
    ],
    ["canary", evidence(canaryBlocks, unclear), "promote", "not-worse"],
    ["canary", evidence(canaryBlocks - 1, unclear), "wait", "too-early"],
    ["canary", evidence(40, worse), "reject", "worse"],
    ["guard", evidence(40, better), "promote", "better"],
    ["guard", evidence(40, unclear), "wait", "undecided"],
    ["guard", evidence(guardBlocks, worse), "reject", "guard-over"],
  ];
  test.each(cases)("%s", (phase, found, verdict, reason) => {
    const said = judge(phase, found, DEFAULT_CHALLENGE_POLICY);
    expect([said.verdict, said.reason]).toEqual([verdict as "wait", reason as "better"]);
  });

  test("takes no worse than the margin for enough where one is set", () => {
    const policy = { ...DEFAULT_CHALLENGE_POLICY, margin: 0.02 };
    expect(judge("shadow", evidence(shadowBlocks, unclear), policy).reason).toBe("not-worse");
    expect(judge("shadow", evidence(shadowBlocks, worse), policy).verdict).toBe("promote");
  });
});

describe("the canary's part", () => {
  const split = { seed: 7, share: 0.25, sliceMs: 0 };
  const bases = ["BTC", "ETH", "SOL", "XRP", "BNB", "DOGE", "ADA", "AVAX"];

  test("by underlying is the nearest number to the share, whenever one looks, and moves with the version", () => {
    const drawn = canaryUnderlyings("a@1", bases, 0, split);
    expect(drawn).toHaveLength(2);
    expect(canaryUnderlyings("a@1", bases, 1e12, split)).toEqual(drawn);
    const others = ["b", "c", "d", "e", "f"].map((name) => canaryUnderlyings(name, bases, 0, split));
    expect(new Set(others.map(String)).size).toBeGreaterThan(1);
  });

  test("by underlying is never all of them, and never none of several", () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 2, max: 8 }),
        fc.double({ min: 0.001, max: 1, noNaN: true }),
        (n, share) => {
          const drawn = canaryUnderlyings("a@1", bases.slice(0, n), 0, { ...split, share });
          expect(drawn.length).toBeGreaterThan(0);
          expect(drawn.length).toBeLessThan(n);
        },
      ),
    );
    expect(canaryUnderlyings("a@1", ["BTC"], 0, split)).toEqual([]);
  });

  test("by time is its share of the slices, and one answer within a slice", () => {
    const timed = { ...split, sliceMs: 60_000 };
    let slices = 0;
    for (let slice = 0; slice < 2_000; slice += 1) {
      const early = canaryUnderlyings("a@1", bases, slice * 60_000, timed);
      expect(canaryUnderlyings("a@1", bases, slice * 60_000 + 59_999, timed)).toEqual(early);
      if (early.length === bases.length) slices += 1;
      else expect(early).toEqual([]);
    }
    expect(slices / 2_000).toBeCloseTo(0.25, 1);
  });
});

test("a would-be quote is the champion's without its model's terms, with the other model's", () => {
  const heads = model.card.heads;
  const quotes = new WouldBeQuotes(DEFAULT_QUOTE_PARAMETERS, heads);
  const about = {
    ...{ venue: "deribit", symbol: "BTC-PERPETUAL", base: "BTC", option: false, inverse: true },
    ...{ tick: 0.5, lot: 1, contractSize: 10 },
  };
  const values = new Float64Array(OBSERVED_VALUES_MAX);
  const given: readonly (readonly [number, number])[] = [
    [QUOTED.bidTicks, 119_900],
    [QUOTED.bidLots, 50],
    [QUOTED.askTicks, 120_100],
    [QUOTED.askLots, 100],
    [QUOTED.terms + TERM.forward, 60_000],
    [QUOTED.terms + TERM.delta, 1],
    // 40 ticks on the bid, 10 on the ask, and the bid cut by half.
    [QUOTED.terms + TERM.moveBid, 20],
    [QUOTED.terms + TERM.moveAsk, 5],
    [QUOTED.terms + TERM.predictedBid, 0.5],
    [QUOTED.terms + TERM.predictedAsk, 1],
  ];
  for (const [at, value] of given) values[at] = value;
  const calm = values.slice();
  quotes.onPrediction(0, new Float32Array(heads.length), 0);
  quotes.rewrite(calm, about, 0);
  expect([calm[QUOTED.bidTicks], calm[QUOTED.askTicks]]).toEqual([119_940, 120_090]);
  expect([calm[QUOTED.bidLots], calm[QUOTED.askLots]]).toEqual([100, 100]);
  quotes.onStatus(0, 0);
  quotes.rewrite(values, about, 0);
  const { defensiveWidenBp, defensiveSizeFactor } = DEFAULT_QUOTE_PARAMETERS;
  const steps = Math.ceil((defensiveWidenBp * 1e-4 * 60_000) / 0.5 - 1e-6);
  expect(values[QUOTED.bidTicks]).toBe(119_940 - steps);
  expect(values[QUOTED.bidLots]).toBeCloseTo(100 * defensiveSizeFactor, 9);
  expect(values[QUOTED.terms + TERM.moveAsk]).toBeCloseTo(defensiveWidenBp * 6, 6);
});

const schema = { schemaHash: SCHEMA_HASH, featureCount: FEATURE_COUNT };
const model = await loadModel("lstm-residual-int8", schema);
const otherModel = await loadModel("lstm-residual-pruned-int8", schema);

class Changed extends EngineAround {
  readonly #change: (probabilities: Float32Array, step: number) => void;
  #steps = 0;
  constructor(inner: StepEngine, change: (probabilities: Float32Array, step: number) => void) {
    super(inner);
    this.#change = change;
  }
  override step(count: number): void {
    this.inner.step(count);
    this.#steps += 1;
    this.#change(this.probabilities, this.#steps);
  }
}

/** A random walk of 100 events a second, in front of a champion and challengers. */
class Played {
  readonly challenge: Challenge;
  readonly rows: { table: OutcomeTable; version: string; row: OutcomeRows[OutcomeTable] }[] = [];
  readonly #rng = new Rng(3);
  readonly #values = new Float64Array(Math.max(OBSERVED_VALUES_MAX, FEATURE_COUNT));
  #timeUs = 1e15;
  #mid = 120_000;
  nowNs = 0;
  stepNs = 3_000;

  constructor(engines: Readonly<Record<string, StepEngine>>, policy = {}) {
    this.challenge = new Challenge({
      quote: DEFAULT_QUOTE_PARAMETERS,
      policy: { ...DEFAULT_CHALLENGE_POLICY, blockMs: 100, ...policy },
      nowNs: () => (this.nowNs += this.stepNs),
    });
    this.challenge.describe(
      OBSERVED.instrument,
      0,
      this.#timeUs,
      JSON.stringify({
        ...{ venue: "deribit", symbol: "BTC-PERPETUAL", base: "BTC", option: false, inverse: true },
        ...{ tick: 0.5, lot: 1, contractSize: 10 },
      }),
    );
    this.challenge.describe(OBSERVED.underlying, 0, this.#timeUs, "BTC");
    for (const [version, engine] of Object.entries(engines)) {
      engine.resetSlot(0);
      const outcome = <T extends OutcomeTable>(table: T, row: OutcomeRows[T]) => {
        this.rows.push({ table, version, row: { ...row } });
      };
      this.challenge.add({ version, engine, outcomes: { outcome } });
    }
    this.challenge.compareWith("champion");
  }

  play(events: number): this {
    const values = this.#values;
    for (let event = 0; event < events; event += 1) {
      this.#timeUs += 10_000;
      this.#mid += Math.round(this.#rng.normal() * 4);
      values[0] = this.#mid - 1;
      values[1] = this.#mid + 1;
      this.challenge.observe(OBSERVED.top, 0, this.#timeUs, values, 2);
      values.set([0, this.#mid, 100 + this.#rng.next(), 100]);
      values.fill(0.1, 4, 4 + model.card.heads.length);
      this.challenge.observe(OBSERVED.prediction, 0, this.#timeUs, values, 4 + model.card.heads.length);
      for (let i = 0; i < FEATURE_COUNT; i += 1) values[i] = this.#rng.normal();
      this.challenge.observe(OBSERVED.features, 0, this.#timeUs, values, FEATURE_COUNT);
      if (event % 20 === 0) this.#quote();
    }
    return this;
  }

  #quote(): void {
    const values = this.#values.fill(0);
    values[QUOTED.bidTicks] = this.#mid - 4;
    values[QUOTED.bidLots] = 100;
    values[QUOTED.askTicks] = this.#mid + 4;
    values[QUOTED.askLots] = 100;
    values[QUOTED.terms + TERM.forward] = this.#mid / 2;
    values[QUOTED.terms + TERM.delta] = 1;
    values[QUOTED.terms + TERM.predictedBid] = 1;
    values[QUOTED.terms + TERM.predictedAsk] = 1;
    this.challenge.observe(OBSERVED.quote, 0, this.#timeUs, values, QUOTED_VALUES);
  }

  evidence(version: string): ChallengeEvidence {
    return this.challenge.report().models[version];
  }
}

const noEngine = await skipUnlessNative("challengers, which the cpu engine alone runs");

describe("a champion and its challengers", async () => {
  if (noEngine) {
    test.skipIf(noEngine)("want the cpu engine", () => {});
    return;
  }
  const [one, two, three] = await Promise.all(
    [model, model, otherModel].map((each) => CpuEngine.start(each, 1, 1)),
  );

  test("show no difference where they are the same", () => {
    const { paired } = new Played({ champion: one, challenger: two }).play(1_500).evidence("challenger");
    expect(paired.blocks).toBeGreaterThan(100);
    expect(paired.rows).toBeGreaterThan(1_400);
    expect([paired.logLoss.mean, paired.brier.mean, paired.value.mean]).toEqual([0, 0, 0]);
  });

  test("have the outcomes of each recorded, would-be quotes among them", () => {
    const played = new Played({ champion: one, challenger: three }).play(1_500);
    played.challenge.finish(2e15);
    for (const version of ["champion", "challenger"]) {
      const tables = new Set(played.rows.filter((row) => row.version === version).map(({ table }) => table));
      expect([...tables]).toContain("prediction");
      expect([...tables]).toContain("quote");
    }
  });

  const sober = new Changed(one, (probabilities) => probabilities.fill(0.3));
  const sure = new Changed(two, (probabilities) => probabilities.fill(0.99));

  test("are told apart: one that is always sure is refused", () => {
    const found = new Played({ champion: sober, challenger: sure }).play(3_000).evidence("challenger");
    expect(found.paired.logLoss.lower).toBeGreaterThan(0);
    expect(judge("shadow", found, DEFAULT_CHALLENGE_POLICY)).toMatchObject({
      verdict: "reject",
      reason: "miscalibrated",
    });
    const lenient = { ...DEFAULT_CHALLENGE_POLICY, calibrationMax: 1 };
    expect(judge("shadow", found, lenient)).toMatchObject({ verdict: "reject", reason: "worse" });
  });

  test("are compared again from nothing with another champion", () => {
    const played = new Played({ champion: sober, challenger: sure }).play(500);
    played.challenge.compareWith("challenger");
    expect(played.evidence("champion").paired.blocks).toBe(0);
    played.play(2_000);
    expect(played.evidence("champion").paired.logLoss.upper).toBeLessThan(0);
  });

  test("one that gives NaN is refused, and its row is scored for nobody", () => {
    const odd = new Changed(two, (probabilities, step) => {
      if (step === 700) probabilities[2] = Number.NaN;
    });
    const found = new Played({ champion: one, challenger: odd }).play(1_000).evidence("challenger");
    expect(judge("shadow", found, DEFAULT_CHALLENGE_POLICY).reason).toBe("odd-output");
    expect(Number.isFinite(found.paired.logLoss.mean)).toBe(true);
  });

  test("one that is slow is refused", () => {
    const played = new Played({ champion: one, challenger: two });
    played.stepNs = 60_000;
    expect(judge("shadow", played.play(1_000).evidence("challenger"), DEFAULT_CHALLENGE_POLICY).reason).toBe(
      "too-slow",
    );
  });

  test("take no more than their share of the time: what is beyond it is left out for all, and counted", () => {
    const played = new Played({ champion: one, challenger: two }, { timeShare: 0.1 });
    played.stepNs = 1_000_000;
    const { events, shed, paired } = played.play(2_000).evidence("challenger");
    expect(events).toBe(2_000);
    expect(shed / events).toBeGreaterThan(0.5);
    expect(paired.logLoss.mean).toBe(0);
    expect(paired.rows).toBeLessThanOrEqual(events - shed);
  });
});
