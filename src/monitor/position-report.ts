import type { Desk } from "../desk/desk.ts";
import type { FillSums } from "../position/attribution.ts";
import type { PositionView } from "../position/book.ts";
import { MARKOUT_HORIZONS_MS } from "../position/markout.ts";
import type { TradingState } from "../risk/trading-state.ts";
import { GREEK_NAMES, GREEKS, scenarioOf } from "../risk/valuation.ts";

/** What one underlying's positions are exposed to, in quote currency. */
export interface ExposureReport {
  readonly underlying: string;
  readonly price: number;
  readonly net: Readonly<Record<string, number>>;
  readonly gross: Readonly<Record<string, number>>;
  readonly worstLoss: number;
  /** Null when nothing can be lost. */
  readonly worstScenario: { readonly spotPct: number; readonly volPct: number } | null;
}

/** Positions, money and profit, as `GET /positions` and the summary tell them. */
export interface PositionReport {
  readonly state: TradingState;
  readonly reconciled: boolean;
  readonly profit: number;
  readonly dayProfit: number;
  readonly cash: Readonly<Record<string, number>>;
  readonly markoutHorizonsMs: readonly number[];
  readonly positions: readonly PositionView[];
  /** By counterparty and model. */
  readonly fills: Readonly<Record<string, Readonly<FillSums>>>;
  readonly exposures: readonly ExposureReport[];
  /** Opening positions in instruments that no feed has described. */
  readonly unresolved: readonly string[];
  /** Positions in instruments that have expired and that nothing has settled. */
  readonly unsettled: readonly string[];
}

export function positionReport(desk: Desk): PositionReport {
  const { gate, book } = desk;
  const { positions, limits } = gate;
  const named = (sums: Float64Array, underlying: number): Record<string, number> =>
    Object.fromEntries(GREEK_NAMES.map((name, greek) => [name, sums[underlying * GREEKS + greek] ?? 0]));
  return {
    state: gate.tradingState,
    reconciled: gate.reconciled,
    profit: book.profit,
    dayProfit: book.dayProfit,
    cash: book.cash(),
    markoutHorizonsMs: [...MARKOUT_HORIZONS_MS],
    positions: book.view(),
    fills: Object.fromEntries(book.sums),
    exposures: positions.underlyings.map((underlying) => {
      positions.refresh(underlying);
      const scenario = positions.worstScenario[underlying];
      return {
        underlying: desk.market.underlyings.base(underlying),
        price: gate.price(underlying),
        net: named(positions.net, underlying),
        gross: named(positions.gross, underlying),
        worstLoss: positions.worstLoss[underlying],
        worstScenario: scenario < 0 ? null : scenarioOf(scenario, limits.stressSpotPct, limits.stressVolPct),
      };
    }),
    unresolved: book.unresolved,
    unsettled: desk.settlement.unsettled,
  };
}
