import { Rng } from "../core/rng.ts";
import type { FeedPort } from "./feed.ts";

/** Delays that double from a base to a cap, each drawn between half and all of itself so that clients do not march in step. */
export class Backoff {
  readonly #rng: Rng;
  readonly #baseUs: number;
  readonly #capUs: number;
  #attempts = 0;

  constructor(rng: Rng, limits: { readonly baseMs: number; readonly capMs: number }) {
    this.#rng = rng;
    this.#baseUs = limits.baseMs * 1_000;
    this.#capUs = limits.capMs * 1_000;
  }

  get attempts(): number {
    return this.#attempts;
  }

  /** The next delay, µs. */
  nextUs(): number {
    const ceiling = Math.min(this.#capUs, this.#baseUs * 2 ** Math.min(this.#attempts, 30));
    this.#attempts += 1;
    return ceiling * (0.5 + 0.5 * this.#rng.next());
  }

  reset(): void {
    this.#attempts = 0;
  }
}

export const CONNECTION = { idle: 0, waiting: 1, connecting: 2, open: 3 } as const;
export type ConnectionState = (typeof CONNECTION)[keyof typeof CONNECTION];

/** What {@link ConnectionSupervisor.onTimer} found. */
export const VERDICT = { fine: 0, silent: 1, connectTimeout: 2, unread: 3 } as const;
export type Verdict = (typeof VERDICT)[keyof typeof VERDICT];

const RECONNECT = { baseMs: 200, capMs: 30_000 } as const;
/** A connection that has lived this long starts the next backoff from the base again. */
const SETTLED_US = 5_000_000;
const CONNECT_TIMEOUT_US = 10_000_000;
/** Before its first data a connection may be this long busy with discovery and subscriptions. */
const FIRST_DATA_US = 15_000_000;
/** A timer that comes later than this share of the silence limit after the one before: the whole process stood still meanwhile. */
const STALL_SHARE = 0.25;

export interface SupervisorOptions {
  readonly feed: number;
  readonly port: FeedPort;
  readonly seed: number;
  /** `Infinity` for feeds that may be quiet. */
  readonly silenceMs: number;
}

/**
 * The life of one WebSocket as a state machine: connect, time out, notice silence, reconnect after a capped exponential delay
 * with jitter, not before a Retry-After has passed. It tells, the feed decides: what silence means for books is the
 * feed's. Times are epoch µs given by the caller.
 *
 * A process that stood still (stopped, swapped out, collecting garbage) comes back to a timer before it has read its sockets: what it
 * took for silence may lie in the kernel's buffers. A timer that comes late by more than a quarter of the silence limit is taken for that,
 * and nothing is judged for as long from then on: {@link reading}. Once only until there is data again, so that a connection that
 * is dead is given up by a process that stands still all the time, too.
 */
export class ConnectionSupervisor {
  state: ConnectionState = CONNECTION.idle;
  /** How often the connection was opened. */
  opens = 0;
  /** For how long the process stood still when it last did, µs. */
  stoodStillUs = 0;
  readonly #options: SupervisorOptions;
  readonly #backoff: Backoff;
  #openedUs = Number.NaN;
  #lastDataUs = Number.NaN;
  #sawData = false;
  #dueUs = Number.NaN;
  #heldUntilUs = 0;
  readonly #stallUs: number;
  #timerUs = Number.NaN;
  #judgesFromUs = Number.NEGATIVE_INFINITY;
  #hasWaited = false;

  constructor(options: SupervisorOptions) {
    this.#options = options;
    this.#backoff = new Backoff(new Rng(options.seed), RECONNECT);
    this.#stallUs = STALL_SHARE * Math.min(options.silenceMs * 1_000, CONNECT_TIMEOUT_US);
  }

  get open(): boolean {
    return this.state === CONNECTION.open;
  }

  start(timeUs: number): void {
    if (this.state === CONNECTION.idle) this.#connect(timeUs);
  }

  /** @returns false when nothing was being connected: the event belongs to an abandoned socket. */
  onOpen(timeUs: number): boolean {
    if (this.state !== CONNECTION.connecting) return false;
    this.state = CONNECTION.open;
    this.opens += 1;
    this.#openedUs = timeUs;
    this.#lastDataUs = timeUs;
    this.#sawData = false;
    this.#hasWaited = false;
    return true;
  }

  /** @returns false when there was no connection to lose: the event belongs to an abandoned socket. */
  onClose(timeUs: number): boolean {
    if (this.state !== CONNECTION.connecting && this.state !== CONNECTION.open) return false;
    this.#scheduleReconnect(timeUs);
    return true;
  }

  /** Market data came in; heartbeats and answers are none. */
  onData(timeUs: number): void {
    this.#lastDataUs = timeUs;
    this.#sawData = true;
    this.#hasWaited = false;
  }

  /** What came while the process stood still is being read: that something has not come yet says nothing so far. */
  reading(timeUs: number): boolean {
    return timeUs < this.#judgesFromUs;
  }

  /** Closes the connection from this side and schedules the next. */
  drop(reason: string, timeUs: number): void {
    if (this.state !== CONNECTION.connecting && this.state !== CONNECTION.open) return;
    this.#options.port.disconnect(this.#options.feed, reason);
    this.#scheduleReconnect(timeUs);
  }

  /** The venue asked to be left alone until then. */
  holdUntil(timeUs: number): void {
    this.#heldUntilUs = Math.max(this.#heldUntilUs, timeUs);
  }

  /**
   * Connects when it is time to. On `silent` and `connectTimeout` the caller does what it must and calls {@link drop}; `unread` is a
   * silence that is not judged yet: nothing is to be quoted on the connection's data, and it is kept.
   */
  onTimer(timeUs: number): Verdict {
    this.#noticeStall(timeUs);
    if (this.state === CONNECTION.waiting) {
      if (timeUs >= this.#dueUs && timeUs >= this.#heldUntilUs) this.#connect(timeUs);
    } else if (this.state === CONNECTION.connecting) {
      if (timeUs >= this.#dueUs && !this.reading(timeUs)) return VERDICT.connectTimeout;
    } else if (this.state === CONNECTION.open) {
      const silenceUs = this.#options.silenceMs * 1_000;
      const limitUs = this.#sawData ? silenceUs : Math.max(silenceUs, FIRST_DATA_US);
      if (timeUs - this.#lastDataUs > limitUs) return this.reading(timeUs) ? VERDICT.unread : VERDICT.silent;
    }
    return VERDICT.fine;
  }

  #noticeStall(timeUs: number): void {
    const passedUs = timeUs - this.#timerUs;
    this.#timerUs = timeUs;
    if (!(passedUs > this.#stallUs) || this.#hasWaited) return;
    this.#hasWaited = true;
    this.stoodStillUs = passedUs;
    this.#judgesFromUs = timeUs + this.#stallUs;
  }

  #connect(timeUs: number): void {
    this.state = CONNECTION.connecting;
    this.#hasWaited = false;
    this.#dueUs = timeUs + CONNECT_TIMEOUT_US;
    this.#options.port.connect(this.#options.feed);
  }

  #scheduleReconnect(timeUs: number): void {
    if (this.state === CONNECTION.open && timeUs - this.#openedUs >= SETTLED_US) this.#backoff.reset();
    this.state = CONNECTION.waiting;
    this.#dueUs = timeUs + this.#backoff.nextUs();
  }
}
