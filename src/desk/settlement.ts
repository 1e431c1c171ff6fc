import type { Instrument } from "../market/instrument.ts";
import type { Book } from "../position/book.ts";
import type { Quoter } from "../quote/quoter.ts";
import type { RiskGate } from "../risk/gate.ts";
import type { DeskPort } from "./desk-port.ts";
import { type MarketState, TOUCHED_QUOTE } from "./market-state.ts";
import type { Publisher } from "./publisher.ts";

/** A price that is heard within this time after an expiry is taken for that of the expiry; no later one is. */
const PRICE_WITHIN_US = 60_000_000;
/** The venue's index and the underlying's price further apart than this share: neither is trusted. */
const APART_MAX = 0.05;
/** So long before an expiry the venue's clock may have passed it already. */
const CLOCKS_APART_US = 10_000_000;
/** For so long the venue may still report what has expired. */
const VENUE_SETTLES_WITHIN_US = 3_600_000_000;

/** What has expired by the desk's time and not yet by its venue's is looked at again after so long. */
const LOOK_AGAIN_US = 1_000_000;

/** What has become of an instrument. */
const STATE = {
  trades: 0,
  /** Expired; a price of the expiry may still come. */
  expired: 1,
  /** Expired, with a final price: nothing of it is held any more. */
  settled: 2,
  /** Expired without one: what was held stays, at its last mark, until the counterparty says that it is gone. */
  unsettled: 3,
} as const;

/** What the final price comes from: the venue's index in the instrument's own ticker, the desk's price of the underlying, or the counterparty's word. */
export type SettledBy = "index" | "underlying" | "counterparty";

interface Held {
  readonly venue: string;
  readonly symbol: string;
  /** Signed, as they were held. */
  readonly lots: number;
  /** In the instrument's price unit; null = not known. */
  readonly price: number | null;
  /** Price of the underlying that it is worked out from; null where it is not. */
  readonly underlyingPrice: number | null;
}

/** What became of a position at its instrument's expiry, as it stands in a journal. */
export type ExpiredPosition =
  | ({ readonly decided: "settled"; readonly by: SettledBy } & Held)
  | ({ readonly decided: "unsettled" } & Held);

export interface SettlementOptions {
  readonly market: MarketState;
  readonly gate: RiskGate;
  readonly book: Book;
  readonly quoter: Quoter;
  readonly publisher: Publisher;
  readonly port: Pick<DeskPort, "decidedRisk">;
}

/**
 * Books expiries. At the first timer tick at or after an instrument's expiry its Greeks end and nothing of it may be quoted; what is held
 * leaves the books at its intrinsic value (an option) or at the underlying's price (a future), by the venue's index as the instrument's
 * own ticker told it, else by the desk's price of the underlying, whichever is fresh within a minute. Without one the position stays at
 * its last mark, and is told. An expiry has come when the venue's clock says so and the desk's as well; deterministic.
 *
 * Venues settle at averages (Deribit: of the index over the last half hour) and charge for delivery; both are the counterparty's to say.
 */
export class Settlement {
  /** Positions that left the books at an expiry. */
  settled = 0;
  readonly #options: SettlementOptions;
  readonly #state: Uint8Array;
  /** The counterparty has said that nothing of it is held any more. */
  readonly #gone: Uint8Array;
  readonly #underlyingPrice: Float64Array;
  readonly #by: (SettledBy | undefined)[];
  /** Expired, and a price of the expiry may still come. */
  #waiting: Instrument[] = [];
  #seen = 0;
  #nextUs = Number.POSITIVE_INFINITY;

  constructor(options: SettlementOptions) {
    const { capacity } = options.market.instruments;
    this.#options = options;
    this.#state = new Uint8Array(capacity);
    this.#gone = new Uint8Array(capacity);
    this.#underlyingPrice = new Float64Array(capacity).fill(Number.NaN);
    this.#by = new Array<SettledBy | undefined>(capacity).fill(undefined);
  }

