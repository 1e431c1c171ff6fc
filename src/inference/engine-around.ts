import type { FeatureSource } from "../feature/source.ts";
import type { Calibration } from "./calibration.ts";
import type { StepEngine } from "./engine.ts";

/** An engine that is the one it is given, but for what a subclass changes. */
export abstract class EngineAround implements StepEngine {
  readonly name: StepEngine["name"];
  readonly card: StepEngine["card"];
  readonly isa?: NonNullable<StepEngine["isa"]>;
  readonly adapter?: NonNullable<StepEngine["adapter"]>;
  readonly precisionTolerance: number;
  readonly slotCount: number;
  readonly maxBatch: number;
  readonly synchronous: boolean;
  protected readonly inner: StepEngine;

  constructor(inner: StepEngine) {
    this.inner = inner;
    this.name = inner.name;
    this.card = inner.card;
    if (inner.isa !== undefined) this.isa = inner.isa;
    if (inner.adapter !== undefined) this.adapter = inner.adapter;
    this.precisionTolerance = inner.precisionTolerance ?? 0;
    this.slotCount = inner.slotCount;
    this.maxBatch = inner.maxBatch;
    this.synchronous = inner.synchronous;
  }

  get features(): Float32Array {
    return this.inner.features;
  }

  get slots(): Int32Array {
    return this.inner.slots;
  }

  get probabilities(): Float32Array {
    return this.inner.probabilities;
  }

  get calibration(): Calibration | undefined {
    return this.inner.calibration;
  }

  get featureSource(): FeatureSource | undefined {
    return this.inner.featureSource;
  }

  step(count: number): void {
    this.inner.step(count);
  }

  submit(count: number): Promise<void> {
    return this.inner.submit(count);
  }

  resetSlot(slot: number): void {
    this.inner.resetSlot(slot);
  }

  warmUp(): Promise<void> {
    return this.inner.warmUp();
  }

  memoryBytes(): number {
    return this.inner.memoryBytes();
  }

  dispose(): Promise<void> {
    return this.inner.dispose();
  }
}
