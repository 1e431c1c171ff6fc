import { type Choice, shownUs } from "./engine-choice.ts";

/** A step that takes no longer, µs, is fast enough: no other model is looked at. */
const ENOUGH_US = 5;

/**
 * A stand-in must be this many times faster. Below that the model that was chosen on its predictions stays, and two starts on
 * one host do not take different models because of a measurement's noise.
 */
const GAIN_MIN = 1.5;

export interface ModelPassedOver {
  readonly model: string;
  readonly reason: string;
}

/** A model, and how the best engine for it is found and started. */
export interface ModelCandidate {
  readonly name: string;
  readonly choose: () => Promise<Choice>;
}

export interface ModelChoice {
  readonly name: string;
  readonly best: Choice;
  readonly passedOver: readonly ModelPassedOver[];
}

/**
 * Takes the first model, or a later one that is {@link GAIN_MIN} times faster than what would be taken without it.
 *
 * @param candidates the preferred model and what may stand in for it
 * @throws KeelError when the preferred model cannot be run: that is for its user to know, not for a stand-in to hide
 */
export async function chooseModel([preferred, ...standIns]: readonly ModelCandidate[]): Promise<ModelChoice> {
  let name = preferred.name;
  let best = await preferred.choose();
  const passedOver: ModelPassedOver[] = [];
  for (const standIn of standIns) {
    if (best.stepUs <= ENOUGH_US) {
      passedOver.push({ model: standIn.name, reason: `not tried, ${shownUs(best.stepUs)} is fast enough` });
      continue;
    }
    let other: Choice;
    try {
      other = await standIn.choose();
    } catch (error) {
      passedOver.push({
        model: standIn.name,
        reason: error instanceof Error ? error.message : String(error),
      });
      continue;
    }
    const taken = other.stepUs * GAIN_MIN <= best.stepUs;
    const left = taken ? best : other;
    passedOver.push({
      model: taken ? name : standIn.name,
      reason: `${shownUs(left.stepUs)} a step on ${left.engine.name}`,
    });
    await left.engine.dispose();
    if (taken) [name, best] = [standIn.name, other];
  }
  return { name, best, passedOver };
}
