import type { Config } from "../config.ts";
import { Desk, type DeskFeed, UNDERLYING_CAPACITY } from "../desk/desk.ts";
import type { DeskPort } from "../desk/desk-port.ts";
import { noTimer, type StageTimer } from "../desk/latency.ts";
import { FEATURE_COUNT } from "../feature/schema.ts";
import type { CaptureEntry } from "../feed/capture.ts";
import type { FeedPort } from "../feed/feed.ts";
import type { StepEngine } from "../inference/engine.ts";
import { RECORD } from "../journal/record.ts";
import { NOT_TRIPPED } from "../risk/kill-switch.ts";
import { RecordedShards } from "../shard/recorded-shards.ts";
import type { RecordedInput } from "../shard/recording.ts";
import { RemoteFeeds } from "../shard/remote-feeds.ts";
import { MemoryPort } from "../sim/memory-port.ts";
import { MemoryVenue } from "../sim/memory-venue.ts";

const TIMER_US = 10_000;
/** Timers come at times that no frame has: receive times are whole microseconds. */
const BETWEEN_US = 0.125;
const INSTRUMENTS = 4_096;
const SILENCE_MS = 60_000;

/** What several captures, played side by side, gave a desk, and what the desk made of it. */
export interface ReferenceRun {
  readonly feeds: readonly DeskFeed[];
  readonly inputs: readonly RecordedInput[];
  /** Times of the desk's own timer, ascending. */
  readonly timersUs: readonly number[];
  readonly startUs: number;
  readonly frames: number;
  readonly outcome: RunOutcome;
}

export interface RunOutcome {
  /** SHA-256 over every decision and prediction, in order, with its time. */
  readonly checksum: string;
  readonly decisions: number;
  readonly predictions: number;
  readonly events: number;
  /** Wall time of the run, s. */
  readonly seconds: number;
}

export interface ShardRunOptions {
  readonly engine: StepEngine;
  readonly config: Pick<Config, "quote" | "risk">;
  readonly seed: number;
  /** Whether shards make the features, or the desk does. Default: they do. */
  readonly makesFeatures?: boolean;
  /** Whether the rows of features that the model is stepped with are digested too. */
  readonly digestsRows?: boolean;
}

const NO_PROBABILITIES: Float32Array = new Float32Array(0);

/** Digests what a desk decides and predicts. */
class DigestPort extends MemoryPort {
  decisions = 0;
  stepped: DeskPort["stepped"];
  readonly #hasher = new Bun.CryptoHasher("sha256");
  readonly #times = new Float64Array(1);

  override decided(underlying: number, timeUs: number, payload: Uint8Array): void {
    this.decisions += 1;
    this.#take(underlying, timeUs);
    this.#hasher.update(payload);
  }

  override cancelAll(timeUs: number): void {
    this.#take(-1, timeUs);
  }

  override predicted(
    underlying = 0,
    probabilities = NO_PROBABILITIES,
    offset = 0,
    heads = 0,
    status = 0,
    timeUs = 0,
  ): void {
    this.#take(underlying * 1e6 + status, timeUs);
    this.#hasher.update(probabilities.subarray(offset, offset + heads));
  }

  /** Digests the rows that the model is stepped with as well. */
  digestRows(): void {
    this.stepped = (slot, features, offset, timeUs) => {
      this.#take(slot, timeUs);
      this.#hasher.update(features.subarray(offset, offset + FEATURE_COUNT));
    };
  }

  digest(): string {
    return this.#hasher.digest("hex");
  }

  #take(what: number, timeUs: number): void {
    this.#times[0] = timeUs;
    this.#hasher.update(`${what} `);
    this.#hasher.update(this.#times);
  }
}

/** One desk over several captures at once, each a feed, on one thread: the run that all others are held against. */
export async function runReference(
  captures: readonly string[],
  seconds: number,
  options: ShardRunOptions,
): Promise<ReferenceRun> {
  const venues = await Promise.all(captures.map((path) => MemoryVenue.open(path)));
  const feeds = venues.map(({ venue, subscriptions }) => ({ venue, subscriptions }));
  const startUs = Math.ceil(Math.max(...venues.map(({ scan }) => scan.firstUs)));
  const played = await Promise.all(venues.map((venue, feed) => entriesOf(venue, feed, startUs, seconds)));
  const entries = played.flat().sort((a, b) => a.timeUs - b.timeUs || a.feed - b.feed);
  const port = new DigestPort(router(venues));
  const desk = makeDesk(options, feeds, port, {});
  const inputs: RecordedInput[] = [];
  let nowUs = startUs;
  const note = (type: number, feed: number, payload: string): void => {
    inputs.push({ type, feed, timeUs: nowUs, payload });
  };
  const begunNs = Bun.nanoseconds();
  desk.start(startUs);
  desk.onSessionUp(startUs);
  for (const venue of venues) {
    await venue.begin({
      onOpen: (feed) => {
        note(RECORD.feedOpen, feed, "");
        desk.onFeedOpen(feed, nowUs);
      },
      onFrame: (feed, text) => {
        note(RECORD.feedFrame, feed, text);
        desk.onFrame(feed, text, nowUs);
      },
      onResponse: (feed, request, status, body) => {
        note(RECORD.feedResponse, feed, JSON.stringify({ request, status, retryAfterMs: null, body }));
        desk.onFeedResponse(feed, request, status, body, Number.NaN, nowUs);
      },
    });
  }
  const timersUs: number[] = [];
  let timerUs = startUs + TIMER_US + BETWEEN_US;
  for (const { entry, feed, timeUs } of entries) {
    for (; timerUs < timeUs; timerUs += TIMER_US) {
      nowUs = timerUs;
      timersUs.push(timerUs);
      for (let each = 0; each < feeds.length; each += 1) note(RECORD.feedTimer, each, "");
      desk.onTimer(timerUs);
    }
    nowUs = timeUs;
    const late = venues[feed]?.take(entry);
    if (late) await late;
  }
  const taken = (Bun.nanoseconds() - begunNs) / 1e9;
  const frames = desk.counters.frames;
  return { feeds, inputs, timersUs, startUs, frames, outcome: outcomeOf(desk, port, taken) };
}

