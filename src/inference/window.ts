import { ModelRefusedError } from "../core/errors.ts";
import type { ModelCard, ModelWindow } from "./card.ts";
import { type OnnxGraph, type OnnxValueInfo, shownValue } from "./onnx/model-proto.ts";

/** Floats of one slot's window may not exceed this; bounds what a hostile card can make an engine allocate. */
const WINDOW_FLOATS_MAX = 1 << 22;

/** Features that a windowed model takes of each event. */
export const windowFeatures = (card: ModelCard, window: ModelWindow): number =>
  window.features?.length ?? card.featureCount;

/** Shape of the model's input without the batch dimension. */
export function windowShape(card: ModelCard, window: ModelWindow): readonly number[] {
  const rows = [window.length, windowFeatures(card, window)];
  return window.layout === "BTF" ? rows : [1, ...rows];
}

/** True when the graph's batch is fixed at 1, so that rows must be run one after another. */
export function singleRow(window: ModelWindow, graph: OnnxGraph): boolean {
  return graph.inputs.find(({ name }) => name === window.input)?.dims?.[0] === 1;
}

/**
 * Checks that the graph takes the windows that the card states: one f32 input `[B,T,F]` or `[B,1,T,F]`, B open or 1, and an
 * f32 output `[B,N]` that has every head's column. Further outputs are passed over; dimensions the file leaves open are
 * checked by the self-test.
 *
 * @throws ModelRefusedError naming what was found and what was expected.
 */
export function checkWindowInterface(card: ModelCard, window: ModelWindow, graph: OnnxGraph): void {
  const refuse: (found: string, expected: string) => never = (found, expected) => {
    throw new ModelRefusedError(card.name, found, expected);
  };
  const heads = card.heads.length;
  const outside = window.features?.find((column) => column >= card.featureCount);
  if (card.states.length > 0) refuse("a window and states", "states only in a model without a window");
  if (outside !== undefined)
    refuse(`feature column ${outside} in its window`, `0 to ${card.featureCount - 1}`);
  if (window.columns !== null && window.columns.length !== heads) {
    refuse(`${window.columns.length} output columns in its window`, `${heads}, one for each head`);
  }
  const floats = window.length * windowFeatures(card, window);
  if (floats > WINDOW_FLOATS_MAX) refuse(`a window of ${floats} floats`, `at most ${WINDOW_FLOATS_MAX}`);

  const shape = windowShape(card, window);
  const wantedInput = `input ${window.input}: float [B,${shape.join(",")}]`;
  const input = namedValue(graph.inputs, window.input);
  if (input === undefined) refuse(`inputs ${namesOf(graph.inputs)}`, wantedInput);
  for (const other of graph.inputs) {
    if (other !== input) refuse(`input ${other.name}`, `only ${window.input}`);
  }
  if (input.type !== "float" || input.dims === null || input.dims.length !== shape.length + 1) {
    refuse(`input ${shownValue(input)}`, wantedInput);
  }
  const [batch, ...dims] = input.dims;
  if (typeof batch === "number" && batch !== 1)
    refuse(`input ${shownValue(input)}`, `${wantedInput}, B open or 1`);
  for (const [axis, dim] of dims.entries()) {
    if (typeof dim === "number" && dim !== shape[axis]) refuse(`input ${shownValue(input)}`, wantedInput);
  }

  const least = window.columns === null ? heads : Math.max(...window.columns) + 1;
  const wantedOutput = `output ${window.output}: float [B,${window.columns === null ? heads : `${least} or more`}]`;
  const output = namedValue(graph.outputs, window.output);
  if (output === undefined) refuse(`outputs ${namesOf(graph.outputs)}`, wantedOutput);
  const width = output.dims?.at(-1);
  const fits = typeof width !== "number" || (window.columns === null ? width === least : width >= least);
  if (output.type !== "float" || (output.dims !== null && output.dims.length !== 2) || !fits) {
    refuse(`output ${shownValue(output)}`, wantedOutput);
  }
}

const namedValue = (values: readonly OnnxValueInfo[], name: string): OnnxValueInfo | undefined =>
  values.find((value) => value.name === name);

const namesOf = (values: readonly OnnxValueInfo[]): string =>
  values.map(({ name }) => name).join(", ") || "none";
