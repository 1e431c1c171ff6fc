import type { MARKOUT_MS } from "../result.ts";
import type { BacktestSpec } from "../spec.ts";

/** One way to quote that is compared: what predicts, and how quotes follow it. */
export interface Variant {
  /** Unique within a comparison. */
  readonly name: string;
  /** Variants of a family are told apart by their parameters; a walk-forward chooses among them by the past. */
  readonly family: string;
  /** At scale 1; the recordings are the comparison's. */
  readonly spec: Omit<BacktestSpec, "recordings">;
}

export interface ComparisonPlan {
  /** Each played by itself; several paths are played together. */
  readonly recordings: readonly (readonly string[])[];
  /** The first is what the others are compared with. */
  readonly variants: readonly Variant[];
  /** Factors on the base half-spread, ascending; 1 is among them. */
  readonly scales: readonly number[];
  /** Order and response latencies at which every variant is run again at scale 1, µs. */
  readonly latenciesUs: readonly number[];
  /** Consecutive parts of the time for the walk-forward; 0 = none. */
  readonly parts: number;
  /** Of the markout that decides, one of `MARKOUT_MS`. */
  readonly horizonMs: (typeof MARKOUT_MS)[number];
  readonly blockS: number;
  readonly resamples: number;
  readonly level: number;
  readonly seed: number;
}

/** One run that a comparison needs. */
export interface Cell {
  readonly variant: number;
  readonly recording: number;
  readonly scale: number;
  /** Null: the variant's own. */
  readonly latencyUs: number | null;
  readonly spec: BacktestSpec;
}

/** Every run of a plan but those of rules that are fitted on the way. */
export function cellsOf({ recordings, variants, scales, latenciesUs }: ComparisonPlan): Cell[] {
  return recordings.flatMap((paths, recording) =>
    variants.flatMap(({ spec }, variant) => [
      ...scales.map((scale) => ({
        ...{ variant, recording, scale, latencyUs: null },
        spec: { ...scaled(spec, scale), recordings: paths },
      })),
      ...latenciesUs.map((latencyUs) => ({
        ...{ variant, recording, scale: 1, latencyUs },
        spec: { ...delayed(spec, latencyUs), recordings: paths },
      })),
    ]),
  );
}

/** The same quotes nearer or further away: base half-spreads of all instruments times the scale. */
export function scaled<T extends Pick<BacktestSpec, "quote">>(spec: T, scale: number): T {
  const { quote } = spec;
  return {
    ...spec,
    quote: {
      ...quote,
      deltaOneHalfSpreadBp: quote.deltaOneHalfSpreadBp * scale,
      optionHalfSpreadBp: quote.optionHalfSpreadBp * scale,
      optionHalfSpreadVol: quote.optionHalfSpreadVol * scale,
    },
  };
}

/** With this latency each way, and no jitter. */
export function delayed<T extends Pick<BacktestSpec, "latency">>(spec: T, latencyUs: number): T {
  return {
    ...spec,
    latency: { ...spec.latency, orderUs: latencyUs, responseUs: latencyUs, jitterUs: 0 },
  };
}
