import type { Feed, FrameOutcome } from "../../src/feed/feed.ts";
import { LineArbiter } from "../../src/feed/lines.ts";
import { createFeed } from "../../src/feed/registry.ts";
import { EVENT, EventBatch, FEED_STATE, FEED_STATE_NAMES, UNSOUND } from "../../src/market/event-batch.ts";
import { InstrumentTable } from "../../src/market/instrument.ts";
import { BOOK_SHAPE, L2Book } from "../../src/market/l2-book.ts";
import type { FakeVenue, VenueSide } from "./fake-venue.ts";
import { ScriptedPort } from "./scripted-port.ts";

const TIMER_MS = 10;
const SENT_MAX = 400;

/** One connection: a server of its own that says what the others say, a feed, and what is on the way between them. */
export class Line implements VenueSide {
  readonly port = new ScriptedPort();
  readonly venue: FakeVenue;
  readonly feed: Feed;
  readonly #bed: LineBed;
  /** Frames take this long. */
  delayMs = 0;
  /** Nothing comes any more, and nobody says so. */
  halfOpen = false;
  acceptsConnections = true;
  /** Says of each frame whether it is lost. */
  loses: () => boolean = () => false;
  /** The last frames that were sent, whatever became of them. */
  readonly sent: string[] = [];
  #way: { readonly frame: string; readonly dueMs: number }[] = [];
  #connects = 0;

  constructor(bed: LineBed, id: number, venue: FakeVenue) {
    this.#bed = bed;
    this.venue = venue;
    this.feed = createFeed({
      ...{ id, venue: venue.venue, subscriptions: venue.subscriptions ?? venue.symbols },
      ...{ instruments: bed.instruments, port: this.port, seed: 1 + id, silenceMs: 1_000 },
    });
  }

  get out(): EventBatch {
    return this.#bed.out;
  }

  get timeUs(): number {
    return this.#bed.timeUs;
  }

  deliver(frame: string): FrameOutcome {
    const outcome = this.feed.onFrame(frame, this.timeUs, this.out);
    this.apply();
    return outcome;
  }

  apply(): void {
    this.#bed.apply(this.feed.id);
  }

  /** The connection breaks, and says so. */
  cut(): void {
    this.#way = [];
    this.venue.disconnected();
    this.feed.onClose(1_006, "reset", this.timeUs, this.out);
    this.apply();
  }

  send(frame: string): void {
    if (this.sent.push(frame) > SENT_MAX) this.sent.shift();
    if (this.halfOpen || this.loses()) return;
    this.#way.push({ frame, dueMs: this.#bed.nowMs + this.delayMs });
  }

  /** What has arrived by now, in its order. */
  arrive(): void {
    while (this.#way.length > 0 && this.#way[0].dueMs <= this.#bed.nowMs) {
      const next = this.#way.shift();
      if (next !== undefined) this.deliver(next.frame);
      this.service();
    }
  }

  service(): void {
    if (this.port.disconnects.length > 0) {
      this.port.disconnects.length = 0;
      this.#way = [];
      this.halfOpen = false;
      this.venue.disconnected();
    }
    if (this.port.connects > this.#connects) {
      this.#connects = this.port.connects;
      if (this.acceptsConnections) this.feed.onOpen(this.timeUs, this.out);
      else this.feed.onClose(1_006, "refused", this.timeUs, this.out);
      this.apply();
    }
    if (this.halfOpen) this.port.takeSent();
    this.venue.service(this);
  }
}

/** Lines of one venue and the desk's view of them: one book an instrument, one state. */
export class LineBed {
  readonly instruments = new InstrumentTable(8);
  readonly out = new EventBatch(512, 16_384);
  readonly lines: readonly Line[];
  readonly arbiter: LineArbiter;
  readonly books = new Map<number, L2Book>();
  readonly live = new Set<string>();
  /** Statuses that the desk saw, as `symbol state`. */
  readonly log: string[] = [];
  /** Live books that the venue never had. */
  readonly unsound: string[] = [];
  /** Trades that the desk saw, as `symbol number`. */
  readonly trades: string[] = [];
  crossed = 0;
  nowMs = 0;
  readonly #past: readonly [Set<string>, Set<string>] = [new Set(), new Set()];

  constructor(makeVenue: () => FakeVenue, count: number) {
    this.lines = Array.from({ length: count }, (_, id) => new Line(this, id, makeVenue()));
    this.arbiter = new LineArbiter(
      this.lines.map(({ feed }) => feed),
      this.lines.map(() => 0),
      this.instruments,
      this.out.maxEvents,
    );
    this.#remember();
  }

