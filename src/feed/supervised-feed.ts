import { Histogram } from "../core/histogram.ts";
import { type EventBatch, UNSOUND } from "../market/event-batch.ts";
import type { Instrument, VenueName } from "../market/instrument.ts";
import type { FrameDecoder } from "./decoder.ts";
import { type Feed, type FeedCounters, type FeedOptions, FRAME, type FrameOutcome } from "./feed.ts";
import { InstrumentStates } from "./instrument-states.ts";
import { ConnectionSupervisor, VERDICT } from "./supervisor.ts";

/**
 * So many book frames in a row that are older than the book are no repetitions: the book's own sequence is wrong. A gap.
 */
export const MAX_OLD_IN_A_ROW = 8;

/** Instruments that trade all the time are silent on their own after this many times the connection's limit. */
const INSTRUMENT_SILENCE_FACTOR = 3;
const SILENCE_SCAN_US = 100_000;

/**
 * What all venues' feeds have in common: counting, the connection's life, silence, and turning every kind of trouble into
 * `status` events in the same call. A venue adds its protocol: discovery, subscription, sequence rule and recovery.
 */
export abstract class SupervisedFeed implements Feed {
  readonly id: number;
  readonly venue: VenueName;
  readonly counters: FeedCounters = {
    frames: 0,
    unparsable: 0,
    ignored: 0,
    gaps: 0,
    checksums: 0,
    crossed: 0,
    resyncs: 0,
    reconnects: 0,
    silences: 0,
    overflows: 0,
    decodeFallbacks: 0,
    lastResyncUs: Number.NaN,
  };
  readonly healingUs = new Histogram();
  problem = "";
  protected readonly options: FeedOptions;
  protected readonly states: InstrumentStates;
  protected readonly connection: ConnectionSupervisor;
  protected abstract readonly decoder: FrameDecoder;
  #nextScanUs = 0;

  constructor(options: FeedOptions) {
    this.options = options;
    this.id = options.id;
    this.venue = options.venue;
    this.states = new InstrumentStates(options.instruments.capacity, this.counters, this.healingUs);
    this.connection = new ConnectionSupervisor({
      feed: options.id,
      port: options.port,
      seed: options.seed,
      silenceMs: options.silenceMs,
    });
  }

  get carried(): readonly Instrument[] {
    return this.states.carried;
  }

  abstract start(timeUs: number): void;
  abstract onResponse(
    request: number,
    status: number,
    body: string,
    retryAfterMs: number,
    timeUs: number,
    out: EventBatch,
  ): void;

  onOpen(timeUs: number, out: EventBatch): void {
    this.states.settle(out);
    if (!this.connection.onOpen(timeUs)) return;
    if (this.connection.opens > 1) this.counters.reconnects += 1;
    this.connected(timeUs, out);
  }

  onFrame(frame: string, timeUs: number, out: EventBatch): FrameOutcome {
    this.states.settle(out);
    if (!this.connection.open) return FRAME.ignored;
    this.counters.frames += 1;
    const row = out.count;
    const level = out.levels;
    const outcome = this.decode(frame, out);
    this.counters.decodeFallbacks = this.decoder.fallbacks;
    switch (outcome) {
      case FRAME.ok:
        this.connection.onData(timeUs);
        if (out.count > row) return this.admit(row, level, timeUs, out);
        return FRAME.ok;
      case FRAME.control:
        this.control(frame, timeUs, out);
        return FRAME.control;
      case FRAME.ignored:
        this.counters.ignored += 1;
        return FRAME.ignored;
      case FRAME.unparsable:
        this.counters.unparsable += 1;
        this.problem = `${this.venue}: found a frame of ${frame.length} characters that is no message, starting ${JSON.stringify(frame.slice(0, 60))}`;
        this.#distrust(frame, UNSOUND.unparsable, timeUs, out);
        return FRAME.unparsable;
      case FRAME.overflow:
        this.counters.overflows += 1;
        this.problem = `${this.venue}: a frame of ${frame.length} characters holds more events or levels than a batch takes`;
        this.#distrust(frame, UNSOUND.overflow, timeUs, out);
        return FRAME.overflow;
    }
  }

  /** Appends the events of a frame as the venue's decoder reads them, before they are judged. */
  decode(frame: string, out: EventBatch): FrameOutcome {
    return this.decoder.decode(frame, out);
  }

  onClose(code: number, reason: string, timeUs: number, out: EventBatch): void {
    this.states.settle(out);
    if (!this.connection.onClose(timeUs)) return;
    this.problem = `${this.venue}: connection closed with code ${code}${reason === "" ? "" : `: ${reason}`}`;
    this.#lose(UNSOUND.disconnect, timeUs, out);
  }

