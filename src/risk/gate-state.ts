import { stepToNumber } from "../core/decimal.ts";
import { invariant } from "../core/invariant.ts";
import type { Instrument } from "../market/instrument.ts";
import { type KillState, KillSwitch } from "./kill-switch.ts";
import type { RiskLimits } from "./limits.ts";
import { OrderLedger } from "./order-ledger.ts";
import { Positions } from "./positions.ts";
import { Protection } from "./protection.ts";
import { TokenBucket, WindowSum } from "./rate.ts";
import { LIMIT, LIMITS, type LimitName, LOSS_OF_CONTROL } from "./refusal.ts";
import { StandingQuotes } from "./standing-quotes.ts";
import type { ReducingState } from "./trading-state.ts";
import { GREEK, GREEK_NAMES, GREEKS } from "./valuation.ts";

/** What the checks answer when no limit is broken. */
export const PASSED = -1;

/** Numbers of the refusals by Greek: of one underlying, and of all. */
const NET = GREEK_NAMES.map((name) => LIMIT[name]);
const GROSS = GREEK_NAMES.map((name) => LIMIT[`${name}Gross`]);
const TOTAL = GREEK_NAMES.map((name) => LIMIT[`${name}Total`]);
const TOTAL_GROSS = GREEK_NAMES.map((name) => LIMIT[`${name}TotalGross`]);

/**
 * What the risk gate knows and what every way to the wire is held against: quotes, orders and answers to requests share one set
 * of positions, prices, limits and switches.
 */
export class GateState {
  readonly kill: KillSwitch;
  readonly positions: Positions;
  readonly protection: Protection;
  readonly orders: OrderLedger;
  readonly standing: StandingQuotes;
  /** Refusals since start, by limit in the order of {@link LIMITS}. */
  readonly refusals = new Float64Array(LIMITS.length);
  readonly messages: TokenBucket;
  readonly orderRate: TokenBucket;
  readonly instruments: (Instrument | undefined)[];
  readonly tick: Float64Array;
  readonly underlyingOf: Int32Array;
  readonly live: Uint8Array;
  readonly bestBidTicks: Int32Array;
  readonly bestAskTicks: Int32Array;
  readonly lastTicks: Float64Array;
  readonly lastUs: Float64Array;
  /** Price of each underlying in quote currency, and when it was heard. */
  readonly price: Float64Array;
  readonly priceUs: Float64Array;
  /** Null while everything that keeps the limits passes. */
  reducing: ReducingState | null = null;
  reconciled = true;
  limits: RiskLimits;
  readonly #greekLimits = new Float64Array(4 * GREEKS);
  readonly #breaches: WindowSum;
  readonly #grossInCheck = { check: -1, notional: 0 };

