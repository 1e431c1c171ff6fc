import { shift } from "../../cpu/program.ts";
import { eachOffset, type NodeContext } from "../lowering.ts";
import { constant, type Dynamic, sizeOf, stridesOf, type Value } from "../value.ts";

/**
 * The elements of `value` read with `strides` from `offset`, in the shape `dims`: a view where they lie together, a copy
 * where not.
 */
export function rearrange(
  node: NodeContext,
  value: Value,
  dims: readonly number[],
  strides: readonly number[],
  offset: number,
  batchAxis: number,
): Value {
  const total = node.checkSize(dims);
  const reach = (sign: number): number =>
    dims.reduce((sum, dim, axis) => sum + Math.max(0, sign * (dim - 1) * strides[axis]) * sign, offset);
  if (reach(-1) < 0 || reach(1) >= sizeOf(value.dims)) {
    node.refuse(
      `a part of shape [${dims.join(",")}] of [${value.dims.join(",")}]`,
      "a part that lies within",
    );
  }
  if (value.kind === "constant") {
    node.program.fold(total);
    const data = new Float64Array(total);
    eachOffset(dims, strides, (index, from) => {
      data[index] = value.data[offset + from];
    });
    return constant(dims, data);
  }
  const own = stridesOf(dims);
  if (liesTogether(dims, strides)) return view(value, dims, batchAxis, offset);
  const made = node.make(dims, batchAxis);
  node.copy(made.to, own, shift(value.place(), offset), strides, dims);
  return made;
}

/** Elements read with these strides are those of a tensor of its own. */
export function liesTogether(dims: readonly number[], strides: readonly number[]): boolean {
  const own = stridesOf(dims);
  return dims.every((dim, axis) => dim === 1 || strides[axis] === own[axis]);
}

/** The same floats under another shape, `offset` floats on. */
export function view(value: Dynamic, dims: readonly number[], batchAxis: number, offset: number): Dynamic {
  const whole = offset === 0 && sizeOf(dims) === sizeOf(value.dims);
  const carried = whole
    ? {
        ...(value.quantised === undefined ? {} : { quantised: value.quantised }),
        ...(value.levels === undefined ? {} : { levels: value.levels }),
      }
    : {};
  return { kind: "dynamic", dims, batchAxis, place: () => shift(value.place(), offset), ...carried };
}

/** The value under another shape of the same size. The batch stays the dimension with as many elements before it. */
export function reshaped(node: NodeContext, value: Value, dims: readonly number[]): Value {
  if (sizeOf(dims) !== sizeOf(value.dims)) {
    node.refuse(`shape [${dims.join(",")}] for [${value.dims.join(",")}]`, "as many elements");
  }
  if (value.kind === "constant") return constant(dims, value.data);
  if (value.batchAxis < 0) return view(value, dims, -1, 0);
  const before = sizeOf(value.dims.slice(0, value.batchAxis));
  const fits = (axis: number): boolean => dims[axis] === 1 && sizeOf(dims.slice(0, axis)) === before;
  const places = dims.map((_, axis) => axis).filter(fits);
  const batchAxis = places.includes(value.batchAxis) ? value.batchAxis : places[0];
  if (batchAxis === undefined)
    node.refuse("a shape that joins the batch with another dimension", "the batch kept");
  return view(value, dims, batchAxis, 0);
}
