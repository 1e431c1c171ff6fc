import { EngineLostError } from "../../src/inference/engine.ts";
import { ToldEngine } from "../../src/sim/told-engine.ts";

/** An engine that says what it is told to, so that a test decides what the desk believes, and that can fail. */
export class ScriptedEngine extends ToldEngine {
  /** Fails its next step as an engine whose device has gone. */
  failing = false;
  steps = 0;
  resets = 0;

  override step(count: number): void {
    if (this.failing) throw new EngineLostError("cpu", "as told");
    this.steps += count;
    super.step(count);
  }

  override resetSlot(): void {
    this.resets += 1;
  }
}
