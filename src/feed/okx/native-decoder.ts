import { loadedNative, type NativeFunctions } from "../../core/native.ts";
import type { EventBatch } from "../../market/event-batch.ts";
import { FRAME, type FrameOutcome } from "../feed.ts";
import { NativeDecoderMemory } from "../native-decoder.ts";
import { OkxDecoder, type OkxInstruments } from "./decoder.ts";

/** The index of many instruments comes a few times a second, and natively it would not be faster than by JSON.parse. */
const INDEX = '{"arg":{"channel":"index-tickers"';

/** The decoder of this process: native where the library is loaded. */
export function createOkxDecoder(
  instruments: OkxInstruments,
  native: NativeFunctions | null = loadedNative(),
): OkxDecoder {
  return native === null ? new OkxDecoder(instruments) : new NativeOkxDecoder(instruments, native);
}

/** {@link OkxDecoder} by `ffi/decode_okx.c`; what that does not take goes the way of JSON.parse, with the same result. */
export class NativeOkxDecoder extends OkxDecoder {
  readonly #native: NativeFunctions;
  readonly #memory: NativeDecoderMemory;

  constructor(instruments: OkxInstruments, native: NativeFunctions, isa?: number) {
    super(instruments);
    this.#native = native;
    this.#memory = new NativeDecoderMemory(native, instruments.bySymbol, isa);
  }

  override get fallbacks(): number {
    return this.#memory.fallbacks;
  }

  override decode(frame: string, out: EventBatch): FrameOutcome {
    if (frame.startsWith(INDEX)) return super.decode(frame, out);
    const memory = this.#memory;
    if (memory.decode(this.#native.keel_decode_okx, frame, out)) return FRAME.ok;
    return memory.fellBack(super.decode(frame, out));
  }
}
