import type { Clock } from "../../src/core/clock.ts";

/** A clock that moves only when told to. */
export class ManualClock implements Clock {
  #wallUs: number;

  constructor(startUs: number) {
    this.#wallUs = startUs;
  }

  wallUs(): number {
    return this.#wallUs;
  }

  monotonicNs(): number {
    return this.#wallUs * 1_000;
  }

  advanceUs(deltaUs: number): void {
    this.#wallUs += deltaUs;
  }
}
