import { INVERSE_OPTION } from "../../src/bench/option-table.ts";
import { type Instrument, type InstrumentSpec, InstrumentTable } from "../../src/market/instrument.ts";
import { QuoteBatch, REASON } from "../../src/quote/quote-batch.ts";
import { RiskGate } from "../../src/risk/gate.ts";
import { type KillState, NOT_TRIPPED } from "../../src/risk/kill-switch.ts";
import { DEFAULT_RISK_LIMITS, type RiskLimits } from "../../src/risk/limits.ts";

const START_US = 1_700_000_000_000_000;
const PRICE = 50_000;
/** One lot is 0.1 coin: a notional of 5,000. */
export const LOT_NOTIONAL = 5_000;
const FAIR_TICKS = 300;

const OPTION: InstrumentSpec = { ...INVERSE_OPTION, expiryMs: START_US / 1_000 + 86_400_000, strike: PRICE };

/** A quote, where it is not 10 lots just outside of fair value. */
interface Row {
  bidTicks?: number;
  bidLots?: number;
  askTicks?: number;
  askLots?: number;
  fair?: number;
  delta?: number;
  vega?: number;
  standing?: boolean;
  quoteId?: number;
}

/** A gate with two options on one underlying, and quotes of them made row by row. */
export class GateBed {
  readonly instruments = new InstrumentTable(8);
  readonly gate: RiskGate;
  readonly batch = new QuoteBatch(16);
  readonly option: Instrument;
  readonly other: Instrument;
  timeUs = START_US;
  #quoteId = 0;

  constructor(limits: Partial<RiskLimits> = {}, kill: KillState = NOT_TRIPPED) {
    this.gate = new RiskGate({
      instruments: this.instruments,
      limits: { ...DEFAULT_RISK_LIMITS, ...limits },
      kill,
    });
    this.option = this.#added("OPTION");
    this.other = this.#added("OTHER");
    this.gate.onReference(0, PRICE, this.timeUs);
  }

  row(instrument: number, row: Row = {}): void {
    const at = this.batch.count;
    this.#quoteId += 1;
    this.batch.count = at + 1;
    this.batch.instrument[at] = instrument;
    this.batch.quoteId[at] = row.quoteId ?? this.#quoteId;
    this.batch.bidTicks[at] = row.bidTicks ?? FAIR_TICKS - 5;
    this.batch.bidLots[at] = row.bidLots ?? 10;
    this.batch.askTicks[at] = row.askTicks ?? FAIR_TICKS + 5;
    this.batch.askLots[at] = row.askLots ?? 10;
    this.batch.fair[at] = row.fair ?? FAIR_TICKS * 1e-4;
    this.batch.delta[at] = row.delta ?? 0.5;
    this.batch.vega[at] = row.vega ?? 0;
    this.batch.standing[at] = (row.standing ?? true) ? 1 : 0;
    this.batch.reasons[at] = REASON.base;
  }

  /** Passes one row through the gate. */
  check(
    row: Row = {},
    instrument = this.option.id,
  ): { bid: number; ask: number; reasons: number; rows: number } {
    this.batch.clear();
    this.row(instrument, row);
    this.gate.check(this.batch, this.timeUs);
    const [bid, ask, reasons] = [this.batch.bidLots[0], this.batch.askLots[0], this.batch.reasons[0]];
    return { bid, ask, reasons, rows: this.batch.count };
  }

  #added(symbol: string): Instrument {
    const instrument = this.instruments.add({ ...OPTION, symbol });
    if (instrument === undefined) throw new Error("the table of instruments is full");
    this.gate.add(instrument, 0);
    this.gate.onFeedState(instrument.id, true);
    return instrument;
  }
}
