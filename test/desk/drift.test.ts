import { expect, test } from "bun:test";
import { DeskBed } from "./desk-bed.ts";
import { ScriptedEngine } from "./scripted-engine.ts";

test("drift widens by a share, then takes the model out of force, and lets it back", () => {
  const engine = new ScriptedEngine();
  const bed = new DeskBed(engine, { calmMs: 0, minQuoteLifeMs: 0 });
  bed.run(12_000);
  const { desk } = bed;
  const inForce = () => desk.quoter.predictions.adjustments[0];
  expect(inForce().reasons).toBe(0);
  const { defensiveWidenBp } = desk.quoter.parameters;

  desk.onDrift(0, 0.5, bed.timeUs);
  bed.run(300);
  expect(inForce().widenBp).toBeCloseTo(defensiveWidenBp / 2, 3);
  expect(bed.last.reasons).toContain("drift");
  expect(bed.last.reasons).not.toContain("defensive");

  desk.onDrift(0, 1, bed.timeUs);
  bed.run(300);
  expect(inForce().widenBp).toBe(defensiveWidenBp);
  expect(bed.last.reasons).toContain("defensive");
  expect(bed.last.reasons).toContain("drift");

  desk.onDrift(0, 0, bed.timeUs);
  bed.run(300);
  expect(inForce().widenBp).toBe(0);
  expect(bed.last.reasons).not.toContain("drift");
});
