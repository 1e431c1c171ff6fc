import type { Rng } from "../../core/rng.ts";
import { SIDE } from "../../market/event-batch.ts";
import { black76, OptionValue, yearsToExpiry } from "../../option/black76.ts";
import type { Actor, EventQueue } from "./event-queue.ts";
import { COARSE_FROM_TICKS, COARSE_TICKS, OPTION_TICKS_PER_COIN } from "./instruments.ts";
import type { MarketSink } from "./market-sink.ts";
import type { SimOption } from "./option-chain.ts";
import { NO_LEVEL } from "./sim-book.ts";
import type { VolatilitySurface } from "./surface.ts";

/** Levels that market makers show on each side of an option. */
export const OPTION_LEVELS = 5;

const KIND = { surface: 0, sweep: 1, trade: 2 } as const;

const SURFACE_STEP_US = 100_000;
const SWEEP_STEP_US = 10_000;
/** Sweeps in which every option is looked at once: usually, and when the underlying has just moved or fear is about. */
const USUAL_SWEEPS = 24;
const ALERT_SWEEPS = 5;
const ALERT_MOVE = 1.2e-4;
const TRADE_MEAN_US = 1_500_000;
/** Half a market maker's spread: in coin, in volatility, and per unit of fear. */
const HALF_SPREAD_COIN = 0.000_08;
const HALF_SPREAD_VOLATILITY = 0.004;
const FEAR_WIDENING = 1.5;
/** A quote moves when the fair value has moved by this share of a grid step, or by chance. */
const REQUOTE_SHARE = 0.35;
const REQUOTE_CHANCE = 0.06;
const SIZE_MEDIAN_LOTS = 120;
const SIZE_SIGMA = 0.7;
/** Cost of carry of the forwards, per year. */
const CARRY = 0.05;

/** What the makers must know of the rest of the market. */
export interface Underlying {
  /** Spot price in USD as makers see it at this moment. */
  spot(): number;
  /** How far makers of the perpetual have left each side, 0 … 1. */
  readonly withdrawn: Float64Array;
}

/** Values of one option at its last valuation; see {@link OptionMakers}. */
export interface OptionMark {
  forward: number;
  /** In coin. */
  price: number;
  volatility: number;
  delta: number;
  gamma: number;
  vega: number;
  theta: number;
}

/**
 * Market makers of the option chain: they value it on the surface, show a few levels around fair value on Deribit's price grid,
 * and look at each option several times a second, all of it within 50 ms when the underlying has moved. When a side of the
 * underlying is threatened they take away what would be hit first: bids of calls and offers of puts before a fall.
 */
export class OptionMakers implements Actor {
  readonly chain: readonly SimOption[];
  readonly marks: readonly OptionMark[];
  /** Ticks and lots of the levels, `[option][side][OPTION_LEVELS]`, best first, price −1 where there is none. */
  readonly #ticks: Int32Array;
  readonly #lots: Float64Array;
  readonly #quotedFair: Float64Array;
  readonly #fear: Float64Array;
  readonly #surface: VolatilitySurface;
  readonly #underlying: Underlying;
  readonly #queue: EventQueue;
  readonly #actor: number;
  readonly #sink: MarketSink;
  readonly #rng: Rng;
  readonly #value = new OptionValue();
  readonly #newTicks = new Int32Array(OPTION_LEVELS);
  readonly #newLots = new Float64Array(OPTION_LEVELS);
  #next = 0;
  #alertSpot = Number.NaN;
  #alert = 0;

