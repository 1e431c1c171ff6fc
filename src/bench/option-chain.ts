import type { Rng } from "../core/rng.ts";
import { EVENT, EventBatch, TICKER, TICKER_FIELDS } from "../market/event-batch.ts";
import { InstrumentTable } from "../market/instrument.ts";
import { black76, OptionValue, YEAR_US } from "../option/black76.ts";
import { DEFAULT_SURFACE_PARAMETERS } from "../option/surface/parameters.ts";
import { VolatilitySurface } from "../option/surface/surface.ts";
import { DEFAULT_QUOTE_PARAMETERS } from "../quote/parameters.ts";
import { QuoteBatch } from "../quote/quote-batch.ts";
import { Quoter } from "../quote/quoter.ts";

export const OPTIONS = 1_000;
/** Of every expiry, in dollars. */
export const FORWARD = 60_000;
/** When the chain is valued. */
export const NOW_US = 1_700_000_000e6;
export const EXPIRIES_DAYS = [1.2, 2.2, 7, 14, 28, 56, 91, 182, 273, 364];
const STRIKES = OPTIONS / (2 * EXPIRIES_DAYS.length);
const TICK = 1e-4;
const TIMER_MS = 10;
/** For so long a quoter settles on the chain before anything is timed. */
export const SETTLE_MS = 1_000;
const DAY_US = 86_400e6;

/** A chain: ten expiries, fifty strikes each, calls and puts, with a smile that steepens towards expiry. */
export interface Chain {
  readonly types: Uint8Array;
  readonly strikes: Float64Array;
  readonly years: Float64Array;
  readonly forwards: Float64Array;
  readonly volatilities: Float64Array;
  /** Dollar premiums. */
  readonly premiums: Float64Array;
}

/** @param rng where the strikes lie between each other */
export function makeChain(rng: Rng): Chain {
  const column = (): Float64Array => new Float64Array(OPTIONS);
  const chain: Chain = {
    types: new Uint8Array(OPTIONS),
    strikes: column(),
    years: column(),
    forwards: column().fill(FORWARD),
    volatilities: column(),
    premiums: column(),
  };
  const value = new OptionValue();
  let i = 0;
  for (const days of EXPIRIES_DAYS) {
    const years = (days * DAY_US) / YEAR_US;
    const reach = 2.5 * 0.5 * Math.sqrt(years);
    for (let strike = 0; strike < STRIKES; strike += 1) {
      const k = reach * ((2 * (strike + 0.5 * rng.next())) / STRIKES - 1);
      const volatility = 0.5 - 0.04 * (k / reach) + 0.08 * (k / reach) ** 2;
      for (const call of [1, 0]) {
        chain.types[i] = call;
        chain.strikes[i] = FORWARD * Math.exp(k);
        chain.years[i] = years;
        chain.volatilities[i] = volatility;
        black76(value, call === 1, FORWARD, chain.strikes[i], years, volatility);
        chain.premiums[i] = value.price;
        i += 1;
      }
    }
  }
  return chain;
}

/** Of the chain so many options from one on, as views. */
export function slice(chain: Chain, from: number, count: number): Chain {
  return {
    types: chain.types.subarray(from, from + count),
    strikes: chain.strikes.subarray(from, from + count),
    years: chain.years.subarray(from, from + count),
    forwards: chain.forwards.subarray(from, from + count),
    volatilities: chain.volatilities.subarray(from, from + count),
    premiums: chain.premiums.subarray(from, from + count),
  };
}

