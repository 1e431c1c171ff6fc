import { afterBatch } from "../core/after-batch.ts";
import { RING_NONE } from "../core/ring.ts";
import type { Desk } from "../desk/desk.ts";
import type { StageTimer } from "../desk/latency.ts";
import { FEATURE_ROWS_MAX, FeatureRows } from "../feature/published.ts";
import { type JournalSink, RECORD, type RecordType } from "../journal/record.ts";
import { EventBatch } from "../market/event-batch.ts";
import { TURN_WAIT_MAX_MS } from "../risk/load-shedder.ts";
import { type Described, type FeedNews, SHARD_RECORD } from "./protocol.ts";
import type { RemoteFeeds } from "./remote-feeds.ts";
import { SHARD_LOSSES, type Shard, type ShardLoss } from "./shard.ts";
import { TurnReader } from "./turn-codec.ts";

/** Turns taken before the event loop gets its turn. */
const BURST = 256;
/** A turn that has waited this long is too old to be quoted on, and so is all that comes after it. */
const SHARD_LAG_MAX_US = TURN_WAIT_MAX_MS * 1_000;

export interface ShardSetOptions {
  readonly shards: readonly Shard[];
  readonly remote: RemoteFeeds;
  readonly desk: Desk;
  readonly journal: JournalSink;
  /** Whether {@link journal} wants inputs. */
  readonly journals: boolean;
  readonly timer: StageTimer;
  readonly wake: SharedArrayBuffer;
  readonly wallUs: () => number;
  readonly monotonicNs: () => number;
  /** What people are told: connections and answers. The payload is as journalled. */
  readonly onNews: (type: RecordType, feed: number, payload: string) => void;
  readonly onLost: (shard: number, loss: ShardLoss, problem: string) => void;
  /** The turns that were there have been taken. */
  readonly onDrained: (turns: number) => void;
}

/**
 * The quoting thread's end of all shards. It takes their turns in the order of their receive times (the lower feed number first where
 * they are the same), writes each input to the journal and hands its events to the desk. The order in which it took them is the order
 * of the journal, so a replay on one thread does the same.
 *
 * What cannot be trusted is given up as a whole: a thread that ended, hangs, found its ring full for too long, or whose turns have
 * waited too long loses all of its books at once, as an input of the desk; it begins anew after a back-off. While quotes are pulled
 * because of load, turns may wait: nothing is quoted on them, and the books are right again once the rings have been emptied.
 */
export class ShardSet {
  /** Threads given up, by cause. */
  readonly losses: Readonly<Record<ShardLoss, number>>;
  /** Turns that lay in the ring of a shard that was given up, bytes. */
  discardedBytes = 0;
  /** Turns that came with a time before that of the turn taken last. */
  late = 0;
  turns = 0;
  readonly #options: ShardSetOptions;
  readonly #losses = Object.fromEntries(SHARD_LOSSES.map((loss) => [loss, 0])) as Record<ShardLoss, number>;
  readonly #wake: Int32Array;
  readonly #batch = new EventBatch();
  readonly #features: FeatureRows;
  readonly #reader = new TurnReader();
  #lastUs = Number.NEGATIVE_INFINITY;
  #armed = false;
  #pulled = false;
  #drainsSoon = false;
  #closed = false;

  constructor(options: ShardSetOptions) {
    this.#options = options;
    this.#features = new FeatureRows(options.remote.makesFeatures ? FEATURE_ROWS_MAX : 0);
    this.#wake = new Int32Array(options.wake);
    this.losses = this.#losses;
  }

