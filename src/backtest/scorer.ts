import { stepToNumber } from "../core/decimal.ts";
import type { Desk } from "../desk/desk.ts";
import type { Instrument } from "../market/instrument.ts";
import { lotNotional } from "../quote/exposure.ts";
import type { VenueFill } from "./gateway.ts";
import type { Matching } from "./matching.ts";
import { type FillRecord, type IntervalRecord, MARKOUT_MS, type MarkoutSummary } from "./result.ts";
import type { VenueMarket } from "./venue-market.ts";

interface Scored {
  readonly fill: VenueFill;
  readonly price: number;
  readonly mid: number;
  readonly notional: number;
  readonly feeQuote: number;
  readonly markout: (number | null)[];
  readonly adverse: (number | null)[];
  readonly probabilities: readonly number[];
}

/**
 * Notes fills with what became of their price, and the course of the run. Middles are the venue's own at the very moment, not as
 * the desk had heard of them by then.
 */
export class Scorer {
  readonly intervals: IntervalRecord[] = [];
  drawdown = 0;
  volume = 0;
  fees = 0;
  readonly #matching: Matching;
  readonly #scored: Scored[] = [];
  /** By horizon: the next fill that waits for it. */
  readonly #next = MARKOUT_MS.map(() => 0);
  readonly #probabilities: () => readonly number[];
  #nextDueUs = Number.POSITIVE_INFINITY;
  #peak = 0;

  /** @param probabilities what the desk believes now of the instrument's underlying */
  constructor(matching: Matching, probabilities: () => readonly number[]) {
    this.#matching = matching;
    this.#probabilities = probabilities;
  }

  /** When a markout is due next. */
  get nextUs(): number {
    return this.#nextDueUs;
  }

  get count(): number {
    return this.#scored.length;
  }

