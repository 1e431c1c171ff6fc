import { HEADS, type HeadName } from "../../inference/card.ts";
import { BASIS } from "./observation.ts";
import type { FillOutcome } from "./table.ts";

/** A prediction that decisions rest on. */
export interface Basis {
  /** Of the features that it was made from. */
  readonly stateUs: number;
  readonly probabilities: Readonly<Partial<Record<HeadName, number>>>;
}

/** Reads an observed one. @returns undefined where no prediction is in force */
export function readBasis(values: Float64Array, heads: readonly HeadName[]): Basis | undefined {
  if (values[BASIS.status] !== 0) return undefined;
  const probabilities: Partial<Record<HeadName, number>> = {};
  for (const [head, name] of heads.entries()) probabilities[name] = values[BASIS.probabilities + head];
  return { stateUs: values[BASIS.stateUs], probabilities };
}

type BasisColumns = Pick<
  FillOutcome,
  Extract<keyof FillOutcome, `p_${string}` | `fill_p_${string}`> | "predicted_us" | "fill_predicted_us"
>;

/** A fill's columns of what was predicted when what was filled was sent, and at the fill. */
export function basisColumns(sent: Basis | undefined, filled: Basis | undefined): BasisColumns {
  const columns: Record<string, number> = {
    predicted_us: sent?.stateUs ?? Number.NaN,
    fill_predicted_us: filled?.stateUs ?? Number.NaN,
  };
  for (const head of HEADS) {
    columns[`p_${head}`] = sent?.probabilities[head] ?? Number.NaN;
    columns[`fill_p_${head}`] = filled?.probabilities[head] ?? Number.NaN;
  }
  return columns as BasisColumns;
}
