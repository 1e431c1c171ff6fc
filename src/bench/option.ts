import { Histogram } from "../core/histogram.ts";
import { loadNative } from "../core/native.ts";
import { Rng } from "../core/rng.ts";
import { EVENT, EventBatch, TICKER, TICKER_FIELDS } from "../market/event-batch.ts";
import { InstrumentTable } from "../market/instrument.ts";
import { black76, OptionValue, YEAR_US } from "../option/black76.ts";
import { GreekColumns, greeksOf } from "../option/greeks.ts";
import { impliedVolatilities } from "../option/implied-volatility.ts";
import { ImpliedVolatilityBatch } from "../option/implied-volatility-batch.ts";
import { DEFAULT_SURFACE_PARAMETERS } from "../option/surface/parameters.ts";
import { VolatilitySurface } from "../option/surface/surface.ts";
import { DEFAULT_QUOTE_PARAMETERS } from "../quote/parameters.ts";
import { QuoteBatch } from "../quote/quote-batch.ts";
import { Quoter } from "../quote/quoter.ts";
import { timeMission } from "./mission.ts";
import { type BenchReport, type BenchRow, benchHost, ratioOf, rowOf } from "./report.ts";

export interface OptionBenchOptions {
  readonly seed: number;
  readonly rounds: number;
  /** For runs inside the tests; default: all of it. */
  readonly small?: boolean;
}

const OPTIONS = 1_000;
const FORWARD = 60_000;
const NOW_US = 1_700_000_000e6;
const EXPIRIES_DAYS = [1.2, 2.2, 7, 14, 28, 56, 91, 182, 273, 364];
const STRIKES = OPTIONS / (2 * EXPIRIES_DAYS.length);
/** Options for a pass of the slow peers. */
const PEER_OPTIONS = 20;
const TICK = 1e-4;
/** Largest move of the underlying in one event, and the time between two. */
const UNIT_MOVE = 2e-4;
const EVENT_MS = 2;
const TIMER_MS = 10;
const SETTLE_MS = 1_000;
/** Options of one timed pass, and in how many passes the slow peers take part. */
const PASS = 100;
const PEER_PASSES = 10;
const BISECTIONS = 60;
const DAY_US = 86_400e6;

/** A chain: ten expiries, fifty strikes each, calls and puts, with a smile that steepens towards expiry. */
interface Chain {
  readonly types: Uint8Array;
  readonly strikes: Float64Array;
  readonly years: Float64Array;
  readonly forwards: Float64Array;
  readonly volatilities: Float64Array;
  /** Dollar premiums. */
  readonly premiums: Float64Array;
}

