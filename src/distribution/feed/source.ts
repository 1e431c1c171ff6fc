import { workerUrl } from "../../core/executable.ts";
import type { FeedSource, LiveFeedCallbacks } from "../../feed/live-port.ts";
import { type PlainSecrets, revealed } from "../control.ts";
import { KeptThread, type ThreadLoss } from "../kept-thread.ts";
import type { KafkaOptions } from "../options.ts";
import { Backlog } from "./backlog.ts";
import { Credit } from "./credit.ts";
import type { Batch } from "./handover.ts";

/** Close code that a feed is told when the brokers are gone; 4xxx: private use. */
const BROKERS_LOST = 4_004;

/** First message to the thread: venues whose messages are wanted. */
export interface FeedSourceStart {
  readonly beat: SharedArrayBuffer;
  /** Memory of a {@link Credit}. */
  readonly credit: SharedArrayBuffer;
  readonly kafka: PlainSecrets<KafkaOptions>;
  readonly venues: readonly string[];
}

/** Messages from the thread: it reads the topic, it does not any more, or values of the topic by venue. */
export type FeedSourceReply = { readonly up: true } | { readonly down: string } | Batch;

/**
 * Another keel's `feed` topic as the connection of feeds: one thread of its own reads it for all of them. A feed is connected while
 * the brokers are; it loses the connection when they are gone, and the thread connects again for ever. A thread that ends or hangs is a lost
 * connection as well, and another one takes its place. What the desk's thread has not taken yet is bounded ({@link Credit}): a desk that is
 * slower than the topic is has the rest wait with the brokers.
 */
export class KafkaFeedSource implements FeedSource {
  readonly #thread: KeptThread<FeedSourceReply>;
  readonly #venues: ReadonlyMap<number, string>;
  /** Feeds that have asked for a connection, and whether they have been told that they have one. */
  readonly #asked = new Map<number, { readonly callbacks: LiveFeedCallbacks; isOpen: boolean }>();
  #isUp = false;
  /** Of the thread that is there. */
  #credit = new Credit();
  #backlog = new Backlog(this.#credit);

  /**
   * @param venues by feed number
   * @param onProblem the thread was lost: something that an operator should read
   */
  constructor(
    kafka: KafkaOptions,
    venues: ReadonlyMap<number, string>,
    onProblem: (problem: string) => void = () => {},
  ) {
    this.#venues = venues;
    this.#thread = new KeptThread({
      url: workerUrl("distribution/feed"),
      begin: (beat): FeedSourceStart => {
        this.#forget();
        const { memory: credit } = this.#credit;
        return { beat, credit, kafka: revealed(kafka), venues: [...new Set(venues.values())] };
      },
      onReply: (reply) => {
        if ("up" in reply) this.#up();
        else if ("down" in reply) this.#down(reply.down);
        else this.#take(reply);
      },
      onLost: (problem) => {
        onProblem(problem);
        this.#forget();
        this.#down(`the reader of Kafka is gone: ${problem}`);
      },
    });
  }

  /** The topic is being read. */
  get isUp(): boolean {
    return this.#isUp;
  }

  /** Threads given up, by cause. */
  get losses(): Readonly<Record<ThreadLoss, number>> {
    return this.#thread.losses;
  }

  /**
   * For how long the oldest message that the thread has handed over has waited for this one at least, ms; 0 where none waits. To be asked
   * often, see {@link Backlog}.
   *
   * @param nowNs monotonic
   */
  waitedMs(nowNs: number): number {
    return this.#backlog.waitedMs(nowNs);
  }

  connect(feed: number, callbacks: LiveFeedCallbacks): void {
    this.#asked.set(feed, { callbacks, isOpen: false });
    if (this.#isUp) queueMicrotask(() => this.#open(feed));
  }

  disconnect(feed: number): void {
    this.#asked.delete(feed);
  }

  close(): void {
    this.#asked.clear();
    this.#thread.close();
  }

  #up(): void {
    this.#isUp = true;
    for (const feed of this.#asked.keys()) this.#open(feed);
  }

  #open(feed: number): void {
    const asked = this.#asked.get(feed);
    if (asked === undefined || asked.isOpen || !this.#isUp) return;
    asked.isOpen = true;
    asked.callbacks.onOpen(feed);
  }

  #down(reason: string): void {
    this.#isUp = false;
    const asked = [...this.#asked];
    this.#asked.clear();
    for (const [feed, { callbacks }] of asked) callbacks.onClose(feed, BROKERS_LOST, reason);
  }

  /** What a thread that is gone had on its way never comes. */
  #forget(): void {
    this.#credit = new Credit();
    this.#backlog = new Backlog(this.#credit);
  }

  #take({ venue, values }: Batch): void {
    try {
      this.#tell(venue, values);
    } finally {
      this.#credit.take(values);
    }
  }

  #tell(venue: string, values: readonly string[]): void {
    for (const [feed, { callbacks, isOpen }] of this.#asked) {
      if (!isOpen || this.#venues.get(feed) !== venue) continue;
      for (const value of values) callbacks.onFrame(feed, value);
    }
  }
}
