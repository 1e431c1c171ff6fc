import type { ConfigProblem } from "../config.ts";
import type { LoopPlacement } from "../core/placed-loop.ts";
import type { NamedValues } from "./variables.ts";

/** The part of the configuration about the event loop's processor. Faults are added to `problems`. */
export function readPlacement(values: NamedValues, problems: ConfigProblem[]): LoopPlacement {
  const { KEEL_LOOP_CPU: cpu = null, KEEL_LOOP_PRIORITY: priority = null, KEEL_SPIN: spin } = values;
  if (spin && cpu === null) {
    const expected =
      "a processor of its own, because KEEL_SPIN is on: a loop that never sleeps takes all of it";
    problems.push({ name: "KEEL_LOOP_CPU", found: null, expected });
  }
  if (spin && priority !== null) {
    const expected =
      "nothing, because KEEL_SPIN is on: the kernel stops a real-time thread that never sleeps (sched_rt_runtime_us)";
    problems.push({ name: "KEEL_LOOP_PRIORITY", found: String(priority), expected });
  }
  return { cpu, priority, spin };
}
