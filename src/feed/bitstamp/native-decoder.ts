import { loadedNative, type NativeFunctions } from "../../core/native.ts";
import type { EventBatch } from "../../market/event-batch.ts";
import type { Instrument } from "../../market/instrument.ts";
import { FRAME, type FrameOutcome } from "../feed.ts";
import { NativeDecoderMemory } from "../native-decoder.ts";
import { takeOrder } from "../native-order.ts";
import { BitstampDecoder } from "./decoder.ts";

/** The decoder of this process: native where the library is loaded. */
export function createBitstampDecoder(
  bySymbol: ReadonlyMap<string, Instrument>,
  native: NativeFunctions | null = loadedNative(),
): BitstampDecoder {
  return native === null ? new BitstampDecoder(bySymbol) : new NativeBitstampDecoder(bySymbol, native);
}

/** {@link BitstampDecoder} by `ffi/decode_bitstamp.c`; what that does not take goes the way of JSON.parse, with the same result. */
export class NativeBitstampDecoder extends BitstampDecoder {
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
    if (frame.startsWith('{"event":"bts:')) return super.decode(frame, out);
    const memory = this.#memory;
    const row = out.count;
    if (!memory.decode(this.#native.keel_decode_bitstamp, frame, out)) {
      return memory.fellBack(super.decode(frame, out));
    }
    takeOrder(out, row, this.order);
    return FRAME.ok;
  }
}
