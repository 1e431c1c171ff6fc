import { z } from "zod";
import { parseStep } from "../../core/decimal.ts";
import { BadInputError, type KeelError } from "../../core/errors.ts";
import type { InstrumentSpec } from "../../market/instrument.ts";
import type { Listing } from "../channel-feed.ts";
import { parseJson } from "../decoder.ts";
import { type BybitSubscription, type BybitVenue, kindOf } from "./venue.ts";

/** Instruments of one answer. */
const PAGE = 1_000;

const answer = z.object({
  retCode: z.number(),
  retMsg: z.string(),
  result: z.object({ nextPageCursor: z.string().nullish(), list: z.array(z.unknown()).default([]) }),
});

const instrument = z.object({
  symbol: z.string().min(1),
  contractType: z.string().default(""),
  status: z.string(),
  baseCoin: z.string().min(1),
  quoteCoin: z.string().min(1),
  settleCoin: z.string().optional(),
  optionsType: z.enum(["Call", "Put"]).optional(),
  deliveryTime: z.string().regex(/^\d+$/).default("0"),
  priceFilter: z.object({ tickSize: z.string() }),
  lotSizeFilter: z.object({
    qtyStep: z.string().optional(),
    basePrecision: z.string().optional(),
    minOrderQty: z.string(),
  }),
});

/** The REST paths that list what is wanted: a symbol each, or all options of a coin. Source: Bybit v5, "Get Instruments Info". */
export function listingPaths({ category }: BybitVenue, wanted: readonly BybitSubscription[]): string[] {
  const paths = wanted.map(({ symbol, base }) =>
    symbol === null ? `&baseCoin=${base}&limit=${PAGE}` : `&symbol=${symbol}`,
  );
  return [...new Set(paths)].map((query) => `/v5/market/instruments-info?category=${category}${query}`);
}

/** Reads an `instruments-info` answer. @throws BadInputError when it is none. */
export function readListing(venue: BybitVenue, body: string, path: string): Listing {
  const parsed = answer.safeParse(parseJson(body));
  // 10001 says that there is no such symbol.
  const known = parsed.success && (parsed.data.retCode === 0 || parsed.data.retCode === 10_001);
  if (!known) {
    const found = parsed.success ? `${parsed.data.retCode} ${parsed.data.retMsg}` : body.slice(0, 80);
    throw new BadInputError(`${venue.name} instruments-info`, JSON.stringify(found), "retCode 0 and a list");
  }
  const { list, nextPageCursor: cursor } = parsed.data.result;
  const found = list
    .filter((entry) => !isClosed(entry))
    .map((entry): InstrumentSpec | KeelError => {
      try {
        return readInstrument(venue, entry);
      } catch (error) {
        if (error instanceof BadInputError) return error;
        throw error;
      }
    });
  const next = cursor
    ? `${path.replace(/&cursor=.*$/, "")}&cursor=${encodeURIComponent(decodeURIComponent(cursor))}`
    : null;
  return { found, next };
}

function isClosed(entry: unknown): boolean {
  const state = z.object({ status: z.string() }).safeParse(entry);
  return state.success && state.data.status !== "Trading";
}

/**
 * Reads one instrument. One unit of size is a coin on spot, linear and option markets and a US dollar on inverse ones.
 *
 * @throws BadInputError naming the field that is missing or wrong.
 */
export function readInstrument(venue: BybitVenue, entry: unknown): InstrumentSpec {
  const parsed = instrument.safeParse(entry);
  const fail = (found: string, expected: string): BadInputError =>
    new BadInputError(`${venue.name} instrument`, found, expected);
  if (!parsed.success) throw fail(z.prettifyError(parsed.error), "an instrument as Bybit documents it");
  const info = parsed.data;
  const kind = kindOf(venue.category, info.contractType);
  if (kind === undefined)
    throw fail(
      `${info.symbol}: contractType ${JSON.stringify(info.contractType)}`,
      "a perpetual or a future",
    );
  const step = info.lotSizeFilter.qtyStep ?? info.lotSizeFilter.basePrecision;
  if (step === undefined) throw fail(`${info.symbol}: no qtyStep`, "qtyStep or basePrecision");
  const lot = parseStep(step);
  const strike = kind === "option" ? Number(/-([\d.]+)-[CP](-|$)/.exec(info.symbol)?.[1]) : Number.NaN;
  if (kind === "option" && !(strike > 0 && info.optionsType !== undefined))
    throw fail(`${info.symbol}: no strike or optionsType`, "an option with both");
  const expires = kind === "option" || kind === "future";
  return {
    venue: venue.name,
    symbol: info.symbol,
    kind,
    base: info.baseCoin,
    quote: info.quoteCoin,
    settle: info.settleCoin ?? info.quoteCoin,
    tick: parseStep(info.priceFilter.tickSize),
    tickSteps: [],
    lot,
    minSizeLots: Math.max(
      1,
      Math.ceil((Number(info.lotSizeFilter.minOrderQty) * 10 ** lot.scale) / lot.mantissa - 1e-9),
    ),
    inverse: venue.category === "inverse",
    contractSize: 1,
    expiryMs: expires ? Number(info.deliveryTime) : Number.POSITIVE_INFINITY,
    strike,
    optionType: kind !== "option" ? null : info.optionsType === "Call" ? "call" : "put",
  };
}
