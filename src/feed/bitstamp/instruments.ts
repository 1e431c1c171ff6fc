import { z } from "zod";
import { BadInputError } from "../../core/errors.ts";
import type { InstrumentSpec } from "../../market/instrument.ts";
import { isObject, parseJson } from "../decoder.ts";

const market = z.object({
  market_symbol: z.string().min(1),
  base_currency: z.string().min(1),
  counter_currency: z.string().min(1),
  base_decimals: z.number().int().min(0).max(18),
  counter_decimals: z.number().int().min(0).max(18),
});

/**
 * Reads one market of the answer to `GET /api/v2/markets/`: the tick is 10^-`counter_decimals`, the lot 10^-`base_decimals`.
 *
 * Source: Bitstamp HTTP API, "Markets". @returns undefined when it is not listed.
 * @throws BadInputError when the body is no such answer.
 */
export function readMarket(body: string, symbol: string): InstrumentSpec | undefined {
  const markets = parseJson(body);
  if (!Array.isArray(markets)) {
    throw new BadInputError("bitstamp markets", JSON.stringify(body.slice(0, 80)), "an array of markets");
  }
  const entry: unknown = markets.find((other: unknown) => isObject(other) && other.market_symbol === symbol);
  if (entry === undefined) return undefined;
  const parsed = market.safeParse(entry);
  if (!parsed.success) {
    throw new BadInputError(
      "bitstamp markets",
      z.prettifyError(parsed.error),
      "a market as Bitstamp documents it",
    );
  }
  const info = parsed.data;
  return {
    venue: "bitstamp",
    symbol,
    kind: "spot",
    base: info.base_currency,
    quote: info.counter_currency,
    settle: info.counter_currency,
    tick: { mantissa: 1, scale: info.counter_decimals },
    tickSteps: [],
    lot: { mantissa: 1, scale: info.base_decimals },
    minSizeLots: 1,
    inverse: false,
    contractSize: 1,
    expiryMs: Number.POSITIVE_INFINITY,
    strike: Number.NaN,
    optionType: null,
  };
}
