import { basename, dirname } from "node:path";
import type { Clock } from "../core/clock.ts";
import { BadInputError } from "../core/errors.ts";
import { EVENT, EventBatch, FEED_STATE } from "../market/event-batch.ts";
import { InstrumentTable, type VenueName } from "../market/instrument.ts";
import type { CaptureEntry, CaptureKind } from "./capture-format.ts";
import { CaptureWriter, type CaptureWriterCounters } from "./capture-writer.ts";
import type { Feed, FeedCounters, FeedPort } from "./feed.ts";
import { type FeedEndpoint, LiveFeedPort } from "./live-port.ts";
import { createFeed, type VenueSubscriptions } from "./registry.ts";
import type { VenueLogins } from "./venue-login.ts";

const INSTRUMENTS_MAX = 16_384;
/** How often feeds look at their timeouts. */
const TIMER_MS = 50;
/** How often gathered text goes to disk; the most that a crash loses. */
const FLUSH_MS = 1_000;

export interface RecorderOptions {
  readonly feeds: readonly VenueSubscriptions[];
  readonly endpoints: Readonly<Record<VenueName, FeedEndpoint>>;
  /** A folder; or a file name ending in `.zst` or `.gz`, for one venue and without rotation. */
  readonly out: string;
  /** Compressed bytes after which the next file begins. */
  readonly maxFileBytes: number;
  /** Recorded time after which the next file begins, ms; left out = no limit. */
  readonly maxFileMs?: number;
  readonly silenceMs: number;
  readonly requestTimeoutMs: number;
  readonly seed: number;
  readonly clock: Clock;
  /** By the feed's place in {@link feeds}. What they say and hear is not recorded. */
  readonly logins?: VenueLogins;
}

/** What was recorded of one venue. */
export interface RecordedVenue {
  readonly venue: VenueName;
  readonly capture: CaptureWriterCounters;
  readonly counters: FeedCounters;
  /** Instruments whose books are complete and trusted now. */
  readonly live: number;
  /** The feed's last trouble in words; empty when there was none. */
  readonly problem: string;
}

interface Recording {
  readonly feed: Feed;
  readonly writer: CaptureWriter;
  readonly requests: Map<number, string>;
  readonly live: Set<number>;
  connection: number;
}

/**
 * Connects to venues as the desk does and writes down all that passes: connects, what is sent, every frame, disconnects, HTTP
 * answers, each with the local receive time (the exchange's own is inside the frame). One series of files per venue, which
 * `keel venue` can serve again.
 */
export class Recorder {
  readonly #options: RecorderOptions;
  readonly #port: LiveFeedPort;
  readonly #recordings = new Map<number, Recording>();
  /** Events that the feeds decode; of them only the instruments' states are looked at. */
  readonly #decoded = new EventBatch();
  #timer: ReturnType<typeof setInterval> | undefined;
  #flusher: ReturnType<typeof setInterval> | undefined;

