import type { InstrumentTable } from "../market/instrument.ts";
import type { GateState } from "./gate-state.ts";

/** Instruments valued anew with each timer tick: of those held, and of all. */
const HELD_PER_TICK = 12;
const OTHERS_PER_TICK = 6;

/** Values a bounded number of instruments anew with each tick, in turn; those that are held come round sooner. */
export class Revaluation {
  readonly #state: GateState;
  readonly #instruments: InstrumentTable;
  #nextHeld = 0;
  #nextOther = 0;

  constructor(state: GateState, instruments: InstrumentTable) {
    this.#state = state;
    this.#instruments = instruments;
  }

  onTimer(timeUs: number): void {
    const state = this.#state;
    const { positions } = state;
    const held = positions.heldCount;
    for (let i = 0; i < Math.min(HELD_PER_TICK, held); i += 1) {
      this.#nextHeld = (this.#nextHeld + 1) % held;
      const instrument = state.instruments[positions.heldAt(this.#nextHeld)];
      if (instrument !== undefined) state.revalue(instrument, timeUs);
    }
    const size = this.#instruments.size;
    for (let i = 0; i < Math.min(OTHERS_PER_TICK, size); i += 1) {
      this.#nextOther = (this.#nextOther + 1) % size;
      const instrument = state.instruments[this.#nextOther];
      if (instrument !== undefined) state.revalue(instrument, timeUs);
    }
    for (const underlying of positions.underlyings) positions.refresh(underlying);
  }
}
