import { expect, setDefaultTimeout, test } from "bun:test";
import { LOAD_STAGE } from "../../src/risk/load-shedder.ts";
import { DeskBed } from "./desk-bed.ts";
import { ScriptedEngine } from "./scripted-engine.ts";

setDefaultTimeout(120_000);

/** Warmed up, with a calm model; quotes are decided once a batch. */
function warmBed(): { bed: DeskBed; engine: ScriptedEngine } {
  const engine = new ScriptedEngine();
  const bed = new DeskBed(engine, {}, true);
  bed.run(4_000);
  return { bed, engine };
}

/** Steps the market until frames have moved the model. @returns their number */
function frames(bed: DeskBed, engine: ScriptedEngine): number {
  let count = 0;
  for (const before = engine.steps; engine.steps < before + 3; ) count += bed.step();
  return count;
}

test("the model steps with every frame, and the quotes leave once, when the batch is over", () => {
  const { bed, engine } = warmBed();
  const { length } = bed.sent;
  const { flushes } = bed;
  const steps = engine.steps;
  engine.answer[0] = 0.9;
  expect(frames(bed, engine)).toBeGreaterThan(1);
  expect(engine.steps).toBeGreaterThan(steps + 1);
  expect(bed.sent.length).toBe(length);
  bed.desk.onBatchEnd(bed.timeUs);
  expect(bed.sent.slice(length).map(({ instrument }) => instrument)).toEqual([0]);
  expect(bed.last.widenBp).toBeGreaterThan(15);
  expect(bed.flushes).toBe(flushes + 1);
  bed.desk.onBatchEnd(bed.timeUs);
  expect([bed.sent.length, bed.flushes]).toEqual([length + 1, flushes + 1]);
});

test("the quotes of a batch leave before anybody is told of them", () => {
  const { bed, engine } = warmBed();
  const { length } = bed.done;
  engine.answer[0] = 0.9;
  frames(bed, engine);
  bed.desk.onBatchEnd(bed.timeUs);
  expect(bed.done.slice(length)).toEqual(["published", "left", "told"]);
});

test("whatever comes in between answers the frames before it", () => {
  const { bed, engine } = warmBed();
  const { length } = bed.sent;
  engine.answer[0] = 0.9;
  frames(bed, engine);
  bed.desk.onTimer(bed.timeUs);
  frames(bed, engine);
  bed.desk.onFeedClose(0, 1_006, "cut", bed.timeUs);
  expect(bed.sent.slice(length).map(({ bidLots, askLots }) => bidLots + askLots > 0)).toEqual([true, false]);
});

test("a desk that decides for each frame has nothing open at a batch's end", () => {
  const engine = new ScriptedEngine();
  const bed = new DeskBed(engine);
  bed.run(4_000);
  engine.answer[0] = 0.9;
  frames(bed, engine);
  const { length } = bed.sent;
  expect(bed.last.widenBp).toBeGreaterThan(15);
  bed.desk.onBatchEnd(bed.timeUs);
  expect([bed.sent.length, bed.flushes]).toEqual([length, 0]);
});

test.each([
  ["within capacity", LOAD_STAGE.normal],
  ["beyond capacity", LOAD_STAGE.conflate],
])("a book that has lost its trust waits for no batch: %s", (_, stage) => {
  const { bed } = warmBed();
  const { desk, market } = bed;
  if (stage !== LOAD_STAGE.normal) desk.onLoad(stage, 0, bed.timeUs);
  market.muted = true;
  for (let step = 0; step < 500; step += 1) bed.step();
  market.muted = false;
  const { length } = bed.sent;
  const { counters } = desk.feeds[0];
  for (const { gaps } = counters; counters.gaps === gaps; ) bed.step();
  expect(bed.sent.slice(length).map(({ bidLots, askLots }) => bidLots + askLots)).toEqual([0]);
  expect(bed.last.reasons).toContain("bookUnsound");
});
