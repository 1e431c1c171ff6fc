import { invariant } from "../../core/invariant.ts";

/** Batches that may be on their way between the reader of the topic and the desk's thread; a power of two. */
export const WAITING_BATCHES_MAX = 64;
/** With so many characters of values on their way nothing is added to them. */
const WAITING_CHARS_MAX = 16 * 1024 * 1024;

/** Numbers in the shared memory, modulo 2³²; the first two are written by the reader, the others by the desk's thread. */
const HANDED = { batches: 0, chars: 1 } as const;
const TAKEN = { batches: 2, chars: 3 } as const;
const NUMBERS = 4;

/**
 * What the reader of a topic has handed over and the desk's thread has not taken yet, counted in memory that both see. Messages between
 * threads wait without a bound; this is the bound: the reader hands over nothing while there is no room, and what it does not read
 * stays with the brokers.
 */
export class Credit {
  readonly memory: SharedArrayBuffer;
  readonly #numbers: Int32Array;

  /** @param memory of the other side; left out = new, with nothing on its way */
  constructor(memory: SharedArrayBuffer = new SharedArrayBuffer(NUMBERS * Int32Array.BYTES_PER_ELEMENT)) {
    this.memory = memory;
    this.#numbers = new Int32Array(memory);
  }

  /** Batches handed over so far, modulo 2³². */
  get handed(): number {
    return Atomics.load(this.#numbers, HANDED.batches);
  }

  /** Batches taken so far, modulo 2³². */
  get taken(): number {
    return Atomics.load(this.#numbers, TAKEN.batches);
  }

  /** Batches on their way, the one that is being taken among them. */
  get waiting(): number {
    return (this.handed - this.taken) | 0;
  }

  get hasRoom(): boolean {
    const chars = Atomics.load(this.#numbers, HANDED.chars) - Atomics.load(this.#numbers, TAKEN.chars);
    return this.waiting < WAITING_BATCHES_MAX && (chars | 0) < WAITING_CHARS_MAX;
  }

  /** The reader is about to hand over a batch. */
  hand(values: readonly string[]): void {
    invariant(this.hasRoom, "a batch is handed over without room for it");
    Atomics.add(this.#numbers, HANDED.chars, charsOf(values));
    Atomics.add(this.#numbers, HANDED.batches, 1);
  }

  /** The desk's thread has done everything that a batch calls for. */
  take(values: readonly string[]): void {
    Atomics.add(this.#numbers, TAKEN.chars, charsOf(values));
    Atomics.add(this.#numbers, TAKEN.batches, 1);
  }
}

function charsOf(values: readonly string[]): number {
  let chars = 0;
  for (const value of values) chars += value.length;
  return chars;
}