  /** Begins the threads; their feeds start at the time at which the desk does. */
  start(timeUs: number): void {
    for (const shard of this.#options.shards) shard.start(timeUs);
    this.#arm();
  }

  /** Takes what is there, restarts what is due and gives up what is ill; about every 10 ms, before the desk's own timer. */
  onTimer(timeUs: number): void {
    for (const shard of this.#options.shards) {
      const ailment = shard.ailment(timeUs);
      if (ailment !== null) this.#lose(shard, ailment, timeUs);
      else if (timeUs >= shard.dueUs) this.#restart(shard, timeUs);
    }
    this.drain();
  }

  /** Takes the turns that are there, at most a burst of them. */
  drain(): void {
    if (this.#closed) return;
    let nowUs = this.#options.wallUs();
    let taken = 0;
    for (let shard = this.#earliest(); shard !== null; shard = this.#earliest()) {
      if (taken === BURST) break;
      taken += 1;
      if (taken % 64 === 0) nowUs = this.#options.wallUs();
      if (this.#isTooOld(shard, nowUs)) this.#lose(shard, "lag", nowUs);
      else this.#take(shard);
    }
    if (taken > 0) this.#options.onDrained(taken);
    if (taken === BURST) this.#drainSoon();
    else this.#arm();
  }

  /** For how long the oldest turn that waits has waited, µs; 0 where none does. */
  waitedUs(timeUs: number): number {
    const shard = this.#earliest();
    return shard === null ? 0 : Math.max(timeUs - shard.headUs(), 0);
  }

  /**
   * Nothing is quoted because of load, or something may be again; to be told before the desk is. What has waited too long then is given up.
   *
   * @param pulled nothing is quoted
   */
  shed(pulled: boolean, timeUs: number): void {
    this.#pulled = pulled;
    for (const shard of this.#options.shards) {
      if (shard.running && this.#isTooOld(shard, timeUs)) this.#lose(shard, "lag", timeUs);
    }
  }

  /** For recordings: takes turns up to a time, and waits for shards that have not come so far. @returns whether all is taken */
  takeUntil(timeUs: number): boolean {
    for (;;) {
      for (const shard of this.#options.shards) {
        if (!shard.ended && shard.ring.peek() === RING_NONE) return false;
      }
      const shard = this.#earliest();
      if (shard === null || shard.headUs() > timeUs) return true;
      this.#take(shard);
    }
  }

  /** Ends all threads; nothing is taken any more. */
  close(): void {
    this.#closed = true;
    for (const shard of this.#options.shards) shard.stop();
    Atomics.store(this.#wake, 0, 0);
    Atomics.notify(this.#wake, 0);
  }

  #isTooOld(shard: Shard, nowUs: number): boolean {
    return !this.#pulled && nowUs - shard.headUs() > SHARD_LAG_MAX_US;
  }

  /** The shard whose oldest turn comes first; null when all rings are empty. */
  #earliest(): Shard | null {
    let first: Shard | null = null;
    let firstUs = 0;
    let firstFeed = 0;
    for (const shard of this.#options.shards) {
      if (!shard.running) continue;
      const at = shard.ring.peek();
      if (at === RING_NONE) continue;
      const timeUs = shard.ring.f64[(at >> 3) + 1];
      const feed = shard.ring.u32[(at >> 2) + 1];
      if (first !== null && (timeUs > firstUs || (timeUs === firstUs && feed > firstFeed))) continue;
      first = shard;
      firstUs = timeUs;
      firstFeed = feed;
    }
    return first;
  }

  #take(shard: Shard): void {
    const { ring } = shard;
    const reader = this.#reader;
    reader.open(ring, ring.peek());
    const { type, feed, timeUs, payloadAt, payloadBytes } = reader;
    const end = payloadAt + payloadBytes;
    if (type >= SHARD_RECORD.described) {
      const text = ring.bytes.toString("utf8", payloadAt, end);
      ring.release();
      this.#hear(shard, type, text);
      return;
    }
    if (!this.#admit(shard, feed)) {
      this.#lose(shard, "overflow", timeUs);
      return;
    }
    const { desk, journal, journals, timer, monotonicNs, wallUs, remote, onNews } = this.#options;
    const kind = type as RecordType;
    this.turns += 1;
    if (timeUs < this.#lastUs) this.late += 1;
    this.#lastUs = timeUs;
    const { isFrame } = reader;
    if (isFrame) timer.begin(monotonicNs() - (wallUs() - timeUs) * 1_000);
    if (journals) journal.bytes(kind, feed, timeUs, ring.bytes.subarray(payloadAt, end));
    if (!isFrame && kind !== RECORD.feedTimer)
      onNews(kind, feed, ring.bytes.toString("utf8", payloadAt, end));
    reader.events(ring, shard.instruments, this.#batch);
    reader.features(ring, shard.instruments, this.#features);
    ring.release();
    remote.observe(feed, this.#batch, timeUs);
    desk.onDecoded(reader, this.#batch, this.#features);
  }

  #hear(shard: Shard, type: number, text: string): void {
    if (type === SHARD_RECORD.end) shard.ended = true;
    else if (type === SHARD_RECORD.news) this.#options.remote.hear(shard.ids, JSON.parse(text) as FeedNews);
    else shard.describe(JSON.parse(text) as Described);
  }

  /** @returns false when the instruments that the turn brings do not fit */
  #admit(shard: Shard, feed: number): boolean {
    const { desk, remote } = this.#options;
    const { instruments } = desk.market;
    const carried = shard.admit(instruments);
    if (carried === null) {
      shard.error = `its instruments do not fit into the process's ${instruments.capacity}`;
      return false;
    }
    for (const id of carried) remote.feeds[feed].carry(instruments.get(id));
    return true;
  }

  #lose(shard: Shard, loss: ShardLoss, timeUs: number): void {
    const { desk, journal, onLost, remote, shards } = this.#options;
    const problem = `the thread of ${shard.feeds.map(({ venue }) => venue).join(", ")} was given up: ${loss}${shard.error === "" ? "" : ` (${shard.error})`}`;
    this.#losses[loss] += 1;
    this.discardedBytes += shard.ring.used;
    shard.abandon(timeUs);
    journal.text(RECORD.feedsLost, 0, timeUs, JSON.stringify({ feeds: shard.ids, reason: loss }));
    remote.lost(shard.ids, problem, timeUs);
    desk.onFeedsLost(shard.ids, timeUs);
    onLost(shards.indexOf(shard), loss, problem);
  }

  #restart(shard: Shard, timeUs: number): void {
    shard.restarts += 1;
    this.#options.journal.text(RECORD.feedsStarted, 0, timeUs, JSON.stringify({ feeds: shard.ids }));
    this.#options.desk.onFeedsStarted(shard.ids, timeUs);
    shard.start(timeUs);
  }

  /** Once the event loop has had its turn; once only, however often it is asked for meanwhile, so that timers are not put off. */
  #drainSoon(): void {
    if (this.#drainsSoon) return;
    this.#drainsSoon = true;
    afterBatch(() => {
      this.#drainsSoon = false;
      this.drain();
    });
  }

  /** Asks to be woken by the next turn. A shard that published just before is not missed: its ring is looked at after asking. */
  #arm(): void {
    if (this.#closed) return;
    Atomics.store(this.#wake, 0, 1);
    if (this.#earliest() !== null) {
      Atomics.store(this.#wake, 0, 0);
      this.#drainSoon();
      return;
    }
    if (this.#armed) return;
    const woken = Atomics.waitAsync(this.#wake, 0, 1);
    if (!woken.async) {
      this.#drainSoon();
      return;
    }
    this.#armed = true;
    void woken.value.then(() => {
      this.#armed = false;
      this.drain();
    });
  }
}
