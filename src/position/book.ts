import { stepToNumber } from "../core/decimal.ts";
import { RecentTexts } from "../core/recent-texts.ts";
import type { Instrument } from "../market/instrument.ts";
import type { RiskGate } from "../risk/gate.ts";
import { Attribution, type FillSums, newFillSums, SOURCES, type Source } from "./attribution.ts";
import { type FeeRates, feeOf } from "./fees.ts";
import { Ledger } from "./ledger.ts";
import { type DueMarkout, MARKOUT_HORIZONS_MS, Markouts } from "./markout.ts";
import { ModelsInForce } from "./models-in-force.ts";
import { ProfitSteps } from "./profit-steps.ts";
import type { BookChange, BookSnapshot, SavedPosition } from "./snapshot.ts";

/** Positions whose profit is brought up to date with each timer tick. */
const STEPS_PER_TICK = 12;
const DAY_US = 86_400e6;
/** Execution ids that go into a snapshot, for fills that the counterparty sends again after a restart. */
const IDS_KEPT = 1_024;

export interface FillDetail {
  readonly counterparty?: string;
  readonly liquidity?: "maker" | "taker";
  readonly fee?: number;
  /** The quote that was hit. */
  readonly quoteId?: number;
  /** The answer to a request that was taken. */
  readonly rfqQuoteId?: string;
}

/** A position and its money, for people. Amounts in quote currency unless named otherwise. */
export interface PositionView {
  readonly venue: string;
  readonly symbol: string;
  readonly settle: string;
  readonly lots: number;
  /** Average cost and mark in the instrument's price unit; null without one. */
  readonly average: number | null;
  readonly mark: number | null;
  /** In the settlement currency. */
  readonly realised: number;
  readonly unrealised: number | null;
  readonly cash: number;
  readonly fees: number;
  /** In quote currency, fees taken off, as of the last step. */
  readonly profit: number;
  readonly attribution: Readonly<Record<Source, number>>;
  /** Sums over fills by horizon, see {@link MARKOUT_HORIZONS_MS}. */
  readonly markout: readonly number[];
  readonly adverse: readonly number[];
}

/**
 * The desk's books: positions, money, profit and loss and what it came from. Average cost ({@link Ledger}); marks and Greeks are
 * the risk gate's. Profit is in quote currency: what is settled in coin is converted at the underlying's price, and what that
 * conversion gains or loses is the source `currency`. Fed by fills and by time; deterministic.
 */
