import type { Instrument } from "../market/instrument.ts";
import { GREEK, GREEKS, SCENARIOS, Valuation } from "./valuation.ts";

/** Beyond this move of the underlying its sums are made anew before the next check. */
const SUM_MOVE = 5e-4;

/**
 * Positions in lots and what they are exposed to, as the risk gate counts them: by fills, independent of the quoter. Sums by
 * underlying are kept and made anew when a position, a valuation or the price has changed. An option whose delta is not known
 * counts with ±1, with the sign that makes the sum larger in absolute value.
 */
export class Positions {
  readonly valuation: Valuation;
  /** Signed and absolute sums by underlying, `[underlying][greek]`, in quote currency; as of the last {@link refresh}. */
  readonly net: Float64Array;
  readonly gross: Float64Array;
  /** The same over all underlyings: Σ |net|, Σ gross. */
  readonly totalNet = new Float64Array(GREEKS);
  readonly totalGross = new Float64Array(GREEKS);
  /** Worst loss over the stress grid by underlying, at least 0, and the scenario that brings it. */
  readonly worstLoss: Float64Array;
  readonly worstScenario: Int32Array;
  totalWorstLoss = 0;
  readonly #lots: Float64Array;
  readonly #underlying: Int32Array;
  readonly #held: Int32Array;
  readonly #heldAt: Int32Array;
  #heldCount = 0;
  readonly #expirySlot: Int32Array;
  readonly #slotByExpiry = new Map<string, number>();
  readonly #slotUnderlying: Int32Array;
  readonly #expiryNotional: Float64Array;
  readonly #notional: Float64Array;
  readonly #price: Float64Array;
  readonly #sumPrice: Float64Array;
  readonly #dirty: Uint8Array;
  readonly #used: number[] = [];
  readonly #scenario = new Float64Array(SCENARIOS);
  readonly #valueFirst: (instrument: number) => void;

  /** @param valueFirst values an instrument that is held and has not been valued yet */
  constructor(capacity: number, valueFirst: (instrument: number) => void) {
    this.#valueFirst = valueFirst;
    this.valuation = new Valuation(capacity);
    this.#lots = new Float64Array(capacity);
    this.#underlying = new Int32Array(capacity).fill(-1);
    this.#held = new Int32Array(capacity);
    this.#heldAt = new Int32Array(capacity).fill(-1);
    this.#expirySlot = new Int32Array(capacity).fill(-1);
    this.#slotUnderlying = new Int32Array(capacity).fill(-1);
    this.#expiryNotional = new Float64Array(capacity);
    this.net = new Float64Array(capacity * GREEKS);
    this.gross = new Float64Array(capacity * GREEKS);
    this.worstLoss = new Float64Array(capacity);
    this.worstScenario = new Int32Array(capacity);
    this.#notional = new Float64Array(capacity);
    this.#price = new Float64Array(capacity).fill(Number.NaN);
    this.#sumPrice = new Float64Array(capacity).fill(Number.NaN);
    this.#dirty = new Uint8Array(capacity).fill(1);
  }

