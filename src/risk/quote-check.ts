import type { Instrument } from "../market/instrument.ts";
import { LEVELS_MAX, type QuoteBatch, REASON } from "../quote/quote-batch.ts";
import { type GateState, PASSED } from "./gate-state.ts";
import { LIMIT, REFUSAL_REASON } from "./refusal.ts";

const NO_SIDE = -1;

/** Holds batches of quotes against the limits, in place: afterwards a batch holds only what may leave. */
export class QuoteCheck {
  readonly #state: GateState;
  /** By instrument and level. */
  readonly #seenInCheck: Float64Array;
  #check = 0;
  #standing = false;
  #lastQuoteId = 0;

  constructor(state: GateState, capacity: number) {
    this.#state = state;
    this.#seenInCheck = new Float64Array(capacity * LEVELS_MAX);
  }

  /** @param standing the rows stand already, as they are: nothing new is sent with them, and they take no message rate */
  check(batch: QuoteBatch, timeUs: number, standing = false): void {
    const { kill } = this.#state;
    this.#standing = standing;
    this.#check += 1;
    const killedBefore = kill.tripped;
    let kept = 0;
    for (let row = 0; row < batch.count; row += 1) {
      const asked = !isPull(batch, row);
      this.#checkRow(batch, row, timeUs);
      if (asked && isPull(batch, row) && batch.standing[row] === 0) continue;
      this.#keep(batch, row);
      batch.move(row, kept);
      kept += 1;
    }
    batch.count = this.#partLevels(batch, kept, timeUs);
    if (kill.tripped && !killedBefore) {
      for (let row = 0; row < batch.count; row += 1) {
        this.#refuse(batch, row, LIMIT.killed, timeUs);
        this.#keep(batch, row);
      }
    }
  }

  /** Checks rows that stand already. Afterwards the batch holds those of which something has to be pulled or cut. */
  recheck(batch: QuoteBatch, timeUs: number): void {
    const { count } = batch;
    const bids = batch.bidLots.slice(0, count);
    const asks = batch.askLots.slice(0, count);
    const ids = batch.quoteId.slice(0, count);
    this.check(batch, timeUs, true);
    let kept = 0;
    let before = 0;
    for (let row = 0; row < batch.count; row += 1) {
      while (ids[before] !== batch.quoteId[row]) before += 1;
      if (batch.bidLots[row] === bids[before] && batch.askLots[row] === asks[before]) continue;
      batch.move(row, kept);
      kept += 1;
    }
    batch.count = kept;
  }

