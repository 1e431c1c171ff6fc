import { invariant } from "../core/invariant.ts";

/** A message on its way out. */
export interface OutMessage {
  readonly topic: string;
  readonly key: string;
  readonly value: string;
}

/** Stands for every name in {@link Outbox.fence}. */
export const EVERY_NAME = "*";

interface Waiting extends OutMessage {
  readonly latest: string | null;
}

/**
 * Messages that wait for a slow or absent receiver. Bounded: when it is full the oldest is lost. A message of which only the
 * latest counts replaces the one of the same name that still waits, in its place, once a backlog has built up.
 */
export class Outbox {
  dropped = 0;
  conflated = 0;
  readonly #capacity: number;
  readonly #conflateFrom: number;
  readonly #messages: (Waiting | undefined)[];
  /** Position, counted from the beginning of all, of the waiting message of a name. */
  readonly #latest = new Map<string, number>();
  #head = 0;
  #tail = 0;

  /** @param conflateFrom backlog from which on only the latest of a name is kept */
  constructor(capacity: number, conflateFrom: number) {
    invariant(capacity > 0 && conflateFrom <= capacity, "an outbox holds something");
    this.#capacity = capacity;
    this.#conflateFrom = conflateFrom;
    this.#messages = new Array<Waiting | undefined>(capacity).fill(undefined);
  }

  get size(): number {
    return this.#tail - this.#head;
  }

  /** @param latest name under which a later message takes this one's place; null = each one counts */
  add(message: OutMessage, latest: string | null): void {
    const waiting: Waiting = { ...message, latest };
    const at = latest === null ? undefined : this.#latest.get(latest);
    if (at !== undefined && at >= this.#head && this.size >= this.#conflateFrom) {
      this.#messages[at % this.#capacity] = waiting;
      this.conflated += 1;
      return;
    }
    if (this.size === this.#capacity) {
      this.#pop();
      this.dropped += 1;
    }
    this.#messages[this.#tail % this.#capacity] = waiting;
    if (latest !== null) this.#latest.set(latest, this.#tail);
    this.#tail += 1;
  }

  /**
   * What is added from now on stays behind what waits: no later message of this name, or of any, takes the place of one before.
   * For messages that undo what was said before them.
   */
  fence(name: string | typeof EVERY_NAME): void {
    if (name === EVERY_NAME) this.#latest.clear();
    else this.#latest.delete(name);
  }

  /** The oldest messages, at most so many. */
  take(most: number): OutMessage[] {
    const taken: OutMessage[] = [];
    while (taken.length < most && this.size > 0) {
      const { topic, key, value } = this.#pop();
      taken.push({ topic, key, value });
    }
    return taken;
  }

  #pop(): Waiting {
    const at = this.#head % this.#capacity;
    const message = this.#messages[at];
    invariant(message !== undefined, "an outbox that is not empty has a message");
    this.#messages[at] = undefined;
    if (message.latest !== null && this.#latest.get(message.latest) === this.#head) {
      this.#latest.delete(message.latest);
    }
    this.#head += 1;
    return message;
  }
}
