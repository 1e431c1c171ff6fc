import { workerUrl } from "../core/executable.ts";
import { RING_NONE, RingProducer, ringMemory } from "../core/ring.ts";
import { FEATURE_COUNT, FEATURES, SCHEMA_HASH } from "../feature/schema.ts";
import { relaySpec } from "../feed/relay/message.ts";
import type { DeskTap } from "../gateway/tap.ts";
import type { Book } from "../market/book.ts";
import { EVENT, type EventBatch, TICKER_FIELDS } from "../market/event-batch.ts";
import type { InstrumentTable } from "../market/instrument.ts";
import type { QuoteBatch } from "../quote/quote-batch.ts";
import {
  COUNTERS,
  type CounterName,
  Counters,
  type DistributionReply,
  type DistributionStart,
  type DistributionStop,
  revealed,
} from "./control.ts";
import { FeedEvents } from "./feed-events.ts";
import { KeptThread, type ThreadLoss } from "./kept-thread.ts";
import type { DistributionOptions, Publication } from "./options.ts";
import { HEAD_BYTES, QUOTE, QUOTE_VALUES, RECORD, type RecordKind } from "./record.ts";

const RING_BYTES = 8 * 1024 * 1024;
const TOP_VALUES = 5;
const TRADE_VALUES = 4;

/** What the distributor has to know of the desk. */
export interface DistributedDesk {
  readonly instruments: InstrumentTable;
  /** By instrument; an instrument's book is there before its first event. */
  readonly books: readonly Book[];
  readonly underlyings: { readonly size: number; base(underlying: number): string };
  readonly underlyingCapacity: number;
  readonly heads: readonly string[];
  /** Name and version of the model. */
  readonly model: string;
}

export interface DistributorOptions extends DistributionOptions {
  readonly desk: DistributedDesk;
  /** A signal came from Kafka, as a frame of the signal feed. */
  readonly onSignal: (frame: string) => void;
  readonly onProblem: (problem: string) => void;
  /** For sending at the end what still waits. */
  readonly shutdownMs: number;
  /** Power of two. */
  readonly ringBytes?: number;
}

/** Counters that tell how things stand now; the others only grow. */
const GAUGES: ReadonlySet<CounterName> = new Set(["kafkaBacklog", "kafkaUp", "signalsUp", "redisUp"]);

/**
 * The desk's end of the distribution: market data and decisions to Kafka, features to Redis, signals from Kafka. What the desk shows
 * is copied as numbers into a bounded ring; a thread of its own makes texts of it and speaks to the servers. A call never waits and
 * never throws; what does not fit is counted in {@link dropped}. A thread that ends or hangs is replaced: what lay in its ring, and what
 * waited for the brokers, is lost and counted, and readers of the feed are told all books anew.
 */
export class Distributor implements DeskTap {
  /** Records that did not fit the ring. */
  dropped = 0;
  /** What lay in the rings of threads that were lost. */
  discardedBytes = 0;
  readonly #desk: DistributedDesk;
  readonly #ringBytes: number;
  #ringMemory: SharedArrayBuffer;
  #ring: RingProducer;
  #counterMemory = Counters.memory();
  #counters = new Counters(this.#counterMemory);
  /** Counts of the threads before this one. */
  readonly #before = new Map<CounterName, number>();
  readonly #thread: KeptThread<DistributionReply>;
  readonly #ended = Promise.withResolvers<void>();
  readonly #shutdownMs: number;
  readonly #publishes: ReadonlySet<Publication>;
  /** Null when `feed` is not published. */
  readonly #feed: FeedEvents | null;
  readonly #intervalUs: number;
  readonly #featuresUs: Float64Array;
  /** Bid price, bid size, ask price, ask size last shown, in ticks and lots, by instrument. */
  readonly #shown: Float64Array;
  /** Mantissa and divisor of tick and lot by instrument: `ticks × mantissa ÷ divisor` is the double nearest to the price. */
  readonly #steps: Float64Array;
  #named = 0;
  #namedUnderlyings = 0;
  #closed = false;

