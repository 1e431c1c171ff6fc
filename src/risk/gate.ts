import { stepToNumber } from "../core/decimal.ts";
import { invariant } from "../core/invariant.ts";
import type { Instrument, InstrumentTable } from "../market/instrument.ts";
import { type QuoteBatch, REASON } from "../quote/quote-batch.ts";
import { type KillState, KillSwitch } from "./kill-switch.ts";
import type { RiskLimits } from "./limits.ts";
import { Positions } from "./positions.ts";
import { Protection } from "./protection.ts";
import { TokenBucket, WindowSum } from "./rate.ts";
import { LIMIT, LIMITS, type LimitName, LOSS_OF_CONTROL, REFUSAL_REASON } from "./refusal.ts";

export { LIMITS, type LimitName };

const PASSED = -1;
const NO_SIDE = -1;

/**
 * Quotes that a {@link RiskGate} has passed: the only thing that a gateway accepts. The class is not exported, so nothing but a
 * gate can make one.
 */
class ApprovedQuotes {
  readonly #batch: QuoteBatch;

  constructor(batch: QuoteBatch) {
    this.#batch = batch;
  }

  get batch(): QuoteBatch {
    return this.#batch;
  }
}

export type { ApprovedQuotes };

export interface RiskGateOptions {
  /** Its capacity bounds the gate's memory. */
  readonly instruments: InstrumentTable;
  readonly limits: RiskLimits;
  /** As it was left by the last run. */
  readonly kill: KillState;
}

/**
 * The last check before the wire. It sees every quote, edits what must not leave and counts each refusal under its limit's
 * name. It keeps its own positions, prices and feed states, fed beside the quoter's, and what it was not told it does not
 * trust: an instrument without a live feed or a fresh price is pulled.
 *
 * Pulling always passes, whatever the limits say; sides that reduce a position pass position, gross, delta and reduce-only
 * limits. A row of an instrument of which nothing stands and from which nothing is left is taken out of the batch.
 *
 * Feed it: {@link add} for every quoted instrument; {@link onReference} with the price of each underlying (the reference book's,
 * or where there is none the option tickers' underlying price); {@link onBook} and {@link onFeedState} for quoted
 * instruments; {@link onExecution} for fills; {@link onRejected} for what the counterparty refuses.
 */
export class RiskGate {
  readonly kill: KillSwitch;
  readonly positions: Positions;
  /** Refusals since start, one per side, by limit in the order of {@link LIMITS}. */
  readonly refusals = new Float64Array(LIMITS.length);

  readonly #limits: RiskLimits;
  #reduceOnly = false;
  readonly #capacity: number;
  readonly #instruments: (Instrument | undefined)[];
  readonly #tick: Float64Array;
  readonly #underlyingOf: Int32Array;
  readonly #live: Uint8Array;
  readonly #bestBidTicks: Int32Array;
  readonly #bestAskTicks: Int32Array;
  readonly #price: Float64Array;
  readonly #priceUs: Float64Array;
  readonly #seenInCheck: Float64Array;
  readonly #protection: Protection;
  readonly #messages: TokenBucket;
  readonly #rejects: WindowSum;
  readonly #breaches: WindowSum;
  readonly #net: Float64Array;
  readonly #netInCheck: Float64Array;
  #gross = 0;
  #grossInCheck = 0;
  #check = 0;
  #lastQuoteId = 0;
  readonly #approved = new WeakMap<QuoteBatch, ApprovedQuotes>();

  constructor(options: RiskGateOptions) {
    const capacity = options.instruments.capacity;
    const limits = options.limits;
    this.kill = new KillSwitch(options.kill);
    this.positions = new Positions(capacity);
    this.#limits = limits;
    this.#capacity = capacity;
    this.#instruments = new Array<Instrument | undefined>(capacity).fill(undefined);
    this.#tick = new Float64Array(capacity);
    this.#underlyingOf = new Int32Array(capacity).fill(-1);
    this.#live = new Uint8Array(capacity);
    this.#bestBidTicks = new Int32Array(capacity).fill(-1);
    this.#bestAskTicks = new Int32Array(capacity).fill(-1);
    this.#price = new Float64Array(capacity).fill(Number.NaN);
    this.#priceUs = new Float64Array(capacity).fill(Number.NEGATIVE_INFINITY);
    this.#seenInCheck = new Float64Array(capacity);
    this.#net = new Float64Array(capacity);
    this.#netInCheck = new Float64Array(capacity);
    this.#protection = new Protection(capacity, limits);
    this.#messages = new TokenBucket(limits.maxMessagesPerSecond, limits.maxMessageBurst);
    this.#rejects = new WindowSum(60_000);
    this.#breaches = new WindowSum(1_000);
  }