  constructor(capacity: number, limits: RiskLimits, kill: KillState) {
    this.kill = new KillSwitch(kill);
    this.positions = new Positions(capacity, (id) => this.#valueFirst(id));
    this.protection = new Protection(capacity, limits);
    this.orders = new OrderLedger(capacity);
    this.standing = new StandingQuotes(capacity);
    this.instruments = new Array<Instrument | undefined>(capacity).fill(undefined);
    this.tick = new Float64Array(capacity);
    this.underlyingOf = new Int32Array(capacity).fill(-1);
    this.live = new Uint8Array(capacity);
    this.bestBidTicks = new Int32Array(capacity).fill(-1);
    this.bestAskTicks = new Int32Array(capacity).fill(-1);
    this.lastTicks = new Float64Array(capacity).fill(Number.NaN);
    this.lastUs = new Float64Array(capacity).fill(Number.NEGATIVE_INFINITY);
    this.price = new Float64Array(capacity).fill(Number.NaN);
    this.priceUs = new Float64Array(capacity).fill(Number.NEGATIVE_INFINITY);
    this.messages = new TokenBucket(limits.maxMessagesPerSecond, limits.maxMessageBurst);
    this.orderRate = new TokenBucket(limits.maxOrdersPerSecond, limits.maxOrderBurst);
    this.#breaches = new WindowSum(1_000);
    this.limits = limits;
    this.setLimits(limits);
  }

  /** Other limits are in force from now on; what was counted under the old ones stays counted. */
  setLimits(limits: RiskLimits): void {
    this.limits = limits;
    this.messages.setRate(limits.maxMessagesPerSecond, limits.maxMessageBurst);
    this.orderRate.setRate(limits.maxOrdersPerSecond, limits.maxOrderBurst);
    this.protection.setLimits(limits);
    this.positions.valuation.setStress(limits.stressSpotPct, limits.stressVolPct);
    this.#greekLimits.set([
      ...[limits.maxDeltaNotional, limits.maxGamma, limits.maxVega, limits.maxTheta],
      ...[limits.maxGrossDeltaNotional, limits.maxGrossGamma, limits.maxGrossVega, limits.maxGrossTheta],
      ...[limits.maxTotalDeltaNotional, limits.maxTotalGamma, limits.maxTotalVega, limits.maxTotalTheta],
      ...[limits.maxTotalGrossDeltaNotional, limits.maxTotalGrossGamma],
      ...[limits.maxTotalGrossVega, limits.maxTotalGrossTheta],
    ]);
  }

  add(instrument: Instrument, underlying: number): boolean {
    invariant(
      instrument.id < this.instruments.length && underlying < this.instruments.length,
      `instrument ${instrument.id} fits the gate`,
    );
    if (this.instruments[instrument.id] !== undefined) return false;
    this.instruments[instrument.id] = instrument;
    this.underlyingOf[instrument.id] = underlying;
    this.tick[instrument.id] = stepToNumber(instrument.tick);
    this.positions.add(instrument, underlying);
    return true;
  }

  /** Counts a refusal; one that a working desk never causes counts towards the loss of control. @returns the limit's name */
  refuse(limit: number, timeUs: number): LimitName {
    const name = LIMITS[limit] ?? "malformed";
    this.refusals[limit] += 1;
    if (!LOSS_OF_CONTROL.has(limit)) return name;
    if (this.#breaches.add(1, timeUs) >= this.limits.maxBreachesPerSecond) {
      this.kill.trip(`limit:${name}`, timeUs);
    }
    return name;
  }

  /** @returns the limit under which nothing of the instrument may leave now, or {@link PASSED}. */
  closed(id: number, timeUs: number): number {
    if (this.kill.tripped) return LIMIT.killed;
    if (!this.reconciled) return LIMIT.unreconciled;
    if (this.live[id] === 0 || this.positions.valuation.expired[id] === 1) return LIMIT.feed;
    const underlying = this.underlyingOf[id];
    if (!(timeUs - this.priceUs[underlying] <= this.limits.maxDataAgeMs * 1_000)) return LIMIT.stale;
    return this.protection.frozen(underlying, timeUs) ? LIMIT.protection : PASSED;
  }

  /**
   * How far on the wrong side of fair value a price may stand, in the instrument's price unit, ticks left out.
   *
   * @param vega in quote currency for 1.00 of volatility
   */
  reach(instrument: Instrument, delta: number, vega: number): number {
    const { collarFairBp, collarFairVol } = this.limits;
    const price = this.price[this.underlyingOf[instrument.id]];
    const unit = instrument.kind === "option" && instrument.inverse ? price : 1;
    return (Math.abs(delta) * collarFairBp * 1e-4 * price + collarFairVol * 0.01 * vega) / unit;
  }

  /**
   * @param side 0 = a bid or purchase
   * @returns the collar that a price breaks, or {@link PASSED}. The collar against the market is not among them.
   */
  collar(
    instrument: Instrument,
    side: number,
    ticks: number,
    fair: number,
    delta: number,
    vega: number,
    timeUs: number,
  ): number {
    const limits = this.limits;
    const id = instrument.id;
    const sign = side === 0 ? 1 : -1;
    const tick = this.tick[id];
    const beyond = sign * (ticks * tick - fair);
    const grid = limits.collarFairTicks * tick;
    const reach = this.reach(instrument, delta, vega) + grid;
    if (!(beyond <= reach)) return LIMIT.collarFair;
    if (!(beyond <= fair * limits.collarFairPct * 0.01 + grid)) return LIMIT.collarPct;
    if (timeUs - this.lastUs[id] > limits.collarLastAgeMs * 1_000) return PASSED;
    const last = this.lastTicks[id] * tick;
    return sign * (ticks * tick - last) <= last * limits.collarLastPct * 0.01 + reach
      ? PASSED
      : LIMIT.collarLast;
  }

  /**
   * What would break if the lots were traded on top of the positions held, the orders at work and nothing else: net and gross
   * Greeks of the underlying and of all, and the worst loss over the stress grid.
   *
   * @param lots signed; not 0
   * @param from the position they are traded on top of, in lots
   * @param reduces nothing of it adds to the position
   */
  exposure(id: number, lots: number, from: number, delta: number, reduces: boolean): number {
    const underlying = this.underlyingOf[id];
    const positions = this.positions;
    const { valuation, net, gross, totalNet, totalGross } = positions;
    positions.refresh(underlying);
    const at = underlying * GREEKS;
    const coins = valuation.coins[id];
    const notional = valuation.notionalPerLot(id, this.price[underlying]);
    const added = Math.abs(from + lots) - Math.abs(from);
    const limits = this.#greekLimits;
    for (let greek = 0; greek < GREEKS; greek += 1) {
      const unit =
        greek === GREEK.delta
          ? notional * delta
          : greek === GREEK.gamma
            ? coins * valuation.gamma[id]
            : greek === GREEK.vega
              ? coins * valuation.vega[id]
              : coins * valuation.theta[id];
      if (unit === 0) continue;
      const before = Math.abs(net[at + greek]);
      const after = Math.abs(net[at + greek] + lots * unit);
      if (!(after <= Math.max(limits[greek], before))) return NET[greek];
      const total = totalNet[greek];
      if (!(total - before + after <= Math.max(limits[2 * GREEKS + greek], total))) return TOTAL[greek];
      const more = added * Math.abs(unit);
      if (added <= 0) continue;
      if (!(gross[at + greek] + more <= limits[GREEKS + greek])) return GROSS[greek];
      if (!(totalGross[greek] + more <= limits[3 * GREEKS + greek])) return TOTAL_GROSS[greek];
    }
    if (reduces) return PASSED;
    const worst = lots > 0 ? valuation.worstLong[id] : valuation.worstShort[id];
    const loss = Math.abs(lots) * worst;
    if (!(positions.worstLoss[underlying] + loss <= this.limits.maxStressLoss)) return LIMIT.stress;
    return positions.totalWorstLoss + loss <= this.limits.maxTotalStressLoss ? PASSED : LIMIT.stressTotal;
  }

  /** Net and total Greeks after a trade in one underlying, by Greek in quote currency. @returns the limit broken, or {@link PASSED} */
  greekLimit(underlying: number, added: Float64Array): number {
    const { net, gross, totalNet, totalGross } = this.positions;
    this.positions.refresh(underlying);
    const limits = this.#greekLimits;
    for (let greek = 0; greek < GREEKS; greek += 1) {
      const at = underlying * GREEKS + greek;
      const before = Math.abs(net[at]);
      const after = Math.abs(net[at] + added[greek]);
      if (!(after <= Math.max(limits[greek], before))) return NET[greek];
      const total = totalNet[greek];
      if (!(total - before + after <= Math.max(limits[2 * GREEKS + greek], total))) return TOTAL[greek];
      const more = Math.abs(added[greek]);
      if (more === 0) continue;
      if (!(gross[at] + more <= limits[GREEKS + greek])) return GROSS[greek];
      if (!(totalGross[greek] + more <= limits[3 * GREEKS + greek])) return TOTAL_GROSS[greek];
    }
    return PASSED;
  }

  /** Gross notional as of the start of a check, by its number. */
  grossNotional(check: number): number {
    const known = this.#grossInCheck;
    if (known.check !== check) {
      known.check = check;
      known.notional = this.positions.grossNotional();
    }
    return known.notional;
  }

  /** The instrument has been valued at some time; one that has not is valued now. */
  ensureValued(instrument: Instrument, timeUs: number): void {
    const { valuation } = this.positions;
    if (!Number.isNaN(valuation.worstLong[instrument.id])) return;
    this.revalue(instrument, timeUs);
  }

  revalue(instrument: Instrument, timeUs: number): void {
    const price = this.price[this.underlyingOf[instrument.id]];
    if (!(price > 0)) return;
    this.positions.valuation.value(instrument, price, timeUs);
    this.positions.onValued(instrument.id);
  }

  #valueFirst(id: number): void {
    const instrument = this.instruments[id];
    const price = this.price[this.underlyingOf[id]];
    if (instrument === undefined || !(price > 0)) return;
    this.positions.valuation.value(instrument, price, this.priceUs[this.underlyingOf[id]]);
  }
}
