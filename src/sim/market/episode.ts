import type { Rng } from "../../core/rng.ts";
import { SIDE } from "../../market/event-batch.ts";
import type { Actor, EventQueue } from "./event-queue.ts";
import type { MarketSink } from "./market-sink.ts";
import type { Perpetual } from "./perpetual.ts";
import { REGIME, type Regime } from "./regime.ts";

export type Direction = "down" | "up";

/** An informed trader's work and what follows from it. */
export interface Episode {
  /** The informed flow begins. */
  readonly startUs: number;
  /** Threatened market makers begin to leave. */
  readonly withdrawUs: number;
  /** The price jumps, unless it is a feint. */
  readonly jumpUs: number;
  readonly direction: Direction;
  /** Size of the jump in basis points of the price, positive. */
  readonly jumpBp: number;
  /** The flow looked informed but knew nothing: no jump follows. */
  readonly feint: boolean;
}

export interface EpisodeParameters {
  /** Natural episodes per second in each regime: calm, toxic. */
  readonly perSecond: readonly [number, number];
  readonly leadMinUs: number;
  readonly leadMaxUs: number;
  readonly jumpMedianBp: number;
  readonly jumpSigma: number;
  readonly feintShare: number;
  /** Informed market orders in one episode, and the size of one: log-normal. */
  readonly orders: number;
  readonly orderLots: number;
  readonly orderSigma: number;
  /** Share of the depth near the touch that is left on the threatened side when the price jumps. */
  readonly depthLeft: number;
  readonly recoverySeconds: number;
}

const KIND = { arrive: 0, begin: 1, hit: 2, withdraw: 3, jump: 4, recover: 5 } as const;

const ARRIVAL_STEP_US = 100_000;
const WITHDRAW_STEP_US = 4_000;
/** When in the lead market makers begin to leave, as a share of it; levels that they cut. */
const WITHDRAW_FROM = 0.4;
const WITHDRAW_CHANGES = 160;
/** After a scheduled episode nothing natural begins for this long, so that its end can be seen. */
const QUIET_US = 4_000_000;
const RECOVER_STEP_US = 20_000;
const HISTORY = 256;
const SCHEDULED_MAX = 64;

/** What an episode does to the rest of the market when the price jumps. */
export type OnJump = (episode: Episode) => void;

/**
 * Informed traders and the market makers who fear them. In an episode one-sided market orders begin 50–500 ms before a jump;
 * before long market makers take depth away on the threatened side; then the price sweeps through what is left
 * and settles behind it, and the depth comes back over seconds. One episode at a time; scheduled ones go before natural ones.
 */
export class Episodes implements Actor {
  /** The episode under way, until its jump (or feint) is over. */
  current: Episode | null = null;
  readonly #parameters: EpisodeParameters;
  readonly #queue: EventQueue;
  readonly #actor: number;
  readonly #regime: Regime;
  readonly #leader: Perpetual;
  readonly #sink: MarketSink;
  readonly #rng: Rng;
  readonly #onJump: OnJump;
  readonly #scheduled: Episode[] = [];
  readonly #history: Episode[] = [];
  /** Counts episodes begun; stale events of an earlier one are told by it. */
  #serial = 0;
  #quietUntilUs = 0;

