import type { StepEngine } from "./engine.ts";

/** Steps an engine on empty features, one row and a full batch in turn, until its timings have settled; states are left to the caller. */
export async function warmUpSteps(
  engine: Pick<StepEngine, "features" | "slots" | "maxBatch" | "submit">,
  steps: number,
): Promise<void> {
  engine.features.fill(0);
  for (let i = 0; i < steps; i += 1) {
    const count = i % 2 === 0 ? 1 : engine.maxBatch;
    for (let row = 0; row < count; row += 1) engine.slots[row] = row;
    await engine.submit(count);
  }
}
