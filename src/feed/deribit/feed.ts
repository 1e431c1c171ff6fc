import { KeelError } from "../../core/errors.ts";
import { Rng } from "../../core/rng.ts";
import { EVENT, type EventBatch, UNSOUND } from "../../market/event-batch.ts";
import type { Instrument } from "../../market/instrument.ts";
import { isObject, type JsonObject, parseJson } from "../decoder.ts";
import { type FeedOptions, FRAME, type FrameOutcome } from "../feed.ts";
import { MAX_OLD_IN_A_ROW, SupervisedFeed } from "../supervised-feed.ts";
import { Backoff } from "../supervisor.ts";
import type { DeribitDecoder } from "./decoder.ts";
import { readInstrument } from "./instruments.ts";
import { createDeribitDecoder } from "./native-decoder.ts";
import { type Call, Outbox } from "./outbox.ts";
import { type DeribitInterval, type DeribitKind, type DeribitSubscription, RPC_ERROR } from "./venue.ts";

/** Deribit takes 500 channels and 32 kB in one call. */
const CHANNELS_PER_CALL = 400;
const CALL_RETRY = { baseMs: 500, capMs: 60_000 } as const;
const BOOK_RETRY = { baseMs: 100, capMs: 60_000 } as const;
/** A subscribed book that has sent no snapshot for this long is subscribed anew. */
const SNAPSHOT_WAIT_US = 10_000_000;
/** A book that was live this long is subscribed anew without delay. */
const SETTLED_US = 5_000_000;
const BOOK_SCAN_US = 50_000;

/** One instrument's way back to a live book. */
interface Recovery {
  readonly instrument: Instrument;
  readonly backoff: Backoff;
  /** When to subscribe the book anew unless it is live by then. */
  dueUs: number;
  changeId: number;
  oldInARow: number;
  /** The newest change that came while there was no book to change; NaN when there was none. */
  passedOver: number;
}

/**
 * Deribit: JSON-RPC over one WebSocket. Instruments by `public/get_instruments`, then `book`, `trades` and `ticker` of each. A book's
 * change must name the last one as its `prev_change_id`; otherwise that one book is unsubscribed and subscribed again, which
 * brings a snapshot, and no other channel is touched.
 *
 * Interval: `raw` by default. Deribit gives raw to authenticated connections only and answers others with error 13778; the feed
 * then goes on with `100ms`. Simulated and replayed venues give raw to everybody.
 */
export class DeribitFeed extends SupervisedFeed {
  protected readonly decoder: DeribitDecoder;
  readonly #wanted: readonly DeribitSubscription[];
  readonly #bySymbol = new Map<string, Instrument>();
  readonly #recoveries: Recovery[] = [];
  readonly #recoveryOf: Int32Array;
  readonly #rng: Rng;
  readonly #outbox: Outbox;
  readonly #callBackoff: Backoff;
  #interval: DeribitInterval;
  #nextScanUs = 0;

