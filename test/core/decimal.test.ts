import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import {
  decimalToSteps,
  numberToSteps,
  parseStep,
  stepsToDecimal,
  stepToNumber,
} from "../../src/core/decimal.ts";

describe("parseStep", () => {
  test("reduces trailing zeros and keeps whole multiples", () => {
    expect(parseStep("0.10000000")).toEqual({ mantissa: 1, scale: 1 });
    expect(parseStep("0.0005")).toEqual({ mantissa: 5, scale: 4 });
    expect(parseStep("10")).toEqual({ mantissa: 10, scale: 0 });
    expect(parseStep("5e-4")).toEqual({ mantissa: 5, scale: 4 });
    expect(parseStep("1E2")).toEqual({ mantissa: 100, scale: 0 });
  });

  test.each(["", "0", "-1", "abc", "1.2.3", "0.0"])("refuses %j", (text) => {
    expect(() => parseStep(text)).toThrow("expected a positive decimal number");
  });
});

describe("decimalToSteps", () => {
  test("reads a price on its grid", () => {
    expect(decimalToSteps("61659.70", { mantissa: 1, scale: 1 })).toBe(616597);
    expect(decimalToSteps("0.0015", { mantissa: 5, scale: 4 })).toBe(3);
    expect(decimalToSteps("120", { mantissa: 10, scale: 0 })).toBe(12);
    expect(decimalToSteps(".5", { mantissa: 1, scale: 1 })).toBe(5);
  });

  test.each(["", ".", "-1", "1e3", "1.05", " 1", "1..0", "61659.75", "NaN", "99999999999999999999"])(
    "answers NaN to %j on a grid of 0.1",
    (text) => {
      expect(decimalToSteps(text, { mantissa: 1, scale: 1 })).toBeNaN();
    },
  );

  test("round trips through text for any step", () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 0, max: 1_000_000_000 }),
        fc.integer({ min: 1, max: 50 }),
        fc.integer({ min: 0, max: 8 }),
        (steps, mantissa, scale) => {
          const step = { mantissa, scale };
          expect(decimalToSteps(stepsToDecimal(steps, step), step)).toBe(steps);
        },
      ),
    );
  });
});

describe("numberToSteps", () => {
  test("agrees with the text form", () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 0, max: 100_000_000 }),
        fc.constantFrom("0.0001", "0.0005", "0.5", "0.01", "10"),
        (steps, text) => {
          const step = parseStep(text);
          expect(numberToSteps(Number(stepsToDecimal(steps, step)), step)).toBe(steps);
        },
      ),
    );
  });

  test("answers NaN off the grid, below zero and for what is not finite", () => {
    const step = { mantissa: 5, scale: 4 };
    for (const value of [0.0007, -0.0005, Number.NaN, Number.POSITIVE_INFINITY]) {
      expect(numberToSteps(value, step)).toBeNaN();
    }
  });

  test("stepToNumber is the step's value", () => {
    expect(stepToNumber({ mantissa: 5, scale: 4 })).toBe(0.0005);
  });
});