  onFill(fill: VenueFill): void {
    const market = this.#matching.market(fill.instrument);
    const { instrument } = market;
    const price = fill.priceTicks * market.tick;
    const { mid } = market;
    const notional = fill.lots * notionalPerLot(market, price);
    const feeQuote = fill.fee * (instrument.inverse ? underlyingPrice(market, price) : 1);
    this.volume += notional;
    this.fees += feeQuote;
    this.#scored.push({
      ...{ fill, price, mid, notional, feeQuote, probabilities: this.#probabilities() },
      markout: MARKOUT_MS.map(() => null),
      adverse: MARKOUT_MS.map(() => null),
    });
    this.#schedule();
  }

  /** Looks at the middles of all fills whose horizon has come. */
  mark(timeUs: number): void {
    for (const [horizon, waitMs] of MARKOUT_MS.entries()) {
      for (;;) {
        const scored = this.#scored[this.#next[horizon]];
        if (scored === undefined || scored.fill.timeUs + waitMs * 1_000 > timeUs) break;
        this.#next[horizon] += 1;
        const market = this.#matching.market(scored.fill.instrument);
        const { mid } = market;
        if (Number.isNaN(mid)) continue;
        scored.markout[horizon] = worth(market, scored.fill, mid, scored.price);
        scored.adverse[horizon] = Number.isNaN(scored.mid)
          ? null
          : worth(market, scored.fill, mid, scored.mid);
      }
    }
    this.#schedule();
  }

  onInterval(desk: Desk, timeUs: number): void {
    for (const instrument of desk.market.instruments.all()) desk.book.step(instrument.id, timeUs);
    const { profit } = desk.book;
    this.#peak = Math.max(this.#peak, profit);
    this.drawdown = Math.max(this.drawdown, this.#peak - profit);
    const { gate, counters, market } = desk;
    let delta = 0;
    for (let underlying = 0; underlying < market.underlyings.size; underlying += 1) {
      gate.positions.refresh(underlying);
      const net = gate.positions.netDeltaNotional(underlying);
      if (!Number.isNaN(net)) delta += net;
    }
    let exposure = 0;
    for (const { id } of market.instruments.all()) {
      const price = gate.price(market.underlyingOf(id));
      const notional = Math.abs(gate.positionLots(id)) * gate.positions.notionalPerLot(id, price);
      if (notional > exposure) exposure = notional;
    }
    const price = gate.price(0);
    this.intervals.push({
      timeUs,
      ...{ profit, fees: this.fees, volume: this.volume, fills: this.#scored.length, delta, exposure },
      quotes: counters.quotesSent,
      predictions: counters.predictions,
      probabilities: this.#probabilities().map((value) => (Number.isNaN(value) ? null : value)),
      price: price > 0 ? price : null,
    });
  }

  fills(): FillRecord[] {
    return this.#scored.map(({ fill, price, mid, notional, feeQuote, markout, probabilities }) => {
      const market = this.#matching.market(fill.instrument);
      const { venue, symbol } = market.instrument;
      const known = !Number.isNaN(mid);
      return {
        timeUs: fill.timeUs,
        ...{ venue, symbol, price, notional, feeQuote, markout },
        probabilities: probabilities.map((value) => (Number.isNaN(value) ? null : value)),
        side: fill.side === 0 ? "buy" : "sell",
        lots: fill.lots,
        maker: fill.maker,
        counterparty: fill.counterparty,
        orderId: fill.orderId > 0 ? fill.orderId : null,
        quoteId: fill.quoteId > 0 ? fill.quoteId : null,
        level: fill.level,
        restedUs: fill.restedUs,
        fee: fill.fee,
        mid: known ? mid : null,
        spread: known ? worth(market, fill, mid, price) : null,
      };
    });
  }

  markouts(): MarkoutSummary[] {
    return MARKOUT_MS.map((horizonMs, horizon) => {
      let fills = 0;
      let notional = 0;
      let markout = 0;
      let adverse = 0;
      for (const scored of this.#scored) {
        const value = scored.markout[horizon];
        if (value === null || value === undefined) continue;
        fills += 1;
        notional += scored.notional;
        markout += value;
        adverse += scored.adverse[horizon] ?? 0;
      }
      const inBp = (amount: number): number | null => (notional > 0 ? (amount / notional) * 1e4 : null);
      return {
        horizonMs,
        fills,
        notional,
        markout,
        adverse,
        markoutBp: inBp(markout),
        adverseBp: inBp(adverse),
      };
    });
  }

  #schedule(): void {
    let due = Number.POSITIVE_INFINITY;
    for (const [horizon, waitMs] of MARKOUT_MS.entries()) {
      const scored = this.#scored[this.#next[horizon]];
      if (scored !== undefined) due = Math.min(due, scored.fill.timeUs + waitMs * 1_000);
    }
    this.#nextDueUs = due;
  }
}

/** Price of the coin in quote currency, as far as the instrument's own market tells it. */
function underlyingPrice(market: VenueMarket, price: number): number {
  const { instrument, mid } = market;
  if (instrument.kind === "option") return market.underlyingPrice;
  return Number.isNaN(mid) ? price : mid;
}

function notionalPerLot(market: VenueMarket, price: number): number {
  const { fixed, perPrice } = lotNotional(market.instrument);
  const { instrument } = market;
  return fixed + perPrice * (instrument.kind === "option" ? market.underlyingPrice : price);
}

/** What the fill's lots gain, in quote currency, from a price to another one. */
function worth(market: VenueMarket, { side, lots }: VenueFill, to: number, from: number): number {
  const { instrument } = market;
  const signed = side === 0 ? lots : -lots;
  const units = stepToNumber(instrument.lot) * instrument.contractSize;
  if (instrument.kind === "option") {
    return signed * units * (to - from) * (inCoin(instrument) ? market.underlyingPrice : 1);
  }
  return instrument.inverse ? signed * units * (1 / from - 1 / to) * to : signed * units * (to - from);
}

function inCoin({ kind, inverse }: Instrument): boolean {
  return kind === "option" && inverse;
}
