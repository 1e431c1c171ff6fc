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

/** Takes out the instructions whose result nothing reads. @param kept places that are read after the program has run. */
export function removeUnread(program: ProgramBuilder, kept: ReadonlySet<Reference>): void {
  const needed = new Set(Array.from(kept, (ref) => program.tensorOf(ref)));
  for (let i = program.instructions.length - 1; i >= 0; i -= 1) {
    const instruction = program.instructions[i];
    if (instruction.removed) continue;
    const { op, to, a, b, c } = instruction;
    const results = op === OP.lstm ? [to, c] : [to];
    if (!results.some((ref) => needed.has(program.tensorOf(ref)))) instruction.removed = true;
    else for (const ref of [a, b, c]) if (ref !== NONE) needed.add(program.tensorOf(ref));
  }
}

/**
 * Makes one instruction of `clip(x × factors + offsets)`, the form of normalisation and of piecewise-linear encodings.
 *
 * @param kept places that are read after the program has run.
 */
export function fuseScaling(program: ProgramBuilder, kept: ReadonlySet<Reference>): void {
  const live = program.instructions.filter((instruction) => !instruction.removed);
  const uses = new Map<Reference, number>();
  for (const { a, b, c } of live) {
    for (const ref of [a, b, c]) {
      if (ref === NONE) continue;
      const tensor = program.tensorOf(ref);
      uses.set(tensor, (uses.get(tensor) ?? 0) + 1);
    }
  }
  const readAfterwards = new Set(Array.from(kept, (ref) => program.tensorOf(ref)));
  const follows = (first: Instruction, second: Instruction): boolean =>
    second.a === first.to &&
    second.p[0] === first.p[0] &&
    program.tensorOf(first.to) === first.to &&
    uses.get(first.to) === 1 &&
    !readAfterwards.has(first.to);
  const byConstant = (instruction: Instruction, kind: number): boolean =>
    instruction.op === OP.binary &&
    instruction.p[1] === kind &&
    instruction.p[2] === 0 &&
    spaceOf(instruction.b) === SPACE.constants;
  for (let i = 0; i + 1 < live.length; i += 1) {
    const [multiply, add, clip] = [live[i], live[i + 1], live[i + 2]];
    if (!byConstant(multiply, BINARY.mul) || !byConstant(add, BINARY.add) || !follows(multiply, add))
      continue;
    const clipped =
      clip !== undefined && clip.op === OP.unary && clip.p[1] === UNARY.clip && follows(add, clip);
    const last = clipped ? clip : add;
    const [low, high] = clipped ? [clip.p[2], clip.p[3]] : [-Infinity, Infinity];
    const n = multiply.p[0];
    const { a, b } = multiply;
    const { b: c } = add;
    multiply.removed = true;
    add.removed = true;
    Object.assign(last, { op: OP.scale, a, b, c, removed: false });
    last.p.splice(0, last.p.length, n, low, high);
  }
}

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
