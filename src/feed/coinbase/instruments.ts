import { z } from "zod";
import { parseStep } from "../../core/decimal.ts";
import { BadInputError } from "../../core/errors.ts";
import type { InstrumentSpec } from "../../market/instrument.ts";
import { parseJson } from "../decoder.ts";

const product = z.object({
  id: z.string().min(1),
  base_currency: z.string().min(1),
  quote_currency: z.string().min(1),
  quote_increment: z.string(),
  base_increment: z.string(),
});

/**
 * Reads the answer to `GET /products/<id>`: the tick is `quote_increment`, the lot `base_increment`.
 *
 * Source: Coinbase Exchange REST API, "Get single product". @throws BadInputError naming the field that is missing or wrong.
 */
export function readProduct(body: string): InstrumentSpec {
  const parsed = product.safeParse(parseJson(body));
  if (!parsed.success) {
    throw new BadInputError(
      "coinbase product",
      z.prettifyError(parsed.error),
      "a product as Coinbase documents it",
    );
  }
  const info = parsed.data;
  return {
    venue: "coinbase",
    symbol: info.id,
    kind: "spot",
    base: info.base_currency,
    quote: info.quote_currency,
    settle: info.quote_currency,
    tick: parseStep(info.quote_increment),
    tickSteps: [],
    lot: parseStep(info.base_increment),
    minSizeLots: 1,
    inverse: false,
    contractSize: 1,
    expiryMs: Number.POSITIVE_INFINITY,
    strike: Number.NaN,
    optionType: null,
  };
}
