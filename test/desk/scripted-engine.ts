import { FEATURE_COUNT, SCHEMA_HASH } from "../../src/feature/schema.ts";
import { HEADS, type ModelCard } from "../../src/inference/card.ts";
import { EngineLostError, type StepEngine } from "../../src/inference/engine.ts";

/** An engine that says what it is told to, so that a test decides what the desk believes. */
export class ScriptedEngine implements StepEngine {
  readonly name = "cpu";
  readonly card: ModelCard;
  readonly slotCount = 16;
  readonly maxBatch = 16;
  readonly synchronous: boolean;
  readonly features = new Float32Array(16 * FEATURE_COUNT);
  readonly slots = new Int32Array(16);
  readonly probabilities = new Float32Array(16 * HEADS.length);
  /** What every row answers. */
  readonly answer = new Float32Array(HEADS.length);
  /** Fails its next step as an engine whose device has gone. */
  failing = false;
  steps = 0;
  resets = 0;

  constructor(synchronous = true) {
    this.synchronous = synchronous;
    this.card = {
      name: "scripted",
      version: "1",
      description: "says what it is told to",
      schemaHash: SCHEMA_HASH,
      onnxSha256: "0".repeat(64),
      featureCount: FEATURE_COUNT,
      states: [],
      heads: HEADS.map((name) => ({
        name,
        horizonMs: name.endsWith("100") ? 100 : 50,
        thetaBp: null,
        depthFraction: null,
        meanMoveBp: null,
        baseRate: 0.1,
        metrics: {},
      })),
      training: {
        command: "none",
        seed: 1,
        dataDigest: "",
        captures: [],
        rows: { train: 0, validate: 0, test: 0 },
      },
      selfTest: { features: [], probabilities: [], tolerance: 1e-5 },
    };
  }

  step(count: number): void {
    if (this.failing) throw new EngineLostError("cpu", "as told");
    this.steps += count;
    for (let row = 0; row < count; row += 1) this.probabilities.set(this.answer, row * HEADS.length);
  }

  async submit(count: number): Promise<void> {
    this.step(count);
  }

  resetSlot(): void {
    this.resets += 1;
  }

  async warmUp(): Promise<void> {}

  memoryBytes(): number {
    return 0;
  }

  async dispose(): Promise<void> {}
}
