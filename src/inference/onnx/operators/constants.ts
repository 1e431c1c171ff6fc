import type { Operator } from "../lowering.ts";
import { constant } from "../value.ts";

/** Casts of constants to whole numbers are carried out; computed tensors are f32 throughout. */
const cast: Operator = (node) => {
  node.allow("to", "saturate");
  const value = node.input(0);
  const to = node.int("to", 0);
  const FLOATS = [1, 11];
  const INTEGERS = [6, 7];
  if (FLOATS.includes(to)) node.set(value);
  else if (INTEGERS.includes(to) && value.kind === "constant") {
    node.set(constant(value.dims, Float64Array.from(value.data, Math.trunc)));
  } else node.refuse(`a cast to data type ${to}`, "float, or a constant to an integer");
};

/** The shape as the row sees it: the batch counts 1. */
const shape: Operator = (node) => {
  node.allow("start", "end");
  const { dims } = node.input(0);
  const part = dims.slice(node.int("start", 0), node.int("end", dims.length));
  node.set(constant([part.length], part));
};

const constantNode: Operator = (node) => {
  const { attributes } = node.node;
  const tensor = attributes.get("value")?.tensor;
  const float = attributes.get("value_float")?.float;
  const int = attributes.get("value_int")?.int;
  const list = attributes.get("value_floats")?.floats ?? attributes.get("value_ints")?.ints;
  if (tensor !== undefined && tensor !== null) node.set(constant(tensor.dims, tensor.data));
  else if (float !== undefined && float !== null) node.set(constant([], [float]));
  else if (int !== undefined && int !== null) node.set(constant([], [int]));
  else if (list !== undefined) node.set(constant([list.length], list));
  else node.refuse("no numbers", "value, value_float, value_floats, value_int or value_ints");
};

const constantOfShape: Operator = (node) => {
  node.allow("value");
  const dims = node.integers(node.constantInput(0, "shape"), "a shape");
  const tensor = node.node.attributes.get("value")?.tensor;
  const total = node.checkSize(dims);
  node.program.fold(total);
  node.set(constant(dims, new Float64Array(total).fill(tensor?.data[0] ?? 0)));
};

/** Operators whose answer is known before the model runs, or that pass what they are given. */
export const CONSTANTS: Readonly<Record<string, Operator>> = {
  Cast: cast,
  Shape: shape,
  Constant: constantNode,
  ConstantOfShape: constantOfShape,
};
