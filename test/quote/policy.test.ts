import { expect, test } from "bun:test";
import fc from "fast-check";
import { parameterViolations } from "../../src/core/parameter.ts";
import { HEADS, type HeadName, type ModelCard } from "../../src/inference/card.ts";
import { DEFAULT_QUOTE_PARAMETERS, QUOTE_PARAMETERS } from "../../src/quote/parameters.ts";
import { Adjustment, QuotePolicy, severity } from "../../src/quote/policy.ts";
import { REASON } from "../../src/quote/quote-batch.ts";

const PARAMETERS = DEFAULT_QUOTE_PARAMETERS;

function decide(
  probabilities: Partial<Record<HeadName, number>>,
  parameters = PARAMETERS,
  heads?: ModelCard["heads"],
): Adjustment {
  const names = heads?.map((head) => head.name) ?? HEADS;
  const out = new Adjustment();
  new QuotePolicy(parameters, heads).decide(
    out,
    names.map((name) => probabilities[name] ?? 0),
    0,
  );
  return out;
}

function head(name: HeadName, horizonMs: number, meanMoveBp: number | null): ModelCard["heads"][number] {
  return { name, horizonMs, thetaBp: 1, depthFraction: null, meanMoveBp, baseRate: 0.1, metrics: {} };
}

test("the defaults lie within their bounds", () => {
  expect(parameterViolations(QUOTE_PARAMETERS, PARAMETERS)).toEqual([]);
});

test("a value out of bounds is named with what was expected", () => {
  expect(
    parameterViolations(QUOTE_PARAMETERS, { ...PARAMETERS, minChangeTicks: 1.5, maxSizeCut: 2 }),
  ).toEqual([
    "KEEL_QUOTE_MAX_SIZE_CUT: found 2, expected a number of fraction from 0 to 1",
    "KEEL_QUOTE_MIN_CHANGE_TICKS: found 1.5, expected a whole number of ticks from 1 to 1000",
  ]);
});

test("variables are named once", () => {
  expect(new Set(QUOTE_PARAMETERS.map((parameter) => parameter.variable)).size).toBe(QUOTE_PARAMETERS.length);
});

test("a fall of 70 % with a withdrawal of 60 % widens by 15 bp and cuts the size by 30 %", () => {
  const { widenBp, sizeFactor, reasons } = decide({ down50: 0.7, bidWithdraw50: 0.6 });
  expect(widenBp).toBe(15);
  expect(sizeFactor).toBe(0.7);
  expect(reasons).toBe(REASON.modelMove | REASON.modelWithdraw);
});

test("the noise of 32-bit probabilities does not show", () => {
  const out = new Adjustment();
  new QuotePolicy(PARAMETERS).decide(out, new Float32Array([9, 0.7, 0.75, 0, 0, 0.6, 0, 0]), 1);
  expect([out.widenBp, out.sizeFactor]).toEqual([15, 0.7]);
});

test("up to the neutral probability nothing happens", () => {
  const neutral = decide(Object.fromEntries(HEADS.map((name) => [name, 0.2])));
  expect(neutral).toMatchObject({
    widenLongBp: 0,
    widenShortBp: 0,
    volatilityPoints: 0,
    sizeLong: 1,
    sizeShort: 1,
    reasons: 0,
  });
});

test("a rise and a withdrawal of asks mirror a fall and a withdrawal of bids", () => {
  const asymmetric = { ...PARAMETERS, safeSideShare: 0.25 };
  const fall = decide({ down50: 0.8, bidWithdraw50: 0.9 }, asymmetric);
  const rise = decide({ up50: 0.8, askWithdraw50: 0.9 }, asymmetric);
  expect([rise.widenShortBp, rise.widenLongBp]).toEqual([fall.widenLongBp, fall.widenShortBp]);
  expect([rise.sizeShort, rise.sizeLong]).toEqual([fall.sizeLong, fall.sizeShort]);
  expect(fall.widenShortBp).toBeCloseTo(fall.widenLongBp / 4, 9);
});

test("a slower head counts less", () => {
  expect(decide({ down100: 0.7 }).widenBp).toBe(7.5);
});

