import { Rng } from "../../core/rng.ts";
import { SIDE } from "../../market/event-batch.ts";
import { DepthFlow, type DepthParameters } from "./depth-flow.ts";
import type { Actor, EventQueue } from "./event-queue.ts";
import type { MarketSink } from "./market-sink.ts";
import { ORDER, OrderFlow, type OrderFlowParameters } from "./order-flow.ts";
import type { Regime } from "./regime.ts";
import { NO_LEVEL, SimBook } from "./sim-book.ts";

export interface PerpetualParameters {
  readonly startTicks: number;
  readonly windowTicks: number;
  readonly flow: OrderFlowParameters;
  readonly depth: DepthParameters;
  /** Size of a market maker's order at the touch, of another limit order and of a market order: log-normal. */
  readonly queueLots: number;
  readonly queueSigma: number;
  readonly limitLots: number;
  readonly limitSigma: number;
  readonly tradeLots: number;
  readonly tradeSigma: number;
  /** Sizes are multiples of this many lots. */
  readonly roundLots: number;
  /** When a best queue is used up: probability that the price moves on instead of being refilled, and by how much on average. */
  readonly moveProbability: number;
  readonly moveMeanTicks: number;
  /** Level changes that a move of one tick entails, both sides together. */
  readonly relayPerTick: number;
}

const KIND = { immigrant: 0, caused: 1, depth: 2, react: 3, peel: 4, improve: 5, relay: 6 } as const;

const DEPTH_STEP_US = 5_000;
/** Cancellations that would empty the best queue and do; market orders that would and leave a remainder. */
const CANCEL_LAST_SHARE = 0.08;
const SHY_SHARE = 0.3;
const REACT_MEAN_US = 150;
const PEEL_MEAN_US = 50;
const IMPROVE_MEAN_US = 250;
const RELAY_MEAN_US = 12_000;
const RELAY_MAX = 400;

/**
 * One perpetual's book and everybody who acts on it. Orders at the touch come as a Hawkes process; a used-up queue is refilled
 * or the price moves on, market makers peeling their orders off one by one and closing the spread behind it; the depth behind
 * the touch breathes. What an informed trader and threatened market makers do is asked from outside: {@link hit},
 * {@link withdraw}, {@link moveTo}.
 */
export class Perpetual implements Actor {
  readonly book: SimBook;
  /** How far market makers have left each side, 0 … 1. */
  readonly withdrawn = new Float64Array(2);
  lastTradeTicks: number;
  readonly #parameters: PerpetualParameters;
  readonly #queue: EventQueue;
  readonly #actor: number;
  readonly #regime: Regime;
  readonly #sink: MarketSink;
  readonly #rng: Rng;
  readonly #flow: OrderFlow;
  readonly #depth: DepthFlow;
  /** Where the price is being peeled to; {@link NO_LEVEL} = nowhere. */
  readonly #peelTo = new Int32Array([NO_LEVEL, NO_LEVEL]);
  /** The price has moved and somebody is about to close the spread behind it. */
  #closing = false;
  #relaying = 0;

