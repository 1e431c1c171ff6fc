import type { Config } from "../config.ts";
import { afterBatch } from "../core/after-batch.ts";
import type { Clock } from "../core/clock.ts";
import type { Logger } from "../core/log.ts";
import type { Desk } from "../desk/desk.ts";
import type { StageTimer } from "../desk/latency.ts";
import { KafkaFeedSource } from "../distribution/feed/source.ts";
import { type FeedEndpoint, type FeedSource, LiveFeedPort } from "../feed/live-port.ts";
import { isRelayed } from "../feed/relay/subscription.ts";
import type { StepEngine } from "../inference/engine.ts";
import { type JournalSink, RECORD, type RecordType } from "../journal/record.ts";
import { LOAD_STAGE } from "../risk/load-shedder.ts";
import { Connections } from "./connections.ts";
import { feedLogins } from "./feed-logins.ts";
import { LiveShards } from "./live-shards.ts";
import { ProblemLog } from "./problem-log.ts";

export interface LiveFeedsOptions {
  readonly config: Config;
  readonly clock: Clock;
  readonly log: Logger;
  readonly journal: JournalSink;
  readonly timer: StageTimer;
  /** Frames keep coming and the desk's timer is overdue: its turn is to be taken between two of them. */
  readonly onOverdue: (nowNs: number) => void;
  readonly engine: StepEngine;
}

/** Frames after which quotes are decided without waiting for the batch's end. */
const BATCH_FRAMES_MAX = 64;

/** A timer that has not come for this long, because one read of a socket brought so many frames, is overdue. */
const OVERDUE_NS = 20_000_000;

/** The feeds' way into the desk: what comes in from the network is journalled, and the desk is told of it with its time. */
export class LiveFeeds {
  /** What the feeds that are kept on this thread ask of the network. */
  readonly port: LiveFeedPort;
  readonly connections: Connections;
  /** Another keel's topic, which relayed feeds come by; null where there are none. */
  readonly relay: KafkaFeedSource | null;
  /** Null: all feeds are kept on this thread. */
  readonly shards: LiveShards | null;
  readonly #options: LiveFeedsOptions;
  #desk: Desk | null = null;
  #problems: ProblemLog | null = null;
  /** Frames since the last batch's end. */
  #batched = 0;
  #closed = false;
  /** Monotonic time of the last turn of the desk's timer, ns. */
  turnedNs = Number.POSITIVE_INFINITY;
  /** Beyond capacity: quotes are decided by {@link decideOpen} alone. */
  #sheds = false;

