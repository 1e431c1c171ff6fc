import { black76Greeks, Greeks } from "./greeks.ts";
import { ImpliedVolatility, impliedVolatility } from "./implied-volatility.ts";

/** Beside the statuses of values and of volatilities: the precision of the device that computed it does not hold the result. */
export const IMPRECISE = 15;

/** The premiums of an option, in the order of the columns. */
export const PREMIUMS = ["bid", "ask", "mark"] as const;
export type Premium = (typeof PREMIUMS)[number];

/** What is known of an option chain, a row for each option. Written by its user; premiums in quote currency. */
export class ChainInput {
  readonly capacity: number;
  /** 1 = call, 0 = put. */
  readonly types: Uint8Array;
  readonly forwards: Float64Array;
  readonly strikes: Float64Array;
  /** Years to expiry. */
  readonly years: Float64Array;
  /** What price and Greeks are for, as a fraction per √year; NaN takes what the mark implies. */
  readonly volatilities: Float64Array;
  /** By premium; 0 or NaN where there is none. */
  readonly premiums: Readonly<Record<Premium, Float64Array>>;

  constructor(capacity: number) {
    const column = (): Float64Array => new Float64Array(capacity);
    this.capacity = capacity;
    this.types = new Uint8Array(capacity);
    this.forwards = column();
    this.strikes = column();
    this.years = column();
    this.volatilities = column();
    this.premiums = { bid: column(), ask: column(), mark: column() };
  }
}

/** Columns of price and Greeks, undiscounted, with the units of {@link Greeks}. */
export const CHAIN_VALUES = ["price", "delta", "gamma", "vega", "theta", "vanna", "volga"] as const;
export type ChainValue = (typeof CHAIN_VALUES)[number];

/** What was computed of an option chain. */
export interface ChainOutput<Column = Float32Array | Float64Array> {
  readonly values: Readonly<Record<ChainValue, Column>>;
  /** `VALUE_STATUS`, or {@link IMPRECISE}: then a value is NaN, or the limit it has as the deviation goes to zero. */
  readonly valueStatus: Uint8Array;
  /** Implied volatilities, as fractions per √year; NaN unless the status is `ok`. */
  readonly volatilities: Readonly<Record<Premium, Column>>;
  /** `IV_STATUS`, or {@link IMPRECISE}. */
  readonly volatilityStatus: Readonly<Record<Premium, Uint8Array>>;
}

/** Makes the columns of an output. */
export function chainOutput<Column>(
  capacity: number,
  column: (capacity: number) => Column,
): ChainOutput<Column> {
  const make = (): Column => column(capacity);
  const statuses = (): Uint8Array => new Uint8Array(capacity);
  return {
    values: {
      price: make(),
      delta: make(),
      gamma: make(),
      vega: make(),
      theta: make(),
      vanna: make(),
      volga: make(),
    },
    valueStatus: statuses(),
    volatilities: { bid: make(), ask: make(), mark: make() },
    volatilityStatus: { bid: statuses(), ask: statuses(), mark: statuses() },
  };
}

/** A whole chain on the CPU, in double precision: the reference of the one on the GPU, and what is faster for few options. */
export class CpuChain {
  readonly input: ChainInput;
  readonly output: ChainOutput<Float64Array>;
  readonly #greeks = new Greeks();
  readonly #implied = new ImpliedVolatility();

  constructor(capacity: number) {
    this.input = new ChainInput(capacity);
    this.output = chainOutput(capacity, (rows) => new Float64Array(rows));
  }

  /** Computes the first `count` rows. */
  run(count: number, input: ChainInput = this.input): void {
    const { output } = this;
    for (let row = 0; row < count; row += 1) {
      for (const premium of PREMIUMS) this.#imply(row, premium, input);
      const given = input.volatilities[row];
      const volatility = Number.isNaN(given) ? output.volatilities.mark[row] : given;
      const status = black76Greeks(
        this.#greeks,
        input.types[row] !== 0,
        input.forwards[row],
        input.strikes[row],
        input.years[row],
        volatility,
      );
      output.valueStatus[row] = status;
      for (const value of CHAIN_VALUES) output.values[value][row] = this.#greeks[value];
    }
  }

  #imply(row: number, premium: Premium, input: ChainInput): void {
    const status = impliedVolatility(
      this.#implied,
      input.types[row] !== 0,
      input.premiums[premium][row],
      input.forwards[row],
      input.strikes[row],
      input.years[row],
    );
    this.output.volatilities[premium][row] = this.#implied.volatility;
    this.output.volatilityStatus[premium][row] = status;
  }
}
