import type { Instrument } from "../market/instrument.ts";
import type { RiskGate } from "../risk/gate.ts";
import { Anchor, type Attribution } from "./attribution.ts";
import type { Ledger } from "./ledger.ts";

const DAY_US = 86_400e6;

/** Profit by instrument, brought up to the present mark in steps, and what the change of each step came from. */
export class ProfitSteps {
  /** Fees taken off, in quote currency, as of each instrument's last step. */
  readonly profit: Float64Array;
  /** Instruments that were ever traded, in the order in which they first were. */
  readonly touched: number[] = [];
  readonly #gate: RiskGate;
  readonly #ledger: Ledger;
  readonly #attribution: Attribution;
  readonly #underlyingOf: Int32Array;
  readonly #anchors: (Anchor | undefined)[];
  readonly #now = new Anchor();

  constructor(options: {
    readonly capacity: number;
    readonly gate: RiskGate;
    readonly ledger: Ledger;
    readonly attribution: Attribution;
    readonly underlyingOf: Int32Array;
  }) {
    const { capacity } = options;
    this.profit = new Float64Array(capacity);
    this.#gate = options.gate;
    this.#ledger = options.ledger;
    this.#attribution = options.attribution;
    this.#underlyingOf = options.underlyingOf;
    this.#anchors = new Array<Anchor | undefined>(capacity).fill(undefined);
  }

  /** The market as it bore on an instrument at its last step; from now on the instrument counts as traded. */
  anchor(id: number): Anchor {
    const known = this.#anchors[id];
    if (known !== undefined) return known;
    const anchor = new Anchor();
    this.#anchors[id] = anchor;
    this.touched.push(id);
    return anchor;
  }

  /** Brings an instrument's profit up to the present mark, and says what the change came from. */
  step(instrument: Instrument, timeUs: number): void {
    const { id } = instrument;
    const anchor = this.anchor(id);
    const now = this.look(instrument, timeUs);
    if (!(now.mark >= 0 && now.conversion > 0)) return;
    // An option that expires before it was ever valued in this run has no volatility: none of its profit is the volatility's.
    if (Number.isNaN(now.volatility))
      now.volatility = Number.isNaN(anchor.volatility) ? 0 : anchor.volatility;
    const ledger = this.#ledger;
    const profit = (ledger.gross(id, now.mark) - ledger.fees[id]) * now.conversion;
    if (anchor.mark >= 0) {
      const change = profit - this.profit[id];
      if (change !== 0) this.#attribute(instrument, anchor, now, change);
    } else {
      this.#attribution.add(id, "residual", profit - this.profit[id]);
    }
    this.profit[id] = profit;
    anchor.copy(now);
  }

  /** The market as it bears on an instrument now; overwritten by the next call. */
  look(instrument: Instrument, timeUs: number): Anchor {
    const id = instrument.id;
    const now = this.#now;
    const gate = this.#gate;
    const { valuation } = gate.positions;
    const price = gate.price(this.#underlyingOf[id]);
    now.mark = gate.mark(id);
    now.timeUs = timeUs;
    now.conversion = instrument.inverse ? price : 1;
    if (instrument.kind !== "option") {
      now.forward = now.mark;
      now.volatility = 0;
      return now;
    }
    const forward = valuation.forward[id];
    now.forward = forward;
    now.volatility = valuation.volatility[id];
    now.delta = valuation.delta[id];
    now.gamma = valuation.gamma[id] / (forward * forward * 0.01);
    now.vega = valuation.vega[id] * 100;
    now.theta = valuation.theta[id] * 365.25;
    return now;
  }

  #attribute(instrument: Instrument, from: Anchor, to: Anchor, change: number): void {
    const id = instrument.id;
    const ledger = this.#ledger;
    const attribution = this.#attribution;
    const lots = ledger.lots[id];
    const converted = to.conversion - from.conversion;
    if (instrument.kind !== "option") {
      const currency = converted * (ledger.gross(id, from.mark) - ledger.fees[id]);
      attribution.add(id, "currency", currency);
      attribution.add(id, "delta", change - currency);
      return;
    }
    const coins = lots * this.#gate.positions.valuation.coins[id];
    const moved = to.forward - from.forward;
    const delta = coins * from.delta * moved;
    const gamma = 0.5 * coins * from.gamma * moved * moved;
    const vega = coins * from.vega * (to.volatility - from.volatility);
    const theta = (coins * from.theta * (to.timeUs - from.timeUs)) / (365.25 * DAY_US);
    const cash = ledger.unit[id] * ledger.flow[id] - ledger.fees[id];
    const currency = instrument.inverse ? converted * cash : 0;
    attribution.add(id, "delta", delta);
    attribution.add(id, "gamma", gamma);
    attribution.add(id, "vega", vega);
    attribution.add(id, "theta", theta);
    attribution.add(id, "currency", currency);
    attribution.add(id, "residual", change - delta - gamma - vega - theta - currency);
  }
}