  /** @param wanted what `readSubscription` made of the options' subscriptions. */
  constructor(options: FeedOptions, wanted: readonly DeribitSubscription[]) {
    super(options);
    this.#wanted = wanted;
    this.decoder = createDeribitDecoder(this.#bySymbol, options.native);
    this.#rng = new Rng(options.seed ^ 0xde71b17);
    this.#outbox = new Outbox(options.id, options.port);
    this.#callBackoff = new Backoff(this.#rng, CALL_RETRY);
    this.#recoveryOf = new Int32Array(options.instruments.capacity).fill(-1);
    this.#interval = options.interval ?? "raw";
  }

  start(timeUs: number): void {
    this.connection.start(timeUs);
  }

  /** The feed asks nothing over HTTP. */
  onResponse(): void {}

  protected connected(timeUs: number, out: EventBatch): void {
    this.#outbox.add({ purpose: "heartbeat" }, timeUs);
    this.#subscribe(this.#recoveries, timeUs, out);
    const groups = new Map(this.#wanted.map((wanted) => [`${wanted.currency} ${wanted.kind}`, wanted]));
    for (const { currency, kind } of groups.values()) {
      this.#outbox.add({ purpose: "instruments", currency, kind }, timeUs);
    }
    const listings = this.#wanted.filter(({ symbol }) => symbol === null);
    const channels = listings.map(({ kind, currency }) => `instrument.state.${kind}.${currency}`);
    if (channels.length > 0) this.#outbox.add({ purpose: "subscribe", channels }, timeUs);
    this.#outbox.flush(timeUs);
  }

  protected admit(row: number, level: number, timeUs: number, out: EventBatch): FrameOutcome {
    const id = out.instrument[row];
    const recovery = this.#recoveries[this.#recoveryOf[id]];
    this.states.onData(id, timeUs);
    switch (out.kind[row]) {
      case EVENT.bookSnapshot:
        if (out.lastSequence[row] < recovery.passedOver && !this.states.isLive(id)) {
          this.#onLateSnapshot(recovery, row, level, timeUs, out);
          return FRAME.ok;
        }
        recovery.passedOver = Number.NaN;
        recovery.changeId = out.lastSequence[row];
        recovery.oldInARow = 0;
        recovery.dueUs = Number.POSITIVE_INFINITY;
        this.states.toLive(id, timeUs, out);
        return FRAME.ok;
      case EVENT.bookDelta:
        this.#onChange(recovery, row, level, timeUs, out);
        return FRAME.ok;
      case EVENT.status:
        return this.offGrid(row, level, recovery.instrument.symbol, "get_instruments", timeUs, out);
      default:
        return FRAME.ok;
    }
  }

  protected control(frame: string, timeUs: number, out: EventBatch): void {
    const message = parseJson(frame);
    if (!isObject(message)) return;
    if (message.method === "heartbeat") {
      if (isObject(message.params) && message.params.type === "test_request") {
        this.options.port.send(this.id, '{"jsonrpc":"2.0","id":0,"method":"public/test","params":{}}');
      }
    } else if (message.method === "subscription") {
      this.#onListing(message, timeUs);
    } else {
      const call = this.#outbox.answered(message.id);
      if (isObject(message.error)) this.#onError(call, message.error, timeUs, out);
      else if (call !== undefined) this.#onResult(call, message.result, timeUs, out);
    }
    this.#outbox.flush(timeUs);
  }

  protected tick(timeUs: number, out: EventBatch): void {
    if (!this.connection.open) return;
    if (timeUs >= this.#nextScanUs) {
      this.#nextScanUs = timeUs + BOOK_SCAN_US;
      this.#renewBooks(timeUs);
    }
    if (!this.#outbox.flush(timeUs) && !this.connection.reading(timeUs))
      this.abandon("a call was not answered in time", UNSOUND.disconnect, timeUs, out);
  }

  protected disconnected(): void {
    this.#outbox.clear();
    for (const recovery of this.#recoveries) {
      recovery.changeId = Number.NaN;
      recovery.passedOver = Number.NaN;
      recovery.dueUs = Number.POSITIVE_INFINITY;
    }
  }

  protected resync(instrument: number, _reason: number, timeUs: number): void {
    if (!this.connection.open) return;
    const recovery = this.#recoveries[this.#recoveryOf[instrument]];
    recovery.changeId = Number.NaN;
    if (timeUs - this.states.liveSinceUs(instrument) >= SETTLED_US) recovery.backoff.reset();
    const delayUs = recovery.backoff.attempts === 0 ? 0 : recovery.backoff.nextUs();
    recovery.dueUs = Math.min(recovery.dueUs, timeUs + delayUs);
    this.#nextScanUs = Math.min(this.#nextScanUs, timeUs);
  }

  /** A snapshot that is older than a change which has come before it is not the book any more. */
  #onLateSnapshot(recovery: Recovery, row: number, level: number, timeUs: number, out: EventBatch): void {
    const { id, symbol } = recovery.instrument;
    this.counters.gaps += 1;
    this.problem = `deribit: the snapshot of ${symbol} at ${out.lastSequence[row]} came after the change ${recovery.passedOver}`;
    out.rewind(row, level);
    this.distrust(id, UNSOUND.gap, timeUs, out);
  }

  #onChange(recovery: Recovery, row: number, level: number, timeUs: number, out: EventBatch): void {
    const { id, symbol } = recovery.instrument;
    const changeId = out.lastSequence[row];
    const previous = out.previousSequence[row];
    if (previous === recovery.changeId && this.states.isLive(id)) {
      recovery.changeId = changeId;
      recovery.oldInARow = 0;
      return;
    }
    out.rewind(row, level);
    if (!this.states.isLive(id)) {
      if (!(changeId <= recovery.passedOver)) recovery.passedOver = changeId;
      return;
    }
    recovery.oldInARow += 1;
    if (changeId <= recovery.changeId && recovery.oldInARow <= MAX_OLD_IN_A_ROW) return;
    this.counters.gaps += 1;
    this.problem = `deribit: book of ${symbol} goes from change ${recovery.changeId} to one after ${previous}`;
    this.distrust(id, UNSOUND.gap, timeUs, out);
  }

  #onResult(call: Call, result: unknown, timeUs: number, out: EventBatch): void {
    this.#callBackoff.reset();
    switch (call.purpose) {
      case "instruments":
        this.#onInstruments(call.currency, call.kind, result, timeUs, out);
        break;
      case "instrument":
        this.#subscribe(this.#adopt([result]), timeUs, out);
        break;
      case "subscribe":
        this.#onSubscribed(call.channels, result);
        break;
      case "unsubscribe":
        this.#outbox.add({ purpose: "subscribe", channels: call.channels }, timeUs);
        break;
      case "heartbeat":
        break;
    }
  }

