import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { DEFAULT_LOAD_PARAMETERS } from "../../src/risk/load-parameters.ts";
import { LOAD_STAGE, type LoadMeasures, LoadShedder, TURN_WAIT_MAX_MS } from "../../src/risk/load-shedder.ts";

const P = DEFAULT_LOAD_PARAMETERS;
const IDLE: LoadMeasures = { loopMs: 0, ageMs: 0, queuedBytes: 0, ringFill: 0, ringMs: 0, relayMs: 0 };
const BLIND: LoadMeasures = {
  loopMs: 0,
  ageMs: Number.NaN,
  queuedBytes: Number.NaN,
  ringFill: Number.NaN,
  ringMs: Number.NaN,
  relayMs: Number.NaN,
};
const WINDOW_US = 100_000;

/** Feeds windows of the same measures and returns the stage after each. */
function windows(shedder: LoadShedder, measures: LoadMeasures, count: number, fromUs: number): number[] {
  return Array.from({ length: count }, (_, i) => {
    shedder.onWindow(measures, fromUs + i * WINDOW_US);
    return shedder.stage;
  });
}

describe("stages of load", () => {
  test("begin one after the other, whatever the load", () => {
    const shedder = new LoadShedder(P, "pull");
    expect(windows(shedder, { ...IDLE, ageMs: 60_000 }, 5, 0)).toEqual([1, 2, 3, 3, 3]);
    expect(shedder.cause).toBe("ageMs");
    expect([...shedder.entries]).toEqual([0, 1, 1, 1]);
  });

  test.each([
    ["loopMs", P.conflateMs, P.widenMs, P.pullMs],
    ["ageMs", P.conflateMs, P.widenMs, P.pullMs],
    ["queuedBytes", P.conflateKb * 1_024, P.widenKb * 1_024, P.pullKb * 1_024],
    ["ringFill", P.conflateRing, P.widenRing, P.pullRing],
    ["ringMs", P.conflateMs, P.widenMs, TURN_WAIT_MAX_MS / 2],
    ["relayMs", P.conflateMs, P.widenMs, P.pullMs],
  ] as const)("go as far as %s calls for and no further", (measure, conflate, widen, pull) => {
    for (const [stage, value] of [
      [LOAD_STAGE.normal, conflate * 0.999],
      [LOAD_STAGE.conflate, conflate],
      [LOAD_STAGE.conflate, widen * 0.999],
      [LOAD_STAGE.widen, widen],
      [LOAD_STAGE.widen, pull * 0.999],
      [LOAD_STAGE.pull, pull],
    ] as const) {
      const shedder = new LoadShedder(P, "pull");
      expect(windows(shedder, { ...BLIND, [measure]: value }, 10, 0).at(-1)).toBe(stage);
    }
  });

  test("begin before turns that wait are too old, whatever the times are set to", () => {
    const patient = { ...P, conflateMs: 20_000, widenMs: 20_000, pullMs: 20_000 };
    const shedder = new LoadShedder(patient, "pull");
    expect(windows(shedder, { ...IDLE, ringMs: TURN_WAIT_MAX_MS / 2 - 1 }, 3, 0)).toEqual([0, 0, 0]);
    expect(windows(shedder, { ...IDLE, ringMs: TURN_WAIT_MAX_MS / 2 }, 3, 1e6)).toEqual([1, 2, 3]);
  });

  test("go no further than they may", () => {
    const flood = { ...IDLE, queuedBytes: 1e9 };
    expect(windows(new LoadShedder(P, "widen"), flood, 9, 0).at(-1)).toBe(LOAD_STAGE.widen);
    expect(windows(new LoadShedder(P, "conflate"), flood, 9, 0).at(-1)).toBe(LOAD_STAGE.conflate);
    expect(windows(new LoadShedder(P, "normal"), flood, 9, 0).at(-1)).toBe(LOAD_STAGE.normal);
  });

  test("end one after the other, each after its calm time", () => {
    const shedder = new LoadShedder(P, "pull");
    windows(shedder, { ...IDLE, ageMs: 1_000 }, 3, 0);
    const after = windows(shedder, IDLE, 40, 1e6);
    const calm = (P.calmMs * 1_000) / WINDOW_US;
    expect(after.indexOf(2)).toBe(calm);
    expect(after.indexOf(1)).toBe(2 * calm + 1);
    expect(after.indexOf(0)).toBe(3 * calm + 2);
  });

  test("do not end while a measure lies between what ends and what begins them", () => {
    const shedder = new LoadShedder(P, "pull");
    windows(shedder, { ...IDLE, ageMs: P.widenMs }, 2, 0);
    expect(shedder.stage).toBe(LOAD_STAGE.widen);
    const between = { ...IDLE, ageMs: P.widenMs * P.calmShare };
    expect(new Set(windows(shedder, between, 100, 1e6))).toEqual(new Set([LOAD_STAGE.widen]));
  });

  test("a window in between makes the calm time begin anew", () => {
    const shedder = new LoadShedder(P, "pull");
    windows(shedder, { ...IDLE, ageMs: P.conflateMs }, 1, 0);
    windows(shedder, IDLE, 9, 1e6);
    windows(shedder, { ...IDLE, ageMs: P.conflateMs }, 1, 2e6);
    expect(new Set(windows(shedder, IDLE, 10, 3e6))).toEqual(new Set([LOAD_STAGE.conflate]));
    expect(windows(shedder, IDLE, 1, 4e6)).toEqual([LOAD_STAGE.normal]);
  });

  test("a stage whose work makes its cause vanish is held longer each time, and forgives", () => {
    const shedder = new LoadShedder(P, "pull");
    const held: number[] = [];
    let timeUs = 0;
    for (let round = 0; round < 8; round += 1) {
      shedder.onWindow({ ...IDLE, queuedBytes: P.conflateKb * 1_024 }, timeUs);
      const beganUs = timeUs;
      while (shedder.stage > 0) {
        timeUs += WINDOW_US;
        shedder.onWindow(IDLE, timeUs);
      }
      held.push(Math.round((timeUs - beganUs) / 1e6));
      timeUs += WINDOW_US;
    }
    expect(held).toEqual([1, 2, 4, 8, 16, 32, 32, 32]);
    timeUs += 1_000e6;
    shedder.onWindow({ ...IDLE, queuedBytes: P.conflateKb * 1_024 }, timeUs);
    expect(shedder.holdMs).toBe(P.calmMs);
  });

  test("measures that cannot be told call for nothing and hold nothing up", () => {
    const shedder = new LoadShedder(P, "pull");
    windows(shedder, { ...BLIND, loopMs: P.conflateMs }, 1, 0);
    expect(windows(shedder, BLIND, 12, 1e6).at(-1)).toBe(LOAD_STAGE.normal);
  });
});

