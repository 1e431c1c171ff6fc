import { ModelRefusedError } from "../../core/errors.ts";
import { Lowering } from "../onnx/lowering.ts";
import { OPERATORS } from "../onnx/operators.ts";
import { at, type Dynamic } from "../onnx/value.ts";
import { FEATURES_INPUT, nextName, PROBABILITIES_OUTPUT, type StepModel, stateSize } from "../step-model.ts";
import { fuseLstmCells, fuseScaling, removeUnread } from "./fuse.ts";
import {
  OP,
  offsetOf,
  type ProgramBuilder,
  type Reference,
  reference,
  SPACE,
  shift,
  spaceOf,
} from "./program.ts";
import { verifyProgram } from "./verify.ts";

/** A model as a step program, and where its inputs and outputs are. */
export interface CompiledStep {
  readonly program: ProgramBuilder;
  readonly probabilitiesAt: Reference;
  /** Floats of one slot's states, and the moves that replace them after a step: source, offset in the slot, length. */
  readonly slotFloats: number;
  readonly moves: readonly Move[];
}

type Move = readonly [source: Reference, offset: number, length: number];

/**
 * Moves that put a state of runs together where the old one lies, first to last; null where one of them would read what an
 * earlier one has replaced, or another state's.
 */
function shiftMoves({ runs }: Dynamic, offset: number, size: number): Move[] | null {
  if (runs === undefined) return null;
  const moves: Move[] = [];
  let to = offset;
  for (const { of, offset: from, length } of runs) {
    const source = shift(of.place(), from);
    const at = offsetOf(source);
    const own = spaceOf(source) === SPACE.state && at >= to && at + length <= offset + size;
    if (spaceOf(source) !== SPACE.arena && !own) return null;
    moves.push([source, to, length]);
    to += length;
  }
  return moves;
}

/**
 * Compiles the model's graph.
 *
 * @param options.shiftInPlace a state that is the end of the old one and something new, a ring, is moved within the slot, by
 * several moves that must run one after another; otherwise each state has one move, from scratch, and their order is free
 * @throws ModelRefusedError naming the node and what it was expected to be.
 */
export function compileStep(
  model: StepModel,
  { shiftInPlace = false }: { readonly shiftInPlace?: boolean } = {},
): CompiledStep {
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

  const computed = (name: string, shape: readonly number[]): Dynamic => {
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
    return value;
  };
  const output = (name: string, shape: readonly number[]): Reference => {
    const place = computed(name, shape).place();
    if (spaceOf(place) === SPACE.arena) return place;
    // What is not scratch could be overwritten while the states are replaced.
    const size = stateSize(shape);
    const copied = program.scratch(size);
    program.emit(OP.copy, copied, { a: place }, [size]);
    return copied;
  };
  const probabilitiesAt = output(PROBABILITIES_OUTPUT, [card.heads.length]);
  const moves = states.flatMap(({ name, shape, size, offset }): Move[] => {
    const value = computed(nextName(name), shape);
    const shifted = shiftInPlace ? shiftMoves(value, offset, size) : null;
    return shifted ?? [[output(nextName(name), shape), offset, size]];
  });
  const kept = new Set([probabilitiesAt, ...moves.map(([source]) => source)]);
  removeUnread(program, kept);
  fuseLstmCells(program, kept);
  fuseScaling(program, kept);
  verifyProgram(program, { featureCount: card.featureCount, slotFloats });
  return { program, probabilitiesAt, slotFloats, moves };
}