  #onError(call: Call | undefined, error: JsonObject, timeUs: number, out: EventBatch): void {
    this.problem = `deribit: ${call?.purpose ?? "a call"} was answered with ${JSON.stringify(error).slice(0, 200)}`;
    if (call === undefined || call.purpose === "heartbeat") return;
    if (error.code === RPC_ERROR.rawNotAuthorized && call.purpose === "subscribe") {
      if (this.#interval === "raw") {
        this.#interval = "100ms";
        this.#outbox.withdraw(".raw");
        this.#subscribe(this.#recoveries, timeUs, out);
      }
      return;
    }
    this.#outbox.add(call, timeUs + this.#callBackoff.nextUs());
  }

  #onInstruments(
    currency: string,
    kind: DeribitKind,
    result: unknown,
    timeUs: number,
    out: EventBatch,
  ): void {
    const group = this.#wanted.filter((wanted) => wanted.currency === currency && wanted.kind === kind);
    const all = group.some(({ symbol }) => symbol === null);
    const named = new Set(group.map(({ symbol }) => symbol));
    const entries = Array.isArray(result) ? result.filter((entry) => isObject(entry)) : [];
    const fresh = entries.filter(
      ({ instrument_name: name, is_active: active }) =>
        typeof name === "string" && active !== false && !this.#bySymbol.has(name) && (all || named.has(name)),
    );
    this.#subscribe(this.#adopt(fresh), timeUs, out);
    for (const symbol of named) {
      if (symbol === null || this.#bySymbol.has(symbol)) continue;
      this.counters.ignored += 1;
      this.problem = `deribit: found no instrument ${symbol} among the ${entries.length} of ${currency} ${kind}`;
    }
  }

  /** Takes on instruments that are new. @returns their recoveries. */
  #adopt(entries: readonly unknown[]): readonly Recovery[] {
    const before = this.#recoveries.length;
    for (const entry of entries) {
      try {
        const instrument = this.options.instruments.add(readInstrument(entry));
        if (instrument === undefined) {
          this.counters.overflows += 1;
          this.problem = `deribit: no room among ${this.options.instruments.capacity} instruments`;
        } else if (this.states.carry(instrument)) {
          this.#bySymbol.set(instrument.symbol, instrument);
          this.#recoveryOf[instrument.id] = this.#recoveries.length;
          this.#recoveries.push({
            instrument,
            backoff: new Backoff(this.#rng, BOOK_RETRY),
            dueUs: Number.POSITIVE_INFINITY,
            changeId: Number.NaN,
            oldInARow: 0,
            passedOver: Number.NaN,
          });
        }
      } catch (error) {
        if (!(error instanceof KeelError)) throw error;
        this.counters.ignored += 1;
        this.problem = error.message;
      }
    }
    return this.#recoveries.slice(before);
  }

  /** Subscribes book, trades and ticker. */
  #subscribe(recoveries: readonly Recovery[], timeUs: number, out: EventBatch): void {
    const channels: string[] = [];
    for (const recovery of recoveries) {
      const { id, symbol } = recovery.instrument;
      this.states.toSnapshot(id, out);
      recovery.dueUs = timeUs + SNAPSHOT_WAIT_US;
      for (const topic of ["book", "trades", "ticker"]) channels.push(`${topic}.${symbol}.${this.#interval}`);
    }
    this.#enqueue("subscribe", channels, timeUs);
  }

  #onSubscribed(channels: readonly string[], result: unknown): void {
    const granted = new Set(Array.isArray(result) ? result : []);
    const refused = channels.filter((channel) => !granted.has(channel));
    if (refused.length === 0) return;
    this.counters.ignored += refused.length;
    this.problem = `deribit: ${refused.length} of ${channels.length} channels were not granted, the first is ${refused[0]}`;
  }

  /** Unsubscribes and subscribes again the books whose time has come. */
  #renewBooks(timeUs: number): void {
    const channels: string[] = [];
    for (const recovery of this.#recoveries) {
      if (timeUs < recovery.dueUs) continue;
      recovery.dueUs = timeUs + SNAPSHOT_WAIT_US + recovery.backoff.nextUs();
      // What is asked for now is newer than all that has come, even where the venue numbers anew.
      recovery.passedOver = Number.NaN;
      channels.push(`book.${recovery.instrument.symbol}.${this.#interval}`);
    }
    this.#enqueue("unsubscribe", channels, timeUs);
  }

  #enqueue(purpose: "subscribe" | "unsubscribe", channels: readonly string[], timeUs: number): void {
    for (let start = 0; start < channels.length; start += CHANNELS_PER_CALL) {
      this.#outbox.add({ purpose, channels: channels.slice(start, start + CHANNELS_PER_CALL) }, timeUs);
    }
  }

  /** A new instrument of a currency that is wanted whole: asks what it is. */
  #onListing(message: JsonObject, timeUs: number): void {
    const data = isObject(message.params) ? message.params.data : undefined;
    if (!isObject(data) || (data.state !== "created" && data.state !== "started")) return;
    const symbol = data.instrument_name;
    if (typeof symbol !== "string" || this.#bySymbol.has(symbol)) return;
    this.#outbox.add({ purpose: "instrument", symbol }, timeUs);
  }
}
