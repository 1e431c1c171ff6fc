import type { Credit } from "./credit.ts";

/** A book of tens of thousands of levels is about a megabyte long. */
export const VALUE_CHARS_MAX = 16 * 1024 * 1024;
/** Values, and characters of them, that are gathered before they have to be handed over together. */
const BATCH_VALUES_MAX = 256;
const BATCH_CHARS_MAX = 1024 * 1024;
/** Between two looks whether there is room again. */
const LOOK_MS = 1;

/** Values of one venue, in their order. */
export interface Batch {
  readonly venue: string;
  readonly values: readonly string[];
}

/**
 * Values on their way to the desk's thread: handed over when the event loop turns, as far as there is {@link Credit}. What there is no room for is
 * gathered until {@link isFull}; whoever adds then waits for {@link flush}, which bounds what is held here.
 */
export class Handover {
  readonly #waiting = new Map<string, string[]>();
  readonly #credit: Credit;
  readonly #post: (batch: Batch) => void;
  #values = 0;
  #chars = 0;
  #flushing: Promise<void> | null = null;

  /** @param venues whose values are wanted */
  constructor(venues: readonly string[], credit: Credit, post: (batch: Batch) => void) {
    for (const venue of venues) this.#waiting.set(venue, []);
    this.#credit = credit;
    this.#post = post;
  }

  get isFull(): boolean {
    return this.#values >= BATCH_VALUES_MAX || this.#chars >= BATCH_CHARS_MAX;
  }

  /** @param key `venue:…`; of another venue than those that are wanted the value is passed over, as is one that is too long */
  add(key: string, value: string): void {
    const values = this.#waiting.get(key.slice(0, Math.max(0, key.indexOf(":"))));
    if (values === undefined || value.length > VALUE_CHARS_MAX) return;
    values.push(value);
    this.#values += 1;
    this.#chars += value.length;
    if (this.#values === 1) setImmediate(() => void this.flush());
  }

  /** Resolves when everything has been handed over. */
  async flush(): Promise<void> {
    while (this.#values > 0) {
      this.#flushing ??= this.#handOver().finally(() => {
        this.#flushing = null;
      });
      await this.#flushing;
    }
  }

  async #handOver(): Promise<void> {
    for (const [venue, waiting] of this.#waiting) {
      if (waiting.length === 0) continue;
      while (!this.#credit.hasRoom) await Bun.sleep(LOOK_MS);
      const values = waiting.splice(0);
      this.#values -= values.length;
      for (const { length } of values) this.#chars -= length;
      this.#credit.hand(values);
      this.#post({ venue, values });
    }
  }
}