  get timeUs(): number {
    return 1_000_000 + this.nowMs * 1_000;
  }

  /** Starts all lines and lets time pass until both instruments are live on each. */
  goLive(): void {
    for (const { feed } of this.lines) feed.start(this.timeUs);
    for (
      let ms = 0;
      ms < 5_000 && this.lines.some(({ feed }) => this.arbiter.liveOn(feed.id) < 2);
      ms += TIMER_MS
    )
      this.step();
    this.log.length = 0;
  }

  pass(ms: number): void {
    for (let passed = 0; passed < ms; passed += TIMER_MS) this.step();
  }

  /** The process stands still; the venue does not, and what it sends waits to be read. */
  stall(ms: number): void {
    for (let passed = 0; passed < ms; passed += TIMER_MS) {
      this.nowMs += TIMER_MS;
      if (this.nowMs % 20 === 0) this.#tell();
    }
    for (const line of this.lines) {
      line.feed.onTimer(this.timeUs, this.out);
      line.apply();
    }
  }

  step(): void {
    this.nowMs += TIMER_MS;
    for (const line of this.lines) {
      line.feed.onTimer(this.timeUs, this.out);
      line.apply();
      line.service();
    }
    if (this.nowMs % 20 === 0) this.#tell();
    for (const line of this.lines) {
      line.arrive();
      line.service();
    }
  }

  /** Applies what a feed told, as the desk does. */
  apply(feed: number): void {
    const { out } = this;
    const touched = new Set<number>();
    for (let row = 0; row < out.count; row += 1) {
      if (!this.arbiter.admits(feed, out, row, this.timeUs)) continue;
      this.#take(feed, row);
      touched.add(out.instrument[row]);
    }
    this.arbiter.endTurn();
    out.clear();
    for (const id of touched) this.#inspect(id);
  }

  /** The desk's book is the venue's. */
  agrees(index: number): boolean {
    const { venue, symbols, books } = this.lines[0].venue;
    const id = this.instruments.find(venue, symbols[index])?.id ?? -1;
    return this.#state(id) === stateOf(books[index].sides);
  }

  #tell(): void {
    for (const line of this.lines) for (const index of [0, 1]) line.send(line.venue.next(index));
    this.#remember();
    if (this.nowMs % 500 === 0) for (const line of this.lines) line.send(line.venue.trade(0));
    this.#remember();
  }

  #remember(): void {
    for (const [index, { sides }] of this.lines[0].venue.books.entries())
      this.#past[index].add(stateOf(sides));
  }

  #take(feed: number, row: number): void {
    const { out } = this;
    const id = out.instrument[row];
    const { symbol } = this.instruments.get(id);
    const book = this.books.get(id) ?? new L2Book(BOOK_SHAPE.option);
    this.books.set(id, book);
    switch (out.kind[row]) {
      case EVENT.bookSnapshot:
        book.applySnapshot(out, row);
        break;
      case EVENT.bookDelta:
        book.applyDelta(out, row);
        break;
      case EVENT.trade:
        this.trades.push(`${symbol} ${out.lastSequence[row]}`);
        break;
      case EVENT.status:
        if (out.code[row] === FEED_STATE.live) this.live.add(symbol);
        else {
          if (this.live.delete(symbol)) book.clear();
        }
        this.log.push(
          `${symbol} ${out.reason[row] === UNSOUND.stall ? "held" : FEED_STATE_NAMES[out.code[row]]}`,
        );
        break;
    }
    if (!book.crossed || !this.live.has(symbol)) return;
    this.crossed += 1;
    this.arbiter.onUnsound(feed, id, UNSOUND.crossed, this.timeUs, out);
  }

  #inspect(id: number): void {
    const { symbol } = this.instruments.get(id);
    if (!this.live.has(symbol)) return;
    const index = this.lines[0].venue.symbols.indexOf(symbol);
    if (!this.#past[index].has(this.#state(id))) this.unsound.push(`${symbol} at ${this.nowMs} ms`);
  }

  #state(id: number): string {
    const book = this.books.get(id);
    if (book === undefined) return "";
    return stateOf(
      [0, 1].map((side) => {
        const count = book.levels(side);
        const ticks = new Int32Array(count);
        const lots = new Float64Array(count);
        book.top(side, count, ticks, lots);
        return new Map([...ticks].map((price, i) => [price, lots[i]] as const));
      }),
    );
  }
}

function stateOf(sides: readonly ReadonlyMap<number, number>[]): string {
  return sides.map((levels) => [...levels].toSorted(([a], [b]) => a - b).join(" ")).join("|");
}