/** The same inputs on `shards` threads, none for 0: on this one, decoded here. */
export async function runShards(
  reference: ReferenceRun,
  shards: number,
  options: ShardRunOptions,
  timer: StageTimer = noTimer,
  ringBytes?: number,
): Promise<RunOutcome> {
  const { feeds, inputs, startUs, timersUs } = reference;
  const { engine, seed, makesFeatures = true } = options;
  for (let slot = 0; slot < engine.slotCount; slot += 1) engine.resetSlot(slot);
  const port = new DigestPort(NOWHERE);
  if (shards === 0) {
    const desk = makeDesk(options, feeds, port, { timer });
    const begunNs = Bun.nanoseconds();
    desk.start(startUs);
    desk.onSessionUp(startUs);
    replayHere(desk, reference);
    return outcomeOf(desk, port, (Bun.nanoseconds() - begunNs) / 1e9);
  }
  const remote = new RemoteFeeds(feeds, makesFeatures);
  const desk = makeDesk(options, feeds, port, { remote, shards: 2, timer });
  const recorded = new RecordedShards({
    ...{ feeds, inputs, shards, desk, remote, seed, startUs, timer },
    ...{ silenceMs: SILENCE_MS, instrumentCapacity: INSTRUMENTS },
    ...(ringBytes === undefined ? {} : { ringBytes }),
  });
  try {
    desk.start(startUs);
    desk.onSessionUp(startUs);
    recorded.start();
    await recorded.ready();
    const begunNs = Bun.nanoseconds();
    for (const timerUs of timersUs) {
      await recorded.until(timerUs);
      desk.onTimer(timerUs);
    }
    await recorded.until(Number.POSITIVE_INFINITY);
    return outcomeOf(desk, port, (Bun.nanoseconds() - begunNs) / 1e9);
  } finally {
    recorded.close();
  }
}

function replayHere(desk: Desk, { inputs, timersUs }: ReferenceRun): void {
  let next = 0;
  for (const { type, feed, timeUs, payload } of inputs) {
    for (; timersUs[next] < timeUs; next += 1) desk.onTimer(timersUs[next] ?? 0);
    if (type === RECORD.feedOpen) desk.onFeedOpen(feed, timeUs);
    else if (type === RECORD.feedFrame) desk.onFrame(feed, payload, timeUs);
    else if (type === RECORD.feedResponse) {
      const { request, status, body } = JSON.parse(payload) as {
        request: number;
        status: number;
        body: string;
      };
      desk.onFeedResponse(feed, request, status, body, Number.NaN, timeUs);
    }
  }
  for (; next < timersUs.length; next += 1) desk.onTimer(timersUs[next] ?? 0);
}

function makeDesk(
  { engine, config, seed, digestsRows }: ShardRunOptions,
  feeds: readonly DeskFeed[],
  port: DigestPort,
  more: { readonly remote?: RemoteFeeds; readonly shards?: number; readonly timer?: StageTimer },
): Desk {
  const desk = new Desk({
    ...{ feeds, signals: [], instrumentCapacity: INSTRUMENTS, silenceMs: SILENCE_MS, seed, engine, port },
    ...{ quote: config.quote, risk: config.risk, kill: NOT_TRIPPED, timer: noTimer },
    ...more,
  });
  port.attach(desk.market.instruments);
  if (digestsRows === true) port.digestRows();
  return desk;
}

function outcomeOf({ counters }: Desk, port: DigestPort, seconds: number): RunOutcome {
  const { predictions, events } = counters;
  return { checksum: port.digest(), decisions: port.decisions, predictions, events, seconds };
}

interface TimedEntry {
  readonly entry: CaptureEntry;
  readonly feed: number;
  readonly timeUs: number;
}

/** The first seconds of a capture, moved to begin when all do. */
async function entriesOf(
  venue: MemoryVenue,
  feed: number,
  startUs: number,
  seconds: number,
): Promise<TimedEntry[]> {
  // After the listings, which all come at the start.
  const shiftUs = startUs + 1_000 - venue.scan.firstUs;
  const endUs = startUs + seconds * 1e6;
  const taken: TimedEntry[] = [];
  for await (const entries of venue.entries()) {
    for (const entry of entries) {
      const timeUs = Math.round(entry.timeUs + shiftUs);
      if (timeUs > endUs) return taken;
      taken.push({ entry, feed, timeUs });
    }
  }
  return taken;
}

function router(venues: readonly MemoryVenue[]): FeedPort {
  return {
    connect: (feed) => venues[feed]?.connect(feed),
    send: (feed, text) => venues[feed]?.send(feed, text),
    disconnect: (feed, reason) => venues[feed]?.disconnect(feed, reason),
    request: (feed, request, path) => venues[feed]?.request(feed, request, path),
  };
}

const NOWHERE: FeedPort = { connect: () => {}, send: () => {}, disconnect: () => {}, request: () => {} };

/** Slots that the engine of a run needs. */
export const SHARD_RUN_SLOTS = UNDERLYING_CAPACITY;
