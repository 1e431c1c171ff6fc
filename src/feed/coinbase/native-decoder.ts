import { loadedNative, type NativeFunctions } from "../../core/native.ts";
import { EVENT, type EventBatch, TICKER_FIELDS } from "../../market/event-batch.ts";
import type { Instrument } from "../../market/instrument.ts";
import { FRAME, type FrameOutcome } from "../feed.ts";
import { NativeDecoderMemory } from "../native-decoder.ts";
import { ORDER, type OrderAction } from "../order-change.ts";
import { CoinbaseDecoder } from "./decoder.ts";

/** Where a message's type begins when it comes first, as it does. */
const TYPE_AT = '{"type":"'.length;
/** First letters of the types that are hot, `l2update` by its second; what else comes is a few a second, or a snapshot. */
const HOT = new Set(["2", "m", "o", "d", "r"].map((letter) => letter.charCodeAt(0)));
const L = "l".charCodeAt(0);

/** Where the change of an order stands in the values of its event; `ffi/decode_coinbase.c` has the same numbers. */
const AT = { action: 0, key: 1, side: 5, ticks: 6, lots: 7, mustRest: 8, sequence: 9 } as const;

/** The decoder of this process: native where the library is loaded. */
export function createCoinbaseDecoder(
  bySymbol: ReadonlyMap<string, Instrument>,
  native: NativeFunctions | null = loadedNative(),
): CoinbaseDecoder {
  return native === null ? new CoinbaseDecoder(bySymbol) : new NativeCoinbaseDecoder(bySymbol, native);
}

/** {@link CoinbaseDecoder} by `ffi/decode_coinbase.c`; what that does not take goes the way of JSON.parse, with the same result. */
export class NativeCoinbaseDecoder extends CoinbaseDecoder {
  readonly #native: NativeFunctions;
  readonly #memory: NativeDecoderMemory;

  constructor(bySymbol: ReadonlyMap<string, Instrument>, native: NativeFunctions, isa?: number) {
    super(bySymbol);
    this.#native = native;
    this.#memory = new NativeDecoderMemory(native, bySymbol, isa);
  }

  override get fallbacks(): number {
    return this.#memory.fallbacks;
  }

  override decode(frame: string, out: EventBatch): FrameOutcome {
    if (!isHot(frame)) return super.decode(frame, out);
    const memory = this.#memory;
    const row = out.count;
    if (!memory.decode(this.#native.keel_decode_coinbase, frame, out)) {
      return memory.fellBack(super.decode(frame, out));
    }
    this.#takeOrder(out, row);
    return FRAME.ok;
  }

  /** Copies the change of an order from its event; a change of levels is none. */
  #takeOrder({ kind, values, lastSequence }: EventBatch, row: number): void {
    const { order } = this;
    order.action = ORDER.pass;
    order.sequence = Number.NaN;
    if (kind[row] === EVENT.bookDelta && Number.isNaN(lastSequence[row])) return;
    const at = row * TICKER_FIELDS;
    order.action = values[at + AT.action] as OrderAction;
    order.key.w0 = values[at + AT.key];
    order.key.w1 = values[at + AT.key + 1];
    order.key.w2 = values[at + AT.key + 2];
    order.key.w3 = values[at + AT.key + 3];
    order.side = values[at + AT.side];
    order.priceTicks = values[at + AT.ticks];
    order.sizeLots = values[at + AT.lots];
    order.mustRest = values[at + AT.mustRest] === 1;
    order.sequence = values[at + AT.sequence];
  }
}

function isHot(frame: string): boolean {
  const first = frame.charCodeAt(TYPE_AT);
  return HOT.has(first === L ? frame.charCodeAt(TYPE_AT + 1) : first);
}
