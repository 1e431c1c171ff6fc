import { loadedNative, type NativeFunctions } from "../../core/native.ts";
import type { EventBatch } from "../../market/event-batch.ts";
import type { Instrument } from "../../market/instrument.ts";
import { FRAME, type FrameOutcome } from "../feed.ts";
import { NativeDecoderMemory } from "../native-decoder.ts";
import { takeOrder } from "../native-order.ts";
import { CoinbaseDecoder } from "./decoder.ts";

/** Where a message's type begins when it comes first, as it does. */
const TYPE_AT = '{"type":"'.length;
/** First letters of the types that are hot, `l2update` by its second; what else comes is a few a second, or a snapshot. */
const HOT = new Set(["2", "m", "o", "d", "r"].map((letter) => letter.charCodeAt(0)));
const L = "l".charCodeAt(0);

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
    takeOrder(out, row, this.order);
    return FRAME.ok;
  }
}

function isHot(frame: string): boolean {
  const first = frame.charCodeAt(TYPE_AT);
  return HOT.has(first === L ? frame.charCodeAt(TYPE_AT + 1) : first);
}
