import { Rng } from "../../src/core/rng.ts";
import { FRAME, type FrameOutcome } from "../../src/feed/feed.ts";
import { EVENT } from "../../src/market/event-batch.ts";
import { bookState, stateOf } from "./book-state.ts";
import { type FakeVenue, Session } from "./fake-venue.ts";

/** What happens to single frames. */
const FRAME_FAULTS = ["drop", "duplicate", "reorder", "delay", "truncate", "corrupt"] as const;
/** What happens to the connection, the host or the venue for a while. */
const LASTING_FAULTS = [
  "disconnect",
  "half-open",
  "slow-reader",
  "refuse",
  "clock-jump",
  "too-many",
] as const;
export type ChaosFault = (typeof FRAME_FAULTS)[number] | (typeof LASTING_FAULTS)[number];

/** A venue without numbers or checksums cannot tell that a frame was lost; a TCP connection that is up loses none. */
const LOSSY: ReadonlySet<ChaosFault> = new Set(["drop", "reorder", "delay", "duplicate"]);

/** Of this many frames one meets a fault. */
const FRAMES_PER_FAULT = 60;
/** Mean time between two lasting faults. */
const LASTING_EVERY_MS = 4_000;
/** Backoffs double to 60 s, and the last fault may come just before the calm. */
export const HEAL_BOUND_MS = 150_000;
const STEP_MS = 10;
const STREAM_EVERY_MS = 20;

/** What a run has come to. */
export interface ChaosResult {
  readonly faults: Readonly<Record<ChaosFault, number>>;
  /** Book states that were live and that the venue's book never had; empty when all is well. */
  readonly unsound: readonly string[];
  /** How long after the last fault both books were live and the venue's; NaN when they were not within the bound. */
  readonly healedMs: number;
  readonly counters: Session["feed"]["counters"];
}

/**
 * A session over a connection that fails in every way that connections, hosts and venues do. Everything is drawn from one seed. Each
 * book that a desk might quote on is compared with all that the venue's book has ever been.
 */
export class ChaosSession extends Session {
  readonly faults: Record<ChaosFault, number> = {
    drop: 0,
    duplicate: 0,
    reorder: 0,
    delay: 0,
    truncate: 0,
    corrupt: 0,
    disconnect: 0,
    "half-open": 0,
    "slow-reader": 0,
    refuse: 0,
    "clock-jump": 0,
    "too-many": 0,
  };
  readonly unsound: string[] = [];
  readonly #rng: Rng;
  readonly #possible: readonly ChaosFault[];
  readonly #past: readonly [Set<string>, Set<string>] = [new Set(), new Set()];
  #calm = false;
  #passedMs = 0;
  #held: { readonly frame: string; readonly dueMs: number }[] = [];
  #connectsSeen = 0;
  #deadUntilMs = 0;
  #slowUntilMs = 0;
  #tooManyUntilMs = 0;
  #nextLastingMs = LASTING_EVERY_MS;

  constructor(venue: FakeVenue, seed: number) {
    super(venue, { seed, silenceMs: 1_500 });
    this.#rng = new Rng(seed);
    const isBlind = venue.isSequenced === false;
    this.#possible = FRAME_FAULTS.filter((fault) => !isBlind || !LOSSY.has(fault));
    this.#remember();
  }

