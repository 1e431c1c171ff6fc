import { Histogram } from "../core/histogram.ts";
import { loadNative } from "../core/native.ts";
import { Rng } from "../core/rng.ts";
import { OptionValue } from "../option/black76.ts";
import { GreekColumns, greeksOf } from "../option/greeks.ts";
import { impliedVolatilities } from "../option/implied-volatility.ts";
import { ImpliedVolatilityBatch } from "../option/implied-volatility-batch.ts";
import { timeMission } from "./mission.ts";
import {
  type Chain,
  chainQuoter,
  EXPIRIES_DAYS,
  FORWARD,
  makeChain,
  NOW_US,
  OPTIONS,
  quotedSurface,
  SETTLE_MS,
  slice,
} from "./option-chain.ts";
import { bisect, peersFor } from "./option-peers.ts";
import { type BenchReport, type BenchRow, benchHost, ratioOf, rowOf } from "./report.ts";

export interface OptionBenchOptions {
  readonly seed: number;
  readonly rounds: number;
  /** For runs inside the tests; default: all of it. */
  readonly small?: boolean;
}

/** Options for a pass of the slow peers. */
const PEER_OPTIONS = 20;
/** Largest move of the underlying in one event, and the time between two. */
const UNIT_MOVE = 2e-4;
const EVENT_MS = 2;
/** Options of one timed pass, and in how many passes the slow peers take part. */
const PASS = 100;
const PEER_PASSES = 10;

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
    const part = slice(chain, from, PASS);
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
