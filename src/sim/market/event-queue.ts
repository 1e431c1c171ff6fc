import { invariant } from "../../core/invariant.ts";

/** Somebody who does things at simulated times. */
export interface Actor {
  /** `kind` and `argument` are what the actor scheduled; it may schedule more. */
  act(kind: number, argument: number, timeUs: number): void;
}

/**
 * What will happen in the simulated market: a binary heap over typed arrays, ordered by time and, at the same time, by the
 * order of scheduling, so that a run depends on nothing but its seed. Bounded: an event that does not fit is counted and left out.
 */
export class EventQueue {
  readonly capacity: number;
  /** Events left out because the queue was full. */
  dropped = 0;
  /** Time of the event now being handled, µs since the epoch. */
  nowUs: number;
  readonly #actors: Actor[] = [];
  readonly #time: Float64Array;
  readonly #order: Float64Array;
  readonly #actor: Uint16Array;
  readonly #kind: Uint8Array;
  readonly #argument: Int32Array;
  #count = 0;
  #scheduled = 0;

  constructor(startUs: number, capacity = 65_536) {
    this.nowUs = startUs;
    this.capacity = capacity;
    this.#time = new Float64Array(capacity + 1);
    this.#order = new Float64Array(capacity + 1);
    this.#actor = new Uint16Array(capacity + 1);
    this.#kind = new Uint8Array(capacity + 1);
    this.#argument = new Int32Array(capacity + 1);
  }

  /** @returns the number under which the actor schedules. */
  register(actor: Actor): number {
    this.#actors.push(actor);
    return this.#actors.length - 1;
  }

  get size(): number {
    return this.#count;
  }

  /** Time of the next event, `Infinity` when there is none. */
  get nextUs(): number {
    return this.#count === 0 ? Number.POSITIVE_INFINITY : this.#time[1];
  }

  /** Lets `actor` act after `delayUs` ≥ 0. */
  schedule(actor: number, kind: number, argument: number, delayUs: number): void {
    if (this.#count === this.capacity) {
      this.dropped += 1;
      return;
    }
    const time = this.nowUs + delayUs;
    const order = this.#scheduled;
    this.#scheduled += 1;
    this.#count += 1;
    let at = this.#count;
    while (at > 1) {
      const parent = at >>> 1;
      if (this.#time[parent] <= time) break;
      this.#move(parent, at);
      at = parent;
    }
    this.#time[at] = time;
    this.#order[at] = order;
    this.#actor[at] = actor;
    this.#kind[at] = kind;
    this.#argument[at] = argument;
  }

  /** Handles the next event, which there must be. */
  step(): void {
    invariant(this.#count > 0, "a step of an empty event queue");
    const actor = this.#actors[this.#actor[1]];
    const kind = this.#kind[1];
    const argument = this.#argument[1];
    this.nowUs = this.#time[1];
    this.#removeFirst();
    actor?.act(kind, argument, this.nowUs);
  }

  #removeFirst(): void {
    const last = this.#count;
    this.#count -= 1;
    let at = 1;
    for (;;) {
      let child = at << 1;
      if (child > this.#count) break;
      if (child < this.#count && this.#before(child + 1, child)) child += 1;
      if (!this.#before(child, last)) break;
      this.#move(child, at);
      at = child;
    }
    this.#move(last, at);
  }

  #before(a: number, b: number): boolean {
    return (
      this.#time[a] < this.#time[b] || (this.#time[a] === this.#time[b] && this.#order[a] < this.#order[b])
    );
  }

  #move(from: number, to: number): void {
    this.#time[to] = this.#time[from];
    this.#order[to] = this.#order[from];
    this.#actor[to] = this.#actor[from];
    this.#kind[to] = this.#kind[from];
    this.#argument[to] = this.#argument[from];
  }
}
