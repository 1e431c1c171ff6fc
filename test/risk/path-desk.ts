import { INVERSE_OPTION } from "../../src/bench/option-table.ts";
import { type Instrument, type InstrumentSpec, InstrumentTable } from "../../src/market/instrument.ts";
import { QuoteBatch } from "../../src/quote/quote-batch.ts";
import { LIMITS, RiskGate } from "../../src/risk/gate.ts";
import { NOT_TRIPPED } from "../../src/risk/kill-switch.ts";
import { DEFAULT_RISK_LIMITS, type RiskLimits } from "../../src/risk/limits.ts";
import { ORDER_STATE, type OrderIntent, type StructureQuote } from "../../src/risk/order.ts";
import { PERPETUAL } from "../support/perpetuals.ts";

export const NOW_US = 1_700_000_000_000_000;
const PRICE = 50_000;
export const FAIR_TICKS = 300;
const VOLATILITY = 0.6;
/** One lot of an option is 0.1 coin: a notional of 5,000. One of the perpetual is 10 dollars. */
export const LOT_NOTIONAL = 5_000;

const OPTION: InstrumentSpec = {
  ...INVERSE_OPTION,
  expiryMs: NOW_US / 1_000 + 30 * 86_400_000,
  strike: PRICE,
};

/** `reload` = a quote that stands when limits or the state change, `block` = one that stands at a venue without a last look. */
export type Path = "quote" | "order" | "hedge" | "request" | "reload" | "block";

/** What is tried, where it is not 10 lots of the option just below its fair value. */
export interface Over {
  readonly instrument?: number;
  readonly lots?: number;
  readonly ticks?: number;
  readonly id?: number;
}

/** A gate with two underlyings, three options and a perpetual, and every way past it. */
export class PathDesk {
  readonly instruments = new InstrumentTable(8);
  gate: RiskGate;
  readonly option: Instrument;
  readonly twin: Instrument;
  readonly etherOption: Instrument;
  timeUs = NOW_US;
  id = 1;

  constructor() {
    this.option = this.#list(OPTION);
    this.twin = this.#list({ ...OPTION, symbol: "TWIN" });
    this.#list(PERPETUAL);
    this.etherOption = this.#list({ ...OPTION, symbol: "ETHER", base: "ETH", settle: "ETH" });
    this.gate = this.open(DEFAULT_RISK_LIMITS);
  }

  open(limits: RiskLimits): RiskGate {
    const gate = new RiskGate({ instruments: this.instruments, limits, kill: NOT_TRIPPED });
    this.#fill(gate);
    this.gate = gate;
    return gate;
  }

  #fill(gate: RiskGate): void {
    gate.onReference(0, PRICE, this.timeUs);
    gate.onReference(1, PRICE, this.timeUs);
    for (const instrument of this.instruments.all()) {
      gate.add(instrument, instrument.base === "ETH" ? 1 : 0);
      gate.onFeedState(instrument.id, true);
      gate.onTicker(instrument.id, VOLATILITY, PRICE, this.timeUs, this.timeUs);
    }
  }

  /** A process that starts in place of this one, with what outlives a process: limits, switches, books. Not reconciled. */
  restart(): void {
    const { limits, kill, reducing, positions } = this.gate;
    const held = this.instruments.all().map(({ id }) => positions.lots(id));
    const gate = new RiskGate({ instruments: this.instruments, limits, kill: kill.state, reducing });
    this.#fill(gate);
    for (const [id, lots] of held.entries()) if (lots !== 0) gate.positions.set(id, lots);
    gate.reconciled = false;
    this.gate = gate;
  }

  #list(spec: InstrumentSpec): Instrument {
    const instrument = this.instruments.add(spec);
    if (instrument === undefined) throw new Error("the table is full");
    return instrument;
  }

  /** Tries to get 10 lots bought of the option by a path. @returns the limits that refused, none when it left */
  buy(path: Path, over: Over = {}): string[] {
    const before = [...this.gate.refusals];
    if (path === "block") {
      const limit = this.gate.standingStructure(this.#structure(over), this.timeUs);
      return limit === null ? [] : [limit];
    }
    const left = this.#send(path, over);
    const named = LIMITS.filter((_name, limit) => this.gate.refusals[limit] > (before[limit] ?? 0));
    if (left && named.length > 0) return [`left in spite of ${named.join(", ")}`];
    return left ? [] : named;
  }

  #send(path: Path, over: Over): boolean {
    const instrument = over.instrument ?? this.option.id;
    const lots = over.lots ?? 10;
    const ticks = over.ticks ?? FAIR_TICKS - 5;
    this.id += 1;
    const id = over.id ?? this.id;
    if (path === "quote" || path === "reload") {
      const batch = new QuoteBatch(2);
      batch.count = 1;
      batch.instrument[0] = instrument;
      batch.quoteId[0] = id;
      batch.bidTicks[0] = ticks;
      batch.bidLots[0] = lots;
      batch.askTicks[0] = -1;
      batch.fair[0] = FAIR_TICKS * 1e-4;
      batch.delta[0] = 0.5;
      batch.standing[0] = 1;
      if (path === "reload") {
        this.gate.recheck(batch, this.timeUs);
        return batch.count === 0;
      }
      this.gate.check(batch, this.timeUs);
      return batch.bidLots[0] === lots;
    }
    if (path === "request")
      return typeof this.gate.checkStructure(this.#structure({ ...over, id }), this.timeUs) !== "string";
    const order: OrderIntent = {
      orderId: id,
      instrument,
      side: 0,
      priceTicks: ticks,
      sizeLots: lots,
      timeInForce: "ioc",
      fair: FAIR_TICKS * 1e-4,
      delta: 0.5,
      hedge: path === "hedge",
    };
    const passed = this.gate.checkOrder(order, this.timeUs);
    if (typeof passed === "string") return false;
    this.gate.onOrderState(id, ORDER_STATE.done, 0);
    return true;
  }

  #structure(over: Over): StructureQuote {
    const { instrument = this.option.id, lots = 10, ticks = FAIR_TICKS - 5, id = this.id } = over;
    const leg = { instrument, ratio: 1, fair: FAIR_TICKS * 1e-4, delta: 0.5, vega: 0 };
    return { structureId: id, legs: [leg], lots, bid: ticks * 1e-4, ask: null };
  }

  hold(instrument: Instrument, lots: number): void {
    this.gate.positions.set(instrument.id, lots);
  }

  limit(limits: Partial<RiskLimits>): void {
    this.gate.setLimits({ ...this.gate.limits, ...limits }, this.timeUs);
  }
}
