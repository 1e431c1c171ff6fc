import { loadedNative, type NativeFunctions, nativeDoubles } from "../core/native.ts";
import type { BookView } from "../market/book.ts";
import { EVENT, type EventBatch, TICKER, TICKER_FIELDS } from "../market/event-batch.ts";
import type { Instrument } from "../market/instrument.ts";
import { advanceContext, resetContext, takeVolatility } from "./context.ts";
import { DEPTH_METRIC, DEPTH_METRICS, DepthView } from "./depth.ts";
import { NativeFeatures } from "./native.ts";
import { basisBp, writeRow } from "./row.ts";
import { FEATURE_COUNT, SIGNALS } from "./schema.ts";
import type { FeatureSource } from "./source.ts";
import {
  ASK_TICKS,
  BASIS_MEAN,
  BID_TICKS,
  CANCEL_100,
  CANCEL_1000,
  COUNT_50,
  COUNT_500,
  COUNT_10000,
  DEPTH,
  DEPTH_HIGH,
  DEPTH_LOW,
  DEPTH_MEAN,
  DEPTH_MEAN_50,
  DEPTH_MEAN_500,
  DIFF_INTERVAL,
  EVENTS,
  FIRST_TIME,
  FLOW_50,
  FLOW_100,
  FLOW_500,
  FLOW_2000,
  FUNDING,
  INDEX,
  LAST_DIFF,
  LAST_MOVE,
  LAST_TRADE,
  MID,
  MID_10,
  MID_50,
  MID_200,
  MID_1000,
  MOVE_RATE,
  MOVE_SIDE,
  MOVED,
  NET_100,
  NET_1000,
  QUEUE,
  QUEUE_MEAN,
  SEEN_BOOK,
  STALE,
  STRIDE,
  TAKEN_50,
  TAKEN_200,
  TAKEN_1000,
  TIME,
  TRADE_SIDE,
  TRADED,
  TRADES_1000,
  VARIANCE_100,
  VARIANCE_1000,
  VARIANCE_10000,
  WITHDRAW_RATE,
  WITHDRAWN,
} from "./state.ts";
import { CLOCK_JITTER_US, WARM_UP_EVENTS, WARM_UP_US } from "./warm-up.ts";
import { D10, D50, D100, D200, D500, D1000, D2000, D5000, D10000, DECAY_MS, decayFactors } from "./window.ts";

/** A move of the mid away from its recent mean that counts for the move rates, bp. */
const RATE_MOVE_BP = 0.5;
/** Depth below this part of its recent mean counts for the withdrawal rates. */
const RATE_DEPTH_FRACTION = 0.8;
/** Weight of a new interval in the mean interval between diffs. */
const INTERVAL_WEIGHT = 0.1;

/**
 * Features of up to `slotCount` underlyings, advanced by one event at a time: constant work per event, no allocation, all
 * state in typed arrays. Times are the local receive clock, µs; they may stand still or step back. Call the `on…` method
 * after the book has taken the event; then {@link FeatureState.write} gives the row of the state at that time.
 *
 * Every value written is finite, whatever came in.
 */
export class FeatureState implements FeatureSource {
  readonly slotCount: number;
  readonly #state: Float64Array;
  readonly #depth: DepthView;
  readonly #decay = new Float64Array(DECAY_MS.length);
  readonly #signals: Float64Array;
  readonly #native: NativeFeatures | null;

