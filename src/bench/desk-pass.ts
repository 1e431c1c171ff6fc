import type { Config } from "../config.ts";
import { Desk, type DeskPort } from "../desk/desk.ts";
import type { StageTimer } from "../desk/latency.ts";
import type { SeenBook } from "../gateway/seen-book.ts";
import type { DeskTap } from "../gateway/tap.ts";
import type { StepEngine } from "../inference/engine.ts";
import type { ApprovedQuotes } from "../risk/gate.ts";
import { NOT_TRIPPED } from "../risk/kill-switch.ts";
import { MemoryPort } from "../sim/memory-port.ts";
import { MemoryVenue } from "../sim/memory-venue.ts";

const TIMER_US = 10_000;
const SILENCE_MS = 60_000;
const INSTRUMENTS = 4_096;

export interface DeskPassOptions {
  readonly path: string;
  readonly seed: number;
  readonly engine: StepEngine;
  readonly config: Config;
  readonly timer: StageTimer;
  /** Hands a frame to the desk, in whatever company. */
  readonly onFrame: (desk: Desk, feed: number, text: string, timeUs: number) => void;
  /** Makes who follows the desk, as a live one is followed; left out = nobody does. */
  readonly makeTap?: (desk: Desk) => DeskTap;
  /** Awaited before the first frame. */
  readonly ready?: () => Promise<void>;
  /** Called between two frames; what it returns is awaited before the next one. */
  readonly between?: () => Promise<void> | null;
  /** Quotes are encoded, and nobody who follows has seen them yet. */
  readonly onEncoded?: () => void;
  /** What a frame called for has left, and nobody who follows has seen it yet; called more than once for some frames. */
  readonly onAnswered?: () => void;
}

/** What a pass came to; the checksum is over all that the desk decided. */
export interface DeskPass {
  readonly checksum: string;
  readonly encodedBytes: number;
}

/** Plays a capture in memory through a whole desk whose quotes are encoded as FIX, without sockets. */
export async function runDeskPass(options: DeskPassOptions): Promise<DeskPass> {
  const { path, seed, engine, config, timer } = options;
  const venue = await MemoryVenue.open(path);
  const hasher = new Bun.CryptoHasher("sha256");
  const port = new BenchPort(venue, engine, hasher, options);
  const desk = new Desk({
    feeds: [{ venue: venue.venue, subscriptions: venue.subscriptions }],
    signals: [],
    instrumentCapacity: INSTRUMENTS,
    silenceMs: SILENCE_MS,
    seed,
    engine,
    quote: config.quote,
    risk: config.risk,
    kill: NOT_TRIPPED,
    port,
    timer,
  });
  port.attach(desk.market.instruments);
  if (options.makeTap !== undefined) port.follow(options.makeTap(desk));
  await options.ready?.();
  const drain = async (timeUs: number): Promise<void> => {
    for (let pending = port.submitted; pending !== null; pending = port.submitted) {
      port.submitted = null;
      await pending;
      desk.onInference(timeUs);
    }
  };
  desk.start(venue.scan.firstUs);
  desk.onSessionUp(venue.scan.firstUs);
  let timerUs = venue.scan.firstUs;
  await venue.play(
    {
      onOpen: (feed, timeUs) => desk.onFeedOpen(feed, timeUs),
      onFrame: (feed, text, timeUs) => options.onFrame(desk, feed, text, timeUs),
      onResponse: (feed, request, status, body, timeUs) =>
        desk.onFeedResponse(feed, request, status, body, Number.NaN, timeUs),
    },
    (timeUs) => {
      if (timeUs - timerUs < TIMER_US) return;
      timerUs = timeUs;
      desk.onTimer(timeUs);
    },
    (timeUs) => (port.submitted === null ? (options.between?.() ?? null) : drain(timeUs)),
  );
  const { counters } = desk;
  hasher.update(`${counters.events}/${counters.levelUpdates}/${counters.quotesSent}`);
  return { checksum: hasher.digest("hex").slice(0, 16), encodedBytes: port.encodedBytes };
}

/** Begins the engine's submits, and takes the desk's decisions into the checksum. */
class BenchPort extends MemoryPort {
  submitted: Promise<void> | null = null;
  observed: DeskPort["observed"];
  stepped: DeskPort["stepped"];
  #tap: DeskTap | null = null;
  readonly #engine: StepEngine;
  readonly #decisions: Bun.CryptoHasher;
  readonly #onEncoded: (() => void) | undefined;
  readonly #onAnswered: (() => void) | undefined;

  constructor(
    venue: MemoryVenue,
    engine: StepEngine,
    decisions: Bun.CryptoHasher,
    { onEncoded, onAnswered }: DeskPassOptions,
  ) {
    super(venue);
    this.#onEncoded = onEncoded;
    this.#onAnswered = onAnswered;
    if (onAnswered !== undefined) this.observed = onAnswered;
    this.#engine = engine;
    this.#decisions = decisions;
  }

  /** Shows the tap what the live port shows. */
  follow(tap: DeskTap): void {
    this.#tap = tap;
    this.observed = (events, rows, count, timeUs) => {
      this.#onAnswered?.();
      tap.onEvents?.(events, rows, count, timeUs);
    };
    this.stepped = (underlying, features, offset, timeUs) =>
      tap.onFeatures?.(underlying, features, offset, timeUs);
  }

  override submit(rows: number): void {
    this.submitted = this.#engine.submit(rows);
  }

  override decided(_underlying: number, _timeUs: number, payload: Uint8Array): void {
    this.#decisions.update(payload);
  }

  override publish(quotes: ApprovedQuotes, timeUs: number): void {
    super.publish(quotes, timeUs);
    this.#onEncoded?.();
    this.#tap?.onQuotes(quotes.batch, timeUs);
  }

  override predicted(
    underlying: number,
    probabilities: Float32Array,
    offset: number,
    heads: number,
    status: number,
    timeUs: number,
    book: SeenBook,
  ): void {
    this.#onAnswered?.();
    this.#tap?.onPrediction?.(underlying, probabilities, offset, heads, status, timeUs, book);
  }
}
