import type { ChallengeLine } from "../learn/challenge/line.ts";
import { type ObservedDesk, OutcomeTap } from "../learn/outcomes/tap.ts";

/** Shows challengers what the desk's own outcomes are found from, and the features of each of its steps. */
export class ChallengeTap extends OutcomeTap {
  readonly #line: ChallengeLine;
  readonly #features: number;
  readonly #everyTimer: (timeUs: number) => void;

  /** @param everyTimer called with each of the desk's timers, about every 10 ms */
  constructor(
    desk: ObservedDesk,
    line: ChallengeLine,
    features: number,
    everyTimer: (timeUs: number) => void,
  ) {
    // Whose predictions the desk has in force, and what they are, is of no interest where each model has its own.
    super(desk, null, "", line.sink, () => line.close());
    this.#line = line;
    this.#features = features;
    this.#everyTimer = everyTimer;
  }

  onFeatures(underlying: number, features: Float32Array, offset: number, timeUs: number): void {
    this.#line.features(underlying, timeUs, features, offset, this.#features);
  }

  override onTimer(timeUs: number): void {
    super.onTimer(timeUs);
    this.#everyTimer(timeUs);
  }
}
