/** Of doublings of the patience: with the 3 s that are the default it ends at 3 minutes. */
const DOUBLINGS_MAX = 6;

/** What a leader could do if it were asked now. */
export interface Standing {
  /** Why it could not quote, apart from the session; empty when it could. */
  readonly unfit: readonly string[];
  readonly sessionUp: boolean;
  /** The counterparty's schedule has the session up now. */
  readonly inHours: boolean;
}

/**
 * When a leader that cannot quote has the other one of its pair try. A counterparty that is away is away for both: a leader that had no
 * session in all its term waits twice as long in the next one, so that the lead does not go to and fro all night.
 */
export class GivingWay {
  readonly #unfitMs: number;
  #sinceNs = Number.NaN;
  #hadSession = false;
  #doublings = 0;

  /** @param unfitMs how long a leader that cannot quote is waited for; 0 = for ever */
  constructor(unfitMs: number) {
    this.#unfitMs = unfitMs;
  }

  /** A term begins. */
  begin(): void {
    this.#sinceNs = Number.NaN;
    this.#hadSession = false;
  }

  /** @returns why the lead is to be given to the other one, which is known to be able to quote but for the session; null to go on */
  why({ unfit, sessionUp, inHours }: Standing, nowNs: number): string | null {
    if (sessionUp) {
      this.#hadSession = true;
      this.#doublings = 0;
    }
    const why = unfit[0] ?? (sessionUp || !inHours ? null : "the counterparty's session is down");
    if (why === null || this.#unfitMs === 0) {
      this.#sinceNs = Number.NaN;
      return null;
    }
    if (Number.isNaN(this.#sinceNs)) this.#sinceNs = nowNs;
    const isBarren = unfit.length === 0 && !this.#hadSession;
    const patienceMs = isBarren ? this.#unfitMs * 2 ** this.#doublings : this.#unfitMs;
    return nowNs - this.#sinceNs < patienceMs * 1e6 ? null : why;
  }

  /** The lead is given to the other one. */
  gave(): void {
    if (!this.#hadSession) this.#doublings = Math.min(this.#doublings + 1, DOUBLINGS_MAX);
    this.#sinceNs = Number.NaN;
  }
}
