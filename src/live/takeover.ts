/** How a change of leaders went, ms; NaN = not yet. */
export interface TakeoverStages {
  /** From when another process was last seen to hold the lease to when this one had it; NaN where none was seen. */
  readonly leaseMs: number;
  /** From there to a session with the counterparty that takes quotes. */
  readonly sessionMs: number;
  /** From there to the first quote. */
  readonly quoteMs: number;
}

const NONE: TakeoverStages = { leaseMs: Number.NaN, sessionMs: Number.NaN, quoteMs: Number.NaN };

/** Follows this process from the lease to its first quote. */
export class Takeover {
  readonly #monotonicNs: () => number;
  readonly #onQuoting: (stages: TakeoverStages) => void;
  #stages = NONE;
  #sinceNs = 0;
  /** 0 = nothing is waited for, 1 = the session, 2 = the first quote. */
  #awaits: 0 | 1 | 2 = 0;

  /** @param onQuoting told once with each takeover, when its first quote has left */
  constructor(monotonicNs: () => number, onQuoting: (stages: TakeoverStages) => void) {
    this.#monotonicNs = monotonicNs;
    this.#onQuoting = onQuoting;
  }

  /** Of the last takeover. */
  get stages(): TakeoverStages {
    return this.#stages;
  }

  /** @param seenNs when another process was last seen to hold the lease; not finite = never */
  begin(seenNs: number): void {
    const nowNs = this.#monotonicNs();
    this.#sinceNs = nowNs;
    this.#stages = { ...NONE, leaseMs: Number.isFinite(seenNs) ? (nowNs - seenNs) / 1e6 : Number.NaN };
    this.#awaits = 1;
  }

  /** This process leads no more. */
  end(): void {
    this.#awaits = 0;
  }

  /** To be called every few milliseconds. @param up the counterparty's session takes quotes */
  onTimer(up: boolean): void {
    if (this.#awaits === 1 && up) this.#onSession();
  }

  /** Quotes were handed to the gateway. */
  onQuotes(): void {
    if (this.#awaits === 0) return;
    if (this.#awaits === 1) this.#onSession();
    this.#stages = { ...this.#stages, quoteMs: this.#passedMs() };
    this.#awaits = 0;
    this.#onQuoting(this.#stages);
  }

  #onSession(): void {
    this.#stages = { ...this.#stages, sessionMs: this.#passedMs() };
    this.#awaits = 2;
  }

  #passedMs(): number {
    const nowNs = this.#monotonicNs();
    const ms = (nowNs - this.#sinceNs) / 1e6;
    this.#sinceNs = nowNs;
    return ms;
  }
}
