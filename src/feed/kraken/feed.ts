import { KeelError } from "../../core/errors.ts";
import { Rng } from "../../core/rng.ts";
import { EVENT, type EventBatch, UNSOUND } from "../../market/event-batch.ts";
import type { Instrument } from "../../market/instrument.ts";
import { isObject, type JsonObject, parseJson } from "../decoder.ts";
import { type FeedOptions, FRAME, type FrameOutcome } from "../feed.ts";
import { SupervisedFeed } from "../supervised-feed.ts";
import { Backoff } from "../supervisor.ts";
import type { KrakenDecoder } from "./decoder.ts";
import { APPLIED, KrakenBook } from "./depth-book.ts";
import { readPair } from "./instruments.ts";
import { createKrakenDecoder } from "./native-decoder.ts";
import { KRAKEN_DEPTH } from "./venue.ts";

/** Symbols of one subscribe message. */
const SYMBOLS_PER_MESSAGE = 100;
const BOOK_RETRY = { baseMs: 100, capMs: 60_000 } as const;
/** A subscribed book that has sent no snapshot for this long is subscribed anew. */
const SNAPSHOT_WAIT_US = 10_000_000;
/** A book that was live this long is subscribed anew without delay. */
const SETTLED_US = 5_000_000;
const SCAN_US = 50_000;

type Channel = "book" | "trade" | "ticker";

/** One symbol's way back to a live book. */
interface Recovery {
  readonly instrument: Instrument;
  readonly book: KrakenBook;
  readonly backoff: Backoff;
  /** When to subscribe the book anew unless it is live by then. */
  dueUs: number;
}

/**
 * Kraken spot over WebSocket v2: pairs from the `instrument` channel, then `book`, `trade` and `ticker` of each. There are no sequence
 * numbers: every book message brings a checksum, and a book whose checksum differs is unsubscribed and subscribed
 * again, which brings a snapshot; no other channel is touched.
 */
export class KrakenFeed extends SupervisedFeed {
  protected readonly decoder: KrakenDecoder;
  readonly #bySymbol = new Map<string, Instrument>();
  readonly #recoveries: Recovery[] = [];
  readonly #recoveryOf: Int32Array;
  readonly #rng: Rng;
  #nextScanUs = 0;
  #nextMessage = 1;

