import type { Feed } from "../../src/feed/feed.ts";
import { createFeed } from "../../src/feed/registry.ts";
import { EVENT, EventBatch, FEED_STATE } from "../../src/market/event-batch.ts";
import { InstrumentTable } from "../../src/market/instrument.ts";
import { BOOK_SHAPE, L2Book } from "../../src/market/l2-book.ts";
import { bookState, stateOf } from "./book-state.ts";
import type { FakeVenue, VenueSide } from "./fake-venue.ts";
import { ScriptedPort } from "./scripted-port.ts";

const TIMER_MS = 10;
/** Backoffs double to 60 s. */
const HEAL_BOUND_MS = 150_000;

/** What happens next. `index` is the book's. */
export type Step =
  | { readonly does: "tell"; readonly index: number }
  | { readonly does: "arrive" | "duplicate" | "swap" | "lose" | "answer" | "cut" }
  | { readonly does: "late"; readonly pick: number }
  | { readonly does: "wait"; readonly ms: number };

interface Answer {
  readonly request: number;
  readonly status: number;
  readonly body: string;
  readonly retryAfterMs: number;
}

/**
 * A feed beside a naive account of its venue: every state that each book has had, numbered, and the newest one that a frame which has
 * arrived on this connection brought. What is on the way, frames and answers, arrives when the script says so, so snapshots are older
 * than changes, newer, or between two of them. A book that is live must be one of those states, and none that is older than what
 * has arrived.
 */
export class JoinBed implements VenueSide {
  readonly port = new ScriptedPort();
  readonly out = new EventBatch(512, 16_384);
  readonly wrong: string[] = [];
  /** Frames of the venue that came when the book was live. */
  compared = 0;
  timeUs = 1_000_000;
  readonly feed: Pick<Feed, "onFrame" | "onResponse">;
  readonly #feed: Feed;
  readonly #venue: FakeVenue;
  readonly #instruments = new InstrumentTable(8);
  readonly #books = new Map<number, L2Book>();
  readonly #live = new Set<number>();
  /** Newest number of each state, by book. */
  readonly #states: readonly [Map<string, number>, Map<string, number>] = [new Map(), new Map()];
  readonly #newest = [0, 0];
  readonly #arrived = [0, 0];
  readonly #brings = new Map<string, { readonly index: number; readonly state: number }>();
  #way: string[] = [];
  #answers: Answer[] = [];
  readonly #past: string[] = [];
  #connects = 0;

