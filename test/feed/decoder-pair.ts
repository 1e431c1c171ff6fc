import type { NativeFunctions } from "../../src/core/native.ts";
import { BinanceDecoder } from "../../src/feed/binance/decoder.ts";
import { DepthHead } from "../../src/feed/binance/depth-head.ts";
import { NativeBinanceDecoder } from "../../src/feed/binance/native-decoder.ts";
import { BitstampDecoder } from "../../src/feed/bitstamp/decoder.ts";
import { NativeBitstampDecoder } from "../../src/feed/bitstamp/native-decoder.ts";
import { BybitDecoder } from "../../src/feed/bybit/decoder.ts";
import { NativeBybitDecoder } from "../../src/feed/bybit/native-decoder.ts";
import { CoinbaseDecoder } from "../../src/feed/coinbase/decoder.ts";
import { NativeCoinbaseDecoder } from "../../src/feed/coinbase/native-decoder.ts";
import type { FrameDecoder } from "../../src/feed/decoder.ts";
import { DeribitDecoder } from "../../src/feed/deribit/decoder.ts";
import { NativeDeribitDecoder } from "../../src/feed/deribit/native-decoder.ts";
import { FRAME } from "../../src/feed/feed.ts";
import { KrakenDecoder } from "../../src/feed/kraken/decoder.ts";
import { NativeKrakenDecoder } from "../../src/feed/kraken/native-decoder.ts";
import { OkxDecoder } from "../../src/feed/okx/decoder.ts";
import { NativeOkxDecoder } from "../../src/feed/okx/native-decoder.ts";
import { ORDER, type OrderChange } from "../../src/feed/order-change.ts";
import { EVENT, EventBatch, TICKER_FIELDS } from "../../src/market/event-batch.ts";
import type { Instrument } from "../../src/market/instrument.ts";

/** What stands in a batch before each frame, so that decoders are seen to append. */
const BEFORE = { events: 1, levels: 2 } as const;

const EVENT_COLUMNS = [
  "kind",
  "instrument",
  "exchangeTimeUs",
  "firstSequence",
  "lastSequence",
  "previousSequence",
  "checksum",
  "code",
  "reason",
  "levelStart",
  "levelCount",
] as const;

/** The first difference between two batches, bit by bit; empty when there is none. */
export function batchDifference(expected: EventBatch, found: EventBatch): string {
  if (expected.count !== found.count) return `${expected.count} events, found ${found.count}`;
  if (expected.levels !== found.levels) return `${expected.levels} levels, found ${found.levels}`;
  const { count, levels } = expected;
  for (const column of EVENT_COLUMNS) {
    const difference = arrayDifference(column, expected[column], found[column], 0, count);
    if (difference !== "") return difference;
  }
  for (const column of ["side", "priceTicks", "sizeLots"] as const) {
    const difference = arrayDifference(column, expected[column], found[column], 0, levels);
    if (difference !== "") return difference;
  }
  for (let row = 0; row < count; row += 1) {
    if (expected.kind[row] !== EVENT.ticker) continue;
    const from = row * TICKER_FIELDS;
    const difference = arrayDifference("values", expected.values, found.values, from, from + TICKER_FIELDS);
    if (difference !== "") return difference;
  }
  return "";
}

function arrayDifference(
  name: string,
  expected: ArrayLike<number>,
  found: ArrayLike<number>,
  from: number,
  to: number,
): string {
  for (let i = from; i < to; i += 1) {
    if (!Object.is(expected[i], found[i])) return `${name}[${i}] ${expected[i]}, found ${found[i]}`;
  }
  return "";
}

/** Room of the batches that a comparison uses. */
export interface BatchBounds {
  readonly maxEvents: number;
  readonly maxLevels: number;
}

const ROOMY: BatchBounds = { maxEvents: 64, maxLevels: 8_192 };

/** The reference decoder of a venue beside the native ones of every instruction set, all fed the same frames. */
export class DecoderPair<Decoder extends FrameDecoder> {
  readonly reference: Decoder;
  readonly natives: readonly Decoder[];
  readonly #expected: EventBatch;
  readonly #found: EventBatch;

  constructor(reference: Decoder, natives: readonly Decoder[], { maxEvents, maxLevels }: BatchBounds) {
    this.reference = reference;
    this.natives = natives;
    this.#expected = new EventBatch(maxEvents, maxLevels);
    this.#found = new EventBatch(maxEvents, maxLevels);
  }

  /** Frames that a native decoder left to the reference. */
  get fallbacks(): number {
    return Math.max(...this.natives.map(({ fallbacks }) => fallbacks));
  }

  /** How the native decoders' answer to a frame differs from the reference's; empty when it does not. */
  disagreement(frame: string): string {
    return this.compare((decoder, out) => decoder.decode(frame, out));
  }

