import { TERM, TERM_NAMES } from "../../quote/term.ts";
import type { ObservedInstrument } from "./observation.ts";
import { onGrid, type SentQuote } from "./standing.ts";
import { type FillOutcome, PREDICTION, type PredictionOutcome } from "./table.ts";

/** An instrument's market as it is known so far; ticks are −1 for an empty side. */
export interface SeenMarket {
  readonly about: ObservedInstrument;
  bidTicks: number;
  askTicks: number;
  venueMark: number;
  underlyingPrice: number;
}

/** Mid of the book; the venue's mark price while it has no two sides; NaN while there is neither. */
export function markOf(market: SeenMarket | undefined): number {
  if (market === undefined) return Number.NaN;
  const { bidTicks, askTicks, venueMark, about } = market;
  return bidTicks >= 0 && askTicks > bidTicks ? onGrid((bidTicks + askTicks) / 2, about.tick) : venueMark;
}

/** Quote currency for 1.0 of the price: inverse options are priced in coin, inverse futures hold a fixed amount of money. */
export function unitValue(
  market: SeenMarket,
  price: number,
  lots: number,
  quote: SentQuote | undefined,
): number {
  const { about, underlyingPrice } = market;
  const size = onGrid(lots, about.lot) * about.contractSize;
  if (!about.inverse) return size;
  if (!about.option) return size / price;
  const forward = quote === undefined ? underlyingPrice : quote.terms[TERM.forward];
  return size * (forward > 0 ? forward : underlyingPrice);
}

export function noMarks() {
  return {
    mark_10ms: Number.NaN,
    mark_100ms: Number.NaN,
    mark_1s: Number.NaN,
    mark_10s: Number.NaN,
    mark_60s: Number.NaN,
  };
}

type TermColumns = Pick<FillOutcome, Extract<keyof FillOutcome, `term_${string}`>>;

export function termColumns(quote: SentQuote | undefined): TermColumns {
  return Object.fromEntries(
    TERM_NAMES.map((name) => [`term_${name}`, quote?.terms[TERM[name]] ?? Number.NaN]),
  ) as TermColumns;
}

/** Copied for every row: making its columns by their names again takes longer than all else that is done with it. */
const NOTHING_KNOWN = Object.fromEntries(
  Object.entries(PREDICTION).map(([name, type]) => [name, type === "text" ? "" : Number.NaN]),
) as PredictionOutcome;

export function newPrediction(
  underlying: string,
  model: string,
  timeUs: number,
  midTicks: number,
): PredictionOutcome {
  return { ...NOTHING_KNOWN, time_us: timeUs, underlying, model, mid_ticks: midTicks };
}
