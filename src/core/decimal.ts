import { BadInputError } from "./errors.ts";

/**
 * A step on a decimal grid: `mantissa × 10^-scale`. A tick of 0.0005 is `{ mantissa: 5, scale: 4 }`, a tick of 10 is
 * `{ mantissa: 10, scale: 0 }`.
 */
export interface DecimalStep {
  readonly mantissa: number;
  readonly scale: number;
}

/** Parses a step such as `"0.0005"`, `"0.10000000"` or `"5e-4"`. @throws BadInputError when it is not a positive decimal. */
export function parseStep(text: string): DecimalStep {
  const match = /^(\d+)(?:\.(\d+))?(?:[eE]([+-]?\d+))?$/.exec(text);
  if (match === null)
    throw new BadInputError("decimal step", JSON.stringify(text), "a positive decimal number");
  const fraction = (match[2] ?? "").replace(/0+$/, "");
  const exponent = Number(match[3] ?? "0");
  let mantissa = Number((match[1] ?? "") + fraction);
  let scale = fraction.length - exponent;
  while (scale < 0) {
    mantissa *= 10;
    scale += 1;
  }
  while (scale > 0 && mantissa % 10 === 0) {
    mantissa /= 10;
    scale -= 1;
  }
  if (!(mantissa > 0) || !Number.isSafeInteger(mantissa)) {
    throw new BadInputError("decimal step", JSON.stringify(text), "a positive decimal number");
  }
  return { mantissa, scale };
}

/** The step as a floating number; for pricing and display only, never for book keys. */
export function stepToNumber(step: DecimalStep): number {
  return step.mantissa / 10 ** step.scale;
}

/** Returned by {@link decimalToSteps} when the text is no plain decimal or is off the grid. */
export const OFF_GRID = Number.NaN;

/**
 * Converts a plain decimal string to a whole number of steps without going through a binary fraction:
 * `decimalToSteps("61659.70", {mantissa: 1, scale: 1})` is 616597.
 *
 * @returns {@link OFF_GRID} (NaN) when the text is not a plain non-negative decimal or not a multiple of the step.
 */
export function decimalToSteps(text: string, step: DecimalStep): number {
  let digits = 0;
  let fractionDigits = -1;
  const length = text.length;
  if (length === 0) return OFF_GRID;
  for (let i = 0; i < length; i += 1) {
    const code = text.charCodeAt(i) - 48;
    if (code >= 0 && code <= 9) {
      if (fractionDigits >= 0) {
        if (fractionDigits === step.scale) {
          if (code !== 0) return OFF_GRID;
          continue;
        }
        fractionDigits += 1;
      }
      digits = digits * 10 + code;
    } else if (code === -2 && fractionDigits < 0 && length > 1) {
      fractionDigits = 0;
    } else {
      return OFF_GRID;
    }
  }
  for (let missing = step.scale - Math.max(fractionDigits, 0); missing > 0; missing -= 1) digits *= 10;
  if (!Number.isSafeInteger(digits)) return OFF_GRID;
  if (step.mantissa === 1) return digits;
  const steps = digits / step.mantissa;
  return Number.isInteger(steps) ? steps : OFF_GRID;
}

/**
 * Converts a JSON number to a whole number of steps, by way of the shortest decimal that names it (so 0.0015 on a grid of
 * 0.0005 is exactly 3). @returns {@link OFF_GRID} when it is negative, not finite or off the grid.
 */
export function numberToSteps(value: number, step: DecimalStep): number {
  const scaled = (value * 10 ** step.scale) / step.mantissa;
  const steps = Math.round(scaled);
  if (!(steps >= 0) || !Number.isSafeInteger(steps)) return OFF_GRID;
  return Math.abs(scaled - steps) <= 1e-6 + steps * 1e-12 ? steps : OFF_GRID;
}

/** Writes a whole number of steps as a plain decimal with the step's number of decimals: `(616597, 0.1)` → `"61659.7"`. */
export function stepsToDecimal(steps: number, step: DecimalStep): string {
  const units = steps * step.mantissa;
  if (step.scale === 0) return String(units);
  const negative = units < 0;
  const text = String(Math.abs(units)).padStart(step.scale + 1, "0");
  const cut = text.length - step.scale;
  return `${negative ? "-" : ""}${text.slice(0, cut)}.${text.slice(cut)}`;
}