  get limits(): RiskLimits {
    return this.#limits;
  }

  /** Only sides that reduce a position pass. */
  get reduceOnly(): boolean {
    return this.#reduceOnly;
  }

  set reduceOnly(only: boolean) {
    this.#reduceOnly = only;
  }

  /** Refusals under a limit since start. */
  refused(limit: LimitName): number {
    return this.refusals[LIMIT[limit]];
  }

  /** Registers an instrument; what was not registered never passes. @param underlying dense number of its base coin */
  add(instrument: Instrument, underlying: number): void {
    invariant(
      instrument.id < this.#capacity && underlying < this.#capacity,
      `instrument ${instrument.id} fits the gate`,
    );
    if (this.#instruments[instrument.id] !== undefined) return;
    this.#instruments[instrument.id] = instrument;
    this.#underlyingOf[instrument.id] = underlying;
    this.#tick[instrument.id] = stepToNumber(instrument.tick);
    this.positions.add(instrument, underlying);
  }

  /** Price of an underlying in quote currency; one that is not positive makes it stale at once. */
  onReference(underlying: number, price: number, timeUs: number): void {
    if (!(price > 0)) {
      this.#priceUs[underlying] = Number.NEGATIVE_INFINITY;
      return;
    }
    this.#price[underlying] = price;
    this.#priceUs[underlying] = timeUs;
  }

  /** Best prices of an instrument's own book; −1 for an empty side. */
  onBook(instrument: number, bestBidTicks: number, bestAskTicks: number): void {
    this.#bestBidTicks[instrument] = bestBidTicks;
    this.#bestAskTicks[instrument] = bestAskTicks;
  }

  onFeedState(instrument: number, live: boolean): void {
    this.#live[instrument] = live ? 1 : 0;
    if (live) return;
    this.#bestBidTicks[instrument] = -1;
    this.#bestAskTicks[instrument] = -1;
  }

  positionLots(instrument: number): number {
    return this.positions.lots(instrument);
  }

  /**
   * A fill. Trips the kill switch when a position or an underlying's delta is beyond its hard limit, or when the instrument is
   * not one that was ever quoted.
   *
   * @param side side of our quote: 0 = our bid was hit, we bought
   */
  onExecution(instrument: number, side: number, _priceTicks: number, sizeLots: number, timeUs: number): void {
    if (this.#instruments[instrument] === undefined || !(sizeLots > 0)) {
      this.kill.trip("limit:unknownExecution", timeUs);
      return;
    }
    const positions = this.positions;
    const limits = this.#limits;
    positions.onFill(instrument, side, sizeLots);
    const underlying = this.#underlyingOf[instrument];
    const price = this.#price[underlying];
    const perLot = positions.notionalPerLot(instrument, price);
    const knownDelta = positions.delta(instrument);
    const delta = Number.isNaN(knownDelta) ? 1 : knownDelta;
    const bought = side === 0 ? sizeLots : -sizeLots;
    this.#protection.onFill(underlying, bought * perLot * delta, timeUs);
    if (
      !(
        Math.abs(positions.lots(instrument) * perLot) <=
        limits.maxPositionNotional * limits.hardLimitMultiple
      )
    ) {
      this.kill.trip("limit:position", timeUs);
    }
    const net = positions.netDeltaNotional(underlying, price);
    if (!(Math.abs(net) <= limits.maxDeltaNotional * limits.hardLimitMultiple)) {
      this.kill.trip("limit:delta", timeUs);
    }
  }

  /** Quotes that the counterparty rejected; too many within a minute trip the kill switch. */
  onRejected(quotes: number, timeUs: number): void {
    if (this.#rejects.add(quotes, timeUs) >= this.#limits.maxRejectsPerMinute) {
      this.kill.trip("limit:rejects", timeUs);
    }
  }

  /**
   * Checks a batch in place. Afterwards it holds only what may leave.
   *
   * @returns the batch, approved; the same object for the same batch every time
   */
  check(batch: QuoteBatch, timeUs: number): ApprovedQuotes {
    this.#check += 1;
    const killedBefore = this.kill.tripped;
    let kept = 0;
    for (let row = 0; row < batch.count; row += 1) {
      const asked = !isPull(batch, row);
      this.#checkRow(batch, row, timeUs);
      if (asked && isPull(batch, row) && batch.standing[row] === 0) continue;
      batch.move(row, kept);
      kept += 1;
    }
    batch.count = kept;
    if (this.kill.tripped && !killedBefore) {
      for (let row = 0; row < kept; row += 1) this.#refuse(batch, row, LIMIT.killed, timeUs);
    }
    const known = this.#approved.get(batch);
    if (known !== undefined) return known;
    const approved = new ApprovedQuotes(batch);
    this.#approved.set(batch, approved);
    return approved;
  }

  #checkRow(batch: QuoteBatch, row: number, timeUs: number): void {
    const quoteId = batch.quoteId[row];
    const ordered = quoteId > this.#lastQuoteId;
    if (ordered) this.#lastQuoteId = quoteId;
    this.#normalise(batch, row, timeUs);
    if (isPull(batch, row)) return;
    const id = batch.instrument[row];
    const instrument = this.#instruments[id];
    const limit =
      instrument === undefined
        ? LIMIT.unknownInstrument
        : !ordered || this.#seenInCheck[id] === this.#check
          ? LIMIT.duplicate
          : this.#rowLimit(batch, row, id, timeUs);
    if (instrument === undefined || limit !== PASSED) {
      this.#refuse(batch, row, limit, timeUs);
      return;
    }
    this.#seenInCheck[id] = this.#check;
    this.positions.onDelta(id, batch.delta[row]);
    this.#checkSide(batch, row, instrument, 0, timeUs);
    this.#checkSide(batch, row, instrument, 1, timeUs);
    if (!isPull(batch, row) && !this.#messages.take(timeUs)) {
      this.#refuse(batch, row, LIMIT.messageRate, timeUs);
    }
  }