const measure = fc.oneof(fc.constant(0), fc.constant(Number.NaN), fc.double({ min: 0, max: 2_000 }));
const measures = fc.record({
  loopMs: measure,
  ageMs: measure,
  queuedBytes: measure.map((value) => value * 10_000),
  ringFill: measure.map((value) => value / 2_000),
  ringMs: measure.map((value) => value / 4),
  relayMs: measure,
});

test("property: one stage at a time, up only when called for, down only when calm, and the same again", () => {
  fc.assert(
    fc.property(fc.array(measures, { maxLength: 200 }), (given) => {
      const shedder = new LoadShedder(P, "pull");
      const again = new LoadShedder(P, "pull");
      let before = 0;
      for (const [at, now] of given.entries()) {
        const changed = shedder.onWindow(now, at * WINDOW_US);
        again.onWindow(now, at * WINDOW_US);
        expect(again.stage).toBe(shedder.stage);
        expect(changed).toBe(shedder.stage !== before);
        expect(Math.abs(shedder.stage - before)).toBeLessThanOrEqual(1);
        const worst = Math.max(now.loopMs || 0, now.ageMs || 0);
        const low = (P.conflateMs * P.calmShare) as number;
        if (shedder.stage < before) expect(worst).toBeLessThan([0, low, P.widenMs / 2, P.pullMs / 2][before]);
        if (worst >= P.pullMs) expect(shedder.stage).toBeGreaterThan(before === 3 ? 2 : before);
        before = shedder.stage;
      }
    }),
    { numRuns: 300 },
  );
});