  /** @param native null for none; default what is loaded. It gives the same bits. */
  constructor(slotCount: number, native: NativeFunctions | null = loadedNative()) {
    const state = nativeDoubles(slotCount * STRIDE);
    const signals = nativeDoubles(SIGNALS.length);
    this.slotCount = slotCount;
    this.#state = state.values;
    this.#signals = signals.values;
    this.#depth = new DepthView(slotCount);
    this.#native =
      native === null
        ? null
        : new NativeFeatures(native, slotCount, this.#depth, state.memory.address, signals.memory.address);
    for (let slot = 0; slot < slotCount; slot += 1) this.reset(slot);
  }

  /** Forgets everything about a slot; for a new connection or after a book was unsound. */
  reset(slot: number): void {
    const s = this.#state;
    const at = slot * STRIDE;
    s.fill(0, at, at + STRIDE);
    s[at + TIME] = Number.NaN;
    s[at + FIRST_TIME] = Number.NaN;
    s[at + BID_TICKS] = -1;
    s[at + ASK_TICKS] = -1;
    s[at + LAST_DIFF] = -Infinity;
    s[at + LAST_TRADE] = -Infinity;
    s[at + LAST_MOVE] = -Infinity;
    s[at + INDEX] = Number.NaN;
    s[at + BASIS_MEAN] = Number.NaN;
    resetContext(s, at);
    this.#depth.reset(slot);
  }

  restart(slot: number): void {
    this.#state[slot * STRIDE + EVENTS] = 0;
    this.#state[slot * STRIDE + FIRST_TIME] = Number.NaN;
  }

  /** After the book took the snapshot or delta of `batch` at `row`. */
  onBook(slot: number, book: BookView, batch: EventBatch, row: number, timeUs: number): void {
    if (this.#native !== null) {
      this.#native.onBook(slot, book, batch.kind[row] === EVENT.bookDelta, timeUs);
      return;
    }
    const s = this.#state;
    const at = slot * STRIDE;
    this.#count(at, timeUs);
    this.#depth.refresh(slot, book, batch.kind[row] === EVENT.bookDelta);
    this.#updateTop(at, slot, book);

    const metrics = this.#depth.metrics;
    const first = s[at + SEEN_BOOK] === 0;
    s[at + SEEN_BOOK] = 1;
    for (let side = 0; side < 2; side += 1) {
      const depth = metrics[(slot * 2 + side) * DEPTH_METRICS + DEPTH_METRIC.sum10];
      s[at + DEPTH + side] = depth;
      if (first) {
        s[at + DEPTH_MEAN + side] = depth;
        s[at + DEPTH_MEAN_50 + side] = depth;
        s[at + DEPTH_MEAN_500 + side] = depth;
        s[at + DEPTH_LOW + side] = depth;
        s[at + DEPTH_HIGH + side] = depth;
      }
      s[at + WITHDRAWN + side] = depth < RATE_DEPTH_FRACTION * s[at + DEPTH_MEAN_50 + side] ? 1 : 0;
      if (depth < s[at + DEPTH_LOW + side]) s[at + DEPTH_LOW + side] = depth;
      if (depth > s[at + DEPTH_HIGH + side]) s[at + DEPTH_HIGH + side] = depth;

      const net = this.#depth.netChange[side];
      const cancelled = Math.max(0, this.#depth.removed[side] - s[at + TRADED + side]);
      s[at + TRADED + side] = 0;
      s[at + NET_100 + side] += net;
      s[at + NET_1000 + side] += net;
      s[at + CANCEL_100 + side] += cancelled;
      s[at + CANCEL_1000 + side] += cancelled;
    }

    const now = s[at + TIME];
    const interval = now - s[at + LAST_DIFF];
    if (interval < Infinity) {
      const mean = s[at + DIFF_INTERVAL];
      s[at + DIFF_INTERVAL] = mean > 0 ? mean + INTERVAL_WEIGHT * (interval - mean) : interval;
    }
    s[at + LAST_DIFF] = now;
  }

  /** After the book took a new best bid and ask. */
  onTop(slot: number, book: BookView, timeUs: number): void {
    if (this.#native !== null) {
      this.#native.onTop(slot, book, timeUs);
      return;
    }
    const at = slot * STRIDE;
    this.#count(at, timeUs);
    this.#updateTop(at, slot, book);
  }

  /** A trade; `aggressorSide` 0 bought from the ask, 1 sold into the bid. */
  onTrade(slot: number, aggressorSide: number, sizeLots: number, timeUs: number): void {
    if (this.#native !== null) {
      this.#native.onTrade(slot, aggressorSide, sizeLots, timeUs);
      return;
    }
    const s = this.#state;
    const at = slot * STRIDE;
    this.#count(at, timeUs);
    const lots = sizeLots > 0 && sizeLots < Infinity ? sizeLots : 0;
    const hit = aggressorSide === 0 ? 1 : 0;
    s[at + TAKEN_50 + hit] += lots;
    s[at + TAKEN_200 + hit] += lots;
    s[at + TAKEN_1000 + hit] += lots;
    s[at + TRADED + hit] += lots;
    s[at + TRADES_1000] += 1;
    s[at + LAST_TRADE] = s[at + TIME];
    s[at + TRADE_SIDE] = aggressorSide === 0 ? 1 : -1;
  }

  /** Index price and funding rate of a ticker; values the frame did not carry stay as they are. */
  onTicker(slot: number, instrument: Instrument, batch: EventBatch, row: number, timeUs: number): void {
    const s = this.#state;
    const at = slot * STRIDE;
    this.#advance(at, timeUs);
    const values = row * TICKER_FIELDS;
    const index = batch.values[values + TICKER.indexPrice];
    const funding = batch.values[values + TICKER.fundingRate];
    const tick = instrument.tick.mantissa / 10 ** instrument.tick.scale;
    if (index > 0 && index < Infinity) {
      s[at + INDEX] = index / tick;
      this.#startBasis(at);
    }
    if (Math.abs(funding) < Infinity) s[at + FUNDING] = funding;
  }

  /** At-the-money implied volatility of the options on this underlying, as a fraction. */
  onVolatility(slot: number, atmIv: number, timeUs: number): void {
    takeVolatility(this.#state, slot * STRIDE, atmIv, timeUs);
  }

  /** An external signal changed; it is the same for all slots. Numbers beyond {@link SIGNALS} and values not finite are ignored. */
  onSignal(signal: number, value: number): void {
    if (signal < this.#signals.length && Math.abs(value) < Infinity) this.#signals[signal] = value;
  }

  /** Enough events and time seen for the windows to mean something, and both sides of the book are there. */
  ready(slot: number, timeUs: number): boolean {
    const s = this.#state;
    const at = slot * STRIDE;
    return (
      s[at + EVENTS] >= WARM_UP_EVENTS &&
      timeUs - s[at + FIRST_TIME] >= WARM_UP_US &&
      s[at + SEEN_BOOK] === 1 &&
      s[at + BID_TICKS] >= 0 &&
      s[at + ASK_TICKS] >= 0
    );
  }

  /** Ten-level depth of the document per side, lots, into `out[0…1]`: what the withdrawal labels look at. */
  depths(slot: number, out: Float64Array): void {
    const at = slot * STRIDE + DEPTH;
    out[0] = this.#state[at];
    out[1] = this.#state[at + 1];
  }

  /** Writes the slot's features at `timeUs`, {@link FEATURE_COUNT} values in schema order from `offset`. */
  write(slot: number, timeUs: number, out: Float32Array, offset: number): void {
    if (this.#native !== null) {
      this.#native.write(slot, timeUs, out, offset);
      return;
    }
    const s = this.#state;
    const at = slot * STRIDE;
    this.#advance(at, timeUs);
    advanceContext(s, at, timeUs);
    writeRow(s, at, this.#depth, slot, this.#signals, out, offset);
  }

  /** Moves the slot to `timeUs` and counts an event there. */
  #count(at: number, timeUs: number): void {
    const s = this.#state;
    this.#advance(at, timeUs);
    if (Number.isNaN(s[at + FIRST_TIME])) s[at + FIRST_TIME] = s[at + TIME];
    s[at + EVENTS] += 1;
    s[at + COUNT_50] += 1;
    s[at + COUNT_500] += 1;
    s[at + COUNT_10000] += 1;
  }

  /** Lets every window forget up to `timeUs`; the values held since the last event enter the means. */
  #advance(at: number, timeUs: number): void {
    const s = this.#state;
    const delta = timeUs - s[at + TIME];
    if (!(delta > 0)) {
      if (delta < -CLOCK_JITTER_US) this.#shiftClock(at, delta);
      else if (Number.isNaN(s[at + TIME]) && Math.abs(timeUs) < Infinity) s[at + TIME] = timeUs;
      return;
    }
    s[at + TIME] = timeUs;
    const decay = this.#decay;
    decayFactors(delta, decay);
    const d10 = decay[D10];
    const d50 = decay[D50];
    const d100 = decay[D100];
    const d200 = decay[D200];
    const d500 = decay[D500];
    const d1000 = decay[D1000];
    const d5000 = decay[D5000];
    const d10000 = decay[D10000];

    for (let side = 0; side < 2; side += 1) {
      const queue = s[at + QUEUE + side];
      const depth = s[at + DEPTH + side];
      s[at + MOVE_RATE + side] = blend(s[at + MOVED + side], s[at + MOVE_RATE + side], d5000);
      s[at + WITHDRAW_RATE + side] = blend(s[at + WITHDRAWN + side], s[at + WITHDRAW_RATE + side], d5000);
      s[at + QUEUE_MEAN + side] = blend(queue, s[at + QUEUE_MEAN + side], d10000);
      s[at + DEPTH_MEAN + side] = blend(depth, s[at + DEPTH_MEAN + side], d10000);
      s[at + DEPTH_MEAN_50 + side] = blend(depth, s[at + DEPTH_MEAN_50 + side], d50);
      s[at + DEPTH_MEAN_500 + side] = blend(depth, s[at + DEPTH_MEAN_500 + side], d500);
      s[at + DEPTH_LOW + side] = blend(depth, s[at + DEPTH_LOW + side], d1000);
      s[at + DEPTH_HIGH + side] = blend(depth, s[at + DEPTH_HIGH + side], d1000);
      s[at + NET_100 + side] *= d100;
      s[at + NET_1000 + side] *= d1000;
      s[at + CANCEL_100 + side] *= d100;
      s[at + CANCEL_1000 + side] *= d1000;
      s[at + TAKEN_50 + side] *= d50;
      s[at + TAKEN_200 + side] *= d200;
      s[at + TAKEN_1000 + side] *= d1000;
    }
    const mid = s[at + MID];
    s[at + MID_10] = blend(mid, s[at + MID_10], d10);
    s[at + MID_50] = blend(mid, s[at + MID_50], d50);
    s[at + MID_200] = blend(mid, s[at + MID_200], d200);
    s[at + MID_1000] = blend(mid, s[at + MID_1000], d1000);
    s[at + BASIS_MEAN] = blend(basisBp(s, at), s[at + BASIS_MEAN], d10000);
    s[at + FLOW_50] *= d50;
    s[at + FLOW_100] *= d100;
    s[at + FLOW_500] *= d500;
    s[at + FLOW_2000] *= decay[D2000];
    s[at + TRADES_1000] *= d1000;
    s[at + COUNT_50] *= d50;
    s[at + COUNT_500] *= d500;
    s[at + COUNT_10000] *= d10000;
    s[at + VARIANCE_100] *= d100;
    s[at + VARIANCE_1000] *= d1000;
    s[at + VARIANCE_10000] *= d10000;
  }

  /** The clock was set back: the windows keep their content and go on from the new time. */
  #shiftClock(at: number, deltaUs: number): void {
    const s = this.#state;
    s[at + TIME] += deltaUs;
    s[at + FIRST_TIME] += deltaUs;
    s[at + LAST_DIFF] += deltaUs;
    s[at + LAST_TRADE] += deltaUs;
    s[at + LAST_MOVE] += deltaUs;
  }

  #startBasis(at: number): void {
    const s = this.#state;
    if (Number.isNaN(s[at + BASIS_MEAN])) s[at + BASIS_MEAN] = basisBp(s, at);
  }

  /** Takes the best prices and queues, and what follows from their change: order flow, mid, stale depth. */
  #updateTop(at: number, slot: number, book: BookView): void {
    const s = this.#state;
    const bidTicks = book.bestBidTicks;
    const askTicks = book.bestAskTicks;
    const bidLots = bidTicks >= 0 ? book.bestBidLots : 0;
    const askLots = askTicks >= 0 ? book.bestAskLots : 0;
    const oldBid = s[at + BID_TICKS];
    const oldAsk = s[at + ASK_TICKS];

    if (s[at + MID] > 0) {
      // An empty ask side counts as infinitely high, as an empty bid side (−1) counts as lowest.
      const ask = askTicks >= 0 ? askTicks : Infinity;
      const previousAsk = oldAsk >= 0 ? oldAsk : Infinity;
      let flow = 0;
      if (bidTicks >= oldBid) flow += bidLots;
      if (bidTicks <= oldBid) flow -= s[at + QUEUE];
      if (ask <= previousAsk) flow -= askLots;
      if (ask >= previousAsk) flow += s[at + QUEUE + 1];
      s[at + FLOW_50] += flow;
      s[at + FLOW_100] += flow;
      s[at + FLOW_500] += flow;
      s[at + FLOW_2000] += flow;
    }
    s[at + BID_TICKS] = bidTicks;
    s[at + ASK_TICKS] = askTicks;
    s[at + QUEUE] = bidLots;
    s[at + QUEUE + 1] = askLots;
    if (s[at + QUEUE_MEAN] === 0) s[at + QUEUE_MEAN] = bidLots;
    if (s[at + QUEUE_MEAN + 1] === 0) s[at + QUEUE_MEAN + 1] = askLots;

    s[at + STALE] = this.#depth.staleLots(slot, 0, bidTicks);
    s[at + STALE + 1] = this.#depth.staleLots(slot, 1, askTicks >= 0 ? askTicks : Infinity);

    if (bidTicks >= 0 && askTicks >= 0) this.#updateMid(at, (bidTicks + askTicks) / 2);
  }

  #updateMid(at: number, mid: number): void {
    const s = this.#state;
    const oldMid = s[at + MID];
    if (mid !== oldMid && mid > 0) {
      s[at + MID] = mid;
      if (oldMid === 0) {
        s.fill(mid, at + MID_10, at + MID_1000 + 1);
        this.#startBasis(at);
        return;
      }
      const moveBp = ((mid - oldMid) / oldMid) * 10_000;
      const squared = moveBp * moveBp;
      s[at + VARIANCE_100] += squared;
      s[at + VARIANCE_1000] += squared;
      s[at + VARIANCE_10000] += squared;
      s[at + LAST_MOVE] = s[at + TIME];
      s[at + MOVE_SIDE] = moveBp > 0 ? 1 : -1;
    }
    const awayBp = mid > 0 ? ((mid - s[at + MID_50]) / mid) * 10_000 : 0;
    s[at + MOVED] = awayBp <= -RATE_MOVE_BP ? 1 : 0;
    s[at + MOVED + 1] = awayBp >= RATE_MOVE_BP ? 1 : 0;
  }
}

/** Mean after the value `held` stood for the time that `decay` tells. */
function blend(held: number, mean: number, decay: number): number {
  return held + (mean - held) * decay;
}
