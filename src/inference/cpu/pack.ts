/** Outputs whose weights lie together, and outputs of a panel: `KEEL_DENSE_GROUP`, `KEEL_DENSE_PANEL` in `ffi/step.h`. */
const GROUP = 64;
const PANEL = 16;

/** Calls `visit` for each group of outputs with its first output, the outputs it has room for, and where its weights start. */
function eachGroup(outputs: number, visit: (first: number, width: number, start: number) => void): void {
  let start = 0;
  for (let first = 0; first < outputs; first += GROUP) {
    const width = Math.ceil(Math.min(GROUP, outputs - first) / PANEL) * PANEL;
    visit(first, width, start);
    start += width;
  }
}

/** Floats that {@link packDense} makes. */
export function packedLength(inputs: number, outputs: number): number {
  return Math.ceil(outputs / PANEL) * PANEL * inputs;
}

/**
 * Lays weights out as the dense kernel reads them: `[group][input][outputs of the group]`, outputs padded with zeros.
 *
 * @param weight the weight from an input to an output.
 */
export function packDense(
  inputs: number,
  outputs: number,
  weight: (input: number, output: number) => number,
): Float32Array {
  const packed = new Float32Array(packedLength(inputs, outputs));
  eachGroup(outputs, (first, width, start) => {
    for (let input = 0; input < inputs; input += 1) {
      const row = start * inputs + input * width;
      for (let i = 0; i < width && first + i < outputs; i += 1) packed[row + i] = weight(input, first + i);
    }
  });
  return packed;
}

/** As {@link packDense} for 8-bit weights: `[group][input / 4][outputs of the group][4]`, inputs padded with zeros too. */
export function packDenseI8(
  inputs: number,
  outputs: number,
  weight: (input: number, output: number) => number,
): Int8Array {
  const padded = Math.ceil(inputs / 4) * 4;
  const packed = new Int8Array(packedLength(padded, outputs));
  eachGroup(outputs, (first, width, start) => {
    for (let input = 0; input < inputs; input += 1) {
      const quad = start * padded + (input >> 2) * width * 4;
      for (let i = 0; i < width && first + i < outputs; i += 1) {
        packed[quad + i * 4 + (input & 3)] = weight(input, first + i);
      }
    }
  });
  return packed;
}