  /** @returns the limit that the row as a whole breaks, or {@link PASSED}. */
  #rowLimit(batch: QuoteBatch, row: number, id: number, timeUs: number): number {
    if (this.kill.tripped) return LIMIT.killed;
    if (this.#live[id] === 0) return LIMIT.feed;
    const underlying = this.#underlyingOf[id];
    const ageUs = timeUs - this.#priceUs[underlying];
    if (!(ageUs <= this.#limits.maxDataAgeMs * 1_000)) return LIMIT.stale;
    if (this.#protection.frozen(underlying, timeUs)) return LIMIT.protection;
    const fair = batch.fair[row];
    const greeks = Math.abs(batch.delta[row]) <= 1 && batch.vega[row] >= 0;
    if (!(greeks && fair >= 0 && fair < Infinity)) return LIMIT.malformed;
    const twoSided = batch.bidLots[row] > 0 && batch.askLots[row] > 0;
    if (twoSided && batch.bidTicks[row] >= batch.askTicks[row]) return LIMIT.selfCross;
    return PASSED;
  }

  /** Sizes and prices that are no whole positive numbers are refused; an absent side reads −1 and 0. */
  #normalise(batch: QuoteBatch, row: number, timeUs: number): void {
    const bidLots = batch.bidLots[row];
    const askLots = batch.askLots[row];
    if (!wellFormed(bidLots, batch.bidTicks[row])) this.#refuseSide(batch, row, 0, LIMIT.malformed, timeUs);
    if (!wellFormed(askLots, batch.askTicks[row])) this.#refuseSide(batch, row, 1, LIMIT.malformed, timeUs);
    if (bidLots === 0) batch.bidTicks[row] = NO_SIDE;
    if (askLots === 0) batch.askTicks[row] = NO_SIDE;
  }

  #checkSide(batch: QuoteBatch, row: number, instrument: Instrument, side: number, timeUs: number): void {
    const lotsOf = side === 0 ? batch.bidLots : batch.askLots;
    const lots = lotsOf[row];
    if (lots === 0) return;
    const limits = this.#limits;
    const id = instrument.id;
    const underlying = this.#underlyingOf[id];
    const price = this.#price[underlying];
    const sign = side === 0 ? 1 : -1;
    const limit = this.#priceLimit(batch, row, instrument, price, side);
    const positions = this.positions;
    const perLot = positions.notionalPerLot(id, price);
    if (limit !== PASSED || !(lots * perLot <= limits.maxQuoteNotional)) {
      this.#refuseSide(batch, row, side, limit === PASSED ? LIMIT.quoteNotional : limit, timeUs);
      return;
    }
    const position = positions.lots(id);
    const reducible = Math.max(-sign * position, 0);
    if (lots > reducible) {
      const most = Math.floor(limits.maxPositionNotional / perLot + 1e-9);
      const within = Math.abs(position) > most ? reducible : most - sign * position;
      const adding = Math.min(lots, within) - reducible;
      if (this.#reduceOnly) this.#cutSide(batch, row, side, reducible, instrument, LIMIT.reduceOnly, timeUs);
      else if (adding > 0 && !(this.#grossNotional() + adding * perLot <= limits.maxGrossNotional)) {
        this.#cutSide(batch, row, side, reducible, instrument, LIMIT.gross, timeUs);
      } else if (lots > within) {
        this.#cutSide(batch, row, side, within, instrument, LIMIT.position, timeUs);
      }
    }
    if (lotsOf[row] === 0) return;
    const net = this.#netDelta(underlying);
    const after = net + sign * lotsOf[row] * perLot * batch.delta[row];
    if (!(Math.abs(after) <= Math.max(limits.maxDeltaNotional, Math.abs(net)))) {
      this.#refuseSide(batch, row, side, LIMIT.delta, timeUs);
    }
  }

  /** @returns the collar that a side's price breaks, or {@link PASSED}. */
  #priceLimit(batch: QuoteBatch, row: number, instrument: Instrument, price: number, side: number): number {
    const limits = this.#limits;
    const id = instrument.id;
    const sign = side === 0 ? 1 : -1;
    const ticks = side === 0 ? batch.bidTicks[row] : batch.askTicks[row];
    const tick = this.#tick[id];
    const unit = instrument.kind === "option" && instrument.inverse ? price : 1;
    const move = Math.abs(batch.delta[row]) * limits.collarFairBp * 1e-4 * price;
    const jump = limits.collarFairVol * 0.01 * batch.vega[row];
    const reach = (move + jump) / unit + limits.collarFairTicks * tick;
    if (!(sign * (ticks * tick - batch.fair[row]) <= reach)) return LIMIT.collarFair;
    const opposite = side === 0 ? this.#bestAskTicks[id] : this.#bestBidTicks[id];
    if (opposite >= 0 && sign * (opposite - ticks) < limits.collarMarketTicks) return LIMIT.collarMarket;
    return PASSED;
  }

  /** Gross notional as of the start of this check. */
  #grossNotional(): number {
    if (this.#grossInCheck !== this.#check) {
      this.#gross = this.positions.grossNotional(this.#price);
      this.#grossInCheck = this.#check;
    }
    return this.#gross;
  }

  /** Net delta notional of an underlying as of its first quote in this check. */
  #netDelta(underlying: number): number {
    if (this.#netInCheck[underlying] !== this.#check) {
      this.#net[underlying] = this.positions.netDeltaNotional(underlying, this.#price[underlying]);
      this.#netInCheck[underlying] = this.#check;
    }
    return this.#net[underlying];
  }