  override deliver(frame: string): FrameOutcome {
    this.#remember();
    if (this.#passedMs < this.#deadUntilMs) return FRAME.ignored;
    if (this.#passedMs < this.#slowUntilMs) return this.#hold(frame, this.#slowUntilMs);
    if (this.#calm || this.#rng.int(FRAMES_PER_FAULT) !== 0) {
      // What is behind a late frame on a connection waits for it, unless it was reordered.
      if (this.#held.length > 0 && this.#held[0].dueMs === this.#slowUntilMs)
        return this.#hold(frame, this.#slowUntilMs);
      return super.deliver(frame);
    }
    return this.#spoil(frame);
  }

  override disconnect(): void {
    this.#held = [];
    super.disconnect();
  }

  override service(): void {
    if (this.port.disconnects.length > 0 || this.port.connects > this.#connectsSeen) this.#connectionGone();
    this.#connectsSeen = this.port.connects;
    if (this.#passedMs < this.#deadUntilMs) this.port.takeSent();
    if (this.#passedMs < this.#tooManyUntilMs) {
      for (const { request } of this.port.takeRequests()) {
        const retryAfterMs = this.#rng.int(2) === 0 ? Number.NaN : 1_000;
        this.feed.onResponse(request, 429, "too many requests", retryAfterMs, this.timeUs, this.out);
        this.apply();
      }
    }
    super.service();
  }

  override apply(): void {
    const { out } = this;
    const touched = new Set<number>();
    for (let row = 0; row < out.count; row += 1) {
      const kind = out.kind[row];
      if (kind === EVENT.bookSnapshot || kind === EVENT.bookDelta || kind === EVENT.status)
        touched.add(out.instrument[row]);
    }
    super.apply();
    for (const id of touched) this.#inspect(id);
  }

  /** Lets time pass with both books changing and trouble on the way, then calm. */
  run(chaosMs: number): ChaosResult {
    this.feed.start(this.timeUs);
    this.service();
    for (let ms = 0; ms < chaosMs; ms += STEP_MS) this.#step();
    this.#calm = true;
    this.acceptsConnections = true;
    let healedMs = Number.NaN;
    for (let ms = 0; ms < HEAL_BOUND_MS && Number.isNaN(healedMs); ms += STEP_MS) {
      this.#step();
      if (this.live.size === 2 && this.#held.length === 0 && this.agrees(0) && this.agrees(1)) healedMs = ms;
    }
    const { faults, unsound } = this;
    return { faults, unsound, healedMs, counters: this.feed.counters };
  }

  #step(): void {
    this.#passedMs += STEP_MS;
    this.timeUs += STEP_MS * 1_000;
    if (!this.#calm && this.#passedMs >= this.#nextLastingMs) this.#strike();
    this.#release();
    this.feed.onTimer(this.timeUs, this.out);
    this.apply();
    this.service();
    if (this.#passedMs % STREAM_EVERY_MS !== 0) return;
    this.deliver(this.venue.next(0));
    this.deliver(this.venue.next(1));
    if (this.#passedMs % 500 === 0) this.deliver(this.venue.trade(0));
  }

  #spoil(frame: string): FrameOutcome {
    const fault = this.#possible[this.#rng.int(this.#possible.length)];
    this.faults[fault] += 1;
    switch (fault) {
      case "drop":
        return FRAME.ignored;
      case "duplicate":
        super.deliver(frame);
        return super.deliver(frame);
      case "reorder":
        return this.#hold(frame, this.#passedMs + STREAM_EVERY_MS);
      case "delay":
        return this.#hold(frame, this.#passedMs + 50 + this.#rng.int(400));
      case "truncate":
        return super.deliver(frame.slice(0, this.#rng.int(frame.length)));
      default: {
        const at = this.#rng.int(frame.length);
        return super.deliver(`${frame.slice(0, at)}\u0001${frame.slice(at + 1)}`);
      }
    }
  }

  #strike(): void {
    this.#nextLastingMs = this.#passedMs + this.#rng.int(2 * LASTING_EVERY_MS);
    const fault = LASTING_FAULTS[this.#rng.int(LASTING_FAULTS.length)];
    this.faults[fault] += 1;
    const forMs = 100 + this.#rng.int(3_000);
    switch (fault) {
      case "disconnect":
        this.disconnect();
        break;
      case "half-open":
        // Nothing comes any more, and nobody says so: only a new connection ends it.
        this.#deadUntilMs = Number.POSITIVE_INFINITY;
        break;
      case "slow-reader":
        this.#slowUntilMs = this.#passedMs + forMs;
        break;
      case "refuse":
        this.acceptsConnections = !this.acceptsConnections;
        break;
      case "clock-jump":
        this.timeUs += (this.#rng.int(2) === 0 ? 30_000 : -2_000) * 1_000;
        break;
      case "too-many":
        this.#tooManyUntilMs = this.#passedMs + forMs;
        break;
    }
  }

  #hold(frame: string, dueMs: number): FrameOutcome {
    this.#held.push({ frame, dueMs });
    return FRAME.ignored;
  }

  #release(): void {
    const due = this.#held.filter(({ dueMs }) => dueMs <= this.#passedMs);
    this.#held = this.#held.filter(({ dueMs }) => dueMs > this.#passedMs);
    for (const { frame } of due) super.deliver(frame);
  }

  /** What was on its way on a connection that is gone never arrives. */
  #connectionGone(): void {
    this.#held = [];
    this.#deadUntilMs = 0;
    this.#slowUntilMs = 0;
  }

  #remember(): void {
    for (const [index, { sides }] of this.venue.books.entries()) this.#past[index].add(stateOf(sides));
  }

  #inspect(id: number): void {
    const { symbol } = this.instruments.get(id);
    const book = this.books.get(id);
    const index = this.venue.symbols.indexOf(symbol);
    if (book === undefined || index < 0 || !this.live.has(symbol)) return;
    this.#remember();
    if (!this.#past[index].has(bookState(book)))
      this.unsound.push(`${symbol} at ${this.#passedMs} ms: ${this.feed.problem}`);
  }
}
