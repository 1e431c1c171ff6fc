import { expect, test } from "bun:test";
import { DeskFeatures } from "../../src/desk/desk-features.ts";
import { SIGNALS } from "../../src/feature/schema.ts";
import type { FeatureSource } from "../../src/feature/source.ts";
import { SweepFeatures } from "../../src/feature/sweep-features.ts";
import { FeatureState } from "../../src/feature/tick.ts";
import type { StepEngine } from "../../src/inference/engine.ts";

const WORDS = 256;
const SIGNALS_AT = 2;

const engineWith = (featureSource: FeatureSource | undefined): StepEngine =>
  ({ featureSource }) as StepEngine;

const signalsOf = ({ upload }: SweepFeatures): number[] =>
  Array.from(new Float32Array(upload.words.buffer, SIGNALS_AT * 4, SIGNALS.length));

test("without an engine, or with one on the host, features are made there and outlive a restart", () => {
  const features = new DeskFeatures(null, 2);
  const { source } = features;
  expect(source).toBeInstanceOf(FeatureState);
  features.follow(engineWith(undefined));
  expect(features.source).toBe(source);
});

test("an engine that makes features is followed to its next start, with the signals as they are", () => {
  const first = new SweepFeatures(2, WORDS, () => {});
  const next = new SweepFeatures(2, WORDS, () => {});
  const features = new DeskFeatures(engineWith(first), 2);
  expect(features.source).toBe(first);
  features.onSignal(0, 0.5);
  features.onSignal(2, -0.25);
  features.onSignal(2, Number.NaN);
  features.onSignal(99, 1);
  features.follow(engineWith(next));
  expect(features.source).toBe(next);
  expect(signalsOf(next)).toEqual([0.5, 0, -0.25]);
});

test("an engine on the host in place of one on a GPU begins on the host anew", () => {
  const features = new DeskFeatures(engineWith(new SweepFeatures(2, WORDS, () => {})), 2);
  features.follow(engineWith(undefined));
  expect(features.source).toBeInstanceOf(FeatureState);
});