  constructor(
    instrument: number,
    parameters: PerpetualParameters,
    queue: EventQueue,
    regime: Regime,
    sink: MarketSink,
    seed: number,
  ) {
    this.#parameters = parameters;
    this.#queue = queue;
    this.#regime = regime;
    this.#sink = sink;
    this.#rng = new Rng(seed);
    this.book = new SimBook(instrument, parameters.startTicks, parameters.windowTicks, sink);
    this.#flow = new OrderFlow(parameters.flow, this.#rng);
    this.#depth = new DepthFlow(parameters.depth, this.book, this.#rng);
    this.#actor = queue.register(this);
    this.lastTradeTicks = parameters.startTicks;
    this.#depth.populate(parameters.startTicks, parameters.startTicks + 1);
    this.book.set(SIDE.bid, parameters.startTicks, this.#queueLots());
    this.book.set(SIDE.ask, parameters.startTicks + 1, this.#queueLots());
    queue.schedule(this.#actor, KIND.immigrant, 0, this.#flow.nextImmigrantUs(regime.activity));
    queue.schedule(this.#actor, KIND.depth, 0, DEPTH_STEP_US);
  }

  act(kind: number, argument: number, timeUs: number): void {
    switch (kind) {
      case KIND.immigrant:
        this.#immigrant();
        break;
      case KIND.caused:
        this.#order(argument >> 1, argument & 1);
        break;
      case KIND.depth:
        this.#changeDepth();
        break;
      case KIND.react:
        this.#react(argument);
        break;
      case KIND.peel:
        this.#peel(argument);
        break;
      case KIND.improve:
        this.#closing = false;
        this.#improve(argument);
        break;
      default:
        this.#relay(argument);
    }
    this.#sink.onTurn(timeUs);
  }

  /** A market order that hits `side` for up to `lots`, not beyond `limitTicks`. @returns lots traded. */
  hit(side: number, lots: number, limitTicks: number): number {
    const book = this.book;
    let left = lots;
    let usedUp = false;
    while (left > 0) {
      const best = book.best(side);
      if (best === NO_LEVEL || (side === SIDE.bid ? best < limitTicks : best > limitTicks)) break;
      if (book.levels(side) === 1) break;
      const there = book.bestLots(side);
      const traded = Math.min(left, there);
      this.#trade(side, best, traded);
      book.set(side, best, there - traded);
      left -= traded;
      if (traded === there) usedUp = true;
    }
    if (usedUp) this.#queue.schedule(this.#actor, KIND.react, side, this.#rng.exponential(REACT_MEAN_US));
    return lots - left;
  }

  /** Market makers cut their depth on a side: `changes` levels, each by a random share of `fraction` … 1; also at the best price. */
  withdraw(side: number, changes: number, fraction: number): void {
    for (let i = 0; i < changes; i += 1) {
      this.#depth.withdraw(side, fraction + (1 - fraction) * this.#rng.next());
    }
    const best = this.book.best(side);
    const lots = this.book.bestLots(side);
    if (best !== NO_LEVEL && lots > 4 * this.#parameters.roundLots) {
      this.book.set(side, best, this.#round(lots * (1 - 0.25 * fraction)));
    }
  }

  /** Market makers move their quotes so that the best price of the given side ends at or behind `targetTicks`. */
  moveTo(side: number, targetTicks: number): void {
    const running = this.#peelTo[side] !== NO_LEVEL;
    this.#peelTo[side] = targetTicks;
    if (!running) this.#queue.schedule(this.#actor, KIND.peel, side, this.#rng.exponential(PEEL_MEAN_US));
  }

  #immigrant(): void {
    this.#queue.schedule(this.#actor, KIND.immigrant, 0, this.#flow.nextImmigrantUs(this.#regime.activity));
    const bid = this.book.bestLots(SIDE.bid);
    const ask = this.book.bestLots(SIDE.ask);
    const usual = this.#parameters.queueLots;
    this.#flow.drawImmigrant((bid - ask) / (bid + ask + 1), bid / usual, ask / usual);
    this.#order(this.#flow.kind, this.#flow.side);
  }

  #order(kind: number, side: number): void {
    const offspring = this.#flow.offspring();
    for (let i = 0; i < offspring; i += 1) {
      this.#flow.drawOffspring(kind, side);
      const argument = (this.#flow.kind << 1) | this.#flow.side;
      this.#queue.schedule(this.#actor, KIND.caused, argument, this.#flow.delayUs());
    }
    if (kind === ORDER.limit) this.#limit(side);
    else if (kind === ORDER.cancel) this.#cancel(side);
    else this.#market(side);
  }

  #limit(side: number): void {
    const book = this.book;
    const best = book.best(side);
    if (best === NO_LEVEL) return;
    if (this.#rng.next() < this.withdrawn[side]) return;
    const { limitLots, limitSigma } = this.#parameters;
    const lots = this.#round(limitLots * Math.exp(limitSigma * this.#rng.normal()));
    const inside = book.spreadTicks > 1 && this.#peelTo[side] === NO_LEVEL && this.#rng.next() < 0.3;
    const price = inside ? best + (side === SIDE.bid ? 1 : -1) : best;
    book.set(side, price, book.lotsAt(side, price) + lots);
  }

  #cancel(side: number): void {
    const book = this.book;
    const there = book.bestLots(side);
    const { limitLots, limitSigma } = this.#parameters;
    const lots = this.#round(limitLots * Math.exp(limitSigma * this.#rng.normal()));
    if (lots < there) book.set(side, book.best(side), there - lots);
    else if (this.#rng.next() < CANCEL_LAST_SHARE) this.#useUp(side, there);
  }

  #market(side: number): void {
    const { tradeLots, tradeSigma } = this.#parameters;
    const there = this.book.bestLots(side);
    const lots = this.#round(tradeLots * Math.exp(tradeSigma * this.#rng.normal()));
    const best = this.book.best(side);
    if (lots < there || (there > 2 * this.#parameters.roundLots && this.#rng.next() < SHY_SHARE)) {
      const traded = Math.min(lots, there - this.#parameters.roundLots);
      this.#trade(side, best, traded);
      this.book.set(side, best, there - traded);
    } else if (there > 0) {
      this.#trade(side, best, there);
      this.#useUp(side, there);
    }
  }

  /** The best level of a side goes; somebody will react. */
  #useUp(side: number, lots: number): void {
    if (lots === 0 || this.book.levels(side) < 8) return;
    this.book.set(side, this.book.best(side), 0);
    this.#queue.schedule(this.#actor, KIND.react, side, this.#rng.exponential(REACT_MEAN_US));
  }

  #react(side: number): void {
    const book = this.book;
    if (this.#closing || this.#peelTo[side] !== NO_LEVEL || book.spreadTicks <= 1) return;
    const { moveProbability, moveMeanTicks } = this.#parameters;
    if (this.#rng.next() < moveProbability) {
      const away = Math.floor(this.#rng.exponential(moveMeanTicks));
      this.moveTo(side, book.best(side) - (side === SIDE.bid ? away : -away));
    } else {
      this.#improve(side);
    }
  }

  #peel(side: number): void {
    const book = this.book;
    const target = this.#peelTo[side];
    const best = book.best(side);
    const ahead = side === SIDE.bid ? best > target : best < target;
    if (ahead && book.levels(side) > 8) {
      book.set(side, best, 0);
      this.#queue.schedule(this.#actor, KIND.peel, side, this.#rng.exponential(PEEL_MEAN_US));
      return;
    }
    this.#peelTo[side] = NO_LEVEL;
    const lots = Math.round(this.#queueLots() * (1 - this.withdrawn[side]));
    if (book.holds(target) && Math.abs(best - target) > 0 && lots > 0 && !this.#crosses(side, target)) {
      book.set(side, target, book.lotsAt(side, target) + this.#round(lots));
    }
    book.follow();
    const moved = book.spreadTicks - 1;
    this.#closing = true;
    this.#queue.schedule(this.#actor, KIND.improve, 1 - side, this.#rng.exponential(IMPROVE_MEAN_US));
    const changes = Math.min(RELAY_MAX, Math.round(moved * this.#parameters.relayPerTick));
    for (let i = 0; i < changes && this.#relaying < 4 * RELAY_MAX; i += 1) {
      this.#relaying += 1;
      const argument = (Math.ceil(moved + 20) << 1) | (this.#rng.int(3) === 0 ? side : 1 - side);
      this.#queue.schedule(this.#actor, KIND.relay, argument, this.#rng.exponential(RELAY_MEAN_US));
    }
  }

  /** A market maker closes the spread from a side. */
  #improve(side: number): void {
    const book = this.book;
    const other = book.best(1 - side);
    if (book.spreadTicks <= 1 || this.#peelTo[side] !== NO_LEVEL || this.#peelTo[1 - side] !== NO_LEVEL)
      return;
    const price = side === SIDE.bid ? other - 1 : other + 1;
    const lots = this.#round(this.#queueLots() * (1 - this.withdrawn[side]));
    if (book.holds(price)) book.set(side, price, lots);
  }

  #relay(argument: number): void {
    this.#relaying -= 1;
    const side = argument & 1;
    this.#depth.relay(side, argument >> 1, this.withdrawn[side]);
  }

  #changeDepth(): void {
    this.#queue.schedule(this.#actor, KIND.depth, 0, DEPTH_STEP_US);
    const mean = (this.#parameters.depth.ratePerSecond * this.#regime.activity * DEPTH_STEP_US) / 1e6;
    let wait = this.#rng.exponential(1);
    while (wait < mean) {
      const side = this.#rng.int(2);
      this.#depth.change(side, this.withdrawn[side]);
      wait += this.#rng.exponential(1);
    }
  }

  /** Tells one match as several trades when several resting orders fill it. */
  #trade(side: number, priceTicks: number, lots: number): void {
    this.lastTradeTicks = priceTicks;
    const aggressor = 1 - side;
    let left = lots;
    while (left > 2 * this.#parameters.roundLots && this.#rng.next() < 0.4) {
      const part = Math.min(left - 1, this.#round(left * this.#rng.next()));
      if (part <= 0) break;
      this.#sink.onTrade(this.book.instrument, aggressor, priceTicks, part);
      left -= part;
    }
    this.#sink.onTrade(this.book.instrument, aggressor, priceTicks, left);
  }

  #crosses(side: number, priceTicks: number): boolean {
    const other = this.book.best(1 - side);
    return other !== NO_LEVEL && (side === SIDE.bid ? priceTicks >= other : priceTicks <= other);
  }

  #queueLots(): number {
    const { queueLots, queueSigma } = this.#parameters;
    return this.#round(queueLots * Math.exp(queueSigma * this.#rng.normal()));
  }

  #round(lots: number): number {
    const { roundLots } = this.#parameters;
    return Math.max(roundLots, Math.round(lots / roundLots) * roundLots);
  }
}
