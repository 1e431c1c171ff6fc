import type { Instrument } from "../../market/instrument.ts";

/** Deribit's test venue: where the gateway goes unless told otherwise. */
export const DERIBIT_TESTNET_URL = "wss://test.deribit.com/ws/api/v2";

/** Quotes that the venue takes in one mass quote. Source: Deribit, "Mass Quotes Specifications". */
export const MAX_QUOTES = 100;

/** The index that an instrument belongs to, by the venue's name: `btc_usd`, `eth_usd`, `sol_usdc`. */
export function indexOf(instrument: Instrument): string {
  const against = instrument.inverse ? "USD" : instrument.settle;
  return `${instrument.base}_${against}`.toLowerCase();
}

/** Market-maker protection of one index, as the venue is asked to keep it. Source: Deribit API, private/set_mmp_config. */
export interface MmpLimits {
  readonly intervalSeconds: number;
  readonly frozenSeconds: number;
  /** In coins of the base. */
  readonly quantityLimit: number;
  /** In coins of the base; below the quantity limit. */
  readonly deltaLimit: number;
  /** In USD; 0 = none. */
  readonly vegaLimit: number;
  /** Most that may be open per side and instrument, in coins of the base; 0 = not told. */
  readonly maxQuoteQuantity: number;
}