  constructor(
    chain: readonly SimOption[],
    surface: VolatilitySurface,
    underlying: Underlying,
    queue: EventQueue,
    sink: MarketSink,
    rng: Rng,
  ) {
    this.chain = chain;
    this.#surface = surface;
    this.#underlying = underlying;
    this.#queue = queue;
    this.#sink = sink;
    this.#rng = rng;
    const cells = chain.length * 2 * OPTION_LEVELS;
    this.#ticks = new Int32Array(cells).fill(NO_LEVEL);
    this.#lots = new Float64Array(cells);
    this.#quotedFair = new Float64Array(chain.length).fill(Number.NaN);
    this.#fear = new Float64Array(chain.length * 2);
    this.marks = chain.map(() => ({
      forward: 0,
      price: 0,
      volatility: 0,
      delta: 0,
      gamma: 0,
      vega: 0,
      theta: 0,
    }));
    this.#actor = queue.register(this);
    for (let option = 0; option < chain.length; option += 1) this.#visit(option, queue.nowUs);
    queue.schedule(this.#actor, KIND.surface, 0, SURFACE_STEP_US);
    queue.schedule(this.#actor, KIND.sweep, 0, SWEEP_STEP_US);
    queue.schedule(this.#actor, KIND.trade, 0, rng.exponential(TRADE_MEAN_US));
  }

  act(kind: number, _argument: number, timeUs: number): void {
    if (kind === KIND.sweep) {
      this.#sweep(timeUs);
      return;
    }
    if (kind === KIND.trade) this.#trade();
    else {
      this.#queue.schedule(this.#actor, KIND.surface, 0, SURFACE_STEP_US);
      this.#surface.advance(SURFACE_STEP_US);
    }
    this.#sink.onTurn(timeUs);
  }

  /** The price has jumped: every option is looked at at once. */
  alarm(): void {
    this.#alert = 4 * ALERT_SWEEPS;
  }

  best(option: number, side: number): number {
    return this.#ticks[this.#cell(option, side)];
  }

  bestLots(option: number, side: number): number {
    return this.#lots[this.#cell(option, side)];
  }

  /** Price of the `level`th level of a side, {@link NO_LEVEL} where there is none. */
  levelTicks(option: number, side: number, level: number): number {
    return this.#ticks[this.#cell(option, side) + level];
  }

  levelLots(option: number, side: number, level: number): number {
    return this.#lots[this.#cell(option, side) + level];
  }

  lotsAt(option: number, side: number, ticks: number): number {
    return this.#lotsAt(this.#cell(option, side), ticks);
  }

  /** Somebody takes up to `lots` of the best level of a side; the makers show less of it, or the next level. @returns lots traded */
  hit(option: number, side: number, lots: number): number {
    const from = this.#cell(option, side);
    const ticks = this.#ticks[from];
    const traded = Math.min(lots, this.#lots[from]);
    if (ticks === NO_LEVEL || traded === 0) return 0;
    const instrument = this.chain[option]?.instrument ?? 0;
    const before = this.#lots[from];
    this.#sink.onTrade(instrument, 1 - side, ticks, traded);
    this.#lots[from] = before - traded;
    this.#sink.onLevel(instrument, side, ticks, before - traded, before);
    if (before === traded) {
      this.#ticks.copyWithin(from, from + 1, from + OPTION_LEVELS);
      this.#lots.copyWithin(from, from + 1, from + OPTION_LEVELS);
      this.#ticks[from + OPTION_LEVELS - 1] = NO_LEVEL;
      this.#lots[from + OPTION_LEVELS - 1] = 0;
    }
    return traded;
  }

  #sweep(timeUs: number): void {
    this.#queue.schedule(this.#actor, KIND.sweep, 0, SWEEP_STEP_US);
    const spot = this.#underlying.spot();
    const moved = !(Math.abs(spot / this.#alertSpot - 1) < ALERT_MOVE);
    const [bidFear = 0, askFear = 0] = this.#underlying.withdrawn;
    if (moved || bidFear > 0.1 || askFear > 0.1) {
      this.#alertSpot = spot;
      this.#alert = Math.max(this.#alert, ALERT_SWEEPS);
    }
    const sweeps = this.#alert > 0 ? ALERT_SWEEPS : USUAL_SWEEPS;
    if (this.#alert > 0) this.#alert -= 1;
    const visits = Math.ceil(this.chain.length / sweeps);
    for (let i = 0; i < visits; i += 1) {
      if (this.#visit(this.#next, timeUs)) this.#sink.onTurn(timeUs);
      this.#next = (this.#next + 1) % this.chain.length;
    }
  }

  /** Values an option and quotes it anew if there is reason to. @returns whether it did. */
  #visit(option: number, timeUs: number): boolean {
    const fair = this.#revalue(option, timeUs);
    const grid = fair < COARSE_FROM_TICKS ? 1 : COARSE_TICKS;
    const fearBid = this.#quantisedFear(option, SIDE.bid);
    const fearAsk = this.#quantisedFear(option, SIDE.ask);
    const moved = !(Math.abs(fair - this.#quotedFair[option]) < REQUOTE_SHARE * grid);
    const afraid = fearBid !== this.#fear[option * 2] || fearAsk !== this.#fear[option * 2 + 1];
    if (!moved && !afraid && this.#rng.next() >= REQUOTE_CHANCE) return false;
    this.#quotedFair[option] = fair;
    this.#fear[option * 2] = fearBid;
    this.#fear[option * 2 + 1] = fearAsk;
    const mark = this.marks[option];
    if (mark === undefined) return false;
    const half =
      (HALF_SPREAD_COIN + (mark.vega * HALF_SPREAD_VOLATILITY) / mark.forward) * OPTION_TICKS_PER_COIN;
    const bid = fair - half * (1 + FEAR_WIDENING * fearBid);
    const ask = fair + half * (1 + FEAR_WIDENING * fearAsk);
    const bestBid = onGrid(bid, -1);
    const bestAsk = Math.max(onGrid(ask, 1), 1, bestBid < 1 ? 1 : bestBid + 1);
    this.#quoteSide(option, SIDE.bid, bestBid, 1 - fearBid);
    this.#quoteSide(option, SIDE.ask, onGrid(bestAsk, 1), 1 - fearAsk);
    return true;
  }

  /** Fair value in ticks; expired options are worth what they were. */
  #revalue(option: number, timeUs: number): number {
    const spec = this.chain[option];
    const mark = this.marks[option];
    if (spec === undefined || mark === undefined) return 0;
    const years = yearsToExpiry(spec.expiryMs, timeUs);
    if (years <= 0) return mark.price * OPTION_TICKS_PER_COIN;
    const forward = this.#underlying.spot() * Math.exp(CARRY * years);
    const volatility = this.#surface.volatility(Math.log(spec.strike / forward), years);
    black76(this.#value, spec.call, forward, spec.strike, years, volatility);
    mark.forward = forward;
    mark.price = this.#value.price / forward;
    mark.volatility = volatility;
    mark.delta = this.#value.delta;
    mark.gamma = this.#value.gamma;
    mark.vega = this.#value.vega;
    mark.theta = this.#value.theta;
    return mark.price * OPTION_TICKS_PER_COIN;
  }

  /** Fear of being hit on a side of an option, in steps of a tenth so that books do not flicker. */
  #quantisedFear(option: number, side: number): number {
    const call = this.chain[option]?.call === true;
    const underlyingSide = call === (side === SIDE.bid) ? SIDE.bid : SIDE.ask;
    const delta = Math.abs(this.marks[option]?.delta ?? 0);
    return Math.round(this.#underlying.withdrawn[underlyingSide] * Math.min(1, 4 * delta) * 10) / 10;
  }

  #quoteSide(option: number, side: number, bestTicks: number, share: number): void {
    const from = this.#cell(option, side);
    const sign = side === SIDE.bid ? -1 : 1;
    let ticks = bestTicks;
    for (let level = 0; level < OPTION_LEVELS; level += 1) {
      const exists = ticks >= 1;
      this.#newTicks[level] = exists ? ticks : NO_LEVEL;
      this.#newLots[level] = exists ? this.#size(from, ticks, level, share) : 0;
      const step = ticks < COARSE_FROM_TICKS || (ticks === COARSE_FROM_TICKS && sign < 0) ? 1 : COARSE_TICKS;
      const skip = (option + 3 * level + side) % 3 === 0 ? 2 : 1;
      ticks = onGrid(ticks + sign * step * skip, sign);
    }
    const instrument = this.chain[option]?.instrument ?? 0;
    for (let level = 0; level < OPTION_LEVELS; level += 1) {
      const old = this.#ticks[from + level];
      if (old !== NO_LEVEL && !this.#newTicks.includes(old)) {
        this.#sink.onLevel(instrument, side, old, 0, this.#lots[from + level]);
      }
    }
    for (let level = 0; level < OPTION_LEVELS; level += 1) {
      const price = this.#newTicks[level];
      const lots = this.#newLots[level];
      const before = this.#lotsAt(from, price);
      if (price !== NO_LEVEL && lots !== before) this.#sink.onLevel(instrument, side, price, lots, before);
    }
    this.#ticks.set(this.#newTicks, from);
    this.#lots.set(this.#newLots, from);
  }

  /** A level that stays at its price usually keeps its size; `share` of it is left when makers are afraid. */
  #size(from: number, ticks: number, level: number, share: number): number {
    const before = this.#lotsAt(from, ticks);
    if (before > 0 && share === 1 && this.#rng.next() < 0.7) return before;
    const usual = SIZE_MEDIAN_LOTS * (1 + 0.5 * level) * Math.exp(SIZE_SIGMA * this.#rng.normal());
    return Math.max(1, Math.round(usual * share));
  }

  #lotsAt(from: number, ticks: number): number {
    for (let level = 0; level < OPTION_LEVELS; level += 1) {
      if (this.#ticks[from + level] === ticks) return this.#lots[from + level];
    }
    return 0;
  }

  /** Somebody trades an option near the money at its best price. */
  #trade(): void {
    this.#queue.schedule(this.#actor, KIND.trade, 0, this.#rng.exponential(TRADE_MEAN_US));
    const option = this.#rng.int(this.chain.length);
    const side = this.#rng.int(2);
    const delta = Math.abs(this.marks[option]?.delta ?? 0);
    const from = this.#cell(option, side);
    const there = this.#lots[from];
    if (there < 2 || delta < 0.05 || delta > 0.7) return;
    const lots = Math.min(there - 1, 1 + Math.floor(this.#rng.exponential(30)));
    const instrument = this.chain[option]?.instrument ?? 0;
    this.#sink.onTrade(instrument, 1 - side, this.#ticks[from], lots);
    this.#lots[from] = there - lots;
    this.#sink.onLevel(instrument, side, this.#ticks[from], there - lots, there);
  }

  #cell(option: number, side: number): number {
    return (option * 2 + side) * OPTION_LEVELS;
  }
}

/** The nearest price on Deribit's option grid at or below (`sign` −1) or at or above (`sign` 1) a price in ticks. */
function onGrid(ticks: number, sign: number): number {
  const round = sign < 0 ? Math.floor : Math.ceil;
  const fine = round(ticks);
  return fine < COARSE_FROM_TICKS ? fine : round(ticks / COARSE_TICKS) * COARSE_TICKS;
}
