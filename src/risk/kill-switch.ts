/** Why and when the kill switch was tripped. */
export interface KillState {
  readonly tripped: boolean;
  /** Stable and machine-readable: `signal`, `http: …`, `limit:<name>`, `state-unreadable`, `leader: …`. Empty while not tripped. */
  readonly reason: string;
  /** Epoch µs of the trip; 0 while not tripped. */
  readonly timeUs: number;
}

export const NOT_TRIPPED: KillState = { tripped: false, reason: "", timeUs: 0 };

/**
 * Stops all quoting until somebody resets it. It only holds the state: who trips it (a signal, HTTP, the risk gate) and who
 * writes the state to disk ({@link KillSwitchStore}) stand at the edge. The first trip wins; later ones do not change its
 * reason.
 */
export class KillSwitch {
  #state: KillState;

  /** @param initial the state a store loaded at start-up */
  constructor(initial: KillState = NOT_TRIPPED) {
    this.#state = initial;
  }

  get tripped(): boolean {
    return this.#state.tripped;
  }

  get state(): KillState {
    return this.#state;
  }

  /** @returns true when this call tripped it, false when it was tripped already. */
  trip(reason: string, timeUs: number): boolean {
    if (this.#state.tripped) return false;
    this.#state = { tripped: true, reason, timeUs };
    return true;
  }

  /** @returns true when this call reset it. */
  reset(): boolean {
    if (!this.#state.tripped) return false;
    this.#state = NOT_TRIPPED;
    return true;
  }
}
