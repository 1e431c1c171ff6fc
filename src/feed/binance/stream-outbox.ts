import type { FeedPort } from "../feed.ts";

/** Streams of one message. */
const STREAMS_PER_MESSAGE = 100;
/**
 * Messages at once, and from then on one each `REFILL_US`: at most four in any second. Spot closes a connection that sends more than five,
 * answers to its pings counted, the futures' and options' one with more than ten.
 * Source: Binance, "WebSocket Streams", "WebSocket Limits"; "Websocket Market Streams".
 */
const BURST = 2;
const REFILL_US = 500_000;

/**
 * Symbols whose streams wait to be subscribed, or to be given up and subscribed anew, gathered in as few messages as the venue takes
 * and sent no faster than it allows. Emptied when the connection is lost.
 */
export class StreamOutbox {
  readonly #feed: number;
  readonly #port: FeedPort;
  readonly #streams: readonly string[];
  readonly #leaving = new Set<string>();
  readonly #joining = new Set<string>();
  #credit = BURST;
  #creditUs = 0;
  #nextMessage = 1;

  /** @param streams of each symbol, without its name */
  constructor(feed: number, port: FeedPort, streams: readonly string[]) {
    this.#feed = feed;
    this.#port = port;
    this.#streams = streams;
  }

  subscribe(symbol: string): void {
    this.#joining.add(symbol);
  }

  resubscribe(symbol: string): void {
    this.#leaving.add(symbol);
    this.#joining.add(symbol);
  }

  /** Starts anew on a new connection, of which the venue's limits are. */
  clear(): void {
    this.#leaving.clear();
    this.#joining.clear();
    this.#credit = BURST;
  }

  /** Sends what may be sent. */
  flush(timeUs: number): void {
    if (this.#joining.size === 0 && this.#leaving.size === 0) return;
    this.#credit = Math.min(BURST, this.#credit + Math.max(0, timeUs - this.#creditUs) / REFILL_US);
    this.#creditUs = timeUs;
    while (this.#credit >= 1 && this.#send()) this.#credit -= 1;
  }

  /** @returns false when nothing waits */
  #send(): boolean {
    const waiting = this.#leaving.size > 0 ? this.#leaving : this.#joining;
    const params: string[] = [];
    for (const symbol of waiting) {
      if (params.length + this.#streams.length > STREAMS_PER_MESSAGE) break;
      for (const stream of this.#streams) params.push(`${symbol.toLowerCase()}@${stream}`);
      waiting.delete(symbol);
    }
    if (params.length === 0) return false;
    const method = waiting === this.#leaving ? "UNSUBSCRIBE" : "SUBSCRIBE";
    this.#port.send(this.#feed, JSON.stringify({ method, params, id: this.#nextMessage }));
    this.#nextMessage += 1;
    return true;
  }
}
