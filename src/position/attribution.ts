/** What profit comes from, in the order of the columns. All in quote currency. */
export const SOURCES = ["spread", "delta", "gamma", "vega", "theta", "currency", "residual", "fees"] as const;
export type Source = (typeof SOURCES)[number];

/** What an instrument was worth at a moment, and how that depends on the market. */
export class Anchor {
  /** Mark in the instrument's price unit; NaN before the first. */
  mark = Number.NaN;
  forward = Number.NaN;
  volatility = Number.NaN;
  timeUs = Number.NaN;
  /** Price of the settlement currency in quote currency. */
  conversion = 1;
  /** Per coin, in quote currency: ∂/∂F, ∂²/∂F², for 1.00 of volatility, for one year. */
  delta = 0;
  gamma = 0;
  vega = 0;
  theta = 0;

  copy(other: Anchor): void {
    this.mark = other.mark;
    this.forward = other.forward;
    this.volatility = other.volatility;
    this.timeUs = other.timeUs;
    this.conversion = other.conversion;
    this.delta = other.delta;
    this.gamma = other.gamma;
    this.vega = other.vega;
    this.theta = other.theta;
  }
}

/** Profit by source and instrument. What the Greeks of a step do not explain is `residual`, so that the sources always add up. */
export class Attribution {
  /** `[instrument][source]`. */
  readonly amounts: Float64Array;

  constructor(capacity: number) {
    this.amounts = new Float64Array(capacity * SOURCES.length);
  }

  add(instrument: number, source: Source, amount: number): void {
    this.amounts[instrument * SOURCES.length + SOURCES.indexOf(source)] += amount;
  }

  of(instrument: number): Record<Source, number> {
    const at = instrument * SOURCES.length;
    return Object.fromEntries(SOURCES.map((source, i) => [source, this.amounts[at + i]])) as Record<
      Source,
      number
    >;
  }

  restore(instrument: number, amounts: Readonly<Record<Source, number>>): void {
    SOURCES.forEach((source, i) => {
      this.amounts[instrument * SOURCES.length + i] = amounts[source];
    });
  }
}

/** Sums of fills by whom they were with and which model was in force. */
export interface FillSums {
  fills: number;
  /** Notional of the underlying, in quote currency, as all amounts. */
  notional: number;
  /** Value at the mark of the moment less price paid: what was earned on paper by the fill itself. */
  spread: number;
  fees: number;
  /** The same against the mark after 100 ms, 1 s and 10 s; over the fills whose time has come. */
  readonly markout: [number, number, number];
  /** Markout less spread over the same fills: what the market took back (negative: adverse selection). */
  readonly adverse: [number, number, number];
}

export function newFillSums(): FillSums {
  return { fills: 0, notional: 0, spread: 0, fees: 0, markout: [0, 0, 0], adverse: [0, 0, 0] };
}
