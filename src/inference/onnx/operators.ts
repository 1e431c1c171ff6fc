import type { Operator } from "./lowering.ts";
import { CONSTANTS } from "./operators/constants.ts";
import { ELEMENTWISE } from "./operators/elementwise.ts";
import { LINEAR } from "./operators/linear.ts";
import { MOVEMENT } from "./operators/movement.ts";
import { NORMALISE } from "./operators/normalise.ts";
import { QUANTISE } from "./operators/quantise.ts";
import { RECURRENT } from "./operators/recurrent.ts";
import { SHAPE } from "./operators/shape.ts";

/** The ONNX operators that the cpu engine has, by name. */
export const OPERATORS: ReadonlyMap<string, Operator> = new Map(
  Object.entries({
    ...{ ...ELEMENTWISE, ...LINEAR, ...NORMALISE, ...QUANTISE, ...RECURRENT },
    ...{ ...SHAPE, ...MOVEMENT, ...CONSTANTS },
  }),
);
