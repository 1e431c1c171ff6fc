import {
  REASON_NAMES,
  RELAY_VERSION,
  type RelayLevel,
  type RelaySequence,
  type RelayType,
  STATE_NAMES,
  TICKER_NAMES,
} from "../feed/relay/message.ts";
import { EVENT, FEED_STATE, SIDE, TICKER, UNSOUND } from "../market/event-batch.ts";
import type { OutMessage } from "./outbox.ts";
import { FEED_EVENT, FEED_EVENT_VALUES, LEVEL_VALUES } from "./record.ts";

/** Books told anew in one look at the clock, so that thousands of them do not come at once. */
const SNAPSHOTS_MAX = 64;

export interface FeedTextOptions {
  readonly topic: string;
  /** Larger than that of any publisher before. */
  readonly session: number;
  readonly snapshotMs: number;
  publish(message: OutMessage): void;
}

/** What is known of one instrument on the publishing thread. */
interface Told {
  readonly venue: string;
  readonly symbol: string;
  readonly spec: object;
  readonly sides: readonly [Map<number, number>, Map<number, number>];
  sequence: RelaySequence;
  exchangeUs: number | null;
  receivedUs: number;
  /** Best bid and ask that are newer than the book; null when none are. */
  top: { readonly sequence: RelaySequence; readonly bid: RelayLevel; readonly ask: RelayLevel } | null;
  state: number;
  number: number;
  dueMs: number;
}

/**
 * Makes messages of the desk's events, numbered by instrument, and keeps each book, so that it can be told whole from time to time: that is
 * how readers begin, and how they find back after a loss. Books are told only while the desk trusts them.
 */
export class FeedText {
  readonly #options: FeedTextOptions;
  readonly #told = new Map<number, Told>();

  constructor(options: FeedTextOptions) {
    this.#options = options;
  }

  describe(instrument: number, json: string): void {
    const spec = JSON.parse(json) as { readonly venue: string; readonly symbol: string };
    this.#told.set(instrument, {
      venue: spec.venue,
      symbol: spec.symbol,
      spec,
      sides: [new Map(), new Map()],
      sequence: [null, null, null],
      exchangeUs: null,
      receivedUs: 0,
      top: null,
      state: FEED_STATE.connecting,
      number: 0,
      dueMs: Number.POSITIVE_INFINITY,
    });
  }

  /** Takes an event out of the ring. */
  take(instrument: number, receivedUs: number, values: Float64Array): void {
    const told = this.#told.get(instrument);
    if (told === undefined) return;
    told.receivedUs = receivedUs;
    told.exchangeUs = orNull(values[FEED_EVENT.exchangeUs]);
    const sequence: RelaySequence = [
      orNull(values[FEED_EVENT.firstSequence]),
      orNull(values[FEED_EVENT.lastSequence]),
      orNull(values[FEED_EVENT.previousSequence]),
    ];
    const wasLive = told.state === FEED_STATE.live;
    switch (values[FEED_EVENT.kind]) {
      case EVENT.bookSnapshot:
        this.#snapshot(told, sequence, values);
        return;
      case EVENT.bookDelta:
        told.sequence = sequence;
        setLevels(told, values);
        if (!supersedes(told)) told.top = null;
        if (wasLive) this.#send(told, "delta", { sequence, ...levelsIn(values) });
        return;
      case EVENT.top: {
        const [bid, ask] = levelPairs(values);
        if (bid === undefined || ask === undefined) return;
        told.top = { sequence, bid, ask };
        if (wasLive) this.#send(told, "top", told.top);
        return;
      }
      case EVENT.trade: {
        const [side, ticks, lots] = values.subarray(FEED_EVENT_VALUES);
        this.#send(told, "trade", { sequence, side: side === SIDE.bid ? "buy" : "sell", ticks, lots });
        return;
      }
      case EVENT.ticker:
        this.#send(told, "ticker", { values: tickerIn(values) });
        return;
      case EVENT.status:
        this.#enter(told, values[FEED_EVENT.code], values[FEED_EVENT.reason]);
        return;
    }
  }

  /** Tells books whose time has come. To be called every few milliseconds. */
  snapshots(nowMs: number): void {
    let left = SNAPSHOTS_MAX;
    for (const told of this.#told.values()) {
      if (nowMs < told.dueMs) continue;
      if (told.dueMs > Number.NEGATIVE_INFINITY) {
        // The book holds now, however long ago it changed.
        told.receivedUs = Math.max(told.receivedUs, Date.now() * 1_000);
        this.#tellBook(told);
      }
      told.dueMs = nowMs + this.#options.snapshotMs;
      left -= 1;
      if (left === 0) return;
    }
  }

  #snapshot(told: Told, sequence: RelaySequence, values: Float64Array): void {
    for (const side of told.sides) side.clear();
    told.sequence = sequence;
    setLevels(told, values);
    if (!supersedes(told)) told.top = null;
    if (values[FEED_EVENT.afterLoss] === 1) {
      // A number that nobody gets says to everybody that something is missing.
      told.number += 1;
      told.top = null;
      this.#enter(told, values[FEED_EVENT.code], values[FEED_EVENT.reason]);
    } else if (told.state === FEED_STATE.live) {
      this.#tellBook(told, { anew: true });
    }
  }

  #enter(told: Told, state = 0, reason = 0): void {
    told.state = state;
    told.dueMs = Number.POSITIVE_INFINITY;
    this.#send(told, "status", {
      state: STATE_NAMES[state],
      reason: REASON_NAMES[reason] ?? REASON_NAMES[UNSOUND.none],
    });
    if (state !== FEED_STATE.live) return;
    this.#tellBook(told);
    told.dueMs = Number.NEGATIVE_INFINITY;
  }

  /** @param more beside the book: `anew` says that the venue has begun it anew, and who has all messages must take it as well */
  #tellBook(told: Told, more: object = {}): void {
    const [bids, asks] = told.sides.map((side, at) =>
      [...side].sort(([a], [b]) => (at === SIDE.bid ? b - a : a - b)),
    );
    this.#send(told, "snapshot", { sequence: told.sequence, spec: told.spec, bids, asks, ...more });
    if (told.top !== null) this.#send(told, "top", told.top);
  }

  #send(told: Told, type: RelayType, body: object): void {
    told.number += 1;
    const { venue, symbol, number, receivedUs, exchangeUs } = told;
    const head = { v: RELAY_VERSION, type, venue, instrument: symbol, session: this.#options.session };
    const value = JSON.stringify({ ...head, number, receivedUs, exchangeUs, ...body });
    this.#options.publish({ topic: this.#options.topic, key: `${venue}:${symbol}`, value });
  }
}

