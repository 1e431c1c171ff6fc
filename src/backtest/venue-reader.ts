import type { Feed } from "../feed/feed.ts";
import { LineArbiter, primaries } from "../feed/lines.ts";
import { createFeed } from "../feed/registry.ts";
import { EVENT, EventBatch } from "../market/event-batch.ts";
import { type InstrumentSpec, InstrumentTable } from "../market/instrument.ts";
import type { FeedLatency } from "./latency.ts";
import { OrderTape } from "./order-tape.ts";
import type { Player, Recording, RecordingSink } from "./recording.ts";
import type { Tape } from "./tape.ts";

const TIMER_US = 10_000;
/** Events of one stream stay in order; a stream is one of these of one instrument. */
const STREAMS = 4;

export interface VenueReaderOptions {
  readonly recording: Recording;
  readonly capacity: number;
  readonly seed: number;
  readonly silenceMs: number;
  readonly latency: FeedLatency;
  readonly tape: Tape;
  /** What an instrument is taken for; see {@link InstrumentTable}. */
  readonly describe?: ((spec: InstrumentSpec) => InstrumentSpec) | undefined;
  /** Sees every event as it is read, ahead of the matching. */
  readonly onRead?: (batch: EventBatch, row: number, venueUs: number) => void;
}

/** Decodes a recording once more, ahead of the desk, into events at the times at which they happened at the venue. */
export class VenueReader implements RecordingSink {
  readonly instruments: InstrumentTable;
  readonly player: Player<unknown>;
  readonly feeds: readonly Feed[];
  /** Local less exchange time of the fastest event so far, by feed, µs; Infinity before the first. */
  readonly fastestUs: number[];
  /** Local time read up to. */
  readUs = Number.NEGATIVE_INFINITY;
  readonly #options: VenueReaderOptions;
  readonly #batch = new EventBatch();
  readonly #lines: LineArbiter;
  readonly #lastUs: Float64Array;
  readonly #orders: OrderTape;
  #timerUs = Number.NEGATIVE_INFINITY;

  constructor(options: VenueReaderOptions) {
    const { recording, capacity, seed, silenceMs, tape } = options;
    this.#options = options;
    this.instruments = new InstrumentTable(capacity, options.describe);
    this.player = recording.player();
    this.#orders = new OrderTape(tape);
    this.feeds = recording.feeds.map(({ venue, subscriptions }, id) =>
      createFeed({
        id,
        venue,
        subscriptions,
        instruments: this.instruments,
        port: this.player,
        seed: seed + id,
        silenceMs,
        onOrder: this.#orders.watcher(venue),
      }),
    );
    this.fastestUs = this.feeds.map(() => Number.POSITIVE_INFINITY);
    this.#lines = new LineArbiter(
      this.feeds,
      primaries(recording.feeds),
      this.instruments,
      this.#batch.maxEvents,
    );
    this.#lastUs = new Float64Array(capacity * STREAMS).fill(Number.NEGATIVE_INFINITY);
  }

  begin(): Promise<void> {
    for (const feed of this.feeds) feed.start(this.#options.recording.firstUs);
    return this.player.begin(this);
  }

  /** Plays one entry. @returns as {@link Player.take} */
  read(entry: unknown, timeUs: number): Promise<void> | null {
    this.readUs = Math.max(this.readUs, timeUs);
    if (!this.#options.recording.timed && timeUs - this.#timerUs >= TIMER_US) this.onTimer(timeUs);
    return this.player.take(entry);
  }

  onOpen(feed: number, timeUs: number): void {
    this.#batch.clear();
    this.feeds[feed]?.onOpen(timeUs, this.#batch);
    this.#drain(feed, timeUs);
  }

  onFrame(feed: number, text: string, timeUs: number): void {
    this.#batch.clear();
    this.feeds[feed]?.onFrame(text, timeUs, this.#batch);
    this.#drain(feed, timeUs);
  }

  onClose(feed: number, code: number, reason: string, timeUs: number): void {
    this.#batch.clear();
    this.feeds[feed]?.onClose(code, reason, timeUs, this.#batch);
    this.#drain(feed, timeUs);
  }

  onResponse(
    feed: number,
    request: number,
    status: number,
    body: string,
    retryAfterMs: number,
    timeUs: number,
  ): void {
    this.#batch.clear();
    this.feeds[feed]?.onResponse(request, status, body, retryAfterMs, timeUs, this.#batch);
    this.#drain(feed, timeUs);
  }

  onTimer(timeUs: number): void {
    this.#timerUs = timeUs;
    for (const feed of this.feeds) {
      this.#batch.clear();
      feed.onTimer(timeUs, this.#batch);
      this.#drain(feed.id, timeUs);
    }
  }

  #drain(feed: number, localUs: number): void {
    const batch = this.#batch;
    const { tape, latency, onRead } = this.#options;
    for (let row = 0; row < batch.count; row += 1) {
      if (batch.kind[row] === EVENT.signal || !this.#lines.admits(feed, batch, row, localUs)) continue;
      const exchangeUs = batch.exchangeTimeUs[row];
      if (localUs - exchangeUs < this.fastestUs[feed]) this.fastestUs[feed] = localUs - exchangeUs;
      const venueUs = this.#inOrder(batch, row, latency.venueUs(feed, exchangeUs, localUs));
      this.#orders.settle(batch.instrument[row], venueUs);
      tape.push(batch, row, venueUs);
      onRead?.(batch, row, venueUs);
    }
    this.#orders.drop();
    this.#lines.endTurn();
  }

  /** Exchange times of one stream may go back by a little, its events may not. */
  #inOrder(batch: EventBatch, row: number, venueUs: number): number {
    const at = batch.instrument[row] * STREAMS + streamOf(batch.kind[row]);
    const inOrderUs = Math.max(this.#lastUs[at], venueUs);
    this.#lastUs[at] = inOrderUs;
    return inOrderUs;
  }
}

/** The book and what is said of it, its top, trades, reference values. */
function streamOf(kind: number): number {
  if (kind === EVENT.top) return 1;
  if (kind === EVENT.trade) return 2;
  return kind === EVENT.ticker ? 3 : 0;
}
