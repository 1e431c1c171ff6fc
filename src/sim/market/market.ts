import { Rng } from "../../core/rng.ts";
import { SIDE } from "../../market/event-batch.ts";
import { type Direction, type Episode, Episodes } from "./episode.ts";
import { type Actor, EventQueue } from "./event-queue.ts";
import { BINANCE_TICKS_PER_USD, DERIBIT_TICKS_PER_USD, SIM } from "./instruments.ts";
import { type MarketSink, SinkFan } from "./market-sink.ts";
import { listChain } from "./option-chain.ts";
import { OptionMakers } from "./option-makers.ts";
import {
  binanceBtcParameters,
  deribitBtcParameters,
  EPISODE_PARAMETERS,
  REGIME_PARAMETERS,
} from "./parameters.ts";
import { Perpetual } from "./perpetual.ts";
import { ReferencePrices } from "./reference.ts";
import { REGIME_NAMES, Regime } from "./regime.ts";
import { NO_LEVEL } from "./sim-book.ts";
import { VolatilitySurface } from "./surface.ts";

export interface SimMarketOptions {
  readonly seed: number;
  /** Simulated time of the beginning, µs since the epoch. */
  readonly startUs: number;
  /** Price of one BTC at the beginning, in USD. */
  readonly price?: number;
  /** Strikes of each of the four expiries; 19 when left out. */
  readonly strikesPerExpiry?: number;
}

/** What the simulation knows and the desk must find out. */
export interface GroundTruth {
  readonly timeUs: number;
  readonly regime: (typeof REGIME_NAMES)[number];
  /** Order flow as a multiple of the usual. */
  readonly activity: number;
  /** Share of near depth that market makers have withdrawn: bid, ask. */
  readonly withdrawn: readonly [number, number];
  /** The episode under way or scheduled next; its jump comes at `jumpUs` unless it is a feint. */
  readonly next: Episode | null;
  /** Jump of `next` is due in this many µs; `Infinity` when none is known. */
  readonly jumpInUs: number;
}

const KIND = { step: 0, follow: 1 } as const;

const STEP_US = 20_000;
const FOLLOW_MEAN_US = 9_000;
const BASIS_DEVIATION_USD = 1.5;
const BASIS_SECONDS = 20;
const DEFAULT_LEAD_US = 300_000;
const DEFAULT_JUMP_BP = 8;

/**
 * The simulated market: a Binance-like BTCUSDT that leads, a Deribit-like BTC-PERPETUAL that follows, options on a volatility
 * surface, reference prices, moods and informed traders. Time is explicit: nothing happens except in {@link advance}. The same seed and start give the same
 * market, event by event, whatever the steps in which it is advanced.
 */
export class SimMarket implements Actor {
  readonly queue: EventQueue;
  readonly leader: Perpetual;
  readonly follower: Perpetual;
  readonly options: OptionMakers;
  readonly reference: ReferencePrices;
  readonly episodes: Episodes;
  readonly #regime: Regime;
  readonly #surface: VolatilitySurface;
  readonly #sinks = new SinkFan();
  readonly #actor: number;
  readonly #rng: Rng;
  readonly #mids = [0, 0];
  #basisUsd = 0;
  #toUs: number;

