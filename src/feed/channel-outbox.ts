import type { FeedPort } from "./feed.ts";

/** What a venue takes in by way of subscriptions. */
export interface ChannelLimits {
  /** Channels of one message. */
  readonly perMessage: number;
  /** Characters of one message. */
  readonly messageLength: number;
  /** Messages at once, and from then on one each `refillUs`. */
  readonly burst: number;
  readonly refillUs: number;
}

export type ChannelOperation = "subscribe" | "unsubscribe";

/** Bytes of a message besides its channels. */
const ENVELOPE_LENGTH = 64;

/**
 * Subscriptions waiting for their turn, sent in order as `{"op":…,"args":[…]}` in as few messages as the venue allows and no
 * faster than it allows. Channels are JSON texts. Emptied when the connection is lost.
 */
export class ChannelOutbox {
  readonly #feed: number;
  readonly #port: FeedPort;
  readonly #limits: ChannelLimits;
  #queue: { readonly operation: ChannelOperation; readonly channels: readonly string[] }[] = [];
  #credit: number;
  #creditUs = 0;

  constructor(feed: number, port: FeedPort, limits: ChannelLimits) {
    this.#feed = feed;
    this.#port = port;
    this.#limits = limits;
    this.#credit = limits.burst;
  }

  /** Starts anew on a new connection, of which the venue's limits are. */
  clear(): void {
    this.#queue = [];
    this.#credit = this.#limits.burst;
  }

  add(operation: ChannelOperation, channels: readonly string[]): void {
    const { perMessage, messageLength } = this.#limits;
    let message: string[] = [];
    let length = ENVELOPE_LENGTH;
    for (const channel of channels) {
      if (message.length === perMessage || length + channel.length + 1 > messageLength) {
        this.#queue.push({ operation, channels: message });
        message = [];
        length = ENVELOPE_LENGTH;
      }
      message.push(channel);
      length += channel.length + 1;
    }
    if (message.length > 0) this.#queue.push({ operation, channels: message });
  }

  /** Sends what may be sent. */
  flush(timeUs: number): void {
    const { burst, refillUs } = this.#limits;
    this.#credit = Math.min(burst, this.#credit + Math.max(0, timeUs - this.#creditUs) / refillUs);
    this.#creditUs = timeUs;
    for (let next = this.#queue[0]; next !== undefined && this.#credit >= 1; next = this.#queue[0]) {
      this.#queue.shift();
      this.#credit -= 1;
      this.#port.send(this.#feed, `{"op":"${next.operation}","args":[${next.channels.join(",")}]}`);
    }
  }
}
