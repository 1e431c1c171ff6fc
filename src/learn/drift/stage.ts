import type { DriftParameters } from "./parameters.ts";

/** What is done about drift, from nothing on; each includes those before it. */
export const DRIFT_STAGES = ["steady", "alerted", "widened", "defensive"] as const;
export type DriftStage = (typeof DRIFT_STAGES)[number];

/** What is looked at. `value` grows with drift; NaN = not to be judged. Limits rise. */
export interface DriftSignal {
  readonly name: string;
  readonly value: number;
  readonly alert: number;
  readonly widen: number;
  readonly defend: number;
  /** A signal that counts: its value where what has gone but part of the way back counts too. Left out, `value`. */
  readonly nearValue?: number;
  /** What a part of a limit is taken of where the limit itself is smaller, as one of zero is. Left out, 0. */
  readonly scale?: number;
}

/** The stage that a value of a signal calls for when each limit counts only in part. */
function calledBy({ alert, widen, defend, scale = 0 }: DriftSignal, value: number, part: number): number {
  // A limit may be negative (a skill), and a part of it must still be the easier one to reach.
  const reached = (limit: number): boolean => value >= limit - Math.max(Math.abs(limit), scale) * (1 - part);
  if (reached(defend)) return 3;
  if (reached(widen)) return 2;
  return reached(alert) ? 1 : 0;
}

/**
 * Which stage is in force, by looks at signals: more only when several looks in a row call for it, less only step by step, each
 * after many looks in a row that do not come near what the stage takes.
 */
export class StageKeeper {
  /** Index into {@link DRIFT_STAGES}. */
  stage = 0;
  /** Names of the signals that call for the stage, as of the last look that judged. */
  causes: readonly string[] = [];
  readonly #parameters: DriftParameters;
  #rising = 0;
  #risingTo = 0;
  #calm = 0;

  constructor(parameters: DriftParameters) {
    this.#parameters = parameters;
  }

  /**
   * Less is called for only by signals that can be judged: while what called for the stage cannot be, as outcomes in a quiet market, it
   * stays.
   *
   * @returns whether the stage has changed
   */
  look(signals: readonly DriftSignal[]): boolean {
    const judged = signals.filter(({ value }) => !Number.isNaN(value));
    if (judged.length === 0) return false;
    const { risingLooks, calmLooks, calmShare } = this.#parameters;
    let called = 0;
    let near = 0;
    for (const signal of judged) {
      const { value, nearValue = value } = signal;
      called = Math.max(called, calledBy(signal, value, 1));
      near = Math.max(near, calledBy(signal, value, calmShare), calledBy(signal, nearValue, 1));
    }
    if (called > 0)
      this.causes = judged.filter((signal) => calledBy(signal, signal.value, 1) > 0).map(({ name }) => name);
    if (called > this.stage) {
      // The least of what the looks in a row have called for is sure.
      this.#risingTo = this.#rising === 0 ? called : Math.min(this.#risingTo, called);
      this.#rising += 1;
      this.#calm = 0;
      if (this.#rising < risingLooks) return false;
      this.stage = this.#risingTo;
      this.#rising = 0;
      return true;
    }
    this.#rising = 0;
    const isKnown = this.causes.every((name) => judged.some((signal) => signal.name === name));
    if (near >= this.stage || !isKnown) {
      this.#calm = 0;
      return false;
    }
    this.#calm += 1;
    if (this.#calm < calmLooks) return false;
    this.#calm = 0;
    this.stage -= 1;
    if (this.stage === 0) this.causes = [];
    return true;
  }
}
