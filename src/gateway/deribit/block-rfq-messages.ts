import { z } from "zod";
import { stepsToDecimal } from "../../core/decimal.ts";
import { BadInputError } from "../../core/errors.ts";
import { nearestSteps } from "../../feed/decoder.ts";
import type { InstrumentTable } from "../../market/instrument.ts";
import type { ClientSide, DecimalText, RequestedLeg, RfqRequest } from "../../rfq/message.ts";

const side = z.enum(["buy", "sell"]);
const name = z.string().min(1).max(64);
const whole = z.number().int().positive().max(1e6);

const blockRfq = z.object({
  block_rfq_id: z.number().int().positive(),
  state: z.string(),
  amount: z.number().positive(),
  legs: z
    .array(z.object({ instrument_name: name, direction: side, ratio: z.coerce.number().pipe(whole) }))
    .min(1)
    .max(64),
  hedge: z
    .object({
      instrument_name: name,
      direction: side,
      amount: z.number().positive(),
      price: z.number().positive(),
    })
    .nullish(),
  expiration_timestamp: z.number(),
  role: z.string().optional(),
  taker: z.string().nullish(),
  taker_rating: z.string().nullish(),
  trades: z.array(z.object({ price: z.number(), amount: z.number(), direction: side })).nullish(),
});

/** A request as the venue tells it to makers. Source: Deribit API, `block_rfq.maker.{currency}`. */
export type BlockRfq = z.infer<typeof blockRfq>;

const blockQuote = z.object({
  block_rfq_quote_id: z.number().int().positive(),
  block_rfq_id: z.number().int().positive(),
  direction: side,
  quote_state: z.string(),
  quote_state_reason: z.string().nullish(),
  label: z.string().nullish(),
});

/** A quote of ours as the venue tells it. Source: Deribit API, `block_rfq.maker.quotes.{currency}`. */
export type BlockQuote = z.infer<typeof blockQuote>;

/** @throws BadInputError naming what is wrong */
export function readBlockRfq(value: unknown): BlockRfq {
  return read(blockRfq, value, "block RFQ");
}

/** One quote or several. @throws BadInputError naming what is wrong */
export function readBlockQuotes(value: unknown): BlockQuote[] {
  return read(z.array(blockQuote), Array.isArray(value) ? value : [value], "block RFQ quote");
}

/** The result of `private/get_block_rfqs`. @throws BadInputError naming what is wrong */
export function readBlockRfqs(value: unknown): BlockRfq[] {
  const rows = z.union([z.array(z.unknown()), z.object({ block_rfqs: z.array(z.unknown()) })]);
  const read1 = read(rows, value, "private/get_block_rfqs");
  return (Array.isArray(read1) ? read1 : read1.block_rfqs).map(readBlockRfq);
}

function read<T>(schema: z.ZodType<T>, value: unknown, what: string): T {
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  throw new BadInputError(`deribit ${what}`, z.prettifyError(parsed.error), "the documented form");
}

/** Who asks: the taker's name where it is disclosed, else one client for each rating. */
export function takerOf({ taker, taker_rating: rating }: BlockRfq): string {
  const text = taker == null || taker === "" ? `anonymous-${rating ?? "unrated"}` : taker;
  return text.replace(/[^\w.-]/g, "_").slice(0, 32);
}

export function requestIdOf(blockRfqId: number): string {
  return `block-${blockRfqId}`;
}

/** A size as a plain decimal, on the instrument's grid where the instrument is known. */
export function amountText(amount: number, symbol: string, instruments: InstrumentTable): DecimalText {
  const lot = instruments.find("deribit", symbol)?.lot;
  return lot === undefined ? plain(amount) : stepsToDecimal(nearestSteps(amount, lot), lot);
}

/** A number without an exponent and without trailing zeros; ten decimals. */
export function plain(value: number): DecimalText {
  const text = value.toFixed(10).replace(/\.?0+$/, "");
  return text === "-0" ? "0" : text;
}

/** The request as the desk is asked. @param offsetUs the venue's clock less ours */
export function requestOf(
  rfq: BlockRfq,
  instruments: InstrumentTable,
  offsetUs: number,
  again: boolean,
): RfqRequest {
  const { legs, hedge, amount } = rfq;
  const asked: RequestedLeg[] = legs.map(({ instrument_name: symbol, direction, ratio }) => ({
    ...{ symbol, venue: "deribit", side: direction, ratio: String(ratio) },
  }));
  if (hedge != null) {
    const { instrument_name: symbol, direction, amount: size } = hedge;
    asked.push({ symbol, venue: "deribit", side: direction, ratio: plain(size / amount) });
  }
  return {
    on: "request",
    channel: "deribit",
    client: takerOf(rfq),
    requestId: requestIdOf(rfq.block_rfq_id),
    side: null,
    quantity: amountText(amount, legs[0].instrument_name, instruments),
    validUntilUs: rfq.expiration_timestamp * 1_000 - offsetUs,
    tiedPrice: hedge == null ? null : plain(hedge.price),
    legs: asked,
    ...(again ? { again } : {}),
  };
}

/** The client's side for a quote of the given direction, which is the maker's. */
export function clientSideOf(direction: "buy" | "sell"): ClientSide {
  return direction === "buy" ? "sell" : "buy";
}
