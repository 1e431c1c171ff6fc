import type { Rng } from "../core/rng.ts";
import type { FeedPort } from "./feed.ts";
import { Backoff } from "./supervisor.ts";

const MAX_REQUESTS = 4;
const REQUEST_TIMEOUT_US = 15_000_000;
const RETRY = { baseMs: 1_000, capMs: 60_000 } as const;

/** A REST request that has not been answered, and what it was for. */
interface Pending<Subject> {
  readonly subject: Subject;
  readonly deadlineUs: number;
}

/**
 * The REST requests of one feed: a bounded number under way, none while the venue asks to be left alone, each given up when
 * its answer is overdue.
 */
export class RestRequests<Subject> {
  readonly #feed: number;
  readonly #port: FeedPort;
  readonly #pending = new Map<number, Pending<Subject>>();
  readonly #backoff: Backoff;
  #heldUntilUs = 0;
  #next = 1;

  constructor(feed: number, port: FeedPort, rng: Rng) {
    this.#feed = feed;
    this.#port = port;
    this.#backoff = new Backoff(rng, RETRY);
  }

  get underWay(): number {
    return this.#pending.size;
  }

  isFree(timeUs: number): boolean {
    return timeUs >= this.#heldUntilUs && this.#pending.size < MAX_REQUESTS;
  }

  isAsking(matches: (subject: Subject) => boolean): boolean {
    for (const { subject } of this.#pending.values()) if (matches(subject)) return true;
    return false;
  }

  send(path: string, subject: Subject, timeUs: number): void {
    const request = this.#next;
    this.#next += 1;
    this.#pending.set(request, { subject, deadlineUs: timeUs + REQUEST_TIMEOUT_US });
    this.#port.request(this.#feed, request, path);
  }

  /** What an answered request was for; undefined when it was given up before. */
  take(request: number): Subject | undefined {
    const pending = this.#pending.get(request);
    this.#pending.delete(request);
    return pending?.subject;
  }

  /** Gives up the requests whose answers do not matter any more. */
  giveUp(matches: (subject: Subject) => boolean): void {
    for (const [request, { subject }] of this.#pending) {
      if (matches(subject)) this.#pending.delete(request);
    }
  }

  /** A request whose answer is overdue, −1 when there is none. */
  overdue(timeUs: number): number {
    for (const [request, { deadlineUs }] of this.#pending) if (timeUs >= deadlineUs) return request;
    return -1;
  }

  succeeded(): void {
    this.#backoff.reset();
  }

  /** Delay before a failed request is repeated, µs; grows with each failure. */
  retryDelayUs(): number {
    return this.#backoff.nextUs();
  }

  /** Asks nothing for the time of a Retry-After, or a growing time where the answer named none. @returns until when. */
  hold(retryAfterMs: number, timeUs: number): number {
    const delayUs = retryAfterMs >= 0 ? retryAfterMs * 1_000 : this.#backoff.nextUs();
    this.#heldUntilUs = Math.max(this.#heldUntilUs, timeUs + delayUs);
    return this.#heldUntilUs;
  }
}
