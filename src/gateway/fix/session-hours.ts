import type { Schedule } from "./schedule.ts";
import type { SessionStore } from "./store.ts";

/** Which of a schedule's sessions a connection belongs to. Without a schedule all are one. */
export class SessionHours {
  readonly #schedule: Schedule | null;
  readonly #store: SessionStore;
  /** Start of the schedule's session in which the connection was made. */
  #startUs = Number.NaN;

  constructor(schedule: Schedule | null, store: SessionStore) {
    this.#schedule = schedule;
    this.#store = store;
  }

  /** A connection is made. The first one of each session starts both sequences at 1. @returns false outside of the hours */
  enter(timeUs: number): boolean {
    if (this.#schedule === null) return true;
    this.#startUs = this.#schedule.sessionStartUs(timeUs);
    if (Number.isNaN(this.#startUs)) return false;
    if (!(this.#store.startedUs >= this.#startUs)) this.#store.reset(timeUs);
    return true;
  }

  /** The session in which the connection was made has ended. */
  isOver(timeUs: number): boolean {
    return this.#schedule !== null && this.#schedule.sessionStartUs(timeUs) !== this.#startUs;
  }
}
