import { expect, setDefaultTimeout, test } from "bun:test";
import { modelLabel } from "../../src/inference/card.ts";
import { DeskBed } from "./desk-bed.ts";
import { ScriptedEngine } from "./scripted-engine.ts";

setDefaultTimeout(120_000);

test("profit by model: a fill is kept under the model whose quote was hit, which may no longer be in force", () => {
  const engine = new ScriptedEngine();
  const bed = new DeskBed(engine);
  bed.run(4_000);
  const { desk } = bed;
  const next = { ...engine.card, name: "next", onnxSha256: "9".repeat(64) };
  const [first, second] = [modelLabel(engine.card), modelLabel(next)];
  const fillsBy = (): Record<string, number> =>
    Object.fromEntries(
      [...desk.book.sums].map(([key, { fills }]) => [key.slice(key.indexOf(" ") + 1), fills]),
    );
  const hit = (id: string): void => {
    const { instrument, bidTicks, bidLots } = bed.last;
    desk.onExecution(id, instrument, 0, bidTicks, bidLots, bed.timeUs);
  };
  const { quoteId } = bed.last;
  desk.nameModel(0, next);
  expect(bed.last.quoteId).toBe(quoteId);
  hit("E1");
  expect(fillsBy()).toEqual({ [first]: 1 });
  bed.run(500);
  expect(bed.last.quoteId).toBeGreaterThan(quoteId);
  hit("E2");
  expect(fillsBy()).toEqual({ [first]: 1, [second]: 1 });
});