  /** @throws BadInputError when a subscription is none of its venue's, or one file is to take several venues. */
  constructor(options: RecorderOptions) {
    this.#options = options;
    if (isFileName(options.out) && options.feeds.length > 1) {
      throw new BadInputError(options.out, `one file for ${options.feeds.length} venues`, "a folder");
    }
    const endpoints = new Map(options.feeds.map(({ venue }, id) => [id, options.endpoints[venue]]));
    this.#port = new LiveFeedPort({
      endpoints,
      callbacks: this.#callbacks(),
      requestTimeoutMs: options.requestTimeoutMs,
      ...(options.logins === undefined ? {} : { logins: options.logins }),
    });
    const instruments = new InstrumentTable(INSTRUMENTS_MAX);
    const { silenceMs, seed } = options;
    for (const [id, { venue, subscriptions }] of options.feeds.entries()) {
      const feed = createFeed({
        id,
        venue,
        subscriptions,
        instruments,
        port: this.#tap(),
        seed: seed + id,
        silenceMs,
      });
      const writer = this.#writer(venue);
      this.#recordings.set(id, { feed, writer, requests: new Map(), live: new Set(), connection: -1 });
    }
  }

  start(): void {
    for (const { feed } of this.#recordings.values()) feed.start(this.#options.clock.wallUs());
    this.#timer = setInterval(() => this.#onTimer(), TIMER_MS);
    this.#flusher = setInterval(() => {
      for (const { writer } of this.#recordings.values()) writer.flush();
    }, FLUSH_MS);
  }

  /** The error that stopped a file, for instance a full disk; null while all is well. */
  get failure(): Error | null {
    for (const { writer } of this.#recordings.values()) if (writer.failure !== null) return writer.failure;
    return null;
  }

  recorded(): RecordedVenue[] {
    return [...this.#recordings.values()].map(({ feed, writer, live }) => ({
      venue: feed.venue,
      capture: writer.counters,
      counters: feed.counters,
      live: live.size,
      problem: feed.problem,
    }));
  }

  /** Disconnects and writes out everything. @throws the error that stopped a file. */
  async stop(): Promise<void> {
    clearInterval(this.#timer);
    clearInterval(this.#flusher);
    this.#port.close();
    const closed = await Promise.allSettled(
      [...this.#recordings.values()].map(({ writer }) => writer.close()),
    );
    for (const result of closed) if (result.status === "rejected") throw result.reason;
  }

  #writer(venue: VenueName): CaptureWriter {
    const { out, maxFileBytes, maxFileMs, clock, feeds } = this.#options;
    const startUs = clock.wallUs();
    const stamp = new Date(startUs / 1_000).toISOString().replace(/[-:]|\.\d+/g, "");
    const subscriptions = feeds.find((feed) => feed.venue === venue)?.subscriptions ?? [];
    const asFile = isFileName(out);
    return new CaptureWriter({
      directory: asFile ? dirname(out) : out,
      name: `${venue}-${stamp}`,
      ...(asFile ? { file: basename(out) } : {}),
      maxFileBytes,
      ...(maxFileMs === undefined ? {} : { maxFileMs }),
      about: { venue, subscriptions, startUs },
    });
  }

  /** The network, with what the feed sends written down on its way. */
  #tap(): FeedPort {
    return {
      connect: (feed) => this.#port.connect(feed),
      disconnect: (feed, reason) => {
        this.#note(feed, "disconnect", `1000 ${reason}`);
        this.#port.disconnect(feed, reason);
      },
      send: (feed, text) => {
        this.#note(feed, "sent", text);
        this.#port.send(feed, text);
      },
      request: (feed, request, path) => {
        this.#recordings.get(feed)?.requests.set(request, path);
        this.#port.request(feed, request, path);
      },
    };
  }

  #callbacks(): ConstructorParameters<typeof LiveFeedPort>[0]["callbacks"] {
    return {
      onOpen: (feed) => {
        const recording = this.#recordings.get(feed);
        if (recording === undefined) return;
        recording.connection += 1;
        const timeUs = this.#note(feed, "connect", "", this.#endpoint(recording).webSocketUrl);
        this.#turn(recording, (out) => recording.feed.onOpen(timeUs, out));
      },
      onFrame: (feed, text) => {
        const timeUs = this.#note(feed, "frame", text);
        const recording = this.#recordings.get(feed);
        if (recording !== undefined)
          this.#turn(recording, (out) => recording.feed.onFrame(text, timeUs, out));
      },
      onClose: (feed, code, reason) => {
        const timeUs = this.#note(feed, "disconnect", `${code} ${reason}`);
        const recording = this.#recordings.get(feed);
        if (recording !== undefined)
          this.#turn(recording, (out) => recording.feed.onClose(code, reason, timeUs, out));
      },
      onResponse: (feed, request, status, body, retryAfterMs) => {
        const recording = this.#recordings.get(feed);
        if (recording === undefined) return;
        const path = recording.requests.get(request) ?? "";
        recording.requests.delete(request);
        const timeUs = this.#note(feed, "http", body, this.#endpoint(recording).restUrl + path, status);
        this.#turn(recording, (out) =>
          recording.feed.onResponse(request, status, body, retryAfterMs, timeUs, out),
        );
      },
    };
  }

  #onTimer(): void {
    const timeUs = this.#options.clock.wallUs();
    for (const recording of this.#recordings.values())
      this.#turn(recording, (out) => recording.feed.onTimer(timeUs, out));
  }

  #endpoint({ feed }: Recording): FeedEndpoint {
    return this.#options.endpoints[feed.venue];
  }

  #note(feed: number, kind: CaptureKind, text: string, url = "", status = 0): number {
    const timeUs = this.#options.clock.wallUs();
    const recording = this.#recordings.get(feed);
    if (recording === undefined) return timeUs;
    const connection = Math.max(recording.connection, 0);
    const entry: CaptureEntry = { kind, timeUs, text, url, connection, status };
    recording.writer.write(entry);
    return timeUs;
  }

  #turn({ live }: Recording, act: (out: EventBatch) => unknown): void {
    const out = this.#decoded;
    out.clear();
    act(out);
    for (let row = 0; row < out.count; row += 1) {
      if (out.kind[row] !== EVENT.status) continue;
      if (out.code[row] === FEED_STATE.live) live.add(out.instrument[row]);
      else live.delete(out.instrument[row]);
    }
  }
}

function isFileName(out: string): boolean {
  return /\.(?:zst|gz)$/.test(out);
}
