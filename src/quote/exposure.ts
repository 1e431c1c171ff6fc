import { stepToNumber } from "../core/decimal.ts";
import type { Instrument } from "../market/instrument.ts";

/**
 * Notional of one lot in quote currency of the underlying: face value of an inverse future or perpetual, base units × price
 * of the underlying for everything else. Split in two factors so that arrays can hold them:
 * notional = `fixed + perPrice × underlyingPrice`.
 */
export interface LotNotional {
  readonly fixed: number;
  readonly perPrice: number;
}

/** See {@link LotNotional}. */
export function lotNotional(instrument: Instrument): LotNotional {
  const units = stepToNumber(instrument.lot) * instrument.contractSize;
  const faceValue = instrument.inverse && instrument.kind !== "option";
  return faceValue ? { fixed: units, perPrice: 0 } : { fixed: 0, perPrice: units };
}
