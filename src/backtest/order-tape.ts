import { ORDER, type OrderChange, type OrderWatcher } from "../feed/order-change.ts";
import type { VenueName } from "../market/instrument.ts";
import type { OrderKey } from "../market/order-key.ts";
import type { Tape } from "./tape.ts";

interface Change {
  readonly instrument: number;
  readonly key: string;
  readonly side: number;
  readonly priceTicks: number;
  /** That the order had before, and has now. */
  readonly before: number;
  readonly after: number;
  /** It stands at the end of its queue from now on. */
  readonly requeued: boolean;
  readonly traded: boolean;
}

/**
 * Puts changes of single orders on the tape, each with the time at which its order came to stand, so that the matching knows
 * what left from before ours and what from behind. Only of venues whose order messages tell a trade from a cancellation.
 */
export class OrderTape {
  readonly #tape: Tape;
  /** Changes that the frame under way has told of. */
  #pending: Change[] = [];
  /** When an order came to stand, by its key; one that is older than the recording is not in. */
  readonly #enteredUs = new Map<string, number>();

  constructor(tape: Tape) {
    this.#tape = tape;
  }

  /** For the feed of a venue; undefined where its messages do not tell trades. */
  watcher(venue: VenueName): OrderWatcher | undefined {
    if (venue !== "bitstamp" && venue !== "coinbase") return undefined;
    // A changed order at Bitstamp is one that has traded, and a deleted one with nothing left too; Coinbase tells matches apart.
    const changesTrade = venue === "bitstamp";
    return (instrument, change, before, beforeTicks) => {
      const after = lotsAfter(change, before);
      const isSmaller = after < before;
      const moved = change.action === ORDER.move && change.priceTicks !== beforeTicks;
      const traded =
        change.action === ORDER.reduce ||
        (changesTrade && change.action === ORDER.resize && isSmaller) ||
        (changesTrade && change.action === ORDER.remove && change.sizeLots === 0);
      this.#pending.push({
        instrument,
        key: keyText(change.key),
        side: change.side,
        priceTicks: beforeTicks < 0 ? change.priceTicks : beforeTicks,
        before,
        after: moved ? 0 : after,
        requeued: change.action === ORDER.add || moved || after > before,
        traded,
      });
    };
  }

  /** The event that the pending changes led to happened at this time. */
  settle(instrument: number, venueUs: number): void {
    if (this.#pending.length === 0) return;
    for (const change of this.#pending) {
      if (change.instrument !== instrument) continue;
      const { key, side, priceTicks, before, after, traded } = change;
      const enteredUs = this.#enteredUs.get(key) ?? Number.NEGATIVE_INFINITY;
      if (after < before) {
        this.#tape.pushOrder(instrument, side, priceTicks, before - after, enteredUs, traded, venueUs);
      }
      if (change.requeued) this.#enteredUs.set(key, venueUs);
      else if (after <= 0) this.#enteredUs.delete(key);
    }
    this.#pending = [];
  }

  /** Nothing came of what is still pending. */
  drop(): void {
    if (this.#pending.length > 0) this.#pending = [];
  }
}

function lotsAfter({ action, sizeLots }: OrderChange, before: number): number {
  switch (action) {
    case ORDER.remove:
      return 0;
    case ORDER.reduce:
      return Math.max(0, before - sizeLots);
    case ORDER.pass:
      return before;
    default:
      return sizeLots;
  }
}

function keyText({ w0, w1, w2, w3 }: OrderKey): string {
  return w0 === 0 && w1 === 0 ? `${w2}.${w3}` : `${w0}.${w1}.${w2}.${w3}`;
}
