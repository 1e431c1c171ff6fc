/**
 * What our own trades take out of a book that was recorded without them.
 *
 * Transient impact (A. Obizhaeva and J. Wang, "Optimal trading strategy and supply/demand dynamics", Journal of Financial
 * Markets 16, 2013): the lots that we take at a price are missing there, and come back exponentially with a recovery time. There
 * is no permanent impact: the recorded prices go where they went.
 */
export class TransientImpact {
  readonly #recoveryUs: number;
  /** By level: what was missing at the time it was last changed. */
  readonly #missing = new Map<number, { lots: number; timeUs: number }>();

  /** @param recoveryMs time in which all but 1/e of what was taken is back; 0 = at once, Infinity = never */
  constructor(recoveryMs: number) {
    this.#recoveryUs = recoveryMs * 1_000;
  }

  /** Lots of a level that are still there for us, of so many that the recording shows. */
  available(side: number, priceTicks: number, shownLots: number, timeUs: number): number {
    const missing = this.#missing.get(key(side, priceTicks));
    if (missing === undefined) return shownLots;
    return Math.max(0, shownLots - this.#left(missing, timeUs));
  }

  take(side: number, priceTicks: number, lots: number, timeUs: number): void {
    if (this.#recoveryUs === 0) return;
    const at = key(side, priceTicks);
    const missing = this.#missing.get(at);
    const before = missing === undefined ? 0 : this.#left(missing, timeUs);
    this.#missing.set(at, { lots: before + lots, timeUs });
  }

  /** Forgets levels that have all but recovered; to be called now and then. */
  forget(timeUs: number): void {
    for (const [at, missing] of this.#missing)
      if (this.#left(missing, timeUs) < 0.5) this.#missing.delete(at);
  }

  #left({ lots, timeUs }: { lots: number; timeUs: number }, nowUs: number): number {
    return lots * Math.exp(-(nowUs - timeUs) / this.#recoveryUs);
  }
}

function key(side: number, priceTicks: number): number {
  return 2 * priceTicks + side;
}
