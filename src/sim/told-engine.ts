import { FEATURE_COUNT, SCHEMA_HASH } from "../feature/schema.ts";
import { HEADS, type ModelCard } from "../inference/card.ts";
import type { StepEngine } from "../inference/engine.ts";

const SLOTS = 16;

/** Answers what it is told to, so that a scenario and not a model decides what the desk believes. */
export class ToldEngine implements StepEngine {
  readonly name = "cpu";
  readonly card: ModelCard = {
    name: "told",
    version: "1",
    description: "answers what it is told to",
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
  readonly slotCount = SLOTS;
  readonly maxBatch = SLOTS;
  readonly synchronous: boolean;
  readonly features = new Float32Array(SLOTS * FEATURE_COUNT);
  readonly slots = new Int32Array(SLOTS);
  readonly probabilities = new Float32Array(SLOTS * HEADS.length);
  /** What every row answers. */
  readonly answer = new Float32Array(HEADS.length);

  constructor(synchronous = true) {
    this.synchronous = synchronous;
  }

  step(count: number): void {
    for (let row = 0; row < count; row += 1) this.probabilities.set(this.answer, row * HEADS.length);
  }

  async submit(count: number): Promise<void> {
    this.step(count);
  }

  resetSlot(): void {}

  async warmUp(): Promise<void> {}

  memoryBytes(): number {
    return 0;
  }

  async dispose(): Promise<void> {}
}