  constructor(options: SimMarketOptions) {
    const { seed, startUs } = options;
    const price = options.price ?? 60_000;
    const stream = (number: number): Rng => new Rng(Math.imul(seed, 0x9e3779b1) + number);
    this.queue = new EventQueue(startUs);
    this.#toUs = startUs;
    this.#rng = stream(1);
    this.#regime = new Regime(REGIME_PARAMETERS, stream(2), startUs);
    this.reference = new ReferencePrices(price, 2, stream(3));
    this.leader = new Perpetual(
      SIM.binanceBtc,
      binanceBtcParameters(price),
      this.queue,
      this.#regime,
      this.#sinks,
      stream(4).uint32(),
    );
    this.follower = new Perpetual(
      SIM.deribitBtc,
      deribitBtcParameters(price),
      this.queue,
      this.#regime,
      this.#sinks,
      stream(5).uint32(),
    );
    this.episodes = new Episodes(
      EPISODE_PARAMETERS,
      this.queue,
      this.#regime,
      this.leader,
      this.#sinks,
      stream(6),
      (episode) => this.#onJump(episode),
    );
    this.#surface = new VolatilitySurface(stream(7));
    this.options = new OptionMakers(
      listChain(startUs / 1_000, price, options.strikesPerExpiry),
      this.#surface,
      {
        spot: () => this.leader.book.midTicks / BINANCE_TICKS_PER_USD,
        withdrawn: this.leader.withdrawn,
      },
      this.queue,
      this.#sinks,
      stream(8),
    );
    this.#actor = this.queue.register(this);
    this.queue.schedule(this.#actor, KIND.step, 0, STEP_US);
    this.queue.schedule(this.#actor, KIND.follow, 0, FOLLOW_MEAN_US);
  }

  /** Tells a sink everything from now on. */
  addSink(sink: MarketSink): void {
    this.#sinks.add(sink);
  }

  get timeUs(): number {
    return this.#toUs;
  }

  /** Lets everything happen that is due up to and including `toUs`. */
  advance(toUs: number): void {
    while (this.queue.nextUs <= toUs) this.queue.step();
    this.#toUs = Math.max(this.#toUs, toUs);
  }

  /**
   * Provokes the mission's scenario: at `atUs` informed orders begin to hit one side, market makers withdraw from it, and
   * `leadUs` (default 300 ms) later the price jumps by `jumpBp` (default 8). @returns the episode, or null when `atUs` is past.
   */
  scheduleToxicEpisode(
    atUs: number,
    direction: Direction,
    options: { readonly leadUs?: number; readonly jumpBp?: number } = {},
  ): Episode | null {
    return this.episodes.schedule(
      atUs,
      direction,
      options.leadUs ?? DEFAULT_LEAD_US,
      options.jumpBp ?? DEFAULT_JUMP_BP,
    );
  }

  truth(): GroundTruth {
    const next = this.episodes.next;
    return {
      timeUs: this.#toUs,
      regime: REGIME_NAMES[this.#regime.current] ?? "calm",
      activity: this.#regime.activity,
      withdrawn: [this.leader.withdrawn[SIDE.bid], this.leader.withdrawn[SIDE.ask]],
      next,
      jumpInUs: next === null || next.feint ? Number.POSITIVE_INFINITY : next.jumpUs - this.#toUs,
    };
  }

  /** What was done from outside since the last turn is told. */
  endTurn(): void {
    this.#sinks.onTurn(this.queue.nowUs);
  }

  act(kind: number, _argument: number, timeUs: number): void {
    if (kind === KIND.step) this.#step(timeUs);
    else this.#follow();
    this.#sinks.onTurn(timeUs);
  }

  #step(timeUs: number): void {
    this.queue.schedule(this.#actor, KIND.step, 0, STEP_US);
    this.#regime.advance(STEP_US, timeUs);
    this.#mids[0] = this.leader.book.midTicks / BINANCE_TICKS_PER_USD;
    this.#mids[1] = this.follower.book.midTicks / DERIBIT_TICKS_PER_USD;
    this.reference.advance(STEP_US, this.#mids);
    const keep = Math.exp(-STEP_US / (BASIS_SECONDS * 1e6));
    this.#basisUsd =
      this.#basisUsd * keep + BASIS_DEVIATION_USD * Math.sqrt(1 - keep * keep) * this.#rng.normal();
  }

  #onJump(episode: Episode): void {
    this.#surface.shock(episode.direction === "down" ? -episode.jumpBp : episode.jumpBp);
    this.options.alarm();
  }

  /** The follower's market makers look at the leader and move after it; they fear what it fears. */
  #follow(): void {
    this.queue.schedule(this.#actor, KIND.follow, 0, this.#rng.exponential(FOLLOW_MEAN_US));
    const { book, withdrawn } = this.follower;
    for (const side of [SIDE.bid, SIDE.ask]) {
      const fear = 0.8 * this.leader.withdrawn[side];
      if (fear > withdrawn[side] + 0.02) this.follower.withdraw(side, 3, 0.5);
      withdrawn[side] = fear;
    }
    const wanted =
      (this.leader.book.midTicks / BINANCE_TICKS_PER_USD + this.#basisUsd) * DERIBIT_TICKS_PER_USD;
    const off = wanted - book.midTicks;
    if (!(Math.abs(off) >= 1.25)) return;
    const side = off < 0 ? SIDE.bid : SIDE.ask;
    const target = off < 0 ? Math.floor(wanted) : Math.ceil(wanted);
    const best = book.best(side);
    if (best !== NO_LEVEL && (off < 0 ? target < best : target > best)) this.follower.moveTo(side, target);
  }
}