/** Surface of the chain's options, quoted half a volatility point to either side. */
export function quotedSurface(chain: Chain): VolatilitySurface {
  const surface = new VolatilitySurface({
    expiries: EXPIRIES_DAYS.length,
    optionsPerExpiry: 2 * STRIKES,
    parameters: DEFAULT_SURFACE_PARAMETERS,
  });
  const value = new OptionValue();
  for (let i = 0; i < OPTIONS; i += 1) {
    const slot = surface.addExpiry((NOW_US + chain.years[i] * YEAR_US) / 1_000);
    const call = chain.types[i] === 1;
    const row = surface.addOption(slot, chain.strikes[i], call, true);
    surface.setForward(slot, FORWARD);
    const coin = (volatility: number): number => {
      black76(value, call, FORWARD, chain.strikes[i], chain.years[i], volatility);
      return value.price / FORWARD;
    };
    surface.setQuote(
      slot,
      row,
      coin(chain.volatilities[i] - 0.005),
      coin(chain.volatilities[i] + 0.005),
      NOW_US,
    );
  }
  return surface;
}

/** A quoter of the whole chain on a perpetual, up and quoting from its surface. */
export function chainQuoter(chain: Chain): { quoter: Quoter; batch: QuoteBatch } {
  const instruments = new InstrumentTable(OPTIONS + 1);
  const quoter = new Quoter({
    capacity: OPTIONS + 1,
    underlyings: 1,
    parameters: { ...DEFAULT_QUOTE_PARAMETERS, messagesPerSecond: 1e6, messageBurst: 1e6, minQuoteLifeMs: 0 },
    surface: { ...DEFAULT_SURFACE_PARAMETERS, maxAgeMs: 3_600_000 },
  });
  const deribit = {
    venue: "deribit",
    base: "BTC",
    settle: "BTC",
    lot: { mantissa: 1, scale: 1 },
    minSizeLots: 1,
    inverse: true,
    contractSize: 1,
  } as const;
  const perpetual = instruments.add({
    ...deribit,
    symbol: "BTC-PERPETUAL",
    kind: "perpetual",
    quote: "USD",
    tick: { mantissa: 5, scale: 1 },
    tickSteps: [],
    expiryMs: Number.POSITIVE_INFINITY,
    strike: Number.NaN,
    optionType: null,
  });
  quoter.setReference(0, perpetual?.id ?? 0);
  quoter.onFeedState(perpetual?.id ?? 0, true, 0);
  quoter.onSessionUp();
  quoter.onModelStatus(0, 0);
  quoter.onUnderlying(0, FORWARD, NOW_US, NOW_US);
  const ticker = new EventBatch(1, 1);
  for (let i = 0; i < OPTIONS; i += 1) {
    const option = instruments.add({
      ...deribit,
      symbol: `BTC-${i}`,
      kind: "option",
      quote: "BTC",
      tick: { mantissa: 1, scale: 4 },
      tickSteps: [{ fromPriceTicks: 50, multiple: 5 }],
      expiryMs: (NOW_US + chain.years[i] * YEAR_US) / 1_000,
      strike: chain.strikes[i],
      optionType: chain.types[i] === 1 ? "call" : "put",
    });
    if (option === undefined) continue;
    quoter.add(option, 0);
    quoter.onFeedState(option.id, true, 0);
    const middle = chain.premiums[i] / FORWARD / TICK;
    quoter.onBook(option.id, Math.floor(middle) - 1, 10, Math.ceil(middle) + 1, 10, NOW_US);
    ticker.clear();
    const row = ticker.begin(EVENT.ticker, option.id, NOW_US);
    ticker.values[row * TICKER_FIELDS + TICKER.markIv] = chain.volatilities[i];
    ticker.values[row * TICKER_FIELDS + TICKER.underlyingPrice] = FORWARD;
    quoter.onTicker(option.id, ticker, row, NOW_US);
  }
  const batch = new QuoteBatch(4_096);
  for (let ms = 0; ms < SETTLE_MS; ms += TIMER_MS) {
    const timeUs = NOW_US + ms * 1_000;
    quoter.onUnderlying(0, FORWARD, timeUs, timeUs);
    batch.clear();
    quoter.onTimer(timeUs, batch);
    quoter.onSent(batch, batch.count, timeUs);
  }
  return { quoter, batch };
}
