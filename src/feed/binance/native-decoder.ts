import type { Pointer } from "bun:ffi";
import { loadedNative, type NativeFunctions } from "../../core/native.ts";
import type { EventBatch } from "../../market/event-batch.ts";
import type { Instrument } from "../../market/instrument.ts";
import { FRAME, type FrameOutcome } from "../feed.ts";
import { NativeDecoderMemory } from "../native-decoder.ts";
import { BinanceDecoder } from "./decoder.ts";

/** The decoder of this process: native where the library is loaded. */
export function createBinanceDecoder(
  bySymbol: ReadonlyMap<string, Instrument>,
  native: NativeFunctions | null = loadedNative(),
): BinanceDecoder {
  return native === null ? new BinanceDecoder(bySymbol) : new NativeBinanceDecoder(bySymbol, native);
}

/** {@link BinanceDecoder} by `ffi/decode_binance.c`; what that does not take goes the way of JSON.parse, with the same result. */
export class NativeBinanceDecoder extends BinanceDecoder {
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
    const memory = this.#memory;
    if (memory.decode(this.#native.keel_decode_binance, frame, out)) return FRAME.ok;
    return memory.fellBack(super.decode(frame, out));
  }

  override decodeSnapshot(body: string, instrument: Instrument, out: EventBatch): FrameOutcome {
    const memory = this.#memory;
    const listing = memory.listingOf(instrument);
    const decode = (address: Pointer, length: number): number =>
      this.#native.keel_decode_binance_depth(address, length, listing);
    if (memory.decode(decode, body, out)) return FRAME.ok;
    return memory.fellBack(super.decodeSnapshot(body, instrument, out));
  }
}
