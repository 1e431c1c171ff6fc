import type { NativeFunctions } from "../../core/native.ts";
import { OkxDecoder, type OkxInstruments } from "./decoder.ts";

/** The decoder of this process: native where the library is loaded. */
export function createOkxDecoder(instruments: OkxInstruments, _native?: NativeFunctions | null): OkxDecoder {
  return new OkxDecoder(instruments);
}