  onTimer(timeUs: number, out: EventBatch): void {
    this.states.settle(out);
    const verdict = this.connection.onTimer(timeUs);
    if (verdict === VERDICT.unread) {
      if (!this.states.holds) {
        const ms = Math.round(this.connection.stoodStillUs / 1_000);
        this.problem = `${this.venue}: the process stood still for ${ms} ms: not quoted on until what waited has been read`;
      }
      for (const { id } of this.states.carried) this.states.hold(id, out);
    } else if (verdict === VERDICT.silent) {
      this.counters.silences += 1;
      this.abandon(`no data for ${this.options.silenceMs} ms`, UNSOUND.silence, timeUs, out);
    } else if (verdict === VERDICT.connectTimeout) {
      this.abandon("no connection within the time for it", UNSOUND.disconnect, timeUs, out);
    }
    const isReading = this.connection.reading(timeUs);
    const releases = this.states.holds && !isReading;
    if (this.connection.open && (timeUs >= this.#nextScanUs || releases)) {
      this.#nextScanUs = timeUs + SILENCE_SCAN_US;
      this.#findSilent(timeUs, isReading, out);
    }
    if (releases) this.states.release(out);
    this.tick(timeUs, out);
  }

  onUnsound(instrument: number, reason: number, timeUs: number, out: EventBatch): void {
    this.states.settle(out);
    if (!this.states.isLive(instrument)) return;
    if (reason === UNSOUND.crossed) this.counters.crossed += 1;
    this.distrust(instrument, reason, timeUs, out);
  }

  /** The socket is open: subscribe. */
  protected abstract connected(timeUs: number, out: EventBatch): void;

  /**
   * Judges the events that a frame decoded to, from `row` (first level `level`) to the end of `out`: lets them stand, or takes
   * them back and says why by status events.
   */
  protected abstract admit(row: number, level: number, timeUs: number, out: EventBatch): FrameOutcome;

  /** An answer or heartbeat. */
  protected abstract control(frame: string, timeUs: number, out: EventBatch): void;

  /** What the protocol has to do as time goes by; called whether connected or not. */
  protected abstract tick(timeUs: number, out: EventBatch): void;

  /** Forgets what the lost connection had given. */
  protected abstract disconnected(timeUs: number): void;

  /** Starts the recovery of one instrument's book that is marked unsound. */
  protected abstract resync(instrument: number, reason: number, timeUs: number): void;

  /** Marks an instrument unsound and starts its recovery. */
  protected distrust(instrument: number, reason: number, timeUs: number, out: EventBatch): void {
    this.states.toUnsound(instrument, reason, timeUs, out);
    this.resync(instrument, reason, timeUs);
  }

  /**
   * The decoder found a price between two ticks: what the frame said is taken back, and the book distrusted.
   *
   * @param source what had described the instrument, for people
   */
  protected offGrid(
    row: number,
    level: number,
    symbol: string,
    source: string,
    timeUs: number,
    out: EventBatch,
  ): FrameOutcome {
    const instrument = out.instrument[row];
    const reason = out.reason[row];
    out.rewind(row, level);
    this.problem = `${this.venue}: a price of ${symbol} is not on the grid that ${source} gave`;
    this.distrust(instrument, reason, timeUs, out);
    return FRAME.ok;
  }

  /** Gives the connection up from this side; another one is opened in due time. */
  protected abandon(why: string, reason: number, timeUs: number, out: EventBatch): void {
    this.problem = `${this.venue}: ${why}`;
    this.connection.drop(why, timeUs);
    this.#lose(reason, timeUs, out);
  }

  #distrust(frame: string, reason: number, timeUs: number, out: EventBatch): void {
    const instrument = this.decoder.attribute(frame);
    if (instrument >= 0) {
      this.distrust(instrument, reason, timeUs, out);
      return;
    }
    for (const { id } of this.states.carried) this.distrust(id, reason, timeUs, out);
  }

  #lose(reason: number, timeUs: number, out: EventBatch): void {
    for (const { id } of this.states.carried) this.states.toUnsound(id, reason, timeUs, out);
    this.disconnected(timeUs);
  }

  #findSilent(timeUs: number, isReading: boolean, out: EventBatch): void {
    const limitUs = this.options.silenceMs * 1_000 * INSTRUMENT_SILENCE_FACTOR;
    for (const { id, kind, symbol } of this.states.carried) {
      if (kind !== "perpetual" && kind !== "spot") continue;
      if (!this.states.isSilent(id, timeUs, limitUs)) continue;
      if (isReading) {
        this.states.hold(id, out);
        continue;
      }
      this.counters.silences += 1;
      this.problem = `${this.venue}: no data of ${symbol} for ${limitUs / 1_000} ms`;
      this.distrust(id, UNSOUND.silence, timeUs, out);
    }
  }
}
