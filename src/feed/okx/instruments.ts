import { z } from "zod";
import { parseStep } from "../../core/decimal.ts";
import { BadInputError, type KeelError } from "../../core/errors.ts";
import type { InstrumentKind, InstrumentSpec } from "../../market/instrument.ts";
import type { Listing } from "../channel-feed.ts";
import { parseJson } from "../decoder.ts";
import { familyOf, type OkxSubscription } from "./venue.ts";

const answer = z.object({ code: z.string(), msg: z.string().default(""), data: z.array(z.unknown()) });

const instrument = z.object({
  instId: z.string().min(1),
  instType: z.enum(["SPOT", "SWAP", "FUTURES", "OPTION"]),
  baseCcy: z.string().default(""),
  quoteCcy: z.string().default(""),
  settleCcy: z.string().default(""),
  ctVal: z.string().default(""),
  ctMult: z.string().default(""),
  ctType: z.string().default(""),
  expTime: z.string().default(""),
  stk: z.string().default(""),
  optType: z.string().default(""),
  tickSz: z.string(),
  lotSz: z.string(),
  minSz: z.string(),
  state: z.string().default("live"),
});

const KINDS = {
  SPOT: "spot",
  SWAP: "perpetual",
  FUTURES: "future",
  OPTION: "option",
} as const satisfies Record<string, InstrumentKind>;

/** The REST paths that list what is wanted; options can be asked for by family only. Source: OKX v5, "Get instruments". */
export function listingPaths(wanted: readonly OkxSubscription[]): string[] {
  const paths = wanted.map(({ type, symbol, family }) =>
    type === "OPTION" ? `OPTION&instFamily=${family}` : `${type}&instId=${symbol}`,
  );
  return [...new Set(paths)].map((query) => `/api/v5/public/instruments?instType=${query}`);
}

/** Reads an instruments answer. @throws BadInputError when it is none. */
export function readListing(wanted: readonly OkxSubscription[], body: string): Listing {
  const parsed = answer.safeParse(parseJson(body));
  // 51001 says that there is no such instrument.
  const known = parsed.success && (parsed.data.code === "0" || parsed.data.code === "51001");
  if (!known) {
    const found = parsed.success ? `${parsed.data.code} ${parsed.data.msg}` : body.slice(0, 80);
    throw new BadInputError("okx instruments", JSON.stringify(found), 'code "0" and data');
  }
  const symbols = new Set(wanted.map(({ symbol }) => symbol));
  const families = new Set(wanted.filter(({ symbol }) => symbol === null).map(({ family }) => family));
  const found = parsed.data.data.flatMap((entry): (InstrumentSpec | KeelError)[] => {
    const named = z.object({ instId: z.string(), state: z.string().default("live") }).safeParse(entry);
    if (named.success) {
      const { instId, state } = named.data;
      const asked = symbols.has(instId) || (families.has(familyOf(instId)) && /-[CP]$/.test(instId));
      if (!asked || state !== "live") return [];
    }
    try {
      return [readInstrument(entry)];
    } catch (error) {
      if (error instanceof BadInputError) return [error];
      throw error;
    }
  });
  return { found, next: null };
}

/**
 * Reads one instrument. Sizes of derivatives are contracts of `ctVal × ctMult` in the coin (linear, options) or in US dollars (inverse).
 *
 * @throws BadInputError naming the field that is missing or wrong.
 */
export function readInstrument(entry: unknown): InstrumentSpec {
  const parsed = instrument.safeParse(entry);
  if (!parsed.success) {
    throw new BadInputError(
      "okx instrument",
      z.prettifyError(parsed.error),
      "an instrument as OKX documents it",
    );
  }
  const info = parsed.data;
  const kind = KINDS[info.instType];
  const [familyBase, familyQuote] = info.instId.split("-");
  const base = info.baseCcy || (familyBase ?? "");
  const settle = info.settleCcy || info.quoteCcy || (familyQuote ?? "");
  const inverse = kind !== "spot" && settle === base;
  const isOption = kind === "option";
  const strike = isOption ? Number(info.stk) : Number.NaN;
  const contractSize = kind === "spot" ? 1 : Number(info.ctVal) * Number(info.ctMult || "1");
  const expiryMs = kind === "option" || kind === "future" ? Number(info.expTime) : Number.POSITIVE_INFINITY;
  if (!(contractSize > 0 && expiryMs > 0) || (isOption && !(strike > 0 && /^[CP]$/.test(info.optType)))) {
    throw new BadInputError(
      `okx instrument ${info.instId}`,
      JSON.stringify({ ctVal: info.ctVal, expTime: info.expTime, stk: info.stk, optType: info.optType }),
      "ctVal, and the expTime, stk and optType of its kind",
    );
  }
  const lot = parseStep(info.lotSz);
  return {
    venue: "okx",
    symbol: info.instId,
    kind,
    base,
    quote: isOption && inverse ? base : info.quoteCcy || (familyQuote ?? ""),
    settle,
    tick: parseStep(info.tickSz),
    tickSteps: [],
    lot,
    minSizeLots: Math.max(1, Math.ceil((Number(info.minSz) * 10 ** lot.scale) / lot.mantissa - 1e-9)),
    inverse,
    contractSize,
    expiryMs,
    strike,
    optionType: !isOption ? null : info.optType === "C" ? "call" : "put",
  };
}
