import { ModelRefusedError } from "../core/errors.ts";
import type { ModelCard } from "./card.ts";
import { type OnnxGraph, type OnnxValueInfo, shownValue } from "./onnx/model-proto.ts";
import { checkWindowInterface } from "./window.ts";

/** A model, of steps or windowed, whose card and ONNX file have been read and agree with each other; what every engine starts from. */
export interface StepModel {
  readonly card: ModelCard;
  /** The ONNX file. */
  readonly onnx: Uint8Array<ArrayBuffer>;
  readonly graph: OnnxGraph;
  /** Where it came from, for messages: `built-in` or a folder. */
  readonly source: string;
}

/** What the model can be loaded by again: its built-in name, or its folder. */
export const nameOf = ({ card, source }: StepModel): string => (source === "built-in" ? card.name : source);

export const FEATURES_INPUT = "features";
export const PROBABILITIES_OUTPUT = "probabilities";

/** The output that holds the next value of the state `name`. */
export const nextName = (name: string): string => `${name}_next`;

/** Number of floats of one slot's copy of a state, without the batch dimension. */
export const stateSize = (shape: readonly number[]): number =>
  shape.reduce((product, dim) => product * dim, 1);

/** Floats of all states of one slot may not exceed this; bounds what a hostile card can make an engine allocate. */
const STATE_FLOATS_MAX = 1 << 22;

/**
 * Checks that the graph's inputs and outputs are those of a model with this card; of a step model: `features [B,F]`, each state
 * `[B, …shape]`, `probabilities [B,K]` and each `<state>_next`, all f32, the first dimension open.
 *
 * @throws ModelRefusedError naming the value, what it is and what it must be.
 */
export function checkInterface(card: ModelCard, graph: OnnxGraph): void {
  if (card.window !== undefined) {
    checkWindowInterface(card, card.window, graph);
    return;
  }
  const inputs = new Map<string, readonly number[]>([[FEATURES_INPUT, [card.featureCount]]]);
  const outputs = new Map<string, readonly number[]>([[PROBABILITIES_OUTPUT, [card.heads.length]]]);
  let stateFloats = 0;
  for (const state of card.states) {
    if (inputs.has(state.name)) {
      throw new ModelRefusedError(card.name, `two inputs named ${state.name} in the card`, "names used once");
    }
    inputs.set(state.name, state.shape);
    outputs.set(nextName(state.name), state.shape);
    stateFloats += stateSize(state.shape);
  }
  if (!(stateFloats <= STATE_FLOATS_MAX)) {
    throw new ModelRefusedError(
      card.name,
      `states of ${stateFloats} floats a slot`,
      `at most ${STATE_FLOATS_MAX}`,
    );
  }
  checkValues(card.name, "input", graph.inputs, inputs);
  checkValues(card.name, "output", graph.outputs, outputs);
}

function checkValues(
  model: string,
  kind: "input" | "output",
  found: readonly OnnxValueInfo[],
  expected: ReadonlyMap<string, readonly number[]>,
): void {
  const names = found.map((value) => value.name);
  for (const [name, shape] of expected) {
    const value = found[names.indexOf(name)];
    const wanted = `${kind} ${name}: float [B,${shape.join(",")}]`;
    if (value === undefined) {
      throw new ModelRefusedError(model, `no ${kind} ${name} (it has ${names.join(", ") || "none"})`, wanted);
    }
    const shown = `${kind} ${shownValue(value)}`;
    if (value.type !== "float" || value.dims === null || value.dims.length !== shape.length + 1) {
      throw new ModelRefusedError(model, shown, wanted);
    }
    for (let i = 0; i < shape.length; i += 1) {
      const dim = value.dims[i + 1];
      const open = typeof dim !== "number" && kind === "output";
      if (dim !== shape[i] && !open) throw new ModelRefusedError(model, shown, wanted);
    }
    if (typeof value.dims[0] === "number") {
      throw new ModelRefusedError(model, `${shown} with a fixed batch`, `${wanted}, B open`);
    }
  }
  for (const name of names) {
    if (!expected.has(name)) {
      throw new ModelRefusedError(model, `${kind} ${name}`, `only ${[...expected.keys()].join(", ")}`);
    }
  }
}