function makeChain(rng: Rng): Chain {
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

/** What a first version does: sixty halvings of [0, 5], each with one valuation. */
function bisect(call: boolean, premium: number, strike: number, years: number, value: OptionValue): number {
  let low = 0;
  let high = 5;
  for (let i = 0; i < BISECTIONS; i += 1) {
    const middle = 0.5 * (low + high);
    black76(value, call, FORWARD, strike, years, middle);
    if (value.price < premium) low = middle;
    else high = middle;
  }
  return 0.5 * (low + high);
}

interface Peers {
  readonly impliedVolatility: ((premium: number, at: number) => number) | null;
  readonly greeks: ((at: number) => number) | null;
}

interface IvModule {
  getImpliedVolatility(
    premium: number,
    s: number,
    k: number,
    t: number,
    r: number,
    callPut: string,
    estimate?: number,
  ): number;
}

type Greek = (s: number, k: number, t: number, v: number, r: number, callPut: string) => number;

interface GreeksModule {
  readonly getDelta: Greek;
  readonly getGamma: Greek;
  readonly getVega: Greek;
  readonly getTheta: Greek;
  readonly getRho: Greek;
}

async function load<Module>(name: string, notes: string[]): Promise<Module | null> {
  try {
    // The name is no literal, so that the bundler does not put the package into the executable.
    const module = (await import(name)) as { readonly default?: Module } & Module;
    return module.default ?? module;
  } catch {
    notes.push(`${name} is not installed: no ratio against it`);
    return null;
  }
}

async function peersFor(chain: Chain, notes: string[]): Promise<Peers> {
  const iv = await load<IvModule>("implied-volatility", notes);
  const greeks = await load<GreeksModule>("greeks", notes);
  const side = (at: number): string => (chain.types[at] === 1 ? "call" : "put");
  return {
    impliedVolatility:
      iv === null
        ? null
        : (premium, at) =>
            iv.getImpliedVolatility(premium, FORWARD, chain.strikes[at], chain.years[at], 0, side(at)),
    greeks:
      greeks === null
        ? null
        : (at) => {
            const { strikes, years, volatilities } = chain;
            let sum = 0;
            for (const greek of [
              greeks.getDelta,
              greeks.getGamma,
              greeks.getVega,
              greeks.getTheta,
              greeks.getRho,
            ]) {
              sum += greek(FORWARD, strikes[at], years[at], volatilities[at], 0, side(at));
            }
            return sum;
          },
  };
}

/** Surface of the chain's options, quoted half a volatility point to either side. */
function quotedSurface(chain: Chain): VolatilitySurface {
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
function chainQuoter(chain: Chain): { quoter: Quoter; batch: QuoteBatch } {
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

/** Times `run` over `n` options at a time, in ns for one. */
function timed(histogram: Histogram, n: number, run: () => void): void {
  const startNs = Bun.nanoseconds();
  run();
  histogram.record((Bun.nanoseconds() - startNs) / n);
}

/**
 * Times implied volatility, Greeks, the fit of a surface and the requote of a chain of 1,000 options after a move of its
 * underlying, each beside its peers by turns. Percentiles of the first two are over passes of 100 options (peers: 20).
 */
export async function runOptionBench(options: OptionBenchOptions): Promise<BenchReport> {
  const rng = new Rng(options.seed);
  const notes: string[] = [];
  const chain = makeChain(rng);
  const peers = await peersFor(chain, notes);
  const passes = options.small === true ? 20 : 200 * options.rounds;
  const rows: BenchRow[] = [];
  const names = [
    "iv",
    "reference/iv",
    "bisection/iv",
    "implied-volatility/iv",
    "greeks",
    "greeks/greeks",
  ] as const;
  const times = new Map(names.map((name) => [name, new Histogram()]));
  const time = (name: (typeof names)[number], n: number, run: () => void): void => {
    timed(times.get(name) ?? new Histogram(), n, run);
  };

  const { functions, missing } = await loadNative();
  if (functions === null) notes.push(`option/iv is the reference: no native kernels (${missing})`);
  const batch = new ImpliedVolatilityBatch(PASS, functions);
  const volatilities = new Float64Array(PASS);
  const statuses = new Uint8Array(PASS);
  const columns = new GreekColumns(OPTIONS);
  const value = new OptionValue();
  let sum = 0;
  let answered = 0;
  for (let pass = -Math.min(100, passes); pass < passes; pass += 1) {
    if (pass === 0) for (const name of names) times.set(name, new Histogram());
    const from = ((pass + 1_000) * 37 * PASS) % OPTIONS;
    const part = slice(chain, from);
    batch.calls.set(part.types);
    batch.premiums.set(part.premiums);
    batch.forwards.set(part.forwards);
    batch.strikes.set(part.strikes);
    batch.years.set(part.years);
    time("iv", PASS, () => {
      answered += batch.solve(PASS);
    });
    time("reference/iv", PASS, () => {
      impliedVolatilities(
        PASS,
        part.types,
        part.premiums,
        part.forwards,
        part.strikes,
        part.years,
        volatilities,
        statuses,
      );
    });
    time("greeks", PASS, () => {
      greeksOf(columns, PASS, part.types, part.forwards, part.strikes, part.years, part.volatilities, true);
    });
    for (let i = 0; i < PASS; i += 1) if (statuses[i] === 0) sum += volatilities[i] + columns.delta[i];
    time("bisection/iv", PEER_OPTIONS, () => {
      for (let i = 0; i < PEER_OPTIONS; i += 1) {
        sum += bisect(part.types[i] === 1, part.premiums[i], part.strikes[i], part.years[i], value);
      }
    });
    if (pass % PEER_PASSES !== 0) continue;
    const { impliedVolatility, greeks } = peers;
    if (impliedVolatility !== null) {
      time("implied-volatility/iv", PEER_OPTIONS, () => {
        for (let i = 0; i < PEER_OPTIONS; i += 1) impliedVolatility(part.premiums[i], (from + i) % OPTIONS);
      });
    }
    if (greeks !== null) {
      time("greeks/greeks", PEER_OPTIONS, () => {
        for (let i = 0; i < PEER_OPTIONS; i += 1) greeks((from + i) % OPTIONS);
      });
    }
  }
  const row = (name: (typeof names)[number], n: number): BenchRow | null => {
    const histogram = times.get(name);
    if (histogram === undefined || histogram.count === 0) return null;
    return rowOf(`option/${name}`, histogram, "ns", {
      perSecond: Math.round(1e9 / histogram.mean),
      options: n,
    });
  };
  for (const name of names) {
    const whole = name === "reference/iv" || !name.includes("/");
    const made = row(name, whole ? PASS : PEER_OPTIONS);
    if (made !== null) rows.push(made);
  }
  notes.push(
    `option/iv (native, ${PASS} at a time), option/reference/iv (TypeScript) and option/greeks are ns an option over passes of ${PASS}; of the chain's premiums ${((100 * answered) / ((passes + Math.min(100, passes)) * PASS)).toFixed(1)} % have a volatility`,
  );

  sum += surfaceRows(chain, options, rows, notes);
  sum += requoteRow(chain, rng, options, rows, notes);
  missionRow(options, rows, notes);
  const find = (name: string): BenchRow | undefined => rows.find((one) => one.name === name);
  const ratios = [
    ["option/iv/reference:keel", find("option/reference/iv"), find("option/iv")],
    ["option/iv/bisection:keel", find("option/bisection/iv"), find("option/iv")],
    ["option/iv/implied-volatility:keel", find("option/implied-volatility/iv"), find("option/iv")],
    ["option/greeks/greeks:keel", find("option/greeks/greeks"), find("option/greeks")],
  ] as const;
  return {
    bench: "option",
    host: benchHost(),
    seed: options.seed,
    // Sum of all volatilities, deltas, total variances and quoted ticks.
    checksum: sum.toPrecision(12),
    input: `a chain of ${OPTIONS} inverse options, ${EXPIRIES_DAYS.length} expiries from 1 to 364 days`,
    rows,
    ratios: ratios.flatMap(([name, peer, keel]) =>
      peer === undefined || keel === undefined ? [] : [ratioOf(name, peer, keel)],
    ),
    notes,
  };
}

/** Of the chain from an option on for one pass. */
function slice(chain: Chain, from: number): Chain {
  return {
    types: chain.types.subarray(from, from + PASS),
    strikes: chain.strikes.subarray(from, from + PASS),
    years: chain.years.subarray(from, from + PASS),
    forwards: chain.forwards.subarray(from, from + PASS),
    volatilities: chain.volatilities.subarray(from, from + PASS),
    premiums: chain.premiums.subarray(from, from + PASS),
  };
}

/** A surface from nothing, and one that starts from its last fit. */
function surfaceRows(chain: Chain, options: OptionBenchOptions, rows: BenchRow[], notes: string[]): number {
  const fits = options.small === true ? 3 : 30 * options.rounds;
  const cold = new Histogram();
  const warm = new Histogram();
  let fastestNs = Infinity;
  let fastestAgainNs = Infinity;
  let sum = 0;
  for (let fit = -Math.min(10, fits); fit < fits; fit += 1) {
    const surface = quotedSurface(chain);
    const startNs = Bun.nanoseconds();
    surface.refit(NOW_US, NOW_US);
    const coldNs = Bun.nanoseconds();
    surface.refit(NOW_US, NOW_US);
    const warmNs = Bun.nanoseconds();
    sum += surface.totalVariance(0.1, 0.1);
    if (fit < 0) continue;
    fastestNs = Math.min(fastestNs, coldNs - startNs);
    fastestAgainNs = Math.min(fastestAgainNs, warmNs - coldNs);
    cold.record(coldNs - startNs);
    warm.record(warmNs - coldNs);
  }
  rows.push(rowOf("option/surface-fit", cold, "us"), rowOf("option/surface-refit", warm, "us"));
  const [first = 0, again = 0] = [fastestNs, fastestAgainNs].map((ns) => Math.round(ns / 1_000));
  notes.push(
    `without being interrupted, a surface takes ${first} µs from nothing and ${again} µs from its last fit`,
  );
  return sum;
}

/** A frame at which the model sees the mission's scenario → the last byte of the FIX that widens the chain. */
function missionRow(options: OptionBenchOptions, rows: BenchRow[], notes: string[]): void {
  const plays = options.small === true ? 2 : 20 * options.rounds;
  const { frameToFix, quotesPerPlay } = timeMission(options.seed, plays);
  rows.push(rowOf("option/mission", frameToFix, "us", { quotesPerEvent: quotesPerPlay }));
  notes.push(
    `option/mission: a Deribit frame, 70 % for a fall and 60 % for a withdrawal → ${quotesPerPlay} quotes 15 bp wider and 30 % smaller as FIX, whole desk in process`,
  );
}

/** One event of the underlying → every quote of the chain that it calls for, decided. */
function requoteRow(
  chain: Chain,
  rng: Rng,
  options: OptionBenchOptions,
  rows: BenchRow[],
  notes: string[],
): number {
  const events = options.small === true ? 50 : 3_000 * options.rounds;
  const { quoter, batch } = chainQuoter(chain);
  const requote = new Histogram();
  let price = FORWARD;
  let quotes = 0;
  let sum = 0;
  for (let event = -Math.min(500, events); event < events; event += 1) {
    const timeUs = NOW_US + (SETTLE_MS + (event + 500) * EVENT_MS) * 1_000;
    const pull = (FORWARD - price) / FORWARD / 100;
    price *= 1 + UNIT_MOVE * (2 * rng.next() - 1) + pull;
    batch.clear();
    const startNs = Bun.nanoseconds();
    quoter.onUnderlying(0, price, timeUs, timeUs);
    quoter.requote(0, timeUs, batch);
    const endNs = Bun.nanoseconds();
    for (let row = 0; row < batch.count; row += 1) sum += batch.bidTicks[row];
    quoter.onSent(batch, batch.count, timeUs);
    if (event < 0) continue;
    requote.record(endNs - startNs);
    quotes += batch.count;
  }
  const quotesPerEvent = Math.round((10 * quotes) / events) / 10;
  rows.push(rowOf("option/chain-1000", requote, "us", { quotesPerEvent }));
  notes.push(
    `an event of option/chain-1000 moves the underlying by up to 2 bp and sends ${quotesPerEvent} quotes`,
  );
  return sum;
}