  constructor(venue: FakeVenue) {
    this.#venue = venue;
    this.#feed = createFeed({
      ...{ id: 0, venue: venue.venue, subscriptions: venue.subscriptions ?? venue.symbols },
      ...{ instruments: this.#instruments, port: this.port, seed: 1, silenceMs: 5_000 },
    });
    this.feed = {
      onFrame: (frame) => this.#feed.onFrame(frame, this.timeUs, this.out),
      onResponse: (request, status, body, retryAfterMs) => {
        this.#answers.push({ request, status, body, retryAfterMs });
      },
    };
    this.#remember();
    this.#feed.start(this.timeUs);
    this.#serve();
  }

  /** A frame that the venue sends by itself takes its place on the way. */
  deliver(frame: string): void {
    this.#way.push(frame);
  }

  apply(): void {
    const { out } = this;
    for (let row = 0; row < out.count; row += 1) {
      const id = out.instrument[row];
      const book = this.#books.get(id) ?? new L2Book(BOOK_SHAPE.option);
      this.#books.set(id, book);
      if (out.kind[row] === EVENT.bookSnapshot) book.applySnapshot(out, row);
      else if (out.kind[row] === EVENT.bookDelta) book.applyDelta(out, row);
      else if (out.kind[row] === EVENT.status) {
        if (out.code[row] === FEED_STATE.live) this.#live.add(id);
        else this.#live.delete(id);
      }
    }
    out.clear();
  }

  step(step: Step): void {
    switch (step.does) {
      case "tell":
        this.#tell(step.index);
        break;
      case "arrive":
        this.#arrive(this.#way.shift());
        break;
      case "duplicate": {
        const frame = this.#way.shift();
        this.#arrive(frame);
        this.#arrive(frame);
        break;
      }
      case "swap":
        this.#way = [...this.#way.slice(1, 2), ...this.#way.slice(0, 1), ...this.#way.slice(2)];
        break;
      case "lose":
        this.#way.shift();
        break;
      case "late":
        if (this.#past.length > 0) this.#arrive(this.#past[step.pick % this.#past.length]);
        break;
      case "answer":
        this.#answer();
        break;
      case "cut":
        this.#lost();
        this.#feed.onClose(1_006, "reset", this.timeUs, this.out);
        break;
      case "wait":
        for (let passed = 0; passed < step.ms; passed += TIMER_MS) this.#pass();
        break;
    }
    this.#settle(step.does);
  }

  /** Everything arrives in its order from now on. @returns ms until both books were live and the venue's; NaN when they were not in time */
  heal(): number {
    for (let ms = 0; ms < HEAL_BOUND_MS; ms += TIMER_MS) {
      this.#pass();
      while (this.#answers.length > 0) this.#answer();
      if (ms % 50 === 0) for (const index of [0, 1]) this.#tell(index);
      for (let frame = this.#way.shift(); frame !== undefined; frame = this.#way.shift()) {
        this.#arrive(frame);
        this.#settle("heal");
      }
      if (ms % 50 === 0 && [0, 1].every((index) => this.#stateOf(index) === this.#newest[index])) return ms;
    }
    return Number.NaN;
  }

  #tell(index: number): void {
    const frame = this.#venue.next(index);
    this.#remember();
    this.#brings.set(frame, { index, state: this.#newest[index] });
    this.#way.push(frame);
  }

  #arrive(frame: string | undefined): void {
    if (frame === undefined) return;
    const brings = this.#brings.get(frame);
    if (brings !== undefined) {
      this.#arrived[brings.index] = Math.max(this.#arrived[brings.index], brings.state);
      this.#past.push(frame);
    }
    this.#feed.onFrame(frame, this.timeUs, this.out);
    this.#settle("a frame");
  }

  #answer(): void {
    const answer = this.#answers.shift();
    if (answer === undefined) return;
    const { request, status, body, retryAfterMs } = answer;
    this.#feed.onResponse(request, status, body, retryAfterMs, this.timeUs, this.out);
    this.#settle("an answer");
  }

  #pass(): void {
    this.timeUs += TIMER_MS * 1_000;
    this.#feed.onTimer(this.timeUs, this.out);
    this.#settle("the timer");
  }

  /** Takes over what the feed told, compares, and has the venue answer. */
  #settle(after: string): void {
    this.apply();
    for (const index of [0, 1]) this.#compare(index, after);
    this.#serve();
  }

  #serve(): void {
    if (this.port.disconnects.length > 0) {
      this.port.disconnects.length = 0;
      this.#lost();
    }
    if (this.port.connects > this.#connects) {
      this.#connects = this.port.connects;
      this.#feed.onOpen(this.timeUs, this.out);
      this.apply();
    }
    this.#venue.service(this);
  }

  /** What was on its way on a connection that is gone never arrives; answers have a connection of their own. */
  #lost(): void {
    this.#venue.disconnected();
    this.#way = [];
    this.#past.length = 0;
    this.#arrived.fill(0);
  }

  #compare(index: number, after: string): void {
    const state = this.#stateOf(index);
    if (Number.isNaN(state)) return;
    this.compared += 1;
    if (state >= this.#arrived[index]) return;
    this.wrong.push(
      state < 0
        ? `after ${after} book ${index} is one that the venue never had: ${this.#feed.problem}`
        : `after ${after} book ${index} is at ${state}, though ${this.#arrived[index]} has arrived`,
    );
  }

  /** Number of the state that the feed's book is in; NaN when it is not live, −1 when the venue never had it. */
  #stateOf(index: number): number {
    const id = this.#instruments.find(this.#venue.venue, this.#venue.symbols[index])?.id ?? -1;
    const book = this.#books.get(id);
    if (book === undefined || !this.#live.has(id)) return Number.NaN;
    return this.#states[index].get(bookState(book)) ?? -1;
  }

  #remember(): void {
    for (const index of [0, 1]) {
      const text = stateOf(this.#venue.books[index].sides);
      this.#newest[index] += 1;
      this.#states[index].set(text, this.#newest[index]);
    }
  }
}
