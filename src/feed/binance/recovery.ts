import type { Rng } from "../../core/rng.ts";
import type { Instrument } from "../../market/instrument.ts";
import { Backoff } from "../supervisor.ts";
import { DepthJoin, MATCH } from "./depth-join.ts";
import type { BinanceVenue } from "./venue.ts";

const SNAPSHOT_RETRY = { baseMs: 250, capMs: 30_000 } as const;
/** A book that was live this long is asked for anew without delay. */
const SETTLED_US = 5_000_000;
/** Mark prices are asked for by REST when the stream has brought none for this long, and this often. */
const MARK_INTERVAL_US = 3_000_000;
const MARK_RETRY = { baseMs: 5_000, capMs: 300_000 } as const;
/** A quiet symbol's snapshot waits so long for a depth event before it makes the book live by itself. */
const QUIET_US = 2_000_000;

/** One symbol's way back to a live book, and when its mark price is due. */
export class Recovery {
  readonly instrument: Instrument;
  readonly join: DepthJoin;
  /** A snapshot is under way. */
  inFlight = false;
  /** Sequence of the snapshot that is held; NaN before the first. */
  heldSequence = Number.NaN;
  readonly #mayBeQuiet: boolean;
  readonly #backoff: Backoff;
  readonly #markBackoff: Backoff;
  #dueUs = 0;
  #held: string | null = null;
  #heldUs = Number.NaN;
  #markDueUs = 0;

  constructor(instrument: Instrument, venue: BinanceVenue, rng: Rng) {
    this.instrument = instrument;
    this.join = new DepthJoin(venue.sequence);
    this.#mayBeQuiet = venue.mayBeQuiet === true;
    this.#backoff = new Backoff(rng, SNAPSHOT_RETRY);
    this.#markBackoff = new Backoff(rng, MARK_RETRY);
  }

  /** Subscribed: the snapshot may be asked for at once, the mark price when the stream has had time to bring one. */
  followed(timeUs: number): void {
    this.#dueUs = timeUs;
    this.marked(timeUs);
  }

  /** Forgets the book and what was on its way to it. */
  restart(): void {
    this.join.restart();
    this.dropHeld();
  }

  /** Keeps the body of a snapshot that is ahead of all depth events seen so far. */
  hold(body: string, sequence: number, timeUs: number): void {
    this.#held = body;
    this.heldSequence = sequence;
    this.#heldUs = timeUs;
  }

  get isHolding(): boolean {
    return this.#held !== null;
  }

  dropHeld(): void {
    this.#held = null;
  }

  /** The held snapshot's body once the depth events say whether it joins them; null until then. */
  takeMatched(): string | null {
    if (this.#held === null || this.join.match(this.heldSequence) === MATCH.waits) return null;
    return this.#takeHeld();
  }

  /** The held snapshot's body when nothing has happened for so long that it is the book; null otherwise. */
  takeQuiet(timeUs: number): string | null {
    return this.#mayBeQuiet && timeUs >= this.#heldUs + QUIET_US ? this.#takeHeld() : null;
  }

  #takeHeld(): string | null {
    const body = this.#held;
    this.#held = null;
    return body;
  }

  /** The book is lost: another snapshot, at once where it had been live for long. */
  schedule(timeUs: number, liveSinceUs: number): void {
    if (timeUs - liveSinceUs >= SETTLED_US) this.#backoff.reset();
    if (this.#backoff.attempts === 0) {
      this.#dueUs = timeUs;
      this.#backoff.nextUs();
    } else {
      this.retry(timeUs);
    }
  }

  /** The snapshot could not be used: another one, later. */
  retry(timeUs: number): void {
    this.#dueUs = timeUs + this.#backoff.nextUs();
  }

  wantsSnapshot(timeUs: number): boolean {
    if (this.join.live || this.inFlight || this.#held !== null || timeUs < this.#dueUs) return false;
    return this.join.buffered > 0 || this.#mayBeQuiet;
  }

  /** The stream brought a mark price, or one was asked for. */
  marked(timeUs: number): void {
    this.#markDueUs = timeUs + MARK_INTERVAL_US;
  }

  wantsMark(timeUs: number): boolean {
    return timeUs >= this.#markDueUs;
  }

  /** A venue that cannot say its mark price is asked ever less often; that is no trouble of the book's. */
  markAnswered(isGood: boolean, timeUs: number): void {
    if (isGood) this.#markBackoff.reset();
    else this.#markDueUs = timeUs + this.#markBackoff.nextUs();
  }
}
