import { ModelRefusedError } from "../../core/errors.ts";
import { Lowering } from "../onnx/lowering.ts";
import { OPERATORS } from "../onnx/operators.ts";
import { at } from "../onnx/value.ts";
import { FEATURES_INPUT, nextName, PROBABILITIES_OUTPUT, type StepModel, stateSize } from "../step-model.ts";
import { fuseLstmCells, fuseScaling, removeUnread } from "./fuse.ts";
import { OP, type ProgramBuilder, type Reference, reference, SPACE, spaceOf } from "./program.ts";
import { verifyProgram } from "./verify.ts";

/** A model as a step program, and where its inputs and outputs are. */
export interface CompiledStep {
  readonly program: ProgramBuilder;
  readonly probabilitiesAt: Reference;
  /** Floats of one slot's states, and the moves that replace them after a step: source, offset in the slot, length. */
  readonly slotFloats: number;
  readonly moves: readonly (readonly [source: Reference, offset: number, length: number])[];
}

/** Compiles the model's graph. @throws ModelRefusedError naming the node and what it was expected to be. */
export function compileStep(model: StepModel): CompiledStep {
  const { card, graph } = model;
  const lowering = new Lowering(graph);
  const { program } = lowering;
  lowering.define(FEATURES_INPUT, at([1, card.featureCount], 0, reference(SPACE.features, 0)));
  let slotFloats = 0;
  const states = card.states.map(({ name, shape }) => {
    const offset = slotFloats;
    const size = stateSize(shape);
    slotFloats += Math.ceil(size / 16) * 16;
    lowering.define(name, at([1, ...shape], 0, reference(SPACE.state, offset)));
    return { name, shape, size, offset };
  });
  lowering.run(OPERATORS);

  const output = (name: string, shape: readonly number[]): Reference => {
    const value = lowering.value(name);
    const found =
      value === undefined
        ? "nothing that makes it"
        : value.kind === "constant"
          ? "a constant"
          : `shape [${value.dims.join(",")}] with the batch at ${value.batchAxis}`;
    const expected = [1, ...shape];
    if (value?.kind !== "dynamic" || value.batchAxis !== 0 || value.dims.join() !== expected.join()) {
      throw new ModelRefusedError(card.name, `output ${name}: ${found}`, `[B,${shape.join(",")}]`);
    }
    const place = value.place();
    if (spaceOf(place) === SPACE.arena) return place;
    // What is not scratch could be overwritten while the states are replaced.
    const size = stateSize(shape);
    const copied = program.scratch(size);
    program.emit(OP.copy, copied, { a: place }, [size]);
    return copied;
  };
  const probabilitiesAt = output(PROBABILITIES_OUTPUT, [card.heads.length]);
  const moves = states.map(
    ({ name, shape, size, offset }) => [output(nextName(name), shape), offset, size] as const,
  );
  const kept = new Set([probabilitiesAt, ...moves.map(([source]) => source)]);
  removeUnread(program, kept);
  fuseLstmCells(program, kept);
  fuseScaling(program, kept);
  verifyProgram(program, { featureCount: card.featureCount, slotFloats });
  return { program, probabilitiesAt, slotFloats, moves };
}