  /**
   * Takes out rows after which a bid of one level would stand at or above an ask of another.
   *
   * @returns how many rows are left
   */
  #partLevels(batch: QuoteBatch, count: number, timeUs: number): number {
    const { bidTicks, askTicks } = this.#state.standing;
    let kept = 0;
    for (let row = 0; row < count; row += 1) {
      const id = batch.instrument[row];
      if (askTicks[id] >= 0 && bidTicks[id] >= askTicks[id] && !isPull(batch, row)) {
        this.#refuse(batch, row, LIMIT.selfCross, timeUs);
        this.#keep(batch, row);
        if (batch.standing[row] === 0) continue;
      }
      batch.move(row, kept);
      kept += 1;
    }
    return kept;
  }

  #keep(batch: QuoteBatch, row: number): void {
    const id = batch.instrument[row];
    if (this.#state.instruments[id] === undefined) return;
    const { level, bidTicks, bidLots, askTicks, askLots } = batch;
    this.#state.standing.set(id, level[row], bidTicks[row], bidLots[row], askTicks[row], askLots[row]);
  }

  #checkRow(batch: QuoteBatch, row: number, timeUs: number): void {
    const quoteId = batch.quoteId[row];
    const ordered = quoteId > this.#lastQuoteId;
    if (ordered) this.#lastQuoteId = quoteId;
    this.#normalise(batch, row, timeUs);
    if (isPull(batch, row)) return;
    const id = batch.instrument[row];
    const instrument = this.#state.instruments[id];
    const limit =
      instrument === undefined
        ? LIMIT.unknownInstrument
        : !ordered || this.#seenInCheck[id * LEVELS_MAX + batch.level[row]] === this.#check
          ? LIMIT.duplicate
          : this.#rowLimit(batch, row, id, timeUs);
    if (instrument === undefined || limit !== PASSED) {
      this.#refuse(batch, row, limit, timeUs);
      return;
    }
    this.#seenInCheck[id * LEVELS_MAX + batch.level[row]] = this.#check;
    this.#state.ensureValued(instrument, timeUs);
    this.#state.positions.onDelta(id, batch.delta[row]);
    this.#checkSide(batch, row, instrument, 0, timeUs);
    this.#checkSide(batch, row, instrument, 1, timeUs);
    if (!this.#standing && !isPull(batch, row) && !this.#state.messages.take(timeUs)) {
      this.#refuse(batch, row, LIMIT.messageRate, timeUs);
    }
  }

  /** @returns the limit that the row as a whole breaks, or {@link PASSED}. */
  #rowLimit(batch: QuoteBatch, row: number, id: number, timeUs: number): number {
    const closed = this.#state.closed(id, timeUs);
    if (closed !== PASSED) return closed;
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
    const state = this.#state;
    const { limits, positions } = state;
    const id = instrument.id;
    const price = state.price[state.underlyingOf[id]];
    const perLot = positions.notionalPerLot(id, price);
    const limit = this.#sideLimit(batch, row, instrument, side, lots * perLot, price, timeUs);
    if (limit !== PASSED) {
      this.#refuseSide(batch, row, side, limit, timeUs);
      return;
    }
    const sign = side === 0 ? 1 : -1;
    const others = state.orders.workingLots(id, side) + state.standing.otherLots(id, batch.level[row], side);
    const position = positions.lots(id) + sign * others;
    const reducible = Math.max(-sign * position, 0);
    if (lots > reducible) {
      const most = Math.floor(limits.maxPositionNotional / perLot + 1e-9);
      const within = Math.abs(position) > most ? reducible : most - sign * position;
      const adding = (Math.min(lots, within) - reducible) * perLot;
      if (state.reducing !== null) {
        this.#cutSide(batch, row, side, reducible, instrument, LIMIT[state.reducing.by], timeUs);
      } else if (adding > 0 && !(state.grossNotional(this.#check) + adding <= limits.maxGrossNotional)) {
        this.#cutSide(batch, row, side, reducible, instrument, LIMIT.gross, timeUs);
      } else if (adding > 0 && !(positions.expiryNotional(id) + adding <= limits.maxExpiryNotional)) {
        this.#cutSide(batch, row, side, reducible, instrument, LIMIT.expiry, timeUs);
      } else if (lots > within) {
        this.#cutSide(batch, row, side, within, instrument, LIMIT.position, timeUs);
      }
    }
    const left = lotsOf[row];
    if (left === 0) return;
    const broken = state.exposure(id, sign * left, position, batch.delta[row], left <= reducible);
    if (broken !== PASSED) this.#refuseSide(batch, row, side, broken, timeUs);
  }

  /** @returns the limit that a side's price or size breaks by itself, or {@link PASSED}. */
  #sideLimit(
    batch: QuoteBatch,
    row: number,
    instrument: Instrument,
    side: number,
    notional: number,
    price: number,
    timeUs: number,
  ): number {
    const { limits, bestAskTicks, bestBidTicks, orders } = this.#state;
    const id = instrument.id;
    const sign = side === 0 ? 1 : -1;
    const ticks = side === 0 ? batch.bidTicks[row] : batch.askTicks[row];
    const { fair, delta, vega } = batch;
    const collar = this.#state.collar(instrument, side, ticks, fair[row], delta[row], vega[row], timeUs);
    if (collar !== PASSED) return collar;
    const opposite = side === 0 ? bestAskTicks[id] : bestBidTicks[id];
    if (opposite >= 0 && sign * (opposite - ticks) < limits.collarMarketTicks) return LIMIT.collarMarket;
    if (sign * (ticks - orders.bestTicks(id, 1 - side)) >= 0) return LIMIT.selfCross;
    if (!(notional <= limits.maxQuoteNotional)) return LIMIT.quoteNotional;
    return notional <= limits.maxQuoteSize * price ? PASSED : LIMIT.quoteSize;
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
    this.#state.refusals[limit] += 1;
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
    this.#state.refuse(limit, timeUs);
  }
}

function isPull(batch: QuoteBatch, row: number): boolean {
  return batch.bidLots[row] === 0 && batch.askLots[row] === 0;
}

function wellFormed(lots: number, ticks: number): boolean {
  return lots === 0 || (lots > 0 && Number.isSafeInteger(lots) && ticks > 0);
}
