/** Things that arrive in the order in which they were put in, each at its time. */
export class TimedQueue<T> {
  readonly #items: T[] = [];
  readonly #times: number[] = [];
  #head = 0;

  /** When the next one is due; Infinity when there is none. */
  get nextUs(): number {
    return this.#times[this.#head] ?? Number.POSITIVE_INFINITY;
  }

  get size(): number {
    return this.#items.length - this.#head;
  }

  /** @param timeUs not before the one put in last */
  push(item: T, timeUs: number): void {
    this.#items.push(item);
    this.#times.push(timeUs);
  }

  shift(): T | undefined {
    if (this.#head === this.#items.length) return undefined;
    const item = this.#items[this.#head];
    this.#head += 1;
    if (this.#head >= 1_024 && this.#head * 2 >= this.#items.length) {
      this.#items.splice(0, this.#head);
      this.#times.splice(0, this.#head);
      this.#head = 0;
    }
    return item;
  }
}
