import { expect, test } from "bun:test";
import { FEATURE_COUNT, FEATURES, featureIndex, mirrorMap, SCHEMA_HASH } from "../../src/feature/schema.ts";

// A model is bound to this hash: whoever changes the schema trains a new model and writes the new hash here.
test("the schema's hash", () => {
  expect(SCHEMA_HASH).toBe("1a5fa72d96d78548");
});

test("there are 96 features, each with a name of its own", () => {
  expect(FEATURE_COUNT).toBe(96);
  expect(new Set(FEATURES.map((feature) => feature.name)).size).toBe(FEATURE_COUNT);
});

test("mirroring twice is no change", () => {
  const { index, factor } = mirrorMap();
  for (let at = 0; at < FEATURE_COUNT; at += 1) {
    expect(index[index[at]]).toBe(at);
    expect(factor[at] * factor[index[at]]).toBe(1);
  }
});

test("every clip interval holds zero, the value of an absent input", () => {
  for (const { name, clip } of FEATURES) {
    expect(`${name} ${clip[0] <= 0 && clip[1] >= 0 && clip[0] < clip[1]}`).toBe(`${name} true`);
  }
});

test("a feature that does not exist has no index", () => {
  expect(featureIndex("spread")).toBe(1);
  expect(() => featureIndex("mood")).toThrow("mood");
});
