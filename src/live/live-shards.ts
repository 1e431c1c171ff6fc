import type { Config } from "../config.ts";
import type { Clock } from "../core/clock.ts";
import type { Logger } from "../core/log.ts";
import type { Desk } from "../desk/desk.ts";
import type { StageTimer } from "../desk/latency.ts";
import type { StepEngine } from "../inference/engine.ts";
import { type JournalSink, RECORD, type RecordType } from "../journal/record.ts";
import { dealFeeds } from "../shard/assignment.ts";
import { type PlainKeys, type ShardFeed, WAKE_BYTES, wallOriginOf } from "../shard/protocol.ts";
import { RemoteFeeds } from "../shard/remote-feeds.ts";
import { Shard } from "../shard/shard.ts";
import { ShardSet } from "../shard/shard-set.ts";
import type { Connections } from "./connections.ts";
import { INSTRUMENT_CAPACITY } from "./live-options.ts";

export interface LiveShardsOptions {
  readonly config: Config;
  readonly clock: Clock;
  readonly log: Logger;
  readonly journal: JournalSink;
  readonly timer: StageTimer;
  /** The first the desk is made with. */
  readonly engine: StepEngine;
  readonly connections: Connections;
  /** Turns have been taken: the frames among them came in together. */
  readonly onDrained: () => void;
}

/** The feeds of a desk with `KEEL_SHARDS` above 1: on threads of their own, dealt out by venue. */
export class LiveShards {
  /** The feeds as they are told of on this thread. */
  readonly remote: RemoteFeeds;
  readonly shards: readonly Shard[];
  /** Null before the desk is there. */
  set: ShardSet | null = null;
  readonly #options: LiveShardsOptions;
  readonly #wake = new SharedArrayBuffer(WAKE_BYTES);

  constructor(options: LiveShardsOptions) {
    const { clock, config } = options;
    this.#options = options;
    const makesFeatures = featuresAreSharded(config, options.engine);
    this.remote = new RemoteFeeds(config.feeds, makesFeatures);
    const plan = {
      keys: plainKeys(config),
      silenceMs: config.timeouts.silenceMs,
      requestTimeoutMs: config.timeouts.requestMs,
      instrumentCapacity: INSTRUMENT_CAPACITY,
      wake: this.#wake,
      wallOriginUs: wallOriginOf(clock.wallUs),
      keepsPayloads: config.journal !== undefined,
      makesFeatures,
    };
    this.shards = dealFeeds(config.feeds, config.shards).map((hand) => {
      const feeds = hand.map((id): ShardFeed => {
        const { venue, subscriptions } = config.feeds[id];
        const { webSocketUrl, restUrl } = config.endpoints[venue];
        return { id, venue, subscriptions, seed: config.seed + id, endpoint: { webSocketUrl, restUrl } };
      });
      return new Shard({ ...plan, feeds });
    });
  }

  attach(desk: Desk): void {
    const { clock, config, connections, journal, log, onDrained, timer } = this.#options;
    this.set = new ShardSet({
      ...{ shards: this.shards, remote: this.remote, desk, journal, timer, wake: this.#wake, onDrained },
      ...{ journals: config.journal !== undefined },
      ...{ wallUs: clock.wallUs, monotonicNs: clock.monotonicNs },
      onNews: (type, feed, payload) => this.#tell(type, feed, payload),
      onLost: (shard, loss, problem) => {
        for (const { id } of this.shards[shard]?.feeds ?? []) connections.closed(id);
        log.error(problem, { shard, loss });
      },
    });
  }

  start(timeUs: number): void {
    const { log } = this.#options;
    for (const [shard, { feeds }] of this.shards.entries()) {
      log.info("feeds on a thread of their own", { shard, feeds: feeds.map(({ venue }) => venue) });
    }
    this.set?.start(timeUs);
  }

  onTimer(timeUs: number): void {
    this.set?.onTimer(timeUs);
  }

  /** For how long the oldest turn in a ring has waited for this thread, ms; 0 where none does. */
  waitedMs(): number {
    return (this.set?.waitedUs(this.#options.clock.wallUs()) ?? 0) / 1_000;
  }

  /** @param pulled nothing is quoted because of load */
  shed(pulled: boolean): void {
    this.set?.shed(pulled, this.#options.clock.wallUs());
  }

  close(): void {
    this.set?.close();
  }

  #tell(type: RecordType, feed: number, payload: string): void {
    const { config, connections, log } = this.#options;
    if (type === RECORD.feedOpen) connections.opened(feed);
    else if (type === RECORD.feedClose) connections.closed(feed);
    const name = config.feeds[feed]?.venue;
    if (type === RECORD.feedOpen) log.info("feed connected", { feed: name });
    else if (type === RECORD.feedClose) {
      const { code, reason } = JSON.parse(payload) as { code: number; reason: string };
      log.warn("feed disconnected", { feed: name, code, reason });
    } else {
      const { status, body } = JSON.parse(payload) as { status: number; body: string };
      if (status !== 200) {
        log.warn("venue request failed", { feed: name, status, body: body.slice(0, 200) });
      }
    }
  }
}

/**
 * Whether the threads make the features. A book that stands in begins with features of its own from that turn on, which a thread
 * cannot know; an engine that answers later asks for rows as of times of its own, and one on a GPU makes them there.
 */
function featuresAreSharded({ reference }: Config, { synchronous, featureSource }: StepEngine): boolean {
  return reference === "first" && synchronous && featureSource === undefined;
}

function plainKeys({ feedKeys: { deribit, coinbase } }: Config): PlainKeys {
  return {
    deribit: deribit === null ? null : { ...deribit, clientSecret: deribit.clientSecret.reveal() },
    coinbase:
      coinbase === null
        ? null
        : { ...coinbase, secret: coinbase.secret.reveal(), passphrase: coinbase.passphrase.reveal() },
  };
}
