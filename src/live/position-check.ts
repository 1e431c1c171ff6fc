import type { Clock } from "../core/clock.ts";
import type { Logger } from "../core/log.ts";
import type { Desk } from "../desk/desk.ts";
import type { PositionDifference, VenuePosition } from "../risk/reconciliation.ts";

/** What differs is asked after again so soon: a fill that was on its way has come by then. */
const AGAIN_MS = 2_000;
/** What differs by as much so many times in a row is no fill on its way. */
const SIGHTINGS = 3;

export interface PositionCheckOptions {
  readonly desk: Pick<Desk, "comparePositions">;
  /** From one question to the next; 0 = nothing is asked. */
  readonly everyMs: number;
  /** Asks the counterparty what it holds; null while that is not to be compared: no session, or nothing reconciled in it. */
  readonly ask: () => Promise<readonly VenuePosition[]> | null;
  /** Positions differ for good. */
  readonly onDifferent: (differences: readonly PositionDifference[]) => void;
  readonly clock: Clock;
  readonly log: Logger;
}

export interface PositionCheckCounters {
  /** Answers in which everything was as in the books. */
  agreed: number;
  /** Answers in which something was not; most often a fill was on its way. */
  differed: number;
  /** Questions without a sound answer. */
  unanswered: number;
  /** Times that something differed for good. */
  confirmed: number;
}

/**
 * Holds the books against what the counterparty holds, again and again while a session lasts: positions change there without a fill of this
 * desk's when somebody trades by hand, a trade is broken, or options are delivered. A fill that is on its way differs too, so that only what
 * differs by the same lots in three answers, two seconds apart, is taken for a difference.
 */
export class PositionCheck {
  readonly counters: PositionCheckCounters = { agreed: 0, differed: 0, unanswered: 0, confirmed: 0 };
  readonly #options: PositionCheckOptions;
  /** By instrument: by how many lots the counterparty has held more, and in how many answers in a row. */
  #suspects = new Map<number, { readonly lots: number; readonly sightings: number }>();
  #nextNs: number;
  #asking = false;

  constructor(options: PositionCheckOptions) {
    this.#options = options;
    this.#nextNs = options.clock.monotonicNs() + options.everyMs * 1e6;
  }

  /** About every 10 ms. */
  onTimer(nowNs: number): void {
    const { everyMs, ask } = this.#options;
    if (everyMs === 0 || this.#asking || nowNs < this.#nextNs) return;
    const answer = ask();
    if (answer === null) {
      this.#suspects.clear();
      this.#nextNs = nowNs + everyMs * 1e6;
      return;
    }
    this.#asking = true;
    void this.#take(answer);
  }

  async #take(answer: Promise<readonly VenuePosition[]>): Promise<void> {
    const { clock, desk, everyMs, log, onDifferent } = this.#options;
    let waitMs = everyMs;
    try {
      const differences = desk.comparePositions(await answer, clock.wallUs());
      const confirmed = this.#confirmed(differences);
      if (differences.length === 0) this.counters.agreed += 1;
      else this.counters.differed += 1;
      if (confirmed.length > 0) {
        this.counters.confirmed += 1;
        this.#suspects.clear();
        onDifferent(confirmed);
      } else if (differences.length > 0) waitMs = Math.min(AGAIN_MS, everyMs);
    } catch (error) {
      this.counters.unanswered += 1;
      this.#suspects.clear();
      log.warn("the counterparty does not tell which positions it holds", { error });
    }
    this.#nextNs = clock.monotonicNs() + waitMs * 1e6;
    this.#asking = false;
  }

  #confirmed(differences: readonly PositionDifference[]): PositionDifference[] {
    const before = this.#suspects;
    this.#suspects = new Map();
    return differences.filter(({ instrument, ownLots, venueLots }) => {
      const lots = venueLots - ownLots;
      const last = before.get(instrument);
      const sightings = last?.lots === lots ? last.sightings + 1 : 1;
      this.#suspects.set(instrument, { lots, sightings });
      return sightings >= SIGHTINGS;
    });
  }
}
