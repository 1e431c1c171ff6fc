import type { Instrument } from "../market/instrument.ts";
import { ceilToGrid, floorToGrid } from "../quote/grid.ts";
import type { Adjustment } from "../quote/policy.ts";
import type { ApprovedOrder, RiskGate } from "../risk/gate.ts";
import { ORDER_STATE } from "../risk/order.ts";
import type { LimitName } from "../risk/refusal.ts";
import { GREEK, GREEKS } from "../risk/valuation.ts";
import type { HedgeInstrument, HedgeParameters } from "./parameters.ts";

/** A hedge that the gate refused is tried again after this time, not with every event. */
const REFUSED_PAUSE_US = 250_000;

export interface HedgerOptions {
  readonly parameters: HedgeParameters;
  readonly instruments: readonly HedgeInstrument[];
  readonly gate: RiskGate;
  /** The model's word on each underlying, as the quotes use it. */
  readonly adjustments: readonly Adjustment[];
  readonly send: (order: ApprovedOrder, timeUs: number) => void;
  readonly cancel: (orderId: number, timeUs: number) => void;
}

export interface HedgerCounters {
  sent: number;
  /** Of those, orders that crossed the spread. */
  crossed: number;
  cancelled: number;
  refused: number;
}

/** A hedge that the gate did not let out. */
export interface RefusedHedge {
  readonly limit: LimitName;
  readonly instrument: Instrument;
  readonly side: 0 | 1;
  readonly sizeLots: number;
  readonly priceTicks: number;
}

/** What one underlying is hedged with, and how far that is. */
interface Hedge {
  readonly underlying: number;
  readonly instrument: Instrument;
  /** The order at work; 0 = none. */
  orderId: number;
  sentUs: number;
  /** Since when the delta has been outside its band; NaN while inside. */
  outsideUs: number;
  passive: boolean;
  pausedUntilUs: number;
}

/**
 * Keeps the net delta of each underlying within a band by orders in one perpetual or future, through the risk gate.
 *
 * The band is where hedging costs more than the risk it takes away: its half-width is (3/2 · cost · F · Γ² / λ)^⅓ in coins
 * (A. E. Whalley and P. Wilmott, "An asymptotic analysis of an optimal hedging model for option pricing with transaction
 * costs", Mathematical Finance 7, 1997, without discounting), at least `bandNotional`. Outside it, an order first rests at the best price of its own
 * side; when its patience is over, or at once when the model expects the market to move against the open delta, it crosses the
 * spread, immediate-or-cancel. While the model expects a move in favour of the open delta, crossing waits.
 *
 * One order at a time and underlying. While an order's outcome is unknown nothing more is sent. Deterministic: no clock.
 */
export class Hedger {
  readonly counters: HedgerCounters = { sent: 0, crossed: 0, cancelled: 0, refused: 0 };
  /** The latest one; null before the first. */
  lastRefused: RefusedHedge | null = null;
  readonly #options: HedgerOptions;
  readonly #hedges: Hedge[] = [];

  constructor(options: HedgerOptions) {
    this.#options = options;
  }