  /** Leaves at most `lots` on a side, nothing when that is below the venue's least size. */
  #cutSide(
    batch: QuoteBatch,
    row: number,
    side: number,
    lots: number,
    instrument: Instrument,
    limit: number,
    timeUs: number,
  ): void {
    if (lots < Math.max(instrument.minSizeLots, 1)) {
      this.#refuseSide(batch, row, side, limit, timeUs);
      return;
    }
    (side === 0 ? batch.bidLots : batch.askLots)[row] = lots;
    batch.reasons[row] |= REASON.riskLimit;
    this.refusals[limit] += 1;
  }

  #refuse(batch: QuoteBatch, row: number, limit: number, timeUs: number): void {
    if (batch.bidLots[row] !== 0) this.#refuseSide(batch, row, 0, limit, timeUs);
    if (batch.askLots[row] !== 0) this.#refuseSide(batch, row, 1, limit, timeUs);
    batch.reasons[row] |= REASON.pulled;
  }

  #refuseSide(batch: QuoteBatch, row: number, side: number, limit: number, timeUs: number): void {
    if (side === 0) {
      batch.bidTicks[row] = NO_SIDE;
      batch.bidLots[row] = 0;
    } else {
      batch.askTicks[row] = NO_SIDE;
      batch.askLots[row] = 0;
    }
    batch.reasons[row] |= REFUSAL_REASON[limit];
    this.refusals[limit] += 1;
    if (!LOSS_OF_CONTROL.has(limit)) return;
    if (this.#breaches.add(1, timeUs) >= this.#limits.maxBreachesPerSecond) {
      this.kill.trip(`limit:${LIMITS[limit]}`, timeUs);
    }
  }
}

function isPull(batch: QuoteBatch, row: number): boolean {
  return batch.bidLots[row] === 0 && batch.askLots[row] === 0;
}

function wellFormed(lots: number, ticks: number): boolean {
  return lots === 0 || (lots > 0 && Number.isSafeInteger(lots) && ticks > 0);
}
