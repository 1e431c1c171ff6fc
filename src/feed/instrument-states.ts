import type { Histogram } from "../core/histogram.ts";
import { invariant } from "../core/invariant.ts";
import { type EventBatch, FEED_STATE, UNSOUND } from "../market/event-batch.ts";
import type { Instrument } from "../market/instrument.ts";
import type { FeedCounters } from "./feed.ts";

/**
 * The state of each instrument of a feed, and the status events that tell the desk of it. A status that finds the batch full
 * is owed and told with the next call: it is never lost.
 */
export class InstrumentStates {
  readonly carried: Instrument[] = [];
  readonly #counters: FeedCounters;
  readonly #healingUs: Histogram;
  readonly #carries: Uint8Array;
  readonly #state: Uint8Array;
  readonly #reason: Uint8Array;
  readonly #owed: Uint8Array;
  readonly #held: Uint8Array;
  readonly #liveSinceUs: Float64Array;
  readonly #lostUs: Float64Array;
  readonly #lastDataUs: Float64Array;
  #owedCount = 0;
  #heldCount = 0;

  /** @param capacity that of the instrument table. */
  constructor(capacity: number, counters: FeedCounters, healingUs: Histogram) {
    this.#counters = counters;
    this.#healingUs = healingUs;
    this.#carries = new Uint8Array(capacity);
    this.#state = new Uint8Array(capacity);
    this.#reason = new Uint8Array(capacity);
    this.#owed = new Uint8Array(capacity);
    this.#held = new Uint8Array(capacity);
    this.#liveSinceUs = new Float64Array(capacity).fill(Number.NaN);
    this.#lostUs = new Float64Array(capacity).fill(Number.NaN);
    this.#lastDataUs = new Float64Array(capacity).fill(Number.NaN);
  }

  /** Takes an instrument on, in state `connecting`. @returns false when it was carried already. */
  carry(instrument: Instrument): boolean {
    invariant(
      instrument.id < this.#carries.length,
      `instrument ${instrument.id} is beyond the table's capacity`,
    );
    if (this.carries(instrument.id)) return false;
    this.#carries[instrument.id] = 1;
    this.carried.push(instrument);
    return true;
  }

  carries(id: number): boolean {
    return this.#carries[id] === 1;
  }

  isLive(id: number): boolean {
    return this.#state[id] === FEED_STATE.live;
  }

  state(id: number): number {
    return this.#state[id];
  }

  /** When the instrument last became live; NaN if never. */
  liveSinceUs(id: number): number {
    return this.#liveSinceUs[id];
  }

  onData(id: number, timeUs: number): void {
    this.#lastDataUs[id] = timeUs;
  }

  /** The instrument is live and its last data, or the moment it became live, is longer ago than the limit. */
  isSilent(id: number, timeUs: number, limitUs: number): boolean {
    if (!this.isLive(id)) return false;
    return timeUs - Math.max(this.#lastDataUs[id], this.#liveSinceUs[id]) > limitUs;
  }

  toLive(id: number, timeUs: number, out: EventBatch): void {
    if (this.isLive(id)) return;
    if (!Number.isNaN(this.#lostUs[id])) {
      this.#counters.resyncs += 1;
      this.#counters.lastResyncUs = timeUs - this.#lostUs[id];
      this.#healingUs.record(this.#counters.lastResyncUs);
      this.#lostUs[id] = Number.NaN;
    }
    this.#liveSinceUs[id] = timeUs;
    this.#lastDataUs[id] = timeUs;
    this.#enter(id, FEED_STATE.live, UNSOUND.none, out);
  }

  /** Waits for a snapshot for the first time on this connection; an unsound instrument stays unsound until it is live. */
  toSnapshot(id: number, out: EventBatch): void {
    if (this.#state[id] === FEED_STATE.connecting) this.#enter(id, FEED_STATE.snapshot, UNSOUND.none, out);
  }

  /** Not to be quoted on, for the reason given: `stale` when it is silence, `unsound` otherwise. */
  toUnsound(id: number, reason: number, timeUs: number, out: EventBatch): void {
    if (this.isLive(id)) this.#lostUs[id] = timeUs;
    this.#enter(id, reason === UNSOUND.silence ? FEED_STATE.stale : FEED_STATE.unsound, reason, out);
  }

  /** Some live instrument is not to be quoted on for now. */
  get holds(): boolean {
    return this.#heldCount > 0;
  }

  /** A live instrument is not to be quoted on for now; its book goes on. */
  hold(id: number, out: EventBatch): void {
    if (!this.isLive(id) || this.#held[id] === 1) return;
    this.#held[id] = 1;
    this.#heldCount += 1;
    this.#tell(id, out);
  }

  /** All that is held may be quoted on again. */
  release(out: EventBatch): void {
    for (const { id } of this.carried) {
      if (this.#held[id] === 0) continue;
      this.#held[id] = 0;
      this.#tell(id, out);
    }
    this.#heldCount = 0;
  }

  /** Tells what is still owed from calls whose batch was full. */
  settle(out: EventBatch): void {
    if (this.#owedCount === 0) return;
    for (const { id } of this.carried) {
      if (this.#owed[id] === 1 && this.#write(id, out)) {
        this.#owed[id] = 0;
        this.#owedCount -= 1;
      }
    }
  }

  #enter(id: number, state: number, reason: number, out: EventBatch): void {
    if (this.#state[id] === state && this.#reason[id] === reason) return;
    this.#state[id] = state;
    this.#reason[id] = reason;
    this.#heldCount -= this.#held[id];
    this.#held[id] = 0;
    this.#tell(id, out);
  }

  #tell(id: number, out: EventBatch): void {
    if (this.#write(id, out) || this.#owed[id] === 1) return;
    this.#owed[id] = 1;
    this.#owedCount += 1;
  }

  /** @returns false when there was no room */
  #write(id: number, out: EventBatch): boolean {
    return out.status(id, this.#state[id], this.#held[id] === 1 ? UNSOUND.stall : this.#reason[id]) >= 0;
  }
}
