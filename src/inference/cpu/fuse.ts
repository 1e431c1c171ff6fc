import {
  BINARY,
  type Instruction,
  NONE,
  OP,
  offsetOf,
  type ProgramBuilder,
  type Reference,
  SPACE,
  spaceOf,
  UNARY,
} from "./program.ts";

/**
 * Puts the elementwise tail of an LSTM cell that was written out in operators into one instruction:
 * `c' = σ(f) c + σ(i) tanh(g)`, `h = σ(o) tanh(c')`.
 *
 * @param kept places that are read after the program has run.
 */
export function fuseLstmCells(program: ProgramBuilder, kept: ReadonlySet<Reference>): void {
  const live = program.instructions.filter((instruction) => !instruction.removed);
  const makers = new Map<Reference, Instruction>();
  const readers = new Map<Reference, Instruction[]>();
  const positions = new Map<Instruction, number>();
  for (const [position, instruction] of live.entries()) {
    positions.set(instruction, position);
    makers.set(instruction.to, instruction);
    for (const operand of [instruction.a, instruction.b, instruction.c]) {
      if (operand === NONE) continue;
      const tensor = program.tensorOf(operand);
      const list = readers.get(tensor);
      if (list === undefined) readers.set(tensor, [instruction]);
      else list.push(instruction);
    }
  }
  const readAfterwards = new Set(Array.from(kept, (ref) => program.tensorOf(ref)));
  const readOnce = (ref: Reference): boolean => {
    const tensor = program.tensorOf(ref);
    return tensor === ref && !readAfterwards.has(tensor) && readers.get(tensor)?.length === 1;
  };
  const unary = (ref: Reference, kind: number, n: number): Instruction | null => {
    const maker = makers.get(ref);
    const fits = maker?.op === OP.unary && maker.p[0] === n && maker.p[1] === kind && readOnce(ref);
    return fits ? maker : null;
  };
  const binary = (
    instruction: Instruction | undefined,
    kind: number,
    n: number,
  ): instruction is Instruction =>
    instruction?.op === OP.binary &&
    instruction.p[0] === n &&
    instruction.p[1] === kind &&
    instruction.p[2] === 0;
  const either = (instruction: Instruction, test: (a: Reference, b: Reference) => boolean): boolean =>
    test(instruction.a, instruction.b) || test(instruction.b, instruction.a);

  for (const [position, last] of live.entries()) {
    const n = last.p[0];
    if (!binary(last, BINARY.mul, n)) continue;
    either(last, (outRef, tanhRef) => {
      const out = unary(outRef, UNARY.sigmoid, n);
      const squashed = unary(tanhRef, UNARY.tanh, n);
      const next = squashed === null ? undefined : makers.get(squashed.a);
      if (out === null || squashed === null || !binary(next, BINARY.add, n)) return false;
      if (program.tensorOf(next.to) !== next.to) return false;
      const early = (readers.get(next.to) ?? []).some(
        (reader) => reader !== squashed && (positions.get(reader) ?? 0) < position,
      );
      if (early) return false;
      return either(next, (keptRef, addedRef) => {
        const keep = makers.get(keptRef);
        const added = makers.get(addedRef);
        if (!binary(keep, BINARY.mul, n) || !binary(added, BINARY.mul, n)) return false;
        if (!readOnce(keptRef) || !readOnce(addedRef)) return false;
        return either(keep, (forgetRef, c) => {
          const forget = unary(forgetRef, UNARY.sigmoid, n);
          if (forget === null) return false;
          return either(added, (inRef, cellRef) => {
            const enter = unary(inRef, UNARY.sigmoid, n);
            const cell = unary(cellRef, UNARY.tanh, n);
            if (enter === null || cell === null) return false;
            const gates = [enter.a, forget.a, cell.a, out.a];
            if (gates.some((ref) => spaceOf(ref) !== SPACE.arena)) return false;
            const base = Math.min(...gates);
            for (const gone of [out, squashed, next, keep, added, forget, enter, cell]) gone.removed = true;
            Object.assign(last, { op: OP.lstm, a: base, b: c, c: next.to });
            last.p.splice(0, last.p.length, n, ...gates.map((ref) => offsetOf(ref) - offsetOf(base)));
            return true;
          });
        });
      });
    });
  }
}
