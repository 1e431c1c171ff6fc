import type { Desk } from "../../desk/desk.ts";
import { FEATURE_COUNT, FEATURES } from "../../feature/schema.ts";
import type { DeskTap } from "../../gateway/tap.ts";

/** Keeps the features of each underlying's latest step, as the desk's model saw them. */
export class FeatureFollower implements DeskTap {
  readonly desk: Desk;
  readonly #latest = new Map<number, { readonly features: Float32Array; timeUs: number }>();

  constructor(desk: Desk) {
    this.desk = desk;
  }

  onFeatures(underlying: number, features: Float32Array, offset: number, timeUs: number): void {
    let latest = this.#latest.get(underlying);
    if (latest === undefined) {
      latest = { features: new Float32Array(FEATURE_COUNT), timeUs };
      this.#latest.set(underlying, latest);
    }
    latest.features.set(features.subarray(offset, offset + FEATURE_COUNT));
    latest.timeUs = timeUs;
  }

  /** By name; nothing where there was no step yet. */
  of(underlying: number): {
    readonly features: Readonly<Record<string, number>>;
    readonly featuresUs: number;
  } {
    const latest = this.#latest.get(underlying);
    if (latest === undefined) return { features: {}, featuresUs: Number.NaN };
    const features = Object.fromEntries(
      FEATURES.map(({ name }, at) => [name, latest.features[at] ?? Number.NaN]),
    );
    return { features, featuresUs: latest.timeUs };
  }

  onQuotes(): void {}
  onCancelAll(): void {}
  onTimer(): void {}
  close(): void {}
}