  constructor(options: LiveFeedsOptions) {
    this.#options = options;
    const { config } = options;
    this.connections = new Connections(config.feeds);
    const { connections } = this;
    this.shards =
      config.shards > 1
        ? new LiveShards({ ...options, connections, onDrained: () => this.#onDrained() })
        : null;
    const relayed = relayedVenues(config);
    const { kafka } = config.distribution;
    this.relay =
      relayed.size > 0 && kafka !== undefined
        ? new KafkaFeedSource(kafka, relayed, (problem) => options.log.error("relay", { problem }))
        : null;
    this.port = new LiveFeedPort({
      endpoints: endpoints(config, this.relay),
      logins: feedLogins(config),
      requestTimeoutMs: config.timeouts.requestMs,
      callbacks: {
        onOpen: (feed) => this.#onOpen(feed),
        onFrame: (feed, text) => this.#onFrame(feed, text),
        onClose: (feed, code, reason) => this.#onClose(feed, code, reason),
        onResponse: (...answer) => this.#onResponse(...answer),
      },
    });
  }

  /** The desk is made after its port. To be called before it is started. */
  attach(desk: Desk): void {
    const { feeds, signals } = desk;
    this.#desk = desk;
    this.shards?.attach(desk);
    this.#problems = new ProblemLog(signals === null ? feeds : [...feeds, signals], this.#options.log);
  }

  /** The desk has been started. */
  start(timeUs: number): void {
    this.shards?.start(timeUs);
  }

  /** Hands the desk what other threads have ready; to be called before its timer. */
  take(): void {
    this.shards?.onTimer(this.#options.clock.wallUs());
  }

  /**
   * The desk is beyond its capacity, or within it again, and decides in this turn what has come in so far.
   *
   * @param stage one of `LOAD_STAGE`
   */
  shed(stage: number): void {
    this.#sheds = stage >= LOAD_STAGE.conflate;
    this.#batched = 0;
    this.shards?.shed(stage === LOAD_STAGE.pull);
  }

  /** Beyond capacity, has everything decided that has come in since the last turn of the desk's timer. */
  decideOpen(): void {
    if (!this.#sheds || this.#batched === 0) return;
    this.#batched = 0;
    this.#decide();
  }

  /** Logs what is new of the feeds' troubles. */
  onTimer(): void {
    this.#problems?.tell();
  }

  /** Drops every connection; nothing comes in any more. */
  close(): void {
    this.#closed = true;
    this.shards?.close();
    this.port.close();
  }

  #onFrame(feed: number, text: string): void {
    const { clock, journal, timer } = this.#options;
    const receivedNs = clock.monotonicNs();
    const timeUs = clock.wallUs();
    journal.text(RECORD.feedFrame, feed, timeUs, text);
    timer.begin(receivedNs);
    this.#desk?.onFrame(feed, text, timeUs);
    if (this.#options.config.conflate || this.#sheds) this.#gather();
    if (receivedNs - this.turnedNs > OVERDUE_NS && !this.#closed) this.#options.onOverdue(receivedNs);
  }

  #gather(): void {
    this.#batched += 1;
    if (this.#sheds) return;
    if (this.#batched === 1) afterBatch(this.#endBatch);
    else if (this.#batched % BATCH_FRAMES_MAX === 0) this.#decide();
  }

  /** Runs when the event loop has delivered everything that was readable together. */
  readonly #endBatch = (): void => {
    if (this.#sheds) return;
    this.#batched = 0;
    this.#decide();
  };

  #onDrained(): void {
    if (this.#sheds) this.#batched += 1;
    else if (this.#options.config.conflate) this.#decide();
  }

  #decide(): void {
    if (!this.#closed) this.#desk?.onBatchEnd(this.#input(RECORD.batchEnd, 0, ""));
  }

  #onOpen(feed: number): void {
    const timeUs = this.#input(RECORD.feedOpen, feed, "");
    this.connections.opened(feed);
    this.#options.log.info("feed connected", { feed: this.#venue(feed) });
    this.#desk?.onFeedOpen(feed, timeUs);
  }

  #onClose(feed: number, code: number, reason: string): void {
    const timeUs = this.#input(RECORD.feedClose, feed, JSON.stringify({ code, reason }));
    this.connections.closed(feed);
    this.#options.log.warn("feed disconnected", { feed: this.#venue(feed), code, reason });
    this.#desk?.onFeedClose(feed, code, reason, timeUs);
    this.#problems?.told(feed);
  }

  #onResponse(feed: number, request: number, status: number, body: string, retryAfterMs: number): void {
    const answer = { request, status, retryAfterMs: Number.isNaN(retryAfterMs) ? null : retryAfterMs, body };
    const timeUs = this.#input(RECORD.feedResponse, feed, JSON.stringify(answer));
    if (status !== 200) {
      this.#options.log.warn("venue request failed", {
        feed: this.#venue(feed),
        status,
        body: body.slice(0, 200),
      });
    }
    this.#desk?.onFeedResponse(feed, request, status, body, retryAfterMs, timeUs);
    if (status !== 200) this.#problems?.told(feed);
  }

  #venue(feed: number): string {
    return this.#desk?.feeds[feed]?.venue ?? "signal";
  }

  #input(type: RecordType, feed: number, payload: string): number {
    const timeUs = this.#options.clock.wallUs();
    this.#options.journal.text(type, feed, timeUs, payload);
    return timeUs;
  }
}

/** Venues of the feeds that come by way of another keel, by feed number. */
function relayedVenues({ feeds }: Config): ReadonlyMap<number, string> {
  return new Map(
    [...feeds.entries()]
      .filter(([, { subscriptions }]) => subscriptions.every(isRelayed))
      .map(([id, { venue }]) => [id, venue]),
  );
}

/** Where each feed connects: the venue itself, what `KEEL_URL_…` says, or another keel's topic. */
function endpoints(
  config: Config,
  relay: KafkaFeedSource | null,
): ReadonlyMap<number, FeedEndpoint | FeedSource | null> {
  const byFeed = new Map<number, FeedEndpoint | FeedSource | null>();
  for (const [id, { venue, subscriptions }] of config.feeds.entries()) {
    if (!subscriptions.every(isRelayed)) byFeed.set(id, config.endpoints[venue]);
    else if (relay !== null) byFeed.set(id, relay);
  }
  if (config.signals !== undefined) {
    const { webSocketUrl } = config.signals;
    byFeed.set(config.feeds.length, webSocketUrl === null ? null : { webSocketUrl, restUrl: "" });
  }
  return byFeed;
}