  /** Takes an instrument for hedging where it is configured. */
  add(instrument: Instrument, underlying: number): void {
    const { instruments } = this.#options;
    if (instrument.kind === "option" || instrument.kind === "spot") return;
    if (
      !instruments.some(({ venue, symbol }) => venue === instrument.venue && symbol === instrument.symbol)
    ) {
      return;
    }
    if (this.#hedges.some((hedge) => hedge.underlying === underlying)) return;
    this.#hedges.push({
      underlying,
      instrument,
      orderId: 0,
      sentUs: Number.NEGATIVE_INFINITY,
      outsideUs: Number.NaN,
      passive: false,
      pausedUntilUs: Number.NEGATIVE_INFINITY,
    });
  }

  /** Half-width of an underlying's band in quote currency; NaN for one that is not hedged. */
  band(underlying: number): number {
    const hedge = this.#hedges.find((known) => known.underlying === underlying);
    return hedge === undefined ? Number.NaN : this.#band(hedge);
  }

  /** About every 10 ms, and after fills. */
  onTimer(timeUs: number): void {
    for (const hedge of this.#hedges) this.#look(hedge, timeUs);
  }

  #look(hedge: Hedge, timeUs: number): void {
    const { gate, parameters } = this.#options;
    const net = gate.positions.netDeltaNotional(hedge.underlying);
    const urgency = this.#urgency(hedge, net);
    const band = this.#band(hedge) * (urgency > 0 ? 0.5 : 1);
    const outside = Math.abs(net) > band;
    if (!outside) hedge.outsideUs = Number.NaN;
    else if (Number.isNaN(hedge.outsideUs)) hedge.outsideUs = timeUs;
    const order = hedge.orderId === 0 ? undefined : gate.orders.get(hedge.orderId);
    if (order === undefined) hedge.orderId = 0;
    else {
      const wrongWay = order.intent.side === (net > 0 ? 0 : 1);
      const waited = timeUs - hedge.outsideUs >= parameters.patienceMs * 1_000 && urgency >= 0;
      const done = !outside || wrongWay || (hedge.passive && (urgency > 0 || waited));
      if (done && order.state === ORDER_STATE.working) this.#cancel(hedge, timeUs);
      return;
    }
    if (!outside || Number.isNaN(net) || gate.tradingState === "halted") return;
    if (timeUs < hedge.pausedUntilUs || timeUs - hedge.sentUs < parameters.intervalMs * 1_000) return;
    const patient = timeUs - hedge.outsideUs < parameters.patienceMs * 1_000;
    this.#send(hedge, net, band, urgency < 0 || (urgency === 0 && patient), timeUs);
  }

  /** 1: the model expects a move against the open delta, −1: in its favour, 0: neither. */
  #urgency({ underlying }: Hedge, net: number): number {
    const adjustment = this.#options.adjustments[underlying];
    const { urgentBp } = this.#options.parameters;
    if (adjustment === undefined || urgentBp === 0) return 0;
    const against = (adjustment.widenLongBp - adjustment.widenShortBp) * Math.sign(net);
    return against >= urgentBp ? 1 : against <= -urgentBp ? -1 : 0;
  }

  #band({ underlying, instrument }: Hedge): number {
    const { gate, parameters } = this.#options;
    const price = gate.price(underlying);
    gate.positions.refresh(underlying);
    const perPercent = gate.positions.net[underlying * GREEKS + GREEK.gamma];
    const gamma = perPercent / (price * price * 0.01);
    const bid = gate.bestTicks(instrument.id, 0);
    const ask = gate.bestTicks(instrument.id, 1);
    const halfSpread = bid > 0 && ask > bid ? (ask - bid) / (ask + bid) : 0;
    const cost = parameters.costBp * 1e-4 + halfSpread;
    const coins = Math.cbrt((1.5 * cost * price * gamma * gamma) / parameters.riskAversion);
    const asymptotic = coins * price;
    return Number.isNaN(asymptotic) ? parameters.bandNotional : Math.max(asymptotic, parameters.bandNotional);
  }

  #send(hedge: Hedge, net: number, band: number, passive: boolean, timeUs: number): void {
    const { gate, parameters } = this.#options;
    const { instrument, underlying } = hedge;
    const id = instrument.id;
    const side = net > 0 ? 1 : 0;
    const perLot = gate.positions.notionalPerLot(id, gate.price(underlying));
    const wanted = Math.abs(net) - parameters.targetFraction * band;
    const lots = Math.floor(Math.min(wanted, parameters.maxOrderNotional) / perLot + 1e-9);
    if (!(lots >= Math.max(instrument.minSizeLots, 1))) return;
    const priceTicks = this.#price(instrument, side, passive);
    if (priceTicks <= 0) return;
    const order = gate.checkOrder(
      {
        // By time, so that no order of an earlier run has the same id.
        orderId: Math.max(gate.orders.lastOrderId + 1, Math.floor(timeUs)),
        instrument: id,
        side,
        priceTicks,
        sizeLots: lots,
        timeInForce: passive ? "day" : "ioc",
        fair: gate.mark(id),
        delta: 1,
        hedge: true,
      },
      timeUs,
    );
    if (typeof order === "string") {
      this.counters.refused += 1;
      this.lastRefused = { limit: order, instrument, side, sizeLots: lots, priceTicks };
      hedge.pausedUntilUs = timeUs + REFUSED_PAUSE_US;
      return;
    }
    hedge.orderId = order.intent.orderId;
    hedge.sentUs = timeUs;
    hedge.passive = passive;
    this.counters.sent += 1;
    if (!passive) this.counters.crossed += 1;
    this.#options.send(order, timeUs);
  }

  /** On the price grid, and never through a quote of our own. */
  #price(instrument: Instrument, side: 0 | 1, passive: boolean): number {
    const { gate, parameters } = this.#options;
    const id = instrument.id;
    const sign = side === 0 ? 1 : -1;
    const best = gate.bestTicks(id, passive ? side : 1 - side);
    if (best <= 0) return -1;
    let ticks = passive ? best : best + sign * parameters.slippageTicks;
    const own = gate.standingTicks(id, 1 - side);
    if (own > 0 && sign * (ticks - own) >= 0) ticks = own - sign;
    return side === 0 ? floorToGrid(instrument, ticks) : ceilToGrid(instrument, ticks);
  }

  #cancel(hedge: Hedge, timeUs: number): void {
    this.counters.cancelled += 1;
    this.#options.cancel(hedge.orderId, timeUs);
  }
}
