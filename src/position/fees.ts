import { type ParameterDescription, parameterDefaults } from "../core/parameter.ts";
import type { Instrument } from "../market/instrument.ts";
import { lotNotional } from "../quote/exposure.ts";

type Row = readonly [
  suffix: string,
  unit: string,
  value: number,
  minimum: number,
  maximum: number,
  description: string,
];

const ROWS = {
  optionMakerBp: [
    "OPTION_MAKER_BP",
    "bp",
    3,
    -100,
    1_000,
    "Fee of an option of ours that is taken, of the underlying.",
  ],
  optionTakerBp: [
    "OPTION_TAKER_BP",
    "bp",
    3,
    -100,
    1_000,
    "Fee of an option that we take, of the underlying.",
  ],
  optionCapPct: ["OPTION_CAP_PCT", "%", 12.5, 0, 100, "Largest fee of an option, of its premium."],
  deltaOneMakerBp: [
    "DELTA_ONE_MAKER_BP",
    "bp",
    0,
    -100,
    1_000,
    "Fee of a perpetual or future of ours that is taken, of its notional.",
  ],
  deltaOneTakerBp: [
    "DELTA_ONE_TAKER_BP",
    "bp",
    5,
    -100,
    1_000,
    "Fee of a perpetual or future that we take, of its notional.",
  ],
} as const satisfies Record<string, Row>;

type Key = keyof typeof ROWS;

/** Fees that count where a fill does not tell its own; negative = a rebate. */
export type FeeRates = Readonly<Record<Key, number>>;

/** Every fee rate with its environment variable `KEEL_FEE_…`. */
export const FEE_PARAMETERS: readonly ParameterDescription<Key>[] = (Object.keys(ROWS) as Key[]).map(
  (key) => {
    const [suffix, unit, value, minimum, maximum, description] = ROWS[key];
    const variable = `KEEL_FEE_${suffix}` as const;
    return { key, variable, unit, default: value, minimum, maximum, integer: false, description };
  },
);

export const DEFAULT_FEE_RATES: FeeRates = parameterDefaults(FEE_PARAMETERS);

/**
 * Fee of a fill in the settlement currency, as Deribit reckons it: options by the underlying's notional, capped by a share of the
 * premium; perpetuals and futures by notional.
 *
 * @param price in the instrument's price unit
 * @param underlyingPrice in quote currency
 */
export function feeOf(
  rates: FeeRates,
  instrument: Instrument,
  lots: number,
  price: number,
  underlyingPrice: number,
  maker: boolean,
): number {
  const { fixed, perPrice } = lotNotional(instrument);
  if (instrument.kind !== "option") {
    const bp = maker ? rates.deltaOneMakerBp : rates.deltaOneTakerBp;
    return bp * 1e-4 * lots * (instrument.inverse ? fixed / price : perPrice * price);
  }
  const coins = lots * perPrice;
  const fee = (maker ? rates.optionMakerBp : rates.optionTakerBp) * 1e-4 * coins;
  const cap = rates.optionCapPct * 0.01 * coins * price;
  return Math.min(instrument.inverse ? fee : fee * underlyingPrice, cap);
}
