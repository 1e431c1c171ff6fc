/**
 * What a fill was worth, in quote currency. Positive is good for us but for slippage, which is a cost.
 *
 * With s = 1 when we bought and −1 when we sold, price p, mark m at the fill and m(h) a horizon later, u the money that 1.0 of price
 * is worth on the fill:
 *
 * - captured = s·(m − p)·u: half of the effective spread 2·s·(m − p), earned when making, paid when taking
 * - markout(h) = s·(m(h) − p)·u: half of the realised spread (R. Huang and H. Stoll, "Dealer versus auction markets", 1996)
 * - adverse(h) = captured − markout(h) = s·(m − m(h))·u: what the market moved against us
 * - slippage = s·(p − a)·u against the mark a when the order, or the quote that was hit, was sent
 *
 * @module
 */
import { type FillOutcome, HORIZON_NAMES, type UnfilledOutcome } from "./table.ts";

export interface FillMeasures {
  /** Price × unit value: the money that changed hands, or for inverse instruments its worth. */
  readonly turnover: number;
  readonly captured: number;
  /** By horizon; NaN where the mark is not known. */
  readonly markout: readonly number[];
  readonly adverse: readonly number[];
  readonly slippage: number;
  /**
   * Markout of the same fill at the static price and size less its own: what the model's terms cost it, by horizon; 0 where they
   * changed nothing, NaN where the quote is not known.
   */
  readonly staticMarkout: readonly number[];
}

export function fillMeasures(fill: FillOutcome): FillMeasures {
  const { side, price, unit_value: unit, mark, arrival_mark: arrival } = fill;
  const marks = marksOf(fill);
  const markout = marks.map((at) => side * (at - price) * unit);
  const captured = side * (mark - price) * unit;
  return {
    turnover: price * unit,
    captured,
    markout,
    adverse: markout.map((value) => captured - value),
    slippage: side * (price - arrival) * unit,
    staticMarkout: marks.map((at) => side * (at - fill.static_price) * unit * fill.static_ratio),
  };
}

/** Markouts that a fill that was not had would have had, by horizon: what the model kept from us, for better or worse. */
export function unfilledMarkouts(row: UnfilledOutcome): number[] {
  return marksOf(row).map((at) => row.side * (at - row.static_price) * row.unit_value);
}

function marksOf(row: FillOutcome | UnfilledOutcome): number[] {
  return HORIZON_NAMES.map((name) => row[`mark_${name}`]);
}
