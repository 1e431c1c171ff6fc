import type { Desk } from "../desk/desk.ts";
import { MARKOUT_HORIZONS_MS } from "../position/markout.ts";
import { ORDER_STATE_NAMES } from "../risk/order.ts";
import { TRADING_STATES } from "../risk/trading-state.ts";
import { GREEK_NAMES, GREEKS } from "../risk/valuation.ts";
import type { MetricRegistry } from "./metrics.ts";

/** Counterparties with models that markouts are shown of: the latest to have come. The books keep all. */
const MARKOUT_GROUPS_MAX = 256;

/**
 * Registers what risk, books and hedging have to tell.
 *
 * @param standsBy the other one of a pair leads: it is the one that asks the counterparty
 */
export function registerRiskMetrics(
  metrics: MetricRegistry,
  desk: Desk,
  standsBy: () => boolean = () => false,
): void {
  const { gate, book, hedger } = desk;
  const { positions } = gate;
  const base = (underlying: number): string => desk.market.underlyings.base(underlying);
  metrics.single("keel_risk_state", "gauge", "0 active, 1 reducing, 2 halted.", () =>
    TRADING_STATES.indexOf(gate.tradingState),
  );
  metrics.add({
    name: "keel_risk_reconciled",
    type: "gauge",
    help: "1 while the books are known to be the counterparty's; without a sample while the other one of a pair leads.",
    collect: (emit) => {
      if (!standsBy()) emit(gate.reconciled ? 1 : 0);
    },
  });
  metrics.single(
    "keel_risk_protection_total",
    "counter",
    "Times that market-maker protection was set off.",
    () => gate.protectionTriggered,
  );
  metrics.add({
    name: "keel_risk_orders",
    type: "gauge",
    help: "Orders that may trade, by state.",
    collect: (emit) => {
      const counts = new Map<number, number>();
      for (const { state } of gate.orders.all()) counts.set(state, (counts.get(state) ?? 0) + 1);
      for (const [state, name] of ORDER_STATE_NAMES.entries()) {
        if (name !== "done") emit(counts.get(state) ?? 0, { state: name });
      }
    },
  });
  metrics.add({
    name: "keel_risk_greek",
    type: "gauge",
    help: "Greeks of the positions by underlying, net and gross.",
    collect: (emit) => {
      for (const underlying of positions.underlyings) {
        positions.refresh(underlying);
        for (const [greek, name] of GREEK_NAMES.entries()) {
          const at = underlying * GREEKS + greek;
          emit(positions.net[at], { underlying: base(underlying), greek: name, sum: "net" });
          emit(positions.gross[at], { underlying: base(underlying), greek: name, sum: "gross" });
        }
      }
    },
  });
  metrics.add({
    name: "keel_risk_stress_loss",
    type: "gauge",
    help: "Worst loss over the stress grid by underlying.",
    collect: (emit) => {
      for (const underlying of positions.underlyings) {
        emit(positions.worstLoss[underlying], { underlying: base(underlying) });
      }
    },
  });
  metrics.single(
    "keel_position_profit",
    "gauge",
    "Profit and loss since the books were opened.",
    () => book.profit,
  );
  metrics.single(
    "keel_position_day_profit",
    "gauge",
    "Profit and loss since midnight UTC.",
    () => book.dayProfit,
  );
  metrics.single(
    "keel_position_duplicate_fills_total",
    "counter",
    "Fills that were told twice and counted once.",
    () => book.duplicateFills,
  );
  metrics.single(
    "keel_position_settlements_total",
    "counter",
    "Positions that left the books because their instrument had expired.",
    () => desk.settlement.settled,
  );
  metrics.single(
    "keel_position_unsettled",
    "gauge",
    "Positions in instruments that have expired, held at their last mark.",
    () => desk.settlement.unsettled.length,
  );
  metrics.single(
    "keel_position_unresolved",
    "gauge",
    "Positions of earlier runs in instruments that no feed has described.",
    () => book.unresolvedHeld,
  );
  metrics.add({
    name: "keel_position_lots",
    type: "gauge",
    help: "Positions.",
    collect: (emit) => {
      for (const { venue, symbol, lots } of book.view())
        if (lots !== 0) emit(lots, { venue, instrument: symbol });
    },
  });
  metrics.add({
    name: "keel_position_profit_source",
    type: "gauge",
    help: "Profit and loss by what it came from.",
    collect: (emit) => {
      for (const [source, amount] of Object.entries(book.sources())) emit(amount, { source });
    },
  });
  metrics.add({
    name: "keel_position_markout",
    type: "gauge",
    help: "Sum over fills of their value at the mark after a time less the price, by counterparty and model.",
    collect: (emit) => {
      for (const [key, sums] of [...book.sums].slice(-MARKOUT_GROUPS_MAX)) {
        for (const [i, horizonMs] of MARKOUT_HORIZONS_MS.entries()) {
          emit(sums.markout[i as 0 | 1 | 2], { by: key, horizon: `${horizonMs}ms` });
        }
      }
    },
  });
  metrics.add({
    name: "keel_position_cash",
    type: "gauge",
    help: "Premiums, realised profits and fees by currency.",
    collect: (emit) => {
      for (const [currency, amount] of Object.entries(book.cash())) emit(amount, { currency });
    },
  });
  for (const [name, counter, help] of [
    ["keel_hedge_sent_total", "sent", "Hedge orders sent."],
    ["keel_hedge_crossed_total", "crossed", "Hedge orders that crossed the spread."],
    ["keel_hedge_cancelled_total", "cancelled", "Hedge orders taken back."],
    ["keel_hedge_refused_total", "refused", "Hedge orders that the risk gate refused."],
  ] as const) {
    metrics.single(name, "counter", help, () => hedger.counters[counter]);
  }
}
