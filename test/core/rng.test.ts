import { describe, expect, test } from "bun:test";
import { Rng } from "../../src/core/rng.ts";

describe("Rng", () => {
  test("the same seed gives the same sequence", () => {
    const a = new Rng(7);
    const b = new Rng(7);
    for (let i = 0; i < 100; i += 1) expect(a.uint32()).toBe(b.uint32());
    expect(new Rng(8).uint32()).not.toBe(new Rng(7).uint32());
  });

  test("uniform, normal and exponential have their moments", () => {
    const rng = new Rng(1);
    const n = 50_000;
    let uniform = 0;
    let normal = 0;
    let square = 0;
    let exponential = 0;
    for (let i = 0; i < n; i += 1) {
      const u = rng.next();
      expect(u >= 0 && u < 1).toBe(true);
      uniform += u;
      const z = rng.normal();
      normal += z;
      square += z * z;
      exponential += rng.exponential(3);
    }
    expect(uniform / n).toBeCloseTo(0.5, 1);
    expect(normal / n).toBeCloseTo(0, 1);
    expect(square / n).toBeCloseTo(1, 1);
    expect(exponential / n / 3).toBeCloseTo(1, 1);
  });

  test("int stays below its bound", () => {
    const rng = new Rng(3);
    for (let i = 0; i < 1_000; i += 1) expect(rng.int(7)).toBeLessThan(7);
  });
});
