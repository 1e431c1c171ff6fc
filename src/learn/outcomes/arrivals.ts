import type { Basis } from "./basis.ts";

/** What is remembered of one kind. */
const KEPT = 16_384;

/** How things stood for an instrument when an order, or an answer to a request, was sent. */
export interface Arrival {
  readonly timeUs: number;
  readonly mark: number;
  readonly model: string;
  readonly basis: Basis | undefined;
}

/** Orders and answers to requests as they were sent, for their fills. Bounded: the oldest are forgotten. */
export class Arrivals {
  readonly #orders = new Map<number, Arrival>();
  /** By the answer's id: each leg's. */
  readonly #answers = new Map<string, ReadonlyMap<number, Arrival>>();

  onOrder(orderId: number, arrival: Arrival): void {
    keep(this.#orders, orderId, arrival);
  }

  onAnswer(rfqQuoteId: string, legs: ReadonlyMap<number, Arrival>): void {
    keep(this.#answers, rfqQuoteId, legs);
  }

  order(orderId: number | undefined): Arrival | undefined {
    return orderId === undefined ? undefined : this.#orders.get(orderId);
  }

  answer(rfqQuoteId: string | undefined, instrument: number): Arrival | undefined {
    return rfqQuoteId === undefined ? undefined : this.#answers.get(rfqQuoteId)?.get(instrument);
  }
}

function keep<K, V>(map: Map<K, V>, key: K, value: V): void {
  map.set(key, value);
  if (map.size <= KEPT) return;
  for (const oldest of map.keys()) {
    map.delete(oldest);
    return;
  }
}