  constructor(options: DistributorOptions) {
    const { desk, kafka, redis } = options;
    const { capacity } = desk.instruments;
    this.#desk = desk;
    this.#shutdownMs = options.shutdownMs;
    this.#publishes = new Set(kafka?.publish ?? []);
    this.#intervalUs = redis === undefined ? Number.POSITIVE_INFINITY : redis.intervalMs * 1_000;
    this.#featuresUs = new Float64Array(desk.underlyingCapacity).fill(Number.NEGATIVE_INFINITY);
    this.#shown = new Float64Array(capacity * 4).fill(Number.NaN);
    this.#steps = new Float64Array(capacity * 4);
    this.#ringBytes = options.ringBytes ?? RING_BYTES;
    this.#ringMemory = ringMemory(this.#ringBytes);
    this.#ring = new RingProducer(this.#ringMemory);
    this.#feed = this.#publishes.has("feed")
      ? new FeedEvents(this.#ring, desk.books, capacity, () => {
          this.dropped += 1;
        })
      : null;
    this.#thread = new KeptThread({
      url: workerUrl("distribution"),
      begin: (beat): DistributionStart => ({
        start: {
          ...{ beat, ring: this.#ringMemory, counters: this.#counterMemory },
          kafka: kafka === undefined ? undefined : revealed(kafka),
          redis: redis === undefined ? undefined : revealed(redis),
          heads: desk.heads,
          model: desk.model,
          schema: {
            schemaHash: SCHEMA_HASH,
            features: FEATURES.map(({ name, unit, windowMs }) => ({ name, unit, windowMs })),
          },
        },
      }),
      onReply: (reply) => {
        if ("signals" in reply) for (const frame of reply.signals) options.onSignal(frame);
        else if ("problem" in reply) options.onProblem(reply.problem);
        else this.#ended.resolve();
      },
      onLost: (problem) => {
        options.onProblem(`distribution: ${problem}`);
        this.#onLost();
      },
    });
  }

  /** What became of the thread, until another one has turned; null while one is there. */
  get failure(): string | null {
    return this.#thread.failure;
  }

  /** Threads given up, by cause. */
  get losses(): Readonly<Record<ThreadLoss, number>> {
    return this.#thread.losses;
  }

  counter(name: CounterName): number {
    return (this.#before.get(name) ?? 0) + this.#counters.get(name);
  }

  /** The events that the desk has applied in this turn, when what they caused has left. */
  onEvents(events: EventBatch, rows: Int32Array, count: number, timeUs: number): void {
    if (this.#desk.instruments.size > this.#named) this.#nameInstruments();
    for (let at = 0; at < count; at += 1) {
      const row = rows[at];
      const instrument = events.instrument[row];
      if (instrument < 0) continue;
      if (instrument >= this.#named) {
        this.dropped += 1;
        continue;
      }
      this.#feed?.onEvent(events, row, instrument, timeUs);
      switch (events.kind[row]) {
        case EVENT.bookSnapshot:
        case EVENT.bookDelta:
        case EVENT.top:
          if (this.#publishes.has("top")) this.#top(instrument, events.exchangeTimeUs[row], timeUs);
          break;
        case EVENT.trade:
          if (this.#publishes.has("trades")) this.#trade(events, row, instrument, timeUs);
          break;
        case EVENT.ticker:
          if (this.#publishes.has("tickers")) this.#ticker(events, row, instrument, timeUs);
          break;
        case EVENT.status:
          if (this.#publishes.has("top")) this.#status(events, row, instrument, timeUs);
          break;
      }
    }
  }

  /** Features that were made for the model. Copied at most once an interval. */
  onFeatures(underlying: number, features: Float32Array, offset: number, timeUs: number): void {
    if (!(timeUs - this.#featuresUs[underlying] >= this.#intervalUs)) return;
    if (underlying >= this.#namedUnderlyings) this.#nameUnderlyings();
    const at = this.#begin(RECORD.features, underlying, timeUs, FEATURE_COUNT);
    if (at < 0) return;
    this.#featuresUs[underlying] = timeUs;
    const { f64 } = this.#ring;
    for (let column = 0; column < FEATURE_COUNT; column += 1) f64[at + column] = features[offset + column];
    this.#commit(FEATURE_COUNT);
  }

  onPrediction(
    underlying: number,
    probabilities: Float32Array,
    offset: number,
    heads: number,
    status: number,
    timeUs: number,
  ): void {
    if (!this.#publishes.has("predictions")) return;
    if (underlying >= this.#namedUnderlyings) this.#nameUnderlyings();
    const at = this.#begin(RECORD.prediction, underlying, timeUs, 1 + heads);
    if (at < 0) return;
    const { f64 } = this.#ring;
    f64[at] = status;
    for (let head = 0; head < heads; head += 1) f64[at + 1 + head] = probabilities[offset + head];
    this.#commit(1 + heads);
  }

  onQuotes(quotes: QuoteBatch, timeUs: number): void {
    if (!this.#publishes.has("quotes")) return;
    if (this.#desk.instruments.size > this.#named) this.#nameInstruments();
    for (let row = 0; row < quotes.count; row += 1) {
      const instrument = quotes.instrument[row];
      const at = this.#begin(RECORD.quote, instrument, timeUs, QUOTE_VALUES);
      if (at < 0) continue;
      const { f64 } = this.#ring;
      const [bidLots, askLots] = [quotes.bidLots[row], quotes.askLots[row]];
      f64[at + QUOTE.quoteId] = quotes.quoteId[row];
      f64[at + QUOTE.level] = quotes.level[row];
      f64[at + QUOTE.bidPrice] = bidLots > 0 ? this.#price(instrument, quotes.bidTicks[row]) : Number.NaN;
      f64[at + QUOTE.bidSize] = this.#size(instrument, bidLots);
      f64[at + QUOTE.askPrice] = askLots > 0 ? this.#price(instrument, quotes.askTicks[row]) : Number.NaN;
      f64[at + QUOTE.askSize] = this.#size(instrument, askLots);
      f64[at + QUOTE.fair] = quotes.fair[row];
      f64[at + QUOTE.widenBp] = quotes.widenBp[row];
      f64[at + QUOTE.sizeFactor] = quotes.sizeFactor[row];
      f64[at + QUOTE.reasons] = quotes.reasons[row];
      this.#commit(QUOTE_VALUES);
    }
  }

  onCancelAll(timeUs: number): void {
    if (this.#publishes.has("quotes") && this.#begin(RECORD.cancelAll, 0, timeUs, 0) >= 0) this.#commit(0);
  }

  onTimer(timeUs: number): void {
    if (this.#feed?.retells !== true || this.#closed) return;
    if (this.#desk.instruments.size > this.#named) this.#nameInstruments();
    this.#feed.retell(this.#named, timeUs);
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#feed?.close();
    this.#thread.post({ stopWithinMs: this.#shutdownMs } satisfies DistributionStop, true);
    if (!this.#thread.running) this.#ended.resolve();
  }

  /** Waits, after {@link close}, until what waited has been sent or given up. */
  async ended(): Promise<void> {
    this.close();
    await Promise.race([this.#ended.promise, Bun.sleep(this.#shutdownMs + 1_000)]);
    this.#thread.close();
  }

  /** The thread is gone with all that it knew: the next one begins with a ring, counters and names of its own. */
  #onLost(): void {
    for (const name of COUNTERS) {
      if (!GAUGES.has(name)) this.#before.set(name, this.counter(name));
    }
    this.#before.set("kafkaDropped", this.counter("kafkaDropped") + this.#counters.get("kafkaBacklog"));
    this.discardedBytes += this.#ring.used;
    this.#ringMemory = ringMemory(this.#ringBytes);
    this.#ring = new RingProducer(this.#ringMemory);
    this.#counterMemory = Counters.memory();
    this.#counters = new Counters(this.#counterMemory);
    this.#named = 0;
    this.#namedUnderlyings = 0;
    this.#shown.fill(Number.NaN);
    this.#feed?.restart(this.#ring);
    if (this.#closed) this.#ended.resolve();
  }

  #top(instrument: number, exchangeUs: number, timeUs: number): void {
    const { bestBidTicks, bestBidLots, bestAskTicks, bestAskLots } = this.#desk.books[instrument];
    const shown = this.#shown;
    const last = instrument * 4;
    if (
      shown[last] === bestBidTicks &&
      shown[last + 1] === bestBidLots &&
      shown[last + 2] === bestAskTicks &&
      shown[last + 3] === bestAskLots
    ) {
      return;
    }
    const at = this.#begin(RECORD.top, instrument, timeUs, TOP_VALUES);
    if (at < 0) return;
    shown[last] = bestBidTicks;
    shown[last + 1] = bestBidLots;
    shown[last + 2] = bestAskTicks;
    shown[last + 3] = bestAskLots;
    const { f64 } = this.#ring;
    f64[at] = exchangeUs;
    f64[at + 1] = bestBidLots > 0 ? this.#price(instrument, bestBidTicks) : Number.NaN;
    f64[at + 2] = this.#size(instrument, bestBidLots);
    f64[at + 3] = bestAskLots > 0 ? this.#price(instrument, bestAskTicks) : Number.NaN;
    f64[at + 4] = this.#size(instrument, bestAskLots);
    this.#commit(TOP_VALUES);
  }

  #trade(events: EventBatch, row: number, instrument: number, timeUs: number): void {
    const at = this.#begin(RECORD.trade, instrument, timeUs, TRADE_VALUES);
    if (at < 0) return;
    const level = events.levelStart[row];
    const { f64 } = this.#ring;
    f64[at] = events.exchangeTimeUs[row];
    f64[at + 1] = events.side[level];
    f64[at + 2] = this.#price(instrument, events.priceTicks[level]);
    f64[at + 3] = this.#size(instrument, events.sizeLots[level]);
    this.#commit(TRADE_VALUES);
  }

  #ticker(events: EventBatch, row: number, instrument: number, timeUs: number): void {
    const at = this.#begin(RECORD.ticker, instrument, timeUs, 1 + TICKER_FIELDS);
    if (at < 0) return;
    const { f64 } = this.#ring;
    f64[at] = events.exchangeTimeUs[row];
    const from = row * TICKER_FIELDS;
    for (let column = 0; column < TICKER_FIELDS; column += 1)
      f64[at + 1 + column] = events.values[from + column];
    this.#commit(1 + TICKER_FIELDS);
  }

  #status(events: EventBatch, row: number, instrument: number, timeUs: number): void {
    const at = this.#begin(RECORD.status, instrument, timeUs, 2);
    if (at < 0) return;
    const { f64 } = this.#ring;
    f64[at] = events.code[row];
    f64[at + 1] = events.reason[row];
    this.#commit(2);
    // The same top means something else before and after.
    this.#shown.fill(Number.NaN, instrument * 4, instrument * 4 + 4);
  }

  #price(instrument: number, ticks: number): number {
    return (ticks * this.#steps[instrument * 4]) / this.#steps[instrument * 4 + 1];
  }

  #size(instrument: number, lots: number): number {
    return (lots * this.#steps[instrument * 4 + 2]) / this.#steps[instrument * 4 + 3];
  }

  /** @returns where the values go in the ring's f64 view, −1 when there is no room */
  #begin(kind: RecordKind, subject: number, timeUs: number, values: number): number {
    const at = this.#closed ? RING_NONE : this.#ring.reserve(HEAD_BYTES + values * 8);
    if (at === RING_NONE) {
      this.dropped += 1;
      return -1;
    }
    const { u32, f64 } = this.#ring;
    u32[at >> 2] = kind;
    u32[(at >> 2) + 1] = subject;
    f64[(at >> 3) + 1] = timeUs;
    return (at + HEAD_BYTES) >> 3;
  }

  #commit(values: number): void {
    this.#ring.commit(HEAD_BYTES + values * 8);
  }

  #nameInstruments(): void {
    const { instruments } = this.#desk;
    for (; this.#named < instruments.size; this.#named += 1) {
      const instrument = instruments.get(this.#named);
      if (!this.#name(RECORD.instrument, this.#named, JSON.stringify(relaySpec(instrument)))) return;
      const { tick, lot } = instrument;
      this.#steps.set([tick.mantissa, 10 ** tick.scale, lot.mantissa, 10 ** lot.scale], this.#named * 4);
    }
  }

  #nameUnderlyings(): void {
    const { underlyings } = this.#desk;
    for (; this.#namedUnderlyings < underlyings.size; this.#namedUnderlyings += 1) {
      const base = underlyings.base(this.#namedUnderlyings);
      if (!this.#name(RECORD.underlying, this.#namedUnderlyings, JSON.stringify({ base }))) return;
    }
  }

  /** @returns false when there is no room; the name is told with the next call */
  #name(kind: RecordKind, subject: number, json: string): boolean {
    const length = Buffer.byteLength(json);
    const at = this.#ring.reserve(HEAD_BYTES + length);
    if (at === RING_NONE) return false;
    const { u32, f64, bytes } = this.#ring;
    u32[at >> 2] = kind;
    u32[(at >> 2) + 1] = subject;
    f64[(at >> 3) + 1] = 0;
    this.#ring.commit(HEAD_BYTES + bytes.write(json, at + HEAD_BYTES, length, "utf8"));
    return true;
  }
}
