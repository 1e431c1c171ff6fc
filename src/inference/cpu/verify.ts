import { InvariantError } from "../../core/invariant.ts";
import {
  type Instruction,
  NONE,
  OP,
  offsetOf,
  type ProgramBuilder,
  type Reference,
  reference,
  SPACE,
  spaceOf,
} from "./program.ts";

/** Sizes of what the program reads and does not make. */
export interface Surroundings {
  readonly featureCount: number;
  readonly slotFloats: number;
}

type Check = (ref: Reference, floats: number, what: string) => void;

/**
 * Checks that every instruction stays within the tensors it names: the last gate before native code, which trusts the
 * program. What it finds is a bug in an operator's lowering, never a bad model: those are refused before.
 *
 * @throws InvariantError naming the instruction.
 */
export function verifyProgram(program: ProgramBuilder, surroundings: Surroundings): void {
  const { featureCount, slotFloats } = surroundings;
  for (const [index, instruction] of program.instructions.entries()) {
    if (instruction.removed) continue;
    const bad = (what: string): never => {
      throw new InvariantError(
        `instruction ${index} (operation ${instruction.op}): ${what} within its tensor`,
      );
    };
    const within: Check = (ref, floats, what) => {
      const room =
        spaceOf(ref) === SPACE.state
          ? slotFloats - offsetOf(ref)
          : spaceOf(ref) === SPACE.features
            ? featureCount - offsetOf(ref)
            : program.roomAt(ref);
      if (!(ref >= 0 && floats >= 0 && floats <= room))
        bad(`${what}: ${floats} floats at ${ref}, room for ${room},`);
    };
    const written: Check = (ref, floats, what) => {
      if (spaceOf(ref) !== SPACE.arena) bad(`${what}: a result outside of the arena,`);
      within(ref, floats, what);
    };
    if (!instruction.p.every((value) => typeof value === "number" && !Number.isNaN(value)))
      bad("its parameters");
    verifyOne(program, instruction, within, written);
  }
}

function verifyOne(program: ProgramBuilder, instruction: Instruction, read: Check, write: Check): void {
  const { op, to, a, b, c, p } = instruction;
  const constantAt = (offset: number): Reference => reference(SPACE.constants, offset);
  switch (op) {
    case OP.copy:
      write(to, p[0], "result");
      read(a, p[0], "operand");
      return;
    case OP.strided: {
      const table = program.intsAt(constantAt(p[0]));
      const rank = table[0];
      const axes = Array.from({ length: rank }, (_, axis) => axis);
      const reach = (strides: number, sign: number): number =>
        axes.reduce((sum, axis) => {
          const span = (table[1 + axis] - 1) * table[1 + strides * rank + axis];
          return span * sign > 0 ? sum + span : sum;
        }, 0);
      write(to, reach(1, 1) + 1, "result");
      write(to + reach(1, -1) * 4, 1, "start of the result");
      read(a, reach(2, 1) + 1, "operand");
      read(a + reach(2, -1) * 4, 1, "start of the operand");
      return;
    }
    case OP.fill:
      write(to, p[0], "result");
      return;
    case OP.unary:
      write(to, p[0], "result");
      read(a, p[0], "operand");
      return;
    case OP.binary:
      write(to, p[0], "result");
      read(a, p[2] === 1 ? 1 : p[0], "first operand");
      read(b, p[2] === 2 ? 1 : p[0], "second operand");
      return;
    case OP.dense:
    case OP.denseI8: {
      const [k, n, rows, , stride] = p;
      const padded = Math.ceil(n / 16) * 16;
      const bytes = op === OP.denseI8 ? Math.ceil(k / 4) : k;
      write(to, rows * n, "result");
      read(a, rows * bytes, "input");
      if (b !== NONE) read(b, (rows - 1) * stride + n, "addend");
      read(c, bytes * padded, "weights");
      if (op === OP.dense) return;
      read(constantAt(p[5]), padded, "scales");
      read(constantAt(p[6]), padded, "start values");
      return;
    }
    case OP.quantise:
      write(to, p[5] * Math.ceil(p[0] / 4), "result");
      read(a, p[5] * p[0], "operand");
      return;
    case OP.lstm:
      write(to, p[0], "hidden state");
      write(c, p[0], "cell state");
      for (const place of p.slice(1)) read(a + place * 4, p[0], "gates");
      read(b, p[0], "past cell state");
      return;
    case OP.softmax:
      write(to, p[0] * p[1] * p[2], "result");
      read(a, p[0] * p[1] * p[2], "operand");
      return;
    case OP.norm:
      write(to, p[0] * p[1], "result");
      read(a, p[0] * p[1], "operand");
      if (b !== NONE) read(b, p[1], "scale");
      if (c !== NONE) read(c, p[1], "bias");
      return;
    case OP.reduce:
      write(to, p[0] * p[2], "result");
      read(a, p[0] * p[1] * p[2], "operand");
      return;
    case OP.matmul: {
      const [batch, m, k, n, aStride, bStride] = p;
      write(to, batch * m * n, "result");
      read(a, (batch - 1) * aStride + m * k, "first operand");
      read(b, (batch - 1) * bStride + k * n, "second operand");
      return;
    }
    case OP.gather: {
      const [outer, count, inner, dim, table] = p;
      write(to, outer * count * inner, "result");
      read(a, outer * dim * inner, "operand");
      read(constantAt(table), count, "indices");
      const indices = program.intsAt(constantAt(table)).subarray(0, count);
      if (!indices.every((index) => index >= 0 && index < dim)) read(a, Number.POSITIVE_INFINITY, "an index");
      return;
    }
    case OP.select:
      write(to, p[0], "result");
      for (const ref of [a, b, c]) read(ref, p[0], "operand");
      return;
    case OP.scale:
      write(to, p[0], "result");
      for (const ref of [a, b, c]) read(ref, p[0], "operand");
      return;
    default:
      op satisfies never;
  }
}
