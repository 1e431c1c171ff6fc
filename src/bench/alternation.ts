import { invariant } from "../core/invariant.ts";

/** Who of two does a block, again and again: each block is done by both, and who is first takes turns as well. */
const TURNS = [0, 1, 1, 0] as const;

/** Lets two passes go on block by block, one at a time, so that whatever the host does meets both. */
export class Alternation {
  readonly #arrived = [false, false];
  readonly #ended = [false, false];
  readonly #wake: ((() => void) | null)[] = [null, null];
  #turn: number;

  /** @param first who does the first block */
  constructor(first: 0 | 1) {
    this.#turn = first * 2;
  }

  /** Resolves when both are there and it is this one's turn. */
  async begin(who: 0 | 1): Promise<void> {
    this.#arrived[who] = true;
    if (this.#arrived.every(Boolean)) this.#wakeNext();
    if (!this.#mayGo(who)) await this.#sleep(who);
  }

  /** This one has done a block. @returns null when it does the next one as well; else what it has to wait for */
  next(who: 0 | 1): Promise<void> | null {
    this.#turn += 1;
    if (this.#mayGo(who)) return null;
    const slept = this.#sleep(who);
    this.#wakeNext();
    return slept;
  }

  /** This one has done all its blocks. */
  end(who: 0 | 1): void {
    this.#ended[who] = true;
    this.#wakeNext();
  }

  #mayGo(who: 0 | 1): boolean {
    const [other, isThere] = [who === 0 ? 1 : 0, this.#arrived.every(Boolean)];
    return isThere && (this.#ended[other] || TURNS[this.#turn % TURNS.length] === who);
  }

  #sleep(who: 0 | 1): Promise<void> {
    return new Promise((resolve) => {
      invariant(this.#wake[who] === null, "one waits once");
      this.#wake[who] = resolve;
    });
  }

  /** After the event loop has been round once: threads' messages are taken, too. */
  #wakeNext(): void {
    for (const who of [0, 1] as const) {
      const wake = this.#wake[who];
      if (wake === null || !this.#mayGo(who)) continue;
      this.#wake[who] = null;
      setImmediate(wake);
    }
  }
}
