import { describe, expect, test } from "bun:test";
import { ModelsInForce } from "../../src/position/models-in-force.ts";

describe("models in force", () => {
  test("a quote is the model's that was in force when it was sent, however long it stood", () => {
    const models = new ModelsInForce("first");
    expect([models.of(0), models.of(0, 5), models.of(-1)]).toEqual(["first", "first", "first"]);
    models.name(0, "second", 100);
    models.name(0, "second", 150);
    models.name(0, "first", 200);
    expect([1, 100, 101, 200, 201].map((id) => models.of(0, id))).toEqual([
      "first",
      "first",
      "second",
      "second",
      "first",
    ]);
    expect([models.of(0), models.of(1)]).toEqual(["first", "first"]);
  });

  test("are bounded: what is older than those kept is the oldest of them", () => {
    const models = new ModelsInForce("m0");
    for (let at = 1; at <= 40; at += 1) models.name(0, `m${at}`, at * 10);
    expect(models.of(0, 401)).toBe("m40");
    expect(models.of(0, 255)).toBe("m25");
    expect(models.of(0, 5)).toBe("m25");
  });
});
