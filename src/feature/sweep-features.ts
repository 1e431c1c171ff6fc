import type { Book } from "../market/book.ts";
import { EVENT, type EventBatch, TICKER, TICKER_FIELDS } from "../market/event-batch.ts";
import type { Instrument } from "../market/instrument.ts";
import { DEPTH_METRICS, DepthView } from "./depth.ts";
import { FEATURE_COUNT, SIGNALS } from "./schema.ts";
import type { FeatureSource } from "./source.ts";
import { SWEEP_EVENT, SweepUpload } from "./sweep-upload.ts";
import { WarmUp } from "./warm-up.ts";

/** A wall clock in µs holds quarters of a µs in a double: times are exact in this unit. */
const QUARTERS_PER_US = 4;
const QUARTERS_MAX = 0xffffffff;
const HAS_INDEX = 1;
const HAS_FUNDING = 2;

/**
 * The host's part of the features on the GPU: of each event it writes down what the sweep needs: the best prices and queues,
 * the sums over the document's levels, what the last diff changed in them, the time since the event before. All windowed state
 * is on the device. Constant work per event, no allocation.
 *
 * When the room for events is used up, `flush` must send what waits.
 */
export class SweepFeatures implements FeatureSource {
  readonly slotCount: number;
  readonly upload: SweepUpload;
  readonly #flush: () => void;
  readonly #depth: DepthView;
  readonly #warmUp: WarmUp;

  constructor(slotCount: number, recordWords: number, flush: () => void) {
    this.slotCount = slotCount;
    this.upload = new SweepUpload(slotCount, recordWords);
    this.#flush = flush;
    this.#depth = new DepthView(slotCount);
    this.#warmUp = new WarmUp(slotCount);
  }

  reset(slot: number): void {
    this.#warmUp.reset(slot);
    this.#depth.reset(slot);
    this.upload.reset(slot);
  }

  restart(slot: number): void {
    this.#warmUp.restart(slot);
  }

  onBook(slot: number, book: Book, batch: EventBatch, row: number, timeUs: number): void {
    const at = this.#event(slot, SWEEP_EVENT.book, timeUs);
    const depth = this.#depth;
    depth.refresh(slot, book, batch.kind[row] === EVENT.bookDelta);
    this.#top(at, slot, book);
    this.#warmUp.book(slot);
    const { upload } = this;
    upload.integer(at + 6, depth.bestTicks(slot, 0));
    upload.integer(at + 7, depth.bestTicks(slot, 1));
    const metrics = slot * 2 * DEPTH_METRICS;
    for (let metric = 0; metric < 2 * DEPTH_METRICS; metric += 1) {
      upload.float(at + 8 + metric, depth.metrics[metrics + metric]);
    }
    for (let side = 0; side < 2; side += 1) {
      upload.float(at + 28 + side, depth.netChange[side]);
      upload.float(at + 30 + side, depth.removed[side]);
    }
  }

  onTop(slot: number, book: Book, timeUs: number): void {
    this.#top(this.#event(slot, SWEEP_EVENT.top, timeUs), slot, book);
  }

  onTrade(slot: number, aggressorSide: number, sizeLots: number, timeUs: number): void {
    const at = this.#event(slot, SWEEP_EVENT.trade, timeUs);
    this.upload.integer(at, aggressorSide === 0 ? 1 : 0);
    this.upload.float(at + 1, sizeLots > 0 && sizeLots < Infinity ? sizeLots : 0);
  }

  onTicker(slot: number, instrument: Instrument, batch: EventBatch, row: number, timeUs: number): void {
    const values = row * TICKER_FIELDS;
    const index = batch.values[values + TICKER.indexPrice];
    const funding = batch.values[values + TICKER.fundingRate];
    const hasIndex = index > 0 && index < Infinity;
    const hasFunding = Math.abs(funding) < Infinity;
    const at = this.#record(slot, SWEEP_EVENT.ticker, timeUs);
    const { upload } = this;
    upload.integer(at, (hasIndex ? HAS_INDEX : 0) | (hasFunding ? HAS_FUNDING : 0));
    const ticks = hasIndex ? index / (instrument.tick.mantissa / 10 ** instrument.tick.scale) : 0;
    const whole = Math.min(Math.floor(ticks), 0x7fffffff);
    upload.integer(at + 1, whole);
    upload.float(at + 2, ticks - whole);
    upload.float(at + 3, ticks);
    upload.float(at + 4, hasFunding ? funding * 10_000 : 0);
  }

  onVolatility(slot: number, atmIv: number, timeUs: number): void {
    if (!(atmIv > 0 && atmIv < Infinity)) return;
    this.upload.float(this.#record(slot, SWEEP_EVENT.volatility, timeUs), atmIv);
  }

  onSignal(signal: number, value: number): void {
    if (signal < SIGNALS.length && Math.abs(value) < Infinity) this.upload.signal(signal, value);
  }

  ready(slot: number, timeUs: number): boolean {
    return this.#warmUp.ready(slot, timeUs);
  }

  write(slot: number, timeUs: number, _out: Float32Array, offset: number): void {
    this.upload.wantRow(slot, offset / FEATURE_COUNT, this.#advance(slot, timeUs));
  }

  #event(slot: number, kind: number, timeUs: number): number {
    const at = this.#record(slot, kind, timeUs);
    this.#warmUp.count(slot);
    return at;
  }

  /** An event after a row was asked for comes after that row. */
  #record(slot: number, kind: number, timeUs: number): number {
    if (this.upload.hasRow(slot) || !this.upload.fits(kind)) this.#flush();
    return this.upload.append(slot, kind, this.#advance(slot, timeUs));
  }

  /** Moves the slot to `timeUs`, by the rules of the tick path. @returns how far, in quarters of a µs */
  #advance(slot: number, timeUs: number): number {
    const us = this.#warmUp.advance(slot, timeUs);
    return Math.min(Math.round(us * QUARTERS_PER_US), QUARTERS_MAX);
  }

  #top(at: number, slot: number, book: Book): void {
    const { upload } = this;
    const bidTicks = book.bestBidTicks;
    const askTicks = book.bestAskTicks;
    this.#warmUp.top(slot, bidTicks, askTicks);
    upload.integer(at, bidTicks);
    upload.integer(at + 1, askTicks);
    upload.float(at + 2, bidTicks >= 0 ? book.bestBidLots : 0);
    upload.float(at + 3, askTicks >= 0 ? book.bestAskLots : 0);
    upload.float(at + 4, this.#depth.staleLots(slot, 0, bidTicks));
    upload.float(at + 5, this.#depth.staleLots(slot, 1, askTicks >= 0 ? askTicks : Infinity));
  }
}
