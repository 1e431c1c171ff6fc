import type { QuoteBatch } from "../../quote/quote-batch.ts";
import { type GatewayEvents, QUOTE_STATUS } from "../gateway.ts";
import { MAX_QUOTES } from "./venue.ts";

/** Where a message of quotes stands. */
export const MESSAGE = { waiting: 0, sent: 1, answered: 2 } as const;

/** One message of quotes: its rows, and what became of each. Reused. */
export class SentQuotes {
  count = 0;
  state: number = MESSAGE.waiting;
  attempts = 0;
  retryUs = 0;
  index = "";
  level = 0;
  readonly instrument = new Int32Array(MAX_QUOTES);
  readonly quoteId = new Float64Array(MAX_QUOTES);
  readonly bidTicks = new Int32Array(MAX_QUOTES);
  readonly bidLots = new Float64Array(MAX_QUOTES);
  readonly askTicks = new Int32Array(MAX_QUOTES);
  readonly askLots = new Float64Array(MAX_QUOTES);
  /** Sides that the message spoke of. */
  readonly sides = new Uint8Array(MAX_QUOTES);
  /** Why a row was refused; empty where it was not. */
  readonly refusals: string[] = new Array<string>(MAX_QUOTES).fill("");

  clear(): void {
    this.count = 0;
    this.state = MESSAGE.waiting;
    this.attempts = 0;
    this.retryUs = 0;
    this.index = "";
  }

  add(from: QuoteBatch, row: number): void {
    const to = this.count;
    this.instrument[to] = from.instrument[row];
    this.quoteId[to] = from.quoteId[row];
    this.bidTicks[to] = from.bidTicks[row];
    this.bidLots[to] = from.bidLots[row];
    this.askTicks[to] = from.askTicks[row];
    this.askLots[to] = from.askLots[row];
    this.sides[to] = 0;
    this.refusals[to] = "";
    this.count = to + 1;
  }

  rowOf(instrument: number): number {
    for (let row = 0; row < this.count; row += 1) if (this.instrument[row] === instrument) return row;
    return -1;
  }

  refuseAll(why: string): void {
    for (let row = 0; row < this.count; row += 1) this.refusals[row] = why;
  }

  get lastId(): number {
    return this.quoteId[this.count - 1];
  }
}

/**
 * Messages of quotes in the order in which they were sent. The desk is told in that order, for its ids only grow and each word
 * speaks of everything up to an id; an answer that comes early waits for those before it.
 */
export class QuoteLedger {
  readonly #queue: SentQuotes[] = [];
  readonly #free: SentQuotes[] = [];
  #toldId = 0;

  get count(): number {
    return this.#queue.length;
  }

  get messages(): readonly SentQuotes[] {
    return this.#queue;
  }

  /** A message at the end of the queue, empty. */
  open(): SentQuotes {
    const message = this.#free.pop() ?? new SentQuotes();
    message.clear();
    this.#queue.push(message);
    return message;
  }

  /** Tells what is known of the oldest messages. */
  release(events: GatewayEvents, timeUs: number): void {
    while (this.#queue.length > 0 && this.#queue[0].state === MESSAGE.answered) {
      const [message] = this.#queue.splice(0, 1);
      for (let row = 0; row < message.count; row += 1) {
        const why = message.refusals[row];
        if (why === "") continue;
        const id = message.quoteId[row];
        this.#tell(id - 1, QUOTE_STATUS.accepted, "", events, timeUs);
        this.#tell(id, QUOTE_STATUS.rejected, why, events, timeUs);
      }
      if (message.count > 0) this.#tell(message.lastId, QUOTE_STATUS.accepted, "", events, timeUs);
      this.#free.push(message);
    }
  }

  /** Everything up to the id is gone from the venue. */
  withdrawn(quoteId: number, why: string, events: GatewayEvents, timeUs: number): void {
    this.forget();
    this.#toldId = Math.max(this.#toldId, quoteId);
    events.onQuoteAck(quoteId, QUOTE_STATUS.cancelled, why, timeUs);
  }

  /** Answers to what is in the queue are of no more use. */
  forget(): void {
    for (const message of this.#queue) this.#free.push(message);
    this.#queue.length = 0;
  }

  #tell(quoteId: number, status: number, text: string, events: GatewayEvents, timeUs: number): void {
    if (quoteId <= this.#toldId) return;
    this.#toldId = quoteId;
    events.onQuoteAck(quoteId, status, text, timeUs);
  }
}
