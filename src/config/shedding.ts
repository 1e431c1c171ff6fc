import type { ConfigProblem } from "../config.ts";
import type { LoadParameters } from "../risk/load-parameters.ts";
import type { LoadStageName } from "../risk/load-shedder.ts";
import type { NamedValues } from "./variables.ts";

/** How far the desk goes when more comes in than it can take. */
export interface SheddingSettings {
  readonly highest: LoadStageName;
  readonly parameters: LoadParameters;
}

/** What begins the stages, in their order: each is to begin no earlier than the one before. */
const ORDERED = [
  ["MS", "conflateMs", "widenMs", "pullMs"],
  ["KB", "conflateKb", "widenKb", "pullKb"],
  ["RING", "conflateRing", "widenRing", "pullRing"],
] as const;

/** The part of the configuration about load shedding, null where there is none. Faults are added to `problems`. */
export function readShedding(
  { KEEL_SHED: highest }: NamedValues,
  parameters: LoadParameters,
  problems: ConfigProblem[],
): SheddingSettings | null {
  for (const [unit, conflate, widen, pull] of ORDERED) {
    for (const [name, before, value] of [
      [`KEEL_SHED_WIDEN_${unit}`, parameters[conflate], parameters[widen]],
      [`KEEL_SHED_PULL_${unit}`, parameters[widen], parameters[pull]],
    ] as const) {
      if (value >= before) continue;
      problems.push({
        name,
        found: String(value),
        expected: `at least ${before}, at which the stage before it begins`,
      });
    }
  }
  return highest === "off" ? null : { highest, parameters };
}
