/** The latest ids of a stream, up to a number; older ones are forgotten. */
export class RecentIds {
  readonly #capacity: number;
  /** In the order in which they were added. */
  readonly #ids = new Set<string>();

  constructor(capacity: number) {
    this.#capacity = capacity;
  }

  /** @returns false when it is known. */
  add(id: string): boolean {
    if (this.#ids.has(id)) return false;
    if (this.#ids.size === this.#capacity) {
      const oldest = this.#ids.values().next().value;
      if (oldest !== undefined) this.#ids.delete(oldest);
    }
    this.#ids.add(id);
    return true;
  }

  /** The last of them, oldest first. */
  latest(count: number): string[] {
    return [...this.#ids].slice(-count);
  }
}
