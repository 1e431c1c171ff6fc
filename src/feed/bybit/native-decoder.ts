import { loadedNative, type NativeFunctions } from "../../core/native.ts";
import type { EventBatch } from "../../market/event-batch.ts";
import type { Instrument } from "../../market/instrument.ts";
import { FRAME, type FrameOutcome } from "../feed.ts";
import { NativeDecoderMemory } from "../native-decoder.ts";
import { BybitDecoder } from "./decoder.ts";

/** The decoder of this process: native where the library is loaded. */
export function createBybitDecoder(
  bySymbol: ReadonlyMap<string, Instrument>,
  native: NativeFunctions | null = loadedNative(),
): BybitDecoder {
  return native === null ? new BybitDecoder(bySymbol) : new NativeBybitDecoder(bySymbol, native);
}

/** {@link BybitDecoder} by `ffi/decode_bybit.c`; what that does not take goes the way of JSON.parse, with the same result. */
export class NativeBybitDecoder extends BybitDecoder {
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
    if (memory.decode(this.#native.keel_decode_bybit, frame, out)) return FRAME.ok;
    return memory.fellBack(super.decode(frame, out));
  }
}
