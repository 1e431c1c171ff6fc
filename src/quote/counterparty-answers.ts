import type { Decider } from "./decider.ts";
import type { QuoteParameters } from "./parameters.ts";
import { REASON } from "./quote-batch.ts";
import type { Stability } from "./stability.ts";
import type { Universe } from "./universe.ts";

export interface CounterpartyAnswersOptions {
  readonly capacity: number;
  readonly parameters: QuoteParameters;
  readonly universe: Universe;
  readonly stability: Stability;
  readonly decider: Decider;
  /** By instrument: 1 where it is to be decided anew. */
  readonly dirty: Uint8Array;
}

/** What the counterparty's words on quotes that were sent to it come to: what stands still, and what rests for how long. */
export class CounterpartyAnswers {
  readonly #options: CounterpartyAnswersOptions;
  #acknowledgedId = 0;

  constructor(options: CounterpartyAnswersOptions) {
    this.#options = options;
  }

  /** Everything up to the quote was accepted. */
  onAccepted(quoteId: number): void {
    this.#acknowledgedId = Math.max(this.#acknowledgedId, quoteId);
  }

  /**
   * The quotes after the last answered one, up to this one, were rejected. Whether what they were to replace still stands is
   * not known: it is pulled, and the instruments rest for `rejectBackoffMs`.
   */
  onRejected(quoteId: number, timeUs: number): void {
    const { capacity, parameters, universe, stability, decider, dirty } = this.#options;
    const untilUs = timeUs + parameters.rejectBackoffMs * 1_000;
    const from = this.#acknowledgedId;
    universe.forEach((id) => {
      for (let slot = id; slot < decider.reasons.length; slot += capacity) {
        const sent = stability.quoteId[slot];
        if (sent <= from || sent > quoteId || !stability.standing(slot)) continue;
        decider.suspendedUntilUs[id] = untilUs;
        dirty[id] = 1;
      }
    });
    this.onAccepted(quoteId);
  }

  /** The counterparty has cancelled the instrument's quotes and takes none before `untilUs`; one in the past lifts that. */
  onFrozen(instrument: number, untilUs: number, timeUs: number): void {
    const { universe, stability, decider, dirty } = this.#options;
    if (universe.get(instrument) === undefined) return;
    decider.suspendedUntilUs[instrument] = untilUs;
    if (untilUs > timeUs) stability.forget(instrument, timeUs);
    dirty[instrument] = 1;
  }

  /** The counterparty cancelled everything up to this quote. */
  onCancelled(quoteId: number, timeUs: number): void {
    const { universe, stability, dirty } = this.#options;
    universe.forEach((id) => {
      stability.forget(id, timeUs, quoteId);
      dirty[id] = 1;
    });
    this.onAccepted(quoteId);
  }

  /** Every standing quote was cancelled by us in one message. */
  onAllCancelled(timeUs: number): void {
    const { universe, stability, decider, dirty } = this.#options;
    decider.endTurn();
    universe.forEach((id) => {
      stability.forget(id, timeUs);
      dirty[id] = 1;
    });
  }

  /** Nothing stands any more, and nothing can be sent. */
  onSessionDown(timeUs: number): void {
    const { capacity, universe, stability, decider } = this.#options;
    decider.endTurn();
    universe.forEach((id) => {
      stability.forget(id, timeUs);
      stability.renew(id);
      for (let slot = id; slot < decider.reasons.length; slot += capacity) {
        decider.reasons[slot] = REASON.pulled | REASON.sessionDown;
      }
    });
  }
}