  /** The same for anything that decoders do. */
  compare(run: (decoder: Decoder, out: EventBatch) => number): string {
    const outcome = run(this.reference, prepared(this.#expected));
    for (const [isa, decoder] of this.natives.entries()) {
      const found = run(decoder, prepared(this.#found));
      if (found !== outcome) return `isa ${isa}: outcome ${outcome}, found ${found}`;
      const difference = batchDifference(this.#expected, this.#found);
      if (difference !== "") return `isa ${isa}: ${difference}`;
    }
    return "";
  }
}

/** Holds what {@link DepthHead} reads of a frame against the whole one too: a repetition must be known by it as by the levels. */
class BinancePair extends DecoderPair<BinanceDecoder> {
  /** Frames whose head was read and compared. */
  heads = 0;
  readonly #head = new DepthHead();
  readonly #whole = new EventBatch(ROOMY.maxEvents, ROOMY.maxLevels);
  readonly #bySymbol: ReadonlyMap<string, Instrument>;

  constructor(bySymbol: ReadonlyMap<string, Instrument>, native: NativeFunctions, bounds: BatchBounds) {
    const natives = ISAS.map((isa) => new NativeBinanceDecoder(bySymbol, native, isa));
    super(new BinanceDecoder(bySymbol), natives, bounds);
    this.#bySymbol = bySymbol;
  }

  override disagreement(frame: string): string {
    const difference = super.disagreement(frame);
    return difference === "" ? this.#headDisagreement(frame) : difference;
  }

  /** A frame that is broken or unusual behind its head says nothing of the head. */
  #headDisagreement(frame: string): string {
    const head = this.#head;
    if (!head.read(frame)) return "";
    const whole = this.#whole;
    whole.clear();
    if (this.reference.decode(frame, whole) !== FRAME.ok || whole.kind[0] !== EVENT.bookDelta) return "";
    this.heads += 1;
    const expected = [
      ...[whole.instrument[0], whole.exchangeTimeUs[0]],
      ...[whole.firstSequence[0], whole.lastSequence[0], whole.previousSequence[0]],
    ];
    const found = [
      ...[this.#bySymbol.get(head.symbol)?.id ?? Number.NaN, head.exchangeUs],
      ...[head.firstUpdate, head.lastUpdate, head.previousUpdate],
    ];
    return arrayDifference("head", expected, found, 0, expected.length);
  }
}

export function binancePair(
  bySymbol: ReadonlyMap<string, Instrument>,
  native: NativeFunctions,
  bounds = ROOMY,
): BinancePair {
  return new BinancePair(bySymbol, native, bounds);
}

export function deribitPair(
  bySymbol: ReadonlyMap<string, Instrument>,
  native: NativeFunctions,
  bounds = ROOMY,
): DecoderPair<DeribitDecoder> {
  const natives = ISAS.map((isa) => new NativeDeribitDecoder(bySymbol, native, isa));
  return new DecoderPair(new DeribitDecoder(bySymbol), natives, bounds);
}

export function bybitPair(
  bySymbol: ReadonlyMap<string, Instrument>,
  native: NativeFunctions,
  bounds = ROOMY,
): DecoderPair<BybitDecoder> {
  const natives = ISAS.map((isa) => new NativeBybitDecoder(bySymbol, native, isa));
  return new DecoderPair(new BybitDecoder(bySymbol), natives, bounds);
}

export function okxPair(
  bySymbol: ReadonlyMap<string, Instrument>,
  native: NativeFunctions,
  bounds = ROOMY,
): DecoderPair<OkxDecoder> {
  const instruments = { bySymbol, byIndex: new Map([["BTC-USD", [...bySymbol.values()]]]) };
  const natives = ISAS.map((isa) => new NativeOkxDecoder(instruments, native, isa));
  return new DecoderPair(new OkxDecoder(instruments), natives, bounds);
}

export function krakenPair(
  bySymbol: ReadonlyMap<string, Instrument>,
  native: NativeFunctions,
  bounds = ROOMY,
): DecoderPair<KrakenDecoder> {
  const natives = ISAS.map((isa) => new NativeKrakenDecoder(bySymbol, native, isa));
  return new DecoderPair(new KrakenDecoder(bySymbol), natives, bounds);
}

/** Compares the change of an order too. */
class OrderPair<Decoder extends CoinbaseDecoder | BitstampDecoder> extends DecoderPair<Decoder> {
  override disagreement(frame: string): string {
    const difference = super.disagreement(frame);
    if (difference !== "") return difference;
    const expected = orderText(this.reference);
    for (const native of this.natives) {
      const found = orderText(native);
      if (found !== expected) return `order ${expected}, found ${found}`;
    }
    return "";
  }
}

function orderText({ order }: { readonly order: OrderChange }): string {
  const { action, key, side, priceTicks, sizeLots, mustRest, sequence } = order;
  if (action === ORDER.pass) return `passes at ${sequence}`;
  return JSON.stringify({ action, ...key, side, priceTicks, sizeLots, mustRest, sequence });
}

export function coinbasePair(
  bySymbol: ReadonlyMap<string, Instrument>,
  native: NativeFunctions,
  bounds = ROOMY,
): DecoderPair<CoinbaseDecoder> {
  const natives = ISAS.map((isa) => new NativeCoinbaseDecoder(bySymbol, native, isa));
  return new OrderPair(new CoinbaseDecoder(bySymbol), natives, bounds);
}

export function bitstampPair(
  bySymbol: ReadonlyMap<string, Instrument>,
  native: NativeFunctions,
  bounds = ROOMY,
): DecoderPair<BitstampDecoder> {
  const natives = ISAS.map((isa) => new NativeBitstampDecoder(bySymbol, native, isa));
  return new OrderPair(new BitstampDecoder(bySymbol), natives, bounds);
}

/** Instruction sets with decoders of their own: numbers of `ffi/host.h`. */
const ISAS = [0, 1];

function prepared(out: EventBatch): EventBatch {
  out.clear();
  for (let i = 0; i < BEFORE.events; i += 1) out.begin(EVENT.trade, 7, 7);
  for (let i = 0; i < BEFORE.levels; i += 1) out.level(0, 7, 7);
  return out;
}
