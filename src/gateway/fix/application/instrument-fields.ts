import type { MessageBuilder } from "../builder.ts";
import { TAG } from "../tags.ts";
import type { FieldTree } from "./field-tree.ts";

/** Side (54), as far as quoting needs it. */
export const SIDE = { buy: "1", sell: "2" } as const;
export type Side = keyof typeof SIDE;

export function readSide(text: string | undefined): Side | null {
  if (text === SIDE.buy) return "buy";
  return text === SIDE.sell ? "sell" : null;
}

/** Which instrument is meant: the venue's name for it, and the venue where it is given. */
export interface InstrumentName {
  readonly symbol: string;
  /** SecurityExchange (207). */
  readonly exchange: string | undefined;
}

/** Undefined without a Symbol (55). */
export function readInstrument(tree: FieldTree): InstrumentName | undefined {
  const symbol = tree.text(TAG.symbol);
  return symbol === undefined ? undefined : { symbol, exchange: tree.text(TAG.securityExchange) };
}

export function writeInstrument(builder: MessageBuilder, { symbol, exchange }: InstrumentName): void {
  builder.text(TAG.symbol, symbol);
  if (exchange !== undefined) builder.text(TAG.securityExchange, exchange);
}