/** The best prices told last are newer than the book. */
function supersedes({ top, sequence }: Told): boolean {
  return top !== null && (top.sequence[1] ?? Number.NaN) > (sequence[1] ?? Number.NaN);
}

function setLevels(told: Told, values: Float64Array): void {
  for (let at = FEED_EVENT_VALUES; at < values.length; at += LEVEL_VALUES) {
    const side = told.sides[values[at] === SIDE.bid ? SIDE.bid : SIDE.ask];
    const [ticks, lots] = [values[at + 1] ?? 0, values[at + 2] ?? 0];
    if (lots > 0) side.set(ticks, lots);
    else side.delete(ticks);
  }
}

function levelPairs(values: Float64Array): RelayLevel[] {
  const levels: RelayLevel[] = [];
  for (let at = FEED_EVENT_VALUES; at < values.length; at += LEVEL_VALUES)
    levels.push([values[at + 1] ?? 0, values[at + 2] ?? 0]);
  return levels;
}

/** Levels keep their order within a side. */
function levelsIn(values: Float64Array): { readonly bids: RelayLevel[]; readonly asks: RelayLevel[] } {
  const [bids, asks]: [RelayLevel[], RelayLevel[]] = [[], []];
  for (let at = FEED_EVENT_VALUES; at < values.length; at += LEVEL_VALUES)
    (values[at] === SIDE.bid ? bids : asks).push([values[at + 1] ?? 0, values[at + 2] ?? 0]);
  return { bids, asks };
}

function tickerIn(values: Float64Array): Record<string, number> {
  const told: Record<string, number> = {};
  for (const name of TICKER_NAMES) {
    const value = values[FEED_EVENT_VALUES + TICKER[name]] ?? Number.NaN;
    if (!Number.isNaN(value)) told[name] = value;
  }
  return told;
}

function orNull(value = Number.NaN): number | null {
  return Number.isFinite(value) ? value : null;
}
