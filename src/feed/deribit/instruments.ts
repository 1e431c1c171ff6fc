import { z } from "zod";
import { parseStep } from "../../core/decimal.ts";
import { BadInputError } from "../../core/errors.ts";
import type { InstrumentKind, InstrumentSpec, TickStep } from "../../market/instrument.ts";

const tickStep = z.object({ above_price: z.number().nonnegative(), tick_size: z.number().positive() });

const instrument = z.object({
  instrument_name: z.string().min(1),
  kind: z.string(),
  base_currency: z.string().min(1),
  quote_currency: z.string().min(1),
  settlement_currency: z.string().min(1).optional(),
  settlement_period: z.string().optional(),
  tick_size: z.number().positive(),
  tick_size_steps: z.array(tickStep).optional(),
  contract_size: z.number().positive(),
  min_trade_amount: z.number().positive(),
  expiration_timestamp: z.number().positive().optional(),
  instrument_type: z.string().optional(),
  strike: z.number().positive().optional(),
  option_type: z.enum(["call", "put"]).optional(),
});
type Description = z.infer<typeof instrument>;

/**
 * Reads one entry of a `public/get_instruments` result.
 *
 * Sizes on Deribit are amounts: USD for inverse futures, coins for options and linear futures. One unit of size is
 * therefore one of those, and `contractSize` is 1; the venue's contract (10 USD for BTC-PERPETUAL) is the lot.
 *
 * @throws BadInputError naming the field that is missing or wrong.
 */
export function readInstrument(entry: unknown): InstrumentSpec {
  const parsed = instrument.safeParse(entry);
  if (!parsed.success) {
    throw new BadInputError(
      "deribit instrument",
      z.prettifyError(parsed.error),
      "an instrument as Deribit documents it",
    );
  }
  const description = parsed.data;
  const kind = kindOf(description);
  const { strike, option_type: optionType } = description;
  if (kind === "option" && (strike === undefined || optionType === undefined)) {
    throw new BadInputError(
      `deribit instrument ${description.instrument_name}`,
      "no strike or type",
      "an option with both",
    );
  }
  const settle = description.settlement_currency ?? description.base_currency;
  return {
    venue: "deribit",
    symbol: description.instrument_name,
    kind,
    base: description.base_currency,
    quote: description.quote_currency,
    settle,
    tick: parseStep(String(description.tick_size)),
    tickSteps: tickStepsOf(description),
    lot: parseStep(String(Math.min(description.min_trade_amount, description.contract_size))),
    minSizeLots: Math.max(
      1,
      Math.round(
        description.min_trade_amount / Math.min(description.min_trade_amount, description.contract_size),
      ),
    ),
    inverse: settle === description.base_currency && kind !== "spot",
    contractSize: 1,
    expiryMs: kind === "perpetual" || kind === "spot" ? Number.POSITIVE_INFINITY : expiryOf(description),
    strike: kind === "option" ? (strike ?? Number.NaN) : Number.NaN,
    optionType: kind === "option" ? (optionType ?? null) : null,
  };
}

function kindOf(description: Description): InstrumentKind {
  if (description.kind === "option" || description.kind === "spot") return description.kind;
  if (description.kind === "future") {
    return description.settlement_period === "perpetual" ? "perpetual" : "future";
  }
  throw new BadInputError(
    `deribit instrument ${description.instrument_name}`,
    `kind ${JSON.stringify(description.kind)}`,
    "option, future or spot",
  );
}

function expiryOf(description: Description): number {
  if (description.expiration_timestamp !== undefined) return description.expiration_timestamp;
  throw new BadInputError(
    `deribit instrument ${description.instrument_name}`,
    "no expiration_timestamp",
    "one",
  );
}

function tickStepsOf(description: Description): TickStep[] {
  return (description.tick_size_steps ?? [])
    .map((step) => ({
      fromPriceTicks: Math.round(step.above_price / description.tick_size),
      multiple: Math.round(step.tick_size / description.tick_size),
    }))
    .sort((a, b) => a.fromPriceTicks - b.fromPriceTicks);
}
