import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { CaptureSession } from "../../models/train/capture-events.ts";
import { Rng } from "../../src/core/rng.ts";
import { FEATURE_COUNT, SCHEMA_HASH } from "../../src/feature/schema.ts";
import { CaptureReader } from "../../src/feed/capture.ts";
import { Calibration, IDENTITY, type Platt, type Scaling } from "../../src/inference/calibration.ts";
import { HEADS } from "../../src/inference/card.ts";
import { CpuEngine, cpuIsas } from "../../src/inference/cpu.ts";
import { checkIsotonic, type Isotonic, scale, unscale } from "../../src/inference/isotonic.ts";
import { loadModel } from "../../src/inference/model.ts";
import { fitIsotonic } from "../../src/learn/isotonic-fit.ts";
import { Labeller } from "../../src/learn/labels.ts";
import { type RecalibrationMethod, Recalibrator } from "../../src/learn/recalibration.ts";
import { sharedPath, skipUnless, skipUnlessShared } from "../support/shared-data.ts";

const isas = await cpuIsas();
const model = await loadModel("lstm-residual-int8", {
  schemaHash: SCHEMA_HASH,
  featureCount: FEATURE_COUNT,
});
const withdrawal = model.card.heads.filter(({ name }) => name === "bidWithdraw50");
const [move] = model.card.heads;

const sigmoid = (logit: number): number => 1 / (1 + Math.exp(-logit));

interface Bed {
  readonly calibration: Calibration;
  readonly recalibrator: Recalibrator;
  readonly changes: { slot: number; head: number; scaling: Scaling }[];
  /** Predictions of random logits, whose outcome comes with the chance that `truth` says, 200 ms apart. */
  readonly play: (count: number, truth: Platt, interrupted?: boolean) => void;
  /** Calls the timer until every head has been fitted. */
  readonly round: () => void;
}

/** One head, two instruments, of which the second has predictions. */
function bed(heads = withdrawal, method: RecalibrationMethod = "platt"): Bed {
  const calibration = new Calibration(heads, 2);
  const changes: Bed["changes"] = [];
  const recalibrator = new Recalibrator({
    heads: heads.map(({ name }) => name),
    slotCount: 2,
    calibration,
    method,
    onChange: (slot, head, scaling) => {
      changes.push({ slot, head, scaling });
      calibration.set(slot, head, scaling);
    },
  });
  const rng = new Rng(1);
  const row = new Float32Array(heads.length);
  const nothing = new Float32Array(heads.length).fill(Number.NaN);
  let timeUs = 1e15;
  return {
    calibration,
    recalibrator,
    changes,
    play: (count, truth, interrupted = false) => {
      for (let i = 0; i < count; i += 1) {
        const logit = rng.normal() * 1.5 - 1;
        row.fill(sigmoid(logit));
        calibration.apply(row, Int32Array.of(1), 1);
        const came = rng.next() < sigmoid(truth.slope * logit + truth.intercept);
        recalibrator.observe(1, timeUs, row, 0, 1_000, 100, 100);
        recalibrator.observe(1, timeUs + 20_000, nothing, 0, 1_000, came ? 70 : 100, 100);
        if (interrupted) recalibrator.interrupt(1);
        timeUs += 200_000;
      }
      recalibrator.observe(1, timeUs, nothing, 0, 1_000, 100, 100);
    },
    round: () => {
      timeUs += 11_000_000;
      for (let i = 0; i < 2 * heads.length; i += 1) recalibrator.onTimer(timeUs + i * 10_000);
    },
  };
}

