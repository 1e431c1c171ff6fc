import type { NativeFunctions } from "../../core/native.ts";
import type { Instrument } from "../../market/instrument.ts";
import { BybitDecoder } from "./decoder.ts";

/** The decoder of this process: native where the library is loaded. */
export function createBybitDecoder(
  bySymbol: ReadonlyMap<string, Instrument>,
  _native?: NativeFunctions | null,
): BybitDecoder {
  return new BybitDecoder(bySymbol);
}
