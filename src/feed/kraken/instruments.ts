import { z } from "zod";
import { parseStep } from "../../core/decimal.ts";
import { BadInputError } from "../../core/errors.ts";
import type { InstrumentSpec } from "../../market/instrument.ts";

const pair = z.object({
  symbol: z.string().min(1),
  base: z.string().min(1),
  quote: z.string().min(1),
  price_precision: z.number().int().min(0).max(18),
  price_increment: z.number().positive(),
  qty_precision: z.number().int().min(0).max(18),
  qty_min: z.number().positive(),
});

/** A pair of the `instrument` channel. */
export interface KrakenPair {
  readonly spec: InstrumentSpec;
  /** Digits behind the point in the texts that checksums are taken over; at least as many as tick and lot have. */
  readonly priceDecimals: number;
  readonly sizeDecimals: number;
}

/**
 * Reads one pair of the `instrument` channel's snapshot: the tick is `price_increment`, the lot 10^-`qty_precision`.
 *
 * Source: Kraken WebSocket API v2, "Instrument". @throws BadInputError naming the field that is missing or wrong.
 */
export function readPair(entry: unknown): KrakenPair {
  const parsed = pair.safeParse(entry);
  if (!parsed.success) {
    const expected = "a pair as Kraken documents it";
    throw new BadInputError("kraken instrument", z.prettifyError(parsed.error), expected);
  }
  const info = parsed.data;
  const tick = parseStep(String(info.price_increment));
  if (tick.scale > info.price_precision) {
    const found = `price_increment ${info.price_increment} with price_precision ${info.price_precision}`;
    throw new BadInputError(`kraken instrument ${info.symbol}`, found, "an increment of that precision");
  }
  const lot = { mantissa: 1, scale: info.qty_precision };
  return {
    spec: {
      venue: "kraken",
      symbol: info.symbol,
      kind: "spot",
      base: info.base,
      quote: info.quote,
      settle: info.quote,
      tick,
      tickSteps: [],
      lot,
      minSizeLots: Math.max(1, Math.ceil(info.qty_min * 10 ** lot.scale - 1e-6)),
      inverse: false,
      contractSize: 1,
      expiryMs: Number.POSITIVE_INFINITY,
      strike: Number.NaN,
      optionType: null,
    },
    priceDecimals: info.price_precision,
    sizeDecimals: info.qty_precision,
  };
}