describe("recalibration from outcomes", () => {
  test("finds how far the probabilities are off, for the instrument that they are of", () => {
    const { calibration, play, round, changes } = bed();
    play(20_000, { slope: 1.4, intercept: 0.8 });
    round();
    const { slope, intercept } = calibration.get(1, 0);
    expect(Math.abs(slope - 1.4)).toBeLessThan(0.15);
    expect(Math.abs(intercept - 0.8)).toBeLessThan(0.15);
    expect(calibration.get(0, 0)).toEqual(IDENTITY);
    expect(changes).toEqual([{ slot: 1, head: 0, scaling: { slope, intercept } }]);
  });

  test("goes on from what it has set: calibrated predictions are fitted as what they were before", () => {
    const { calibration, play, round } = bed();
    const truth = { slope: 1.4, intercept: 0.8 };
    for (let i = 0; i < 4; i += 1) {
      play(10_000, truth);
      round();
    }
    expect(Math.abs(calibration.get(1, 0).slope - 1.4)).toBeLessThan(0.15);
    expect(Math.abs(calibration.get(1, 0).intercept - 0.8)).toBeLessThan(0.15);
  });

  test("stays with the card while outcomes are few, and where predictions are right", () => {
    const few = bed();
    few.play(50, { slope: 1, intercept: 3 });
    few.round();
    expect(few.calibration.get(1, 0).intercept).toBeLessThan(0.25);
    const right = bed();
    right.play(20_000, IDENTITY);
    right.round();
    expect(Math.abs(right.calibration.get(1, 0).slope - 1)).toBeLessThan(0.1);
    expect(Math.abs(right.calibration.get(1, 0).intercept)).toBeLessThan(0.1);
  });

  test("keeps within bounds whatever the outcomes are", () => {
    for (const truth of [
      { slope: 0, intercept: 60 },
      { slope: 0, intercept: -60 },
      { slope: -5, intercept: 0 },
    ]) {
      const { calibration, play, round } = bed();
      play(20_000, truth);
      round();
      const { slope, intercept } = calibration.get(1, 0);
      expect(slope).toBeGreaterThanOrEqual(1 / 3);
      expect(slope).toBeLessThanOrEqual(3);
      expect(Math.abs(intercept)).toBeLessThanOrEqual(2);
    }
  });

  test("rows whose stream broke count for nothing", () => {
    const { changes, play, round } = bed();
    play(5_000, { slope: 1, intercept: 3 }, true);
    round();
    expect(changes).toEqual([]);
  });

  test("forgets by half in an hour", () => {
    const { calibration, play, round } = bed();
    play(18_000, { slope: 1, intercept: 1 });
    round();
    const before = calibration.get(1, 0).intercept;
    for (let hour = 0; hour < 3; hour += 1) {
      play(18_000, { slope: 1, intercept: -1 });
      round();
    }
    expect(before).toBeGreaterThan(0.8);
    expect(calibration.get(1, 0).intercept).toBeLessThan(-0.6);
  });

  test("a call fits one head, and a round begins every ten seconds", () => {
    const heads = [move, ...withdrawal];
    const { recalibrator, changes, play } = bed(heads);
    play(5_000, { slope: 1, intercept: 2 });
    const counts = [0, 1, 2, 3, 9_000, 10_500].map((ms) => {
      recalibrator.onTimer(2e15 + ms * 1_000);
      return changes.length;
    });
    expect(counts).toEqual([1, 2, 2, 2, 2, 2]);
  });

  test("by an isotonic curve finds how far they are off, and keeps the order of predictions", () => {
    const heads = withdrawal;
    const { calibration, play, round } = bed(heads, "isotonic");
    const bent: Platt = { slope: 1, intercept: 0.9 };
    play(20_000, bent);
    round();
    const found = calibration.scaling(1, 0);
    if (!("logits" in found)) throw new Error("a curve");
    // The card holds it back by a third or so: eight outcomes a bin against some six.
    expect(scale(found, 0)).toBeGreaterThan(0.4);
    expect(scale(found, 0)).toBeLessThan(1.1);
    for (let logit = -9; logit < 9; logit += 0.05) {
      expect(scale(found, logit + 0.05)).toBeGreaterThan(scale(found, logit));
      expect(unscale(found, scale(found, logit))).toBeCloseTo(logit, 9);
    }
    const before = calibration.scaling(1, 0);
    play(10_000, bent);
    round();
    expect(
      Math.abs(scale(before as Isotonic, 0) - scale(calibration.scaling(1, 0) as Isotonic, 0)),
    ).toBeLessThan(0.2);
    expect(calibration.scaling(0, 0)).toEqual(IDENTITY);
  });

  test("pools adjacent violators: rises, holds to the prior where outcomes are few, and is the least loss among what rises", () => {
    const binsOf = (rates: readonly (readonly [outcomes: number, rate: number])[]) =>
      rates.map(([outcomes, rate], at) => ({ logit: at - 2, outcomes, came: outcomes * rate }));
    expect(fitIsotonic(binsOf([[0, 0]]), IDENTITY, 2)).toBeNull();
    const few = fitIsotonic(
      binsOf([
        [0.1, 1],
        [0, 0],
        [0.1, 0],
      ]),
      IDENTITY,
      2,
    );
    for (const [at, logit] of (few?.logits ?? []).entries())
      expect(Math.abs((few?.scaled[at] ?? 9) - logit)).toBeLessThan(0.12);
    // The second and third are the wrong way round: one pool of both.
    const many = fitIsotonic(
      binsOf([
        [1e6, 0.2],
        [1e6, 0.5],
        [1e6, 0.4],
        [1e6, 0.7],
      ]),
      IDENTITY,
      2,
    );
    expect(many?.logits.map((logit) => Math.round(logit * 100) / 100)).toEqual([-2, -0.5, 1]);
    const rates = many?.scaled.map(sigmoid) ?? [];
    for (const [at, rate] of [0.2, 0.45, 0.7].entries()) expect(rates[at]).toBeCloseTo(rate, 4);
    fc.assert(
      fc.property(
        fc.array(
          fc.tuple(fc.double({ min: 0, max: 1e4, noNaN: true }), fc.double({ min: 0, max: 1, noNaN: true })),
          {
            minLength: 1,
            maxLength: 64,
          },
        ),
        (rows) => {
          const found = fitIsotonic(binsOf(rows), { slope: 1.2, intercept: -0.3 }, 2);
          if (found === null) return;
          checkIsotonic(found);
          for (const [at, logit] of found.logits.entries())
            expect(Math.abs(found.scaled[at] - (1.2 * logit - 0.3))).toBeLessThanOrEqual(2 + 1e-9);
        },
      ),
    );
  });

  const capture = "data/binance/spot-btcusdt-20240809.gz";
  const earlier = "data/binance/spot-btcusdt-20240808.gz";
  const skip = skipUnless(isas.length > 0, "recalibration on a real capture: no native library");
  test.skipIf(skip || skipUnlessShared(capture, earlier)).each(["platt", "isotonic"] as const)(
    "lowers the log loss of predictions that come after, on a capture never trained on (%s)",
    async (method) => {
      const engine = await CpuEngine.start(model, 1, 1);
      const { heads } = model.card;
      const calibration = new Calibration(heads, 1);
      const names = heads.map(({ name }) => name);
      const recalibrator = new Recalibrator({
        ...{ heads: names, slotCount: 1, calibration, method },
        onChange: (slot, head, scaling) => calibration.set(slot, head, scaling),
      });
      const losses = [0, 0];
      const waiting: { plain: Float32Array; scaled: Float32Array }[] = [];
      const labeller = new Labeller((at, labels) => {
        for (const [which, probabilities] of [waiting[at].plain, waiting[at].scaled].entries()) {
          for (let head = 0; head < heads.length; head += 1) {
            const p = Math.min(Math.max(probabilities[head], 1e-7), 1 - 1e-7);
            losses[which] -= Math.log(labels[HEADS.indexOf(names[head])] === 1 ? p : 1 - p);
          }
        }
      });
      const session = new CaptureSession("binance-spot", "BTCUSDT");
      const depth = new Float64Array(2);
      let timerUs = 0;
      for (const path of [earlier, capture]) {
        for await (const { text, timeUs } of new CaptureReader(sharedPath(path))) {
          if (!session.take(text, timeUs) || path === earlier || !session.features.ready(0, timeUs)) continue;
          session.features.write(0, timeUs, engine.features, 0);
          engine.slots[0] = 0;
          engine.step(1);
          const plain = engine.probabilities.slice(0, heads.length);
          const scaled = plain.slice();
          calibration.apply(scaled, engine.slots, 1);
          waiting.push({ plain, scaled });
          session.features.depths(0, depth);
          const midTicks = (session.book.bestBidTicks + session.book.bestAskTicks) / 2;
          labeller.push(timeUs, midTicks, depth[0], depth[1]);
          recalibrator.observe(0, timeUs, scaled, 0, midTicks, depth[0], depth[1]);
          for (timerUs = timerUs || timeUs; timerUs <= timeUs; timerUs += 10_000)
            recalibrator.onTimer(timerUs);
        }
      }
      const [plain, scaled] = losses.map((loss) => loss / waiting.length / heads.length);
      console.log(`${method}: mean log loss ${plain.toFixed(4)} → ${scaled.toFixed(4)}`);
      expect(waiting.length).toBeGreaterThan(50_000);
      expect(scaled).toBeLessThan(plain - 0.003);
      await engine.dispose();
    },
    120_000,
  );
});