  /** About every 10 ms, before positions are valued and hedged. */
  onTimer(timeUs: number): void {
    const { instruments, books } = this.#options.market;
    // The table may hold instruments that have not been taken in yet.
    for (; this.#seen < books.length; this.#seen += 1) {
      this.#nextUs = Math.min(this.#nextUs, expiryUs(instruments.get(this.#seen)));
    }
    if (timeUs >= this.#nextUs) this.#expire(timeUs);
    if (this.#waiting.length > 0) this.#price(timeUs);
  }

  /** A fill was booked, in whatever instrument: one that came late is settled as the rest was. */
  onFill(id: number, timeUs: number): void {
    const state = this.#state[id];
    if (state === STATE.settled) this.#close(id, timeUs);
    else if (state === STATE.unsettled) this.#tellHeld(id, timeUs);
  }

  /** What is held of an instrument that still trades; what has expired is none of the quoter's business. */
  quotedLots(id: number): number {
    return this.#state[id] === STATE.trades ? this.#options.gate.positionLots(id) : 0;
  }

  /**
   * The counterparty reports another position than is held: around an expiry one of the two has settled first, which is no
   * difference. What could not be priced and is gone there leaves the books here at its last mark.
   *
   * @returns false when expiry does not explain it
   */
  explains(instrument: Instrument, ownLots: number, venueLots: number, timeUs: number): boolean {
    if (!this.#isByExpiry(instrument, ownLots, venueLots, timeUs)) return false;
    const { id } = instrument;
    const state = this.#state[id];
    if (state === STATE.settled) return true;
    this.#gone[id] = 1;
    if (state === STATE.unsettled) this.#takeOut(id, timeUs);
    return true;
  }

  /** Whether a difference that {@link explains} explains goes by itself, so that nothing is to be done about it. Changes nothing. */
  passes(instrument: Instrument, ownLots: number, venueLots: number, timeUs: number): boolean {
    const isTakenOut = this.#state[instrument.id] === STATE.unsettled;
    return !isTakenOut && this.#isByExpiry(instrument, ownLots, venueLots, timeUs);
  }

  /** Instruments that have expired and are held still, for want of a price or of the counterparty's word: `venue:symbol`. Allocates. */
  get unsettled(): string[] {
    const { gate, market } = this.#options;
    const { positions } = gate;
    const held = Array.from({ length: positions.heldCount }, (_, place) => positions.heldAt(place));
    return held
      .filter((id) => this.#state[id] !== STATE.trades)
      .map((id) => market.instruments.get(id))
      .map(({ venue, symbol }) => `${venue}:${symbol}`);
  }

  #isByExpiry(instrument: Instrument, ownLots: number, venueLots: number, timeUs: number): boolean {
    const { id } = instrument;
    const venueUs = this.#options.market.venueTimeUs(id, timeUs);
    const sinceUs = (Number.isNaN(venueUs) ? timeUs : venueUs) - expiryUs(instrument);
    if (this.#state[id] === STATE.settled) return ownLots === 0 && sinceUs < VENUE_SETTLES_WITHIN_US;
    return venueLots === 0 && sinceUs >= -CLOCKS_APART_US;
  }

  #expire(timeUs: number): void {
    const { market, gate, quoter, publisher } = this.#options;
    this.#nextUs = Number.POSITIVE_INFINITY;
    let stands = false;
    for (const instrument of market.instruments.all()) {
      const { id } = instrument;
      if (this.#state[id] !== STATE.trades || market.underlyingOf(id) < 0) continue;
      if (!(market.venueTimeUs(id, timeUs) >= expiryUs(instrument))) {
        this.#nextUs = Math.min(this.#nextUs, Math.max(expiryUs(instrument), timeUs + LOOK_AGAIN_US));
        continue;
      }
      this.#state[id] = STATE.expired;
      gate.expire(id, gate.mark(id), Number.NaN);
      quoter.onPosition(id, 0);
      stands ||= gate.standingTicks(id, 0) >= 0 || gate.standingTicks(id, 1) >= 0;
      market.touched[market.underlyingOf(id)] |= TOUCHED_QUOTE;
      this.#waiting.push(instrument);
    }
    if (stands) publisher.recheck(timeUs);
  }

  /** Settles what a price is known for by now, and gives up what it is too late for. */
  #price(timeUs: number): void {
    this.#waiting = this.#waiting.filter((instrument) => {
      const { id } = instrument;
      const inTime = timeUs - expiryUs(instrument) <= PRICE_WITHIN_US;
      if (inTime && this.#settle(instrument, timeUs)) return false;
      if (inTime) return true;
      this.#state[id] = STATE.unsettled;
      if (this.#gone[id] === 1) this.#takeOut(id, timeUs);
      else this.#tellHeld(id, timeUs);
      return false;
    });
  }

  #settle(instrument: Instrument, timeUs: number): boolean {
    const { market, gate } = this.#options;
    const { id } = instrument;
    const underlying = market.underlyingOf(id);
    const price = gate.freshPrice(underlying, timeUs);
    const index = market.indexPrice(id, timeUs - gate.limits.maxDataAgeMs * 1_000);
    if (index > 0 && price > 0 && Math.abs(index / price - 1) > APART_MAX) return false;
    const final = index > 0 ? index : price;
    // Without any price of the underlying an amount in coin cannot be converted.
    if (!(final > 0 && gate.price(underlying) > 0)) return false;
    this.#state[id] = STATE.settled;
    this.#underlyingPrice[id] = final;
    this.#by[id] = index > 0 ? "index" : "underlying";
    gate.expire(id, finalMark(instrument, final), final);
    this.#close(id, timeUs);
    return true;
  }

  /** The counterparty holds nothing of it any more: it leaves at its last mark. */
  #takeOut(id: number, timeUs: number): void {
    this.#by[id] = "counterparty";
    this.#close(id, timeUs);
  }

  #close(id: number, timeUs: number): void {
    const { book, gate, market, quoter, port } = this.#options;
    const lots = gate.positionLots(id);
    if (lots === 0) return;
    const price = book.settle(id, timeUs);
    gate.positions.set(id, 0);
    quoter.onPosition(id, 0);
    market.touched[market.underlyingOf(id)] |= TOUCHED_QUOTE;
    this.settled += 1;
    port.decidedRisk(
      { decided: "settled", by: this.#by[id] ?? "underlying", ...this.#told(id, lots, price) },
      timeUs,
    );
  }

  #tellHeld(id: number, timeUs: number): void {
    const { gate, port } = this.#options;
    const lots = gate.positionLots(id);
    if (lots !== 0)
      port.decidedRisk({ decided: "unsettled", ...this.#told(id, lots, gate.mark(id)) }, timeUs);
  }

  #told(id: number, lots: number, price: number): Held {
    const { venue, symbol } = this.#options.market.instruments.get(id);
    const underlyingPrice = this.#underlyingPrice[id];
    return { venue, symbol, lots, price: known(price), underlyingPrice: known(underlyingPrice) };
  }
}

/** In the instrument's price unit: a future at the underlying's price, an option at what it pays by it. */
function finalMark(instrument: Instrument, price: number): number {
  if (instrument.kind !== "option") return price;
  const sign = instrument.optionType === "call" ? 1 : -1;
  const value = Math.max(sign * (price - instrument.strike), 0);
  return instrument.inverse ? value / price : value;
}

function expiryUs({ expiryMs }: Instrument): number {
  return expiryMs * 1_000;
}

function known(value: number): number | null {
  return Number.isFinite(value) ? value : null;
}