  add(instrument: Instrument, underlying: number): void {
    this.valuation.add(instrument);
    this.#underlying[instrument.id] = underlying;
    if (!this.#used.includes(underlying)) this.#used.push(underlying);
    const key = `${underlying}:${instrument.expiryMs}`;
    const slot = this.#slotByExpiry.get(key) ?? this.#slotByExpiry.size;
    this.#slotByExpiry.set(key, slot);
    this.#slotUnderlying[slot] = underlying;
    this.#expirySlot[instrument.id] = slot;
  }

  /** Underlyings that have an instrument. */
  get underlyings(): readonly number[] {
    return this.#used;
  }

  get heldCount(): number {
    return this.#heldCount;
  }

  /** The instrument at a place of the list of those that are held, in no order. */
  heldAt(place: number): number {
    return this.#held[place];
  }

  lots(instrument: number): number {
    return this.#lots[instrument];
  }

  /** Sets a position, as reconciliation does. */
  set(instrument: number, lots: number): void {
    this.#lots[instrument] = lots;
    const underlying = this.#underlying[instrument];
    if (underlying >= 0) this.#dirty[underlying] = 1;
    const at = this.#heldAt[instrument];
    if (lots !== 0 && at < 0) {
      this.#held[this.#heldCount] = instrument;
      this.#heldAt[instrument] = this.#heldCount;
      this.#heldCount += 1;
    } else if (lots === 0 && at >= 0) {
      this.#heldCount -= 1;
      const last = this.#held[this.#heldCount];
      this.#held[at] = last;
      this.#heldAt[last] = at;
      this.#heldAt[instrument] = -1;
    }
  }

  /** A fill. @param side side of our quote or order: 0 = we bought */
  onFill(instrument: number, side: number, lots: number): void {
    this.set(instrument, this.#lots[instrument] + (side === 0 ? lots : -lots));
  }

  /** The delta that a quote was made with. */
  onDelta(instrument: number, delta: number): void {
    if (!this.valuation.onQuotedDelta(instrument, delta)) return;
    if (this.#lots[instrument] !== 0) this.#dirty[this.#underlying[instrument]] = 1;
  }

  /** The instrument was valued anew. */
  onValued(instrument: number): void {
    if (this.#lots[instrument] !== 0) this.#dirty[this.#underlying[instrument]] = 1;
  }

  /** The price of an underlying, for sums made from now on. */
  onPrice(underlying: number, price: number): void {
    this.#price[underlying] = price;
  }

  /** Latest delta; NaN while an option's is not known. */
  delta(instrument: number): number {
    return this.valuation.delta[instrument];
  }

  /** Notional of one lot in quote currency. */
  notionalPerLot(instrument: number, price: number): number {
    return this.valuation.notionalPerLot(instrument, price);
  }

  /** Net delta of an underlying in quote currency. */
  netDeltaNotional(underlying: number): number {
    this.refresh(underlying);
    return this.net[underlying * GREEKS + GREEK.delta];
  }

  /** Σ |position| over all instruments in quote currency, at the prices of their underlyings. */
  grossNotional(): number {
    let gross = 0;
    for (const underlying of this.#used) {
      this.refresh(underlying);
      gross += this.#notional[underlying];
    }
    return gross;
  }

  /** Σ |position| over the instruments of the same underlying and expiry as this one, in quote currency. */
  expiryNotional(instrument: number): number {
    this.refresh(this.#underlying[instrument]);
    return this.#expiryNotional[this.#expirySlot[instrument]];
  }

  /** Makes the sums of an underlying anew where something has changed. */
  refresh(underlying: number): void {
    const price = this.#price[underlying];
    const moved = Math.abs(price / this.#sumPrice[underlying] - 1);
    if (this.#dirty[underlying] === 0 && (moved <= SUM_MOVE || Number.isNaN(price))) return;
    this.#dirty[underlying] = 0;
    this.#sumPrice[underlying] = price;
    this.#sum(underlying, price);
    this.totalNet.fill(0);
    this.totalGross.fill(0);
    this.totalWorstLoss = 0;
    for (const known of this.#used) {
      for (let greek = 0; greek < GREEKS; greek += 1) {
        this.totalNet[greek] += Math.abs(this.net[known * GREEKS + greek]);
        this.totalGross[greek] += this.gross[known * GREEKS + greek];
      }
      this.totalWorstLoss += this.worstLoss[known];
    }
  }

  #sum(underlying: number, price: number): void {
    const at = underlying * GREEKS;
    const { delta, gamma, vega, theta, coins, scenarios, known } = this.valuation;
    const scenario = this.#scenario.fill(0);
    this.net.fill(0, at, at + GREEKS);
    this.gross.fill(0, at, at + GREEKS);
    for (let slot = 0; slot < this.#slotByExpiry.size; slot += 1) {
      if (this.#slotUnderlying[slot] === underlying) this.#expiryNotional[slot] = 0;
    }
    let notionalSum = 0;
    let unknownDelta = 0;
    let unknownLoss = 0;
    for (let i = 0; i < this.#heldCount; i += 1) {
      const id = this.#held[i];
      if (this.#underlying[id] !== underlying) continue;
      if (Number.isNaN(this.valuation.worstLong[id])) this.#valueFirst(id);
      const lots = this.#lots[id];
      const size = Math.abs(lots);
      const notional = lots * this.notionalPerLot(id, price);
      notionalSum += Math.abs(notional);
      this.#expiryNotional[this.#expirySlot[id]] += Math.abs(notional);
      if (Number.isNaN(delta[id])) unknownDelta += Math.abs(notional);
      else this.#take(at, GREEK.delta, notional * delta[id]);
      const sizeCoins = lots * coins[id];
      if (sizeCoins !== 0 && !(gamma[id] === 0 && vega[id] === 0)) {
        this.#take(at, GREEK.gamma, sizeCoins * gamma[id]);
        this.#take(at, GREEK.vega, sizeCoins * vega[id]);
        this.#take(at, GREEK.theta, sizeCoins * theta[id]);
      }
      if (known[id] === 0) {
        unknownLoss += size * this.notionalPerLot(id, price);
        continue;
      }
      for (let s = 0; s < SCENARIOS; s += 1) scenario[s] += lots * scenarios[id * SCENARIOS + s];
    }
    this.net[at] += this.net[at] >= 0 ? unknownDelta : -unknownDelta;
    this.gross[at] += unknownDelta;
    this.#notional[underlying] = notionalSum;
    let worst = 0;
    this.worstScenario[underlying] = -1;
    for (let s = 0; s < SCENARIOS; s += 1) {
      if (scenario[s] >= worst) continue;
      worst = scenario[s];
      this.worstScenario[underlying] = s;
    }
    this.worstLoss[underlying] = unknownLoss - worst;
  }

  #take(at: number, greek: number, amount: number): void {
    this.net[at + greek] += amount;
    this.gross[at + greek] += Math.abs(amount);
  }
}