  constructor(
    parameters: EpisodeParameters,
    queue: EventQueue,
    regime: Regime,
    leader: Perpetual,
    sink: MarketSink,
    rng: Rng,
    onJump: OnJump,
  ) {
    this.#parameters = parameters;
    this.#queue = queue;
    this.#regime = regime;
    this.#leader = leader;
    this.#sink = sink;
    this.#rng = rng;
    this.#onJump = onJump;
    this.#actor = queue.register(this);
    queue.schedule(this.#actor, KIND.arrive, 0, ARRIVAL_STEP_US);
  }

  /** Episodes that are over, oldest first; the last {@link HISTORY} of them. */
  get history(): readonly Episode[] {
    return this.#history;
  }

  /** The next episode known to come: the one under way or the first scheduled. Null when the market itself does not know. */
  get next(): Episode | null {
    return this.current ?? this.#scheduled[0] ?? null;
  }

  /**
   * Provokes an episode whose informed flow begins at `startUs`; the price jumps `leadUs` later. An episode under way then is
   * cut short. @returns it, or null when too many are scheduled or the time is past.
   */
  schedule(startUs: number, direction: Direction, leadUs: number, jumpBp: number): Episode | null {
    if (startUs < this.#queue.nowUs || this.#scheduled.length === SCHEDULED_MAX) return null;
    const episode = this.#make(startUs, direction, leadUs, jumpBp, false);
    this.#scheduled.push(episode);
    this.#scheduled.sort((a, b) => a.startUs - b.startUs);
    this.#queue.schedule(this.#actor, KIND.begin, 0, startUs - this.#queue.nowUs);
    return episode;
  }

  act(kind: number, serial: number, timeUs: number): void {
    if (kind === KIND.arrive) this.#arrive(timeUs);
    else if (kind === KIND.begin) this.#beginScheduled(timeUs);
    else if (kind === KIND.recover) this.#recover();
    else if (serial === this.#serial && this.current !== null) this.#go(kind, this.current, timeUs);
    this.#sink.onTurn(timeUs);
  }

  #arrive(timeUs: number): void {
    this.#queue.schedule(this.#actor, KIND.arrive, 0, ARRIVAL_STEP_US);
    const { perSecond, leadMinUs, leadMaxUs, jumpMedianBp, jumpSigma, feintShare } = this.#parameters;
    const rate = this.#regime.current === REGIME.toxic ? perSecond[1] : perSecond[0];
    const due = this.#rng.next() < (rate * ARRIVAL_STEP_US) / 1e6;
    const leadUs = leadMinUs + this.#rng.next() * (leadMaxUs - leadMinUs);
    const direction = this.#rng.next() < 0.5 ? "down" : "up";
    const jumpBp = jumpMedianBp * Math.exp(jumpSigma * this.#rng.normal());
    const feint = this.#rng.next() < feintShare;
    const next = this.#scheduled[0];
    if (
      !due ||
      timeUs < this.#quietUntilUs ||
      this.current !== null ||
      (next !== undefined && next.startUs < timeUs + 2 * leadUs)
    )
      return;
    this.#begin(this.#make(timeUs, direction, leadUs, jumpBp, feint));
  }

  #make(startUs: number, direction: Direction, leadUs: number, jumpBp: number, feint: boolean): Episode {
    return {
      startUs,
      withdrawUs: startUs + leadUs * WITHDRAW_FROM,
      jumpUs: startUs + leadUs,
      direction,
      jumpBp,
      feint,
    };
  }

  #beginScheduled(timeUs: number): void {
    const episode = this.#scheduled.shift();
    if (episode === undefined) return;
    this.#end();
    this.#regime.hold(REGIME.toxic, episode.jumpUs + this.#parameters.recoverySeconds * 1e6);
    this.#quietUntilUs = episode.jumpUs + QUIET_US;
    this.#begin({ ...episode, startUs: timeUs });
  }

  #begin(episode: Episode): void {
    const nowUs = this.#queue.nowUs;
    this.current = episode;
    this.#serial += 1;
    this.#queue.schedule(this.#actor, KIND.hit, this.#serial, 0);
    this.#queue.schedule(this.#actor, KIND.withdraw, this.#serial, episode.withdrawUs - nowUs);
    this.#queue.schedule(this.#actor, KIND.jump, this.#serial, episode.jumpUs - nowUs);
  }

  #end(): void {
    if (this.current === null) return;
    this.#history.push(this.current);
    if (this.#history.length > HISTORY) this.#history.shift();
    this.current = null;
    this.#queue.schedule(this.#actor, KIND.recover, 0, RECOVER_STEP_US);
  }

  #go(kind: number, episode: Episode, timeUs: number): void {
    if (kind === KIND.hit) this.#hit(episode, timeUs);
    else if (kind === KIND.withdraw) this.#withdraw(episode);
    else this.#jump(episode);
  }

  /** One informed market order; they come faster as the jump comes nearer. */
  #hit(episode: Episode, timeUs: number): void {
    const { orders, orderLots, orderSigma } = this.#parameters;
    const leadUs = episode.jumpUs - episode.startUs;
    const progress = (timeUs - episode.startUs) / leadUs;
    const hurry = 0.4 + 1.8 * progress * progress;
    this.#queue.schedule(this.#actor, KIND.hit, this.#serial, this.#rng.exponential(leadUs / orders) / hurry);
    const side = threatened(episode);
    const best = this.#leader.book.best(side);
    const slack = side === SIDE.bid ? -2 : 2;
    const lots = Math.max(1, Math.round(orderLots * Math.exp(orderSigma * this.#rng.normal())));
    this.#leader.hit(side, lots, best + slack);
  }

  #withdraw(episode: Episode): void {
    const side = threatened(episode);
    const steps = Math.max(1, (episode.jumpUs - episode.withdrawUs) / WITHDRAW_STEP_US);
    const goal = 1 - this.#parameters.depthLeft;
    this.#leader.withdrawn[side] = Math.min(goal, this.#leader.withdrawn[side] + goal / steps);
    this.#leader.withdraw(side, Math.ceil(WITHDRAW_CHANGES / steps), 0.5);
    this.#queue.schedule(this.#actor, KIND.withdraw, this.#serial, WITHDRAW_STEP_US);
  }

  #jump(episode: Episode): void {
    if (!episode.feint) {
      const side = threatened(episode);
      const best = this.#leader.book.best(side);
      const ticks = Math.max(2, Math.round((best * episode.jumpBp) / 10_000));
      const target = side === SIDE.bid ? best - ticks : best + ticks;
      this.#leader.hit(side, this.#parameters.orderLots * 40, target);
      this.#leader.moveTo(side, target);
      this.#onJump(episode);
    }
    this.#end();
  }

  #recover(): void {
    if (this.current !== null) return;
    const keep = Math.exp(-RECOVER_STEP_US / (this.#parameters.recoverySeconds * 1e6));
    const left = this.#leader.withdrawn;
    left[0] = left[0] < 0.02 ? 0 : left[0] * keep;
    left[1] = left[1] < 0.02 ? 0 : left[1] * keep;
    if (left[0] > 0 || left[1] > 0) this.#queue.schedule(this.#actor, KIND.recover, 0, RECOVER_STEP_US);
  }
}

/** The side of the book that an episode threatens. */
export function threatened(episode: Episode): number {
  return episode.direction === "down" ? SIDE.bid : SIDE.ask;
}