export class Book {
  readonly ledger: Ledger;
  readonly attribution: Attribution;
  readonly markouts = new Markouts();
  /** Fills that were told twice. */
  duplicateFills = 0;
  /** By counterparty and model: `counterparty model`. */
  readonly #sums = new Map<string, FillSums>();
  readonly #keys: string[] = [];
  readonly #gate: RiskGate;
  readonly #rates: FeeRates;
  readonly #models: ModelsInForce;
  readonly #instruments: (Instrument | undefined)[];
  readonly #underlyingOf: Int32Array;
  readonly #steps: ProfitSteps;
  readonly #markout: Float64Array;
  readonly #adverse: Float64Array;
  readonly #pending = new Map<string, SavedPosition>();
  /** Of positions in {@link #pending}, as they were saved. */
  #pendingProfit = 0;
  readonly #ids = new RecentTexts(65_536);
  #next = 0;
  #day: number;
  #dayStart: number;
  #dayPeak: number;
  /** Counts changes that a restart must not lose. */
  revision = 0;
  /** Called within the turn when something has changed that a restart must not lose; {@link changes} then tells what. */
  onChange: (() => void) | null = null;
  readonly #changed: {
    readonly id: number;
    readonly sum: string | null;
    readonly executionId: string | null;
  }[] = [];
  #executionId: string | null = null;

  /** @param model name and version under which fills are kept */
  constructor(options: {
    readonly capacity: number;
    readonly gate: RiskGate;
    readonly rates: FeeRates;
    readonly model: string;
    readonly opening: BookSnapshot | null;
  }) {
    const { capacity, opening } = options;
    this.ledger = new Ledger(capacity);
    this.attribution = new Attribution(capacity);
    this.#gate = options.gate;
    this.#rates = options.rates;
    this.#models = new ModelsInForce(options.model);
    this.#instruments = new Array<Instrument | undefined>(capacity).fill(undefined);
    this.#underlyingOf = new Int32Array(capacity).fill(-1);
    this.#steps = new ProfitSteps({
      ...{ capacity, gate: options.gate, ledger: this.ledger, attribution: this.attribution },
      underlyingOf: this.#underlyingOf,
    });
    this.#markout = new Float64Array(capacity * MARKOUT_HORIZONS_MS.length);
    this.#adverse = new Float64Array(capacity * MARKOUT_HORIZONS_MS.length);
    this.#day = opening?.day ?? Number.NaN;
    this.#dayStart = opening?.dayStart ?? 0;
    this.#dayPeak = opening?.dayPeak ?? 0;
    if (opening === null) return;
    for (const [key, position] of Object.entries(opening.positions)) {
      this.#pending.set(key, position);
      this.#pendingProfit += position.profit;
    }
    for (const [key, sums] of Object.entries(opening.sums)) {
      this.#sums.set(key, structuredClone(sums));
      this.#keys.push(key);
    }
    for (const id of opening.executionIds) this.#ids.add(id);
  }

  /** Opening positions in instruments that no feed has described yet: `venue:symbol`. */
  get unresolved(): readonly string[] {
    return [...this.#pending.keys()];
  }

  /** How many of those are not flat. */
  get unresolvedHeld(): number {
    let held = 0;
    for (const { lots } of this.#pending.values()) if (lots !== 0) held += 1;
    return held;
  }

  /** Takes in an instrument, with its opening position where it has one. @returns the lots that it opens with */
  add(instrument: Instrument, underlying: number): number {
    const id = instrument.id;
    if (this.#instruments[id] !== undefined) return this.ledger.lots[id];
    this.#instruments[id] = instrument;
    this.#underlyingOf[id] = underlying;
    this.ledger.add(instrument);
    const key = `${instrument.venue}:${instrument.symbol}`;
    const saved = this.#pending.get(key);
    if (saved === undefined) return 0;
    this.#pending.delete(key);
    this.#pendingProfit = this.#pending.size === 0 ? 0 : this.#pendingProfit - saved.profit;
    this.ledger.restore(id, saved);
    this.attribution.restore(id, saved.attribution);
    this.#steps.profit[id] = saved.profit;
    const at = id * MARKOUT_HORIZONS_MS.length;
    this.#markout.set(saved.markout, at);
    this.#adverse.set(saved.adverse, at);
    const anchor = this.#steps.anchor(id);
    for (const [field, value] of Object.entries(saved.anchor)) {
      anchor[field as keyof typeof saved.anchor] = value ?? Number.NaN;
    }
    return saved.lots;
  }

  /** A fill, after the gate has heard of it. @param side 0 = bought */
  onFill(
    instrument: Instrument,
    side: number,
    priceTicks: number,
    lots: number,
    detail: FillDetail,
    timeUs: number,
  ): void {
    const id = instrument.id;
    const { ledger } = this;
    this.#gate.revalue(id, timeUs);
    this.step(id, timeUs);
    const anchor = this.#steps.anchor(id);
    const underlyingPrice = this.#gate.price(this.#underlyingOf[id]);
    const price = priceTicks * stepToNumber(instrument.tick);
    const maker = detail.liquidity !== "taker";
    const known = underlyingPrice > 0 ? underlyingPrice : price;
    const fee = detail.fee ?? feeOf(this.#rates, instrument, lots, price, known, maker);
    const signed = side === 0 ? lots : -lots;
    const mark = Number.isNaN(anchor.mark) ? price : anchor.mark;
    ledger.onFill(id, side, priceTicks, lots, fee);
    const conversion = anchor.conversion > 0 ? anchor.conversion : 1;
    const spread = this.#worth(id, signed, mark, price) * conversion;
    this.attribution.add(id, "spread", spread);
    this.attribution.add(id, "fees", -fee * conversion);
    this.#steps.profit[id] += spread - fee * conversion;
    const { quoteId, rfqQuoteId } = detail;
    const underlying = this.#underlyingOf[id];
    const model =
      rfqQuoteId === undefined
        ? this.#models.of(underlying, quoteId)
        : this.#models.ofAnswer(underlying, rfqQuoteId);
    const key = this.#key(`${detail.counterparty ?? "counterparty"} ${model}`);
    const sums = this.#sums.get(this.#keys[key] ?? "");
    if (sums !== undefined) {
      sums.fills += 1;
      sums.notional += lots * this.#gate.positions.notionalPerLot(id, known);
      sums.spread += spread;
      sums.fees += fee * conversion;
    }
    this.markouts.onFill(id, signed, price, mark, key, timeUs);
    this.#change(id, this.#keys[key] ?? null, this.#executionId);
    this.#executionId = null;
  }

  /** @returns false when this execution was told before. */
  isNew(executionId: string): boolean {
    this.#executionId = executionId;
    if (this.#ids.add(executionId)) return true;
    this.duplicateFills += 1;
    return false;
  }

  /**
   * Takes over the counterparty's position: the difference comes in at the mark, so it makes neither profit nor loss.
   *
   * @param price what it comes in at where there is no mark yet, in the instrument's price unit; null = not told
   */
  adopt(id: number, lots: number, price: number | null, timeUs: number): void {
    this.#gate.revalue(id, timeUs);
    this.step(id, timeUs);
    const candidates = [this.#gate.mark(id), price, this.ledger.priceOf(id, this.ledger.average[id])];
    const at = candidates.find((candidate) => candidate !== null && candidate > 0) ?? 0;
    this.ledger.adopt(id, lots, at === 0 ? this.ledger.priceOf(id, this.ledger.measure(id, 1)) : at);
    this.#steps.anchor(id);
    this.#change(id, null, null);
  }

  /**
   * What is held of an instrument that has expired leaves the books at its mark, which realises the profit up to that. Without a fee.
   *
   * @returns the price it left at, in the instrument's price unit: the gate's mark, or the last one known
   */
  settle(id: number, timeUs: number): number {
    this.step(id, timeUs);
    const { mark } = this.#steps.anchor(id);
    const price = mark >= 0 ? mark : this.ledger.priceOf(id, this.ledger.average[id]);
    this.ledger.adopt(id, 0, price);
    this.#change(id, null, null);
    return price;
  }

  /** About every 10 ms: brings a bounded number of positions up to date, and the markouts that are due. */
  onTimer(timeUs: number): void {
    const count = this.#steps.touched.length;
    for (let i = 0; i < Math.min(STEPS_PER_TICK, count); i += 1) {
      this.#next = (this.#next + 1) % count;
      this.step(this.#steps.touched[this.#next] ?? 0, timeUs);
    }
    this.markouts.onTimer(timeUs, (due) => this.#mark(due, timeUs));
    const day = Math.floor(timeUs / DAY_US);
    const profit = this.profit;
    if (day !== this.#day) {
      this.#day = day;
      this.#dayStart = profit;
      this.#dayPeak = 0;
      this.revision += 1;
    }
    this.#dayPeak = Math.max(this.#dayPeak, profit - this.#dayStart);
  }

  /**
   * Profit and loss since the books were opened, fees taken off, in quote currency, as of each position's last step. What no feed has
   * described yet, or ever will, counts as it was saved: a day's result is the difference of two such sums, one of them of an earlier run.
   */
  get profit(): number {
    let profit = this.#pendingProfit;
    for (const id of this.#steps.touched) profit += this.#steps.profit[id];
    return profit;
  }

  /** The same since midnight UTC, and its highest. */
  get dayProfit(): number {
    return this.profit - this.#dayStart;
  }

  get dayPeak(): number {
    return this.#dayPeak;
  }

  get held(): number {
    return this.#steps.touched.reduce((held, id) => held + (this.ledger.lots[id] === 0 ? 0 : 1), 0);
  }

  /** Brings an instrument's profit up to the present mark, and says what the change came from. */
  step(id: number, timeUs: number): void {
    const instrument = this.#instruments[id];
    if (instrument !== undefined) this.#steps.step(instrument, timeUs);
  }

  /** Every instrument that was ever traded. Allocates. */
  view(): PositionView[] {
    return this.#steps.touched.flatMap((id) => {
      const instrument = this.#instruments[id];
      return instrument === undefined ? [] : [this.#viewOf(instrument)];
    });
  }

  /** Under which model's name fills of an underlying's quotes with ids above this one are kept, and fills of no quote from now on. */
  nameModel(underlying: number, model: string, lastQuoteId: number): void {
    this.#models.name(underlying, model, lastQuoteId);
  }

  /** A request was answered: a fill of it is the model's that is in force now. */
  onAnswer(rfqQuoteId: string): void {
    this.#models.answered(rfqQuoteId);
  }

  /** Profit by source over everything that {@link profit} counts. Allocates. */
  sources(): Record<Source, number> {
    const sums = Object.fromEntries(SOURCES.map((source) => [source, 0])) as Record<Source, number>;
    const add = (amounts: Readonly<Record<Source, number>>): void => {
      for (const source of SOURCES) sums[source] += amounts[source];
    };
    for (const { attribution } of this.#pending.values()) add(attribution);
    for (const id of this.#steps.touched) add(this.attribution.of(id));
    return sums;
  }

  /** Sums of fills by `counterparty model`. */
  get sums(): ReadonlyMap<string, Readonly<FillSums>> {
    return this.#sums;
  }

  /** Cash by currency: premiums, realised profits and fees. Allocates. */
  cash(): Record<string, number> {
    const cash: Record<string, number> = {};
    for (const id of this.#steps.touched) {
      const instrument = this.#instruments[id];
      if (instrument === undefined) continue;
      cash[instrument.settle] = (cash[instrument.settle] ?? 0) + this.ledger.cash(instrument);
    }
    return cash;
  }

  /** Allocates. */
  snapshot(): BookSnapshot {
    const positions: Record<string, SavedPosition> = Object.fromEntries(this.#pending);
    for (const id of this.#steps.touched) {
      const instrument = this.#instruments[id];
      if (instrument === undefined) continue;
      positions[`${instrument.venue}:${instrument.symbol}`] = this.#saved(id);
    }
    return {
      positions,
      sums: Object.fromEntries(this.#sums),
      executionIds: this.#ids.latest(IDS_KEPT),
      ...this.#dayOf(),
    };
  }

  /** What has changed since the last call, in order; as it is now. Allocates. */
  changes(): BookChange[] {
    const changes = this.#changed.flatMap(({ id, sum, executionId }) => {
      const instrument = this.#instruments[id];
      const value = sum === null ? undefined : this.#sums.get(sum);
      if (instrument === undefined) return [];
      return [
        {
          instrument: `${instrument.venue}:${instrument.symbol}`,
          position: this.#saved(id),
          sum: sum === null || value === undefined ? null : { key: sum, value },
          executionId,
          ...this.#dayOf(),
        },
      ];
    });
    this.#changed.length = 0;
    return changes;
  }

  #change(id: number, sum: string | null, executionId: string | null): void {
    this.revision += 1;
    if (this.onChange === null) return;
    this.#changed.push({ id, sum, executionId });
    this.onChange();
  }

  #dayOf(): Pick<BookSnapshot, "day" | "dayStart" | "dayPeak"> {
    return {
      day: Number.isNaN(this.#day) ? -1 : this.#day,
      dayStart: this.#dayStart,
      dayPeak: this.#dayPeak,
    };
  }

  #saved(id: number): SavedPosition {
    const anchor = this.#steps.anchor(id);
    const at = id * MARKOUT_HORIZONS_MS.length;
    const finite = (value: number): number | null => (Number.isFinite(value) ? value : null);
    return {
      ...this.ledger.entry(id),
      attribution: this.attribution.of(id),
      markout: [...this.#markout.subarray(at, at + MARKOUT_HORIZONS_MS.length)],
      adverse: [...this.#adverse.subarray(at, at + MARKOUT_HORIZONS_MS.length)],
      profit: this.#steps.profit[id],
      anchor: {
        mark: finite(anchor.mark),
        forward: finite(anchor.forward),
        volatility: finite(anchor.volatility),
        timeUs: finite(anchor.timeUs),
        conversion: finite(anchor.conversion),
        delta: finite(anchor.delta),
        gamma: finite(anchor.gamma),
        vega: finite(anchor.vega),
        theta: finite(anchor.theta),
      },
    };
  }

  #viewOf(instrument: Instrument): PositionView {
    const id = instrument.id;
    const { ledger } = this;
    const lots = ledger.lots[id];
    const mark = this.#steps.anchor(id).mark;
    const at = id * MARKOUT_HORIZONS_MS.length;
    return {
      venue: instrument.venue,
      symbol: instrument.symbol,
      settle: instrument.settle,
      lots,
      average: lots === 0 ? null : ledger.priceOf(id, ledger.average[id]),
      mark: mark >= 0 ? mark : null,
      realised: ledger.realised(id),
      unrealised: lots === 0 ? 0 : mark >= 0 ? ledger.unrealised(id, mark) : null,
      cash: ledger.cash(instrument),
      fees: ledger.fees[id],
      profit: this.#steps.profit[id],
      attribution: this.attribution.of(id),
      markout: [...this.#markout.subarray(at, at + MARKOUT_HORIZONS_MS.length)],
      adverse: [...this.#adverse.subarray(at, at + MARKOUT_HORIZONS_MS.length)],
    };
  }

  #mark(due: DueMarkout, timeUs: number): void {
    const { instrument: id, horizon, signedLots, price, mark, key } = due;
    this.#gate.revalue(id, timeUs);
    const instrument = this.#instruments[id];
    if (instrument === undefined) return;
    const now = this.#steps.look(instrument, timeUs);
    if (!(now.mark >= 0 && now.conversion > 0)) return;
    const markout = this.#worth(id, signedLots, now.mark, price) * now.conversion;
    const adverse = this.#worth(id, signedLots, now.mark, mark) * now.conversion;
    const at = id * MARKOUT_HORIZONS_MS.length + horizon;
    this.#markout[at] += markout;
    this.#adverse[at] += adverse;
    const sums = this.#sums.get(this.#keys[key] ?? "");
    if (sums === undefined) return;
    sums.markout[horizon as 0 | 1 | 2] += markout;
    sums.adverse[horizon as 0 | 1 | 2] += adverse;
  }

  /** Of lots bought (+) at a price when they are worth a mark; in the settlement currency. */
  #worth(id: number, signedLots: number, mark: number, price: number): number {
    const { ledger } = this;
    return ledger.unit[id] * signedLots * (ledger.measure(id, mark) - ledger.measure(id, price));
  }

  #key(name: string): number {
    if (!this.#sums.has(name)) {
      this.#sums.set(name, newFillSums());
      this.#keys.push(name);
    }
    return this.#keys.indexOf(name);
  }
}
