import { ModelRefusedError } from "../core/errors.ts";
import { silentRows } from "./card.ts";
import type { StepEngine } from "./engine.ts";

/**
 * Runs the card's self-test vectors through the engine, from the initial state of slot 0, and resets the slot after it. While
 * a windowed model's window is not full, every probability must be NaN.
 *
 * @returns the largest absolute difference of a probability.
 * @throws ModelRefusedError naming the row, the head, and what was found and expected.
 */
export async function selfTest(engine: StepEngine): Promise<number> {
  const { card } = engine;
  const { features, probabilities } = card.selfTest;
  const silent = silentRows(card);
  const tolerance = Math.max(card.selfTest.tolerance, engine.precisionTolerance ?? 0);
  engine.resetSlot(0);
  let worst = 0;
  for (let row = 0; row < features.length; row += 1) {
    engine.slots[0] = 0;
    engine.features.set(features[row]);
    await engine.submit(1);
    for (let head = 0; head < card.heads.length; head += 1) {
      const found = engine.probabilities[head];
      const expected = row < silent ? Number.NaN : probabilities[row - silent][head];
      const difference = row < silent && Number.isNaN(found) ? 0 : Math.abs(found - expected);
      if (!(difference <= tolerance)) {
        throw new ModelRefusedError(
          card.name,
          `self-test row ${row}, head ${card.heads[head].name} on ${engine.name}: ${found}`,
          `${expected} within ${tolerance}`,
        );
      }
      worst = Math.max(worst, difference);
    }
  }
  engine.resetSlot(0);
  return worst;
}
