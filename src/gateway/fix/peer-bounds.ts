import type { SessionOptions } from "./session-options.ts";
import { TokenBucket } from "./token-bucket.ts";

/** What one peer may do in a connection before it is cut off. */
export class PeerBounds {
  readonly #options: Pick<SessionOptions, "maxMessagesPerSecond" | "maxGarbledInRow">;
  readonly #rate: TokenBucket;
  #garbledInRow = 0;

  constructor(options: Pick<SessionOptions, "maxMessagesPerSecond" | "maxGarbledInRow">) {
    this.#options = options;
    this.#rate = new TokenBucket(options.maxMessagesPerSecond);
  }

  reset(timeUs: number): void {
    this.#garbledInRow = 0;
    this.#rate.reset(timeUs);
  }

  /** A message that is none has come. @returns what is too much about it; null when nothing is */
  garbled(problem: string): string | null {
    this.#garbledInRow += 1;
    return this.#garbledInRow < this.#options.maxGarbledInRow
      ? null
      : `${this.#garbledInRow} garbled messages in a row, the last for its ${problem}`;
  }

  /** A message has come. @returns what is too much about it; null when nothing is */
  message(timeUs: number): string | null {
    this.#garbledInRow = 0;
    return this.#rate.take(timeUs)
      ? null
      : `more than ${this.#options.maxMessagesPerSecond} messages a second`;
  }
}
