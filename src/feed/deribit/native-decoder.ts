import { loadedNative, type NativeFunctions } from "../../core/native.ts";
import type { EventBatch } from "../../market/event-batch.ts";
import type { Instrument } from "../../market/instrument.ts";
import { FRAME, type FrameOutcome } from "../feed.ts";
import { NativeDecoderMemory } from "../native-decoder.ts";
import { DeribitDecoder } from "./decoder.ts";

/** The decoder of this process: native where the library is loaded. */
export function createDeribitDecoder(
  bySymbol: ReadonlyMap<string, Instrument>,
  native: NativeFunctions | null = loadedNative(),
): DeribitDecoder {
  return native === null ? new DeribitDecoder(bySymbol) : new NativeDeribitDecoder(bySymbol, native);
}

/** {@link DeribitDecoder} by `ffi/decode_deribit.c`; what that does not take goes the way of JSON.parse, with the same result. */
export class NativeDeribitDecoder extends DeribitDecoder {
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
    if (memory.decode(this.#native.keel_decode_deribit, frame, out)) return FRAME.ok;
    return memory.fellBack(super.decode(frame, out));
  }
}
