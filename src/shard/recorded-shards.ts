import type { Desk, DeskFeed } from "../desk/desk.ts";
import { noTimer, type StageTimer } from "../desk/latency.ts";
import type { JournalSink } from "../journal/record.ts";
import { dealFeeds } from "./assignment.ts";
import { type ShardFeed, WAKE_BYTES } from "./protocol.ts";
import { type RecordedInput, recordingOf } from "./recording.ts";
import type { RemoteFeeds } from "./remote-feeds.ts";
import { Shard } from "./shard.ts";
import { ShardSet } from "./shard-set.ts";

const NO_JOURNAL: JournalSink = { dropped: 0, text: () => {}, bytes: () => {} };
const PATIENCE_MS = 5;
const NOWHERE = { webSocketUrl: "", restUrl: "" };

export interface RecordedShardsOptions {
  readonly feeds: readonly DeskFeed[];
  readonly inputs: readonly RecordedInput[];
  readonly shards: number;
  readonly desk: Desk;
  readonly remote: RemoteFeeds;
  readonly seed: number;
  readonly silenceMs: number;
  readonly instrumentCapacity: number;
  readonly startUs: number;
  /** Takes the inputs, in the order in which the desk had them. */
  readonly journal?: JournalSink;
  readonly timer?: StageTimer;
  readonly ringBytes?: number;
}

/** Recorded inputs played over threads: the desk gets them decoded, in the order of their times, however the threads run. */
export class RecordedShards {
  readonly shards: readonly Shard[];
  readonly set: ShardSet;
  readonly #options: RecordedShardsOptions;
  readonly #wake: Int32Array;
  readonly #recordings: readonly SharedArrayBuffer[];

  constructor(options: RecordedShardsOptions) {
    const { desk, feeds, inputs, journal, remote, seed, silenceMs, instrumentCapacity, timer } = options;
    this.#options = options;
    const hands = dealFeeds(feeds, options.shards);
    const wake = new SharedArrayBuffer(WAKE_BYTES);
    this.#wake = new Int32Array(wake);
    this.#recordings = hands.map((hand) => recordingOf(inputs, hand));
    this.shards = hands.map((hand) => {
      const own = hand.map((id): ShardFeed => ({ ...feeds[id], id, seed: seed + id, endpoint: NOWHERE }));
      const keys = { deribit: null, coinbase: null };
      return new Shard(
        {
          ...{ feeds: own, keys, silenceMs, requestTimeoutMs: 0, instrumentCapacity, wake },
          ...{ wallOriginUs: Number.NaN, keepsPayloads: journal !== undefined },
          makesFeatures: remote.makesFeatures,
        },
        options.ringBytes,
      );
    });
    this.set = new ShardSet({
      ...{ shards: this.shards, remote, desk, wake, timer: timer ?? noTimer },
      ...{ journal: journal ?? NO_JOURNAL, journals: journal !== undefined },
      wallUs: () => Number.NaN,
      monotonicNs: () => Bun.nanoseconds(),
      onNews: () => {},
      onLost: () => {},
      onDrained: () => {},
    });
  }

  /** Begins the threads. Each fills its ring and then waits for {@link until}. */
  start(): void {
    for (const [at, shard] of this.shards.entries()) shard.start(this.#options.startUs, this.#recordings[at]);
  }

  /** Waits until every thread has something to give. */
  async ready(): Promise<void> {
    while (this.shards.some((shard) => shard.error === "" && Number.isNaN(shard.headUs())))
      await Bun.sleep(1);
  }

  /** Gives the desk all inputs up to a time. @throws Error when a thread ends by an error */
  async until(timeUs: number): Promise<void> {
    while (!this.set.takeUntil(timeUs)) {
      const broken = this.shards.find(({ error }) => error !== "");
      if (broken !== undefined) throw new Error(`a shard ended: ${broken.error}`);
      Atomics.store(this.#wake, 0, 1);
      if (this.set.takeUntil(timeUs)) return;
      // Whoever publishes next wakes this thread; one that has ended is heard of by an event only.
      if (Atomics.wait(this.#wake, 0, 1, PATIENCE_MS) === "timed-out") await Bun.sleep(0);
    }
  }

  close(): void {
    this.set.close();
  }
}