test("the model's own mean move counts where it is larger", () => {
  expect(decide({ down50: 0.7 }, PARAMETERS, [head("down50", 50, 40)]).widenBp).toBe(25);
  expect(decide({ down50: 0.7 }, PARAMETERS, [head("down50", 50, 2)]).widenBp).toBe(15);
});

test("heads are found by name and an absent head predicts nothing", () => {
  const heads = [head("up50", 50, null), head("down50", 50, null)];
  const out = new Adjustment();
  new QuotePolicy(PARAMETERS, heads).decide(out, [0, 0.7], 0);
  expect(out).toMatchObject({ widenLongBp: 15, sizeLong: 1, reasons: REASON.modelMove });
});

test("a volatility spike widens by bp and by volatility", () => {
  const { widenBp, volatilityPoints, reasons } = decide({ volatilitySpike: 0.6 });
  expect(widenBp).toBe(3);
  expect(volatilityPoints).toBeCloseTo(1, 12);
  expect(reasons).toBe(REASON.modelVolatility);
});

test("a probability that is none is answered by the defensive spread", () => {
  for (const bad of [Number.NaN, -0.1, 1.1, Number.POSITIVE_INFINITY]) {
    const out = decide({ up100: bad });
    expect(out.reasons).toBe(REASON.defensive | REASON.inputUnsound);
    expect(out.widenBp).toBe(PARAMETERS.defensiveWidenBp);
    expect(out.sizeFactor).toBe(PARAMETERS.defensiveSizeFactor);
  }
});

const probability = fc.double({ min: 0, max: 1, noNaN: true });
const vector = fc.array(probability, { minLength: HEADS.length, maxLength: HEADS.length });
const anyParameters = fc
  .record({
    neutralMove: fc.double({ min: 0, max: 0.9, noNaN: true }),
    neutralWithdrawal: fc.double({ min: 0, max: 0.9, noNaN: true }),
    adverseMoveBp: fc.double({ min: 0, max: 200, noNaN: true }),
    maxWidenBp: fc.double({ min: 0, max: 100, noNaN: true }),
    maxSizeCut: fc.double({ min: 0, max: 1, noNaN: true }),
    safeSideShare: fc.double({ min: 0, max: 1, noNaN: true }),
  })
  .map((some) => ({ ...PARAMETERS, ...some }));

test("widening and cutting grow with every probability and stay within bounds", () => {
  fc.assert(
    fc.property(
      anyParameters,
      vector,
      fc.nat({ max: HEADS.length - 1 }),
      probability,
      (parameters, low, at, raised) => {
        const high = low.with(at, Math.max(low[at], raised));
        const policy = new QuotePolicy(parameters);
        const before = new Adjustment();
        const after = new Adjustment();
        policy.decide(before, low, 0);
        policy.decide(after, high, 0);
        expect(after.widenLongBp).toBeGreaterThanOrEqual(before.widenLongBp);
        expect(after.widenShortBp).toBeGreaterThanOrEqual(before.widenShortBp);
        expect(after.volatilityPoints).toBeGreaterThanOrEqual(before.volatilityPoints);
        expect(after.sizeLong).toBeLessThanOrEqual(before.sizeLong);
        expect(after.sizeShort).toBeLessThanOrEqual(before.sizeShort);
        expect(after.widenBp).toBeLessThanOrEqual(parameters.maxWidenBp + 5e-4);
        expect(after.widenBp).toBeGreaterThanOrEqual(0);
        expect(after.sizeFactor).toBeGreaterThanOrEqual(1 - parameters.maxSizeCut - 5e-5);
        expect(after.sizeLong).toBeLessThanOrEqual(1);
      },
    ),
    { seed: 4 },
  );
});

test("severity is continuous: a small step of the probability is a small step of the severity", () => {
  fc.assert(
    fc.property(probability, fc.double({ min: 0, max: 0.9, noNaN: true }), (p, neutral) => {
      const step = severity(Math.min(p + 1e-3, 1), neutral) - severity(p, neutral);
      expect(step).toBeGreaterThanOrEqual(0);
      expect(step).toBeLessThanOrEqual(1e-3 / (1 - neutral) + 1e-12);
    }),
    { seed: 5 },
  );
});
