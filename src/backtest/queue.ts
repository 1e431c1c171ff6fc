/**
 * Where an order of ours stands in the queue of its price, in a recording that does not know it.
 *
 * A level-2 recording shows the size at a price, not who stands where. What trades at the price leaves from the front: that is
 * certain. What is cancelled leaves from somewhere: that is the estimate in which the models differ. The probability models are
 * those of hftbacktest (its documentation, "Probability Queue Position Models"), which are after E. Rigtorp, "Estimating order
 * queue position" (2013): of what was cancelled the share f(back) / (f(back) + f(front)) stood behind us.
 *
 * @module
 */

/** What a model knows of one order's place. */
export interface QueuePlace {
  /** Lots that must trade before ours do. */
  ahead: number;
  /** Traded at the price since the level's size was last told: that part of its next fall is no cancellation. */
  traded: number;
}

export interface QueueModel {
  readonly name: QueueModelName;
  /** The order has come to a level of so many lots. */
  join(place: QueuePlace, levelLots: number): void;
  /** So many lots have traded at the price. @returns the lots by which the trade reaches past those ahead of us, ≥ 0 */
  trade(place: QueuePlace, lots: number): number;
  /** The level's recorded size has changed. */
  resize(place: QueuePlace, before: number, after: number): void;
}

export const QUEUE_MODELS = ["conservative", "power", "power2", "power3", "log", "log2", "front"] as const;
export type QueueModelName = (typeof QUEUE_MODELS)[number];

/**
 * - `conservative`: only trades advance us; cancellations count as behind us while there is anyone behind.
 * - `power`: f(x) = xⁿ, share behind = f(back) / (f(back) + f(front)).
 * - `power2`: f(back) / f(back + front). `power3`: 1 − f(front / (front + back)).
 * - `log`: f(x) = ln(1 + x), as `power`. `log2`: as `power2`.
 * - `front`: everybody who cancels stood before us: the most favourable bound.
 *
 * @param exponent n of the power models
 */
export function queueModel(name: QueueModelName, exponent = 2): QueueModel {
  const power = (x: number): number => x ** exponent;
  switch (name) {
    case "conservative":
      return new EstimatedQueue(name, () => 1);
    case "front":
      return new EstimatedQueue(name, () => 0);
    case "power":
      return new EstimatedQueue(name, (front, back) => power(back) / (power(back) + power(front)));
    case "power2":
      return new EstimatedQueue(name, (front, back) => power(back) / power(back + front));
    case "power3":
      return new EstimatedQueue(name, (front, back) => 1 - power(front / (front + back)));
    case "log":
      return new EstimatedQueue(
        name,
        (front, back) => Math.log1p(back) / (Math.log1p(back) + Math.log1p(front)),
      );
    case "log2":
      return new EstimatedQueue(name, (front, back) => Math.log1p(back) / Math.log1p(back + front));
  }
}

class EstimatedQueue implements QueueModel {
  readonly name: QueueModelName;
  /** Share of a cancellation that stood behind us, from the lots before and behind us. */
  readonly #behind: (front: number, back: number) => number;

  constructor(name: QueueModelName, behind: (front: number, back: number) => number) {
    this.name = name;
    this.#behind = behind;
  }

  join(place: QueuePlace, levelLots: number): void {
    place.ahead = levelLots;
    place.traded = 0;
  }

  trade(place: QueuePlace, lots: number): number {
    place.traded += lots;
    place.ahead -= lots;
    // An estimate may lie between whole lots, a fill may not.
    const past = Math.round(-place.ahead);
    if (past <= 0) return 0;
    place.ahead = 0;
    return past;
  }

  resize(place: QueuePlace, before: number, after: number): void {
    const cancelled = before - after - place.traded;
    place.traded = 0;
    if (cancelled > 0) {
      const front = place.ahead;
      const back = Math.max(before - front, 0);
      const share = this.#behind(front, back);
      const behind = Number.isFinite(share) ? share * cancelled : cancelled;
      // What cannot have stood behind us, because there were not so many, stood before us.
      place.ahead = Math.max(front - (cancelled - behind) - Math.max(behind - back, 0), 0);
    }
    place.ahead = Math.min(place.ahead, Math.max(after, 0));
  }
}
