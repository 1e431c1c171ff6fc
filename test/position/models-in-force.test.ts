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

  test("an answer to a request is the model's that was in force when it was given", () => {
    const models = new ModelsInForce("first");
    models.answered("a");
    models.name(0, "second", 100);
    models.answered("b");
    models.name(0, "third", 100);
    models.name(1, "fourth", 100);
    models.answered("c");
    expect(["a", "b", "c", "unknown"].map((id) => models.ofAnswer(0, id))).toEqual([
      ...["first", "second", "third", "third"],
    ]);
    expect(["b", "c"].map((id) => models.ofAnswer(1, id))).toEqual(["first", "fourth"]);
    for (let at = 0; at < 4_096; at += 1) models.answered(`more ${at}`);
    models.name(0, "fifth", 200);
    expect([models.ofAnswer(0, "more 0"), models.ofAnswer(0, "c")]).toEqual(["third", "fifth"]);
  });

  test("are bounded: what is older than those kept is the oldest of them", () => {
    const models = new ModelsInForce("m0");
    for (let at = 1; at <= 40; at += 1) models.name(0, `m${at}`, at * 10);
    expect(models.of(0, 401)).toBe("m40");
    expect(models.of(0, 255)).toBe("m25");
    expect(models.of(0, 5)).toBe("m25");
  });
});