  constructor(options: FeedOptions) {
    super(options);
    this.decoder = createKrakenDecoder(this.#bySymbol, options.native);
    this.#rng = new Rng(options.seed ^ 0x6b7a6b);
    this.#recoveryOf = new Int32Array(options.instruments.capacity).fill(-1);
  }

  start(timeUs: number): void {
    this.connection.start(timeUs);
  }

  /** The feed asks nothing over HTTP. */
  onResponse(): void {}

  protected connected(timeUs: number, out: EventBatch): void {
    if (this.#recoveries.length < this.options.subscriptions.length) {
      this.#call({ method: "subscribe", params: { channel: "instrument", snapshot: true } });
    }
    this.#subscribe(this.#recoveries, timeUs, out);
  }

  protected admit(row: number, level: number, timeUs: number, out: EventBatch): FrameOutcome {
    const id = out.instrument[row];
    const recovery = this.#recoveries[this.#recoveryOf[id]];
    this.states.onData(id, timeUs);
    switch (out.kind[row]) {
      case EVENT.bookSnapshot:
        recovery.book.clear();
        if (!this.#proven(recovery, row, level, timeUs, out)) return FRAME.ok;
        recovery.dueUs = Number.POSITIVE_INFINITY;
        this.states.toLive(id, timeUs, out);
        return FRAME.ok;
      case EVENT.bookDelta:
        if (this.states.isLive(id)) this.#proven(recovery, row, level, timeUs, out);
        else out.rewind(row, level);
        return FRAME.ok;
      case EVENT.status:
        return this.offGrid(row, level, recovery.instrument.symbol, "the instrument channel", timeUs, out);
      default:
        return FRAME.ok;
    }
  }

  protected control(frame: string, timeUs: number, out: EventBatch): void {
    const message = parseJson(frame);
    if (!isObject(message)) return;
    if (message.channel === "instrument") {
      const data = isObject(message.data) ? message.data : {};
      if (Array.isArray(data.pairs)) this.#onPairs(data.pairs, message.type === "snapshot", timeUs, out);
    } else if (message.success === false) {
      this.#onRefusal(message);
    }
  }

  protected tick(timeUs: number): void {
    if (!this.connection.open || timeUs < this.#nextScanUs) return;
    this.#nextScanUs = timeUs + SCAN_US;
    const symbols: string[] = [];
    for (const recovery of this.#recoveries) {
      if (timeUs < recovery.dueUs) continue;
      recovery.dueUs = timeUs + SNAPSHOT_WAIT_US + recovery.backoff.nextUs();
      symbols.push(recovery.instrument.symbol);
    }
    // The venue limits messages, not symbols: books that are lost together are asked for together.
    for (let start = 0; start < symbols.length; start += SYMBOLS_PER_MESSAGE) {
      const some = symbols.slice(start, start + SYMBOLS_PER_MESSAGE);
      this.#call({ method: "unsubscribe", params: this.#parameters("book", some) });
      this.#call({ method: "subscribe", params: this.#parameters("book", some) });
    }
  }

  protected disconnected(): void {
    for (const recovery of this.#recoveries) {
      recovery.book.clear();
      recovery.dueUs = Number.POSITIVE_INFINITY;
    }
  }

  protected resync(instrument: number, _reason: number, timeUs: number): void {
    if (!this.connection.open) return;
    const recovery = this.#recoveries[this.#recoveryOf[instrument]];
    if (timeUs - this.states.liveSinceUs(instrument) >= SETTLED_US) recovery.backoff.reset();
    const delayUs = recovery.backoff.attempts === 0 ? 0 : recovery.backoff.nextUs();
    recovery.dueUs = Math.min(recovery.dueUs, timeUs + delayUs);
    this.#nextScanUs = Math.min(this.#nextScanUs, timeUs);
  }

  /** Applies a book event to the feed's own book; one that cannot be trusted is taken back. @returns whether it may stand */
  #proven(recovery: Recovery, row: number, level: number, timeUs: number, out: EventBatch): boolean {
    const { id, symbol } = recovery.instrument;
    const applied = recovery.book.apply(out, row);
    if (applied === APPLIED.changed) return true;
    const sent = out.checksum[row];
    const isSnapshot = out.kind[row] === EVENT.bookSnapshot;
    if (applied === APPLIED.unchanged && isSnapshot) return true;
    out.rewind(row, level);
    if (applied === APPLIED.unchanged) return false;
    if (applied === APPLIED.full) {
      this.counters.overflows += 1;
      this.distrust(id, UNSOUND.overflow, timeUs, out);
      return false;
    }
    this.counters.checksums += 1;
    this.problem = `kraken: the book of ${symbol} has checksum ${recovery.book.checksum()}, expected ${sent}`;
    this.distrust(id, UNSOUND.checksum, timeUs, out);
    return false;
  }

  #onPairs(entries: readonly unknown[], isWhole: boolean, timeUs: number, out: EventBatch): void {
    const bySymbol = new Map<unknown, JsonObject>();
    for (const entry of entries) if (isObject(entry)) bySymbol.set(entry.symbol, entry);
    const fresh: Recovery[] = [];
    for (const symbol of this.options.subscriptions) {
      if (this.#bySymbol.has(symbol)) continue;
      const entry = bySymbol.get(symbol);
      const recovery = entry === undefined ? undefined : this.#adopt(entry);
      if (recovery !== undefined) fresh.push(recovery);
      if (entry !== undefined || !isWhole) continue;
      this.counters.ignored += 1;
      this.problem = `kraken: found no pair ${symbol} among the ${entries.length} of the instrument channel`;
    }
    this.#subscribe(fresh, timeUs, out);
  }

  #adopt(entry: JsonObject): Recovery | undefined {
    try {
      const { spec, priceDecimals, sizeDecimals } = readPair(entry);
      const instrument = this.options.instruments.add(spec);
      if (instrument === undefined) {
        this.counters.overflows += 1;
        this.problem = `kraken: no room for ${spec.symbol} among ${this.options.instruments.capacity} instruments`;
        return undefined;
      }
      if (!this.states.carry(instrument)) return undefined;
      const book = new KrakenBook({
        depth: KRAKEN_DEPTH,
        priceZeros: priceDecimals - spec.tick.scale,
        sizeZeros: sizeDecimals - spec.lot.scale,
        tickMantissa: spec.tick.mantissa,
      });
      const backoff = new Backoff(this.#rng, BOOK_RETRY);
      const recovery = { instrument, book, backoff, dueUs: Number.POSITIVE_INFINITY };
      this.#bySymbol.set(instrument.symbol, instrument);
      this.#recoveryOf[instrument.id] = this.#recoveries.length;
      this.#recoveries.push(recovery);
      return recovery;
    } catch (error) {
      if (!(error instanceof KeelError)) throw error;
      this.counters.ignored += 1;
      this.problem = error.message;
      return undefined;
    }
  }

  #subscribe(recoveries: readonly Recovery[], timeUs: number, out: EventBatch): void {
    for (let start = 0; start < recoveries.length; start += SYMBOLS_PER_MESSAGE) {
      const some = recoveries.slice(start, start + SYMBOLS_PER_MESSAGE);
      for (const recovery of some) {
        this.states.toSnapshot(recovery.instrument.id, out);
        recovery.dueUs = timeUs + SNAPSHOT_WAIT_US;
      }
      const symbols = some.map(({ instrument }) => instrument.symbol);
      for (const channel of ["book", "trade", "ticker"] as const) {
        this.#call({ method: "subscribe", params: this.#parameters(channel, symbols) });
      }
    }
  }

  #onRefusal({ method, symbol, error }: JsonObject): void {
    this.counters.ignored += 1;
    this.problem = `kraken: ${String(method)} of ${String(symbol)} was answered with ${JSON.stringify(error)}`;
  }

  #parameters(channel: Channel, symbol: readonly string[]): JsonObject {
    if (channel === "book") return { channel, symbol, depth: KRAKEN_DEPTH, snapshot: true };
    return channel === "trade" ? { channel, symbol, snapshot: false } : { channel, symbol };
  }

  #call(message: JsonObject): void {
    this.options.port.send(this.id, JSON.stringify({ ...message, req_id: this.#nextMessage }));
    this.#nextMessage += 1;
  }
}
