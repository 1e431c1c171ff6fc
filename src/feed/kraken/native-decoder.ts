import { loadedNative, type NativeFunctions } from "../../core/native.ts";
import type { EventBatch } from "../../market/event-batch.ts";
import type { Instrument } from "../../market/instrument.ts";
import { FRAME, type FrameOutcome } from "../feed.ts";
import { NativeDecoderMemory } from "../native-decoder.ts";
import { KrakenDecoder } from "./decoder.ts";

/** Only books are hot; trades and tickers are a few a second. */
const BOOK = '{"channel":"book"';

/** The decoder of this process: native where the library is loaded. */
export function createKrakenDecoder(
  bySymbol: ReadonlyMap<string, Instrument>,
  native: NativeFunctions | null = loadedNative(),
): KrakenDecoder {
  return native === null ? new KrakenDecoder(bySymbol) : new NativeKrakenDecoder(bySymbol, native);
}

/** {@link KrakenDecoder} by `ffi/decode_kraken.c`; what that does not take goes the way of JSON.parse, with the same result. */
export class NativeKrakenDecoder extends KrakenDecoder {
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
    if (!frame.startsWith(BOOK)) return super.decode(frame, out);
    const memory = this.#memory;
    if (memory.decode(this.#native.keel_decode_kraken, frame, out)) return FRAME.ok;
    return memory.fellBack(super.decode(frame, out));
  }
}
