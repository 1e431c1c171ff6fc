import { invariant } from "../core/invariant.ts";
import type { CpuIsa } from "../inference/cpu/native-step.ts";
import type { EngineName, StepEngine } from "../inference/engine.ts";
import type { SwitchedEngine } from "../inference/switched-engine.ts";
import type { Desk } from "./desk.ts";

/** What a second model is loaded from, so that a replay loads the same. */
export interface ActedModel {
  readonly name: string;
  /** Built-in name, or folder. */
  readonly source: string;
  readonly onnxSha256: string;
  readonly engine: EngineName;
  readonly isa: CpuIsa | null;
}

/** A change of the models that a desk runs, between two of its events; an input, which its journal holds. */
export type ModelAct =
  /** A second model is there and follows. */
  | { readonly do: "load"; readonly model: ActedModel }
  /** The second model is in force for these underlyings from now on, and for no others. */
  | { readonly do: "force"; readonly underlyings: readonly number[] }
  /** The second model is the first one from now on, in force everywhere; what was the first follows. */
  | { readonly do: "exchange" }
  /** The second model goes; the first is in force everywhere. */
  | { readonly do: "unload" };

/**
 * Applies an act to the models and tells the desk which model's name fills bear from then on.
 *
 * @param loaded the second model's engine, for `load`
 * @returns the engine that `unload` let go, to be disposed of; else null
 * @throws ModelRefusedError when the second model cannot stand beside the first; nothing was changed then
 */
export function applyModelAct(
  act: ModelAct,
  models: SwitchedEngine,
  desk: Desk,
  loaded: StepEngine | null = null,
): StepEngine | null {
  let gone: StepEngine | null = null;
  if (act.do === "load") {
    invariant(loaded !== null, "an act that loads comes with an engine");
    models.load(loaded);
    models.onFallBack = (slot) => desk.nameModel(slot, models.card);
  } else if (act.do === "unload") {
    gone = models.unload();
  } else if (act.do === "exchange") {
    models.exchange();
    desk.setHeads(models.card.heads);
  } else {
    for (let slot = 0; slot < models.slotCount; slot += 1)
      models.assign(slot, act.underlyings.includes(slot));
  }
  for (let slot = 0; slot < models.slotCount; slot += 1) {
    desk.nameModel(slot, models.onSecond(slot) ? (models.second?.card ?? models.card) : models.card);
  }
  return gone;
}
