import { expect, setDefaultTimeout, test } from "bun:test";
import { LOAD_STAGE } from "../../src/risk/load-shedder.ts";
import { DeskBed } from "./desk-bed.ts";
import { ScriptedEngine } from "./scripted-engine.ts";

setDefaultTimeout(120_000);

function warmBed(conflate = false): { bed: DeskBed; engine: ScriptedEngine } {
  const engine = new ScriptedEngine();
  const bed = new DeskBed(engine, { calmMs: 0, minQuoteLifeMs: 0 }, conflate);
  bed.run(12_000);
  return { bed, engine };
}

/** Steps the market until so many frames have come. */
function frames(bed: DeskBed, wanted: number): void {
  for (let count = 0; count < wanted; ) count += bed.step();
}

test.each([false, true])(
  "conflated, frames move books and features, and model and quotes follow once (KEEL_CONFLATE %p)",
  (conflate) => {
    const { bed, engine } = warmBed(conflate);
    const { desk } = bed;
    desk.onLoad(LOAD_STAGE.conflate, 0, bed.timeUs);
    const { steps } = engine;
    const { length } = bed.sent;
    const { events, conflatedFrames } = desk.counters;
    engine.answer[0] = 0.9;
    frames(bed, 40);
    expect(engine.steps).toBe(steps);
    expect(bed.sent.length).toBe(length);
    expect(desk.counters.events).toBeGreaterThan(events);
    expect(desk.counters.conflatedFrames - conflatedFrames).toBeGreaterThan(20);
    desk.onBatchEnd(bed.timeUs);
    expect(engine.steps).toBe(steps + 1);
    expect(bed.sent.length).toBe(length + 1);
    expect(bed.last.widenBp).toBeGreaterThan(15);
    expect(bed.last.reasons).not.toContain("overload");
  },
);

test("what is open is answered when the desk is within its capacity again", () => {
  const { bed, engine } = warmBed();
  bed.desk.onLoad(LOAD_STAGE.conflate, 0, bed.timeUs);
  engine.answer[0] = 0.9;
  frames(bed, 40);
  const { steps } = engine;
  bed.desk.onLoad(LOAD_STAGE.normal, 0, bed.timeUs);
  expect(engine.steps).toBe(steps + 1);
  expect(bed.last.widenBp).toBeGreaterThan(15);
  frames(bed, 40);
  expect(engine.steps).toBeGreaterThan(steps + 10);
});

test("wider by the share of the defensive adjustment, on top of what the model calls for, and smaller", () => {
  const { bed } = warmBed();
  const { desk } = bed;
  const { defensiveWidenBp, defensiveSizeFactor } = desk.quoter.parameters;
  const before = bed.last;
  desk.onLoad(LOAD_STAGE.widen, 1, bed.timeUs);
  expect(bed.last.timeUs).toBe(bed.timeUs);
  expect(bed.last.widenBp).toBeCloseTo(before.widenBp + defensiveWidenBp, 3);
  expect(bed.last.sizeFactor).toBeCloseTo(before.sizeFactor * defensiveSizeFactor, 3);
  expect(bed.last.reasons).toContain("overload");
  desk.onEngineLost(bed.timeUs);
  expect(bed.last.widenBp).toBeCloseTo(2 * defensiveWidenBp, 3);
  expect(bed.last.reasons).toEqual(expect.arrayContaining(["overload", "defensive", "engineLost"]));
});

test("pulled, nothing is quoted whatever comes in, and it says why", () => {
  const { bed } = warmBed();
  const { desk } = bed;
  desk.onLoad(LOAD_STAGE.pull, 1, bed.timeUs);
  expect([bed.last.bidLots, bed.last.askLots]).toEqual([0, 0]);
  expect(bed.last.reasons).toEqual(["pulled", "overload"]);
  const { length } = bed.sent;
  for (let i = 0; i < 50; i += 1) {
    frames(bed, 5);
    desk.onBatchEnd(bed.timeUs);
    desk.onTimer(bed.timeUs);
  }
  expect(bed.sent.length).toBe(length);
  desk.onLoad(LOAD_STAGE.widen, 1, bed.timeUs);
  expect(bed.last.bidLots).toBeGreaterThan(0);
  expect(bed.last.reasons).toContain("overload");
  desk.onLoad(LOAD_STAGE.conflate, 0, bed.timeUs);
  bed.run(300);
  expect(bed.last.reasons).not.toContain("overload");
});

test("the kill switch and the load do not lift one another", () => {
  const { bed } = warmBed();
  const { desk } = bed;
  const quoted = () => bed.last.bidLots + bed.last.askLots > 0;
  desk.onLoad(LOAD_STAGE.pull, 1, bed.timeUs);
  desk.kill("test", bed.timeUs);
  const { length } = bed.sent;
  desk.onLoad(LOAD_STAGE.normal, 0, bed.timeUs);
  bed.run(200);
  expect(bed.sent.length).toBe(length);
  desk.onLoad(LOAD_STAGE.pull, 1, bed.timeUs);
  expect(desk.resetKill(bed.timeUs)).toBeTrue();
  frames(bed, 50);
  desk.onBatchEnd(bed.timeUs);
  expect(bed.sent.length).toBe(length);
  desk.onLoad(LOAD_STAGE.normal, 0, bed.timeUs);
  expect(bed.sent.length).toBeGreaterThan(length);
  expect(quoted()).toBeTrue();
});
