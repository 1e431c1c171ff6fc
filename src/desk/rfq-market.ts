import type { ExecutionDetail } from "../gateway/gateway.ts";
import type { Quoter } from "../quote/quoter.ts";
import type { SavedCounterparty } from "../rfq/counterparty-store.ts";
import type { RfqFill, RfqMarket, RfqPort } from "../rfq/market.ts";
import type { RfqAction } from "../rfq/message.ts";
import type { RfqParameters } from "../rfq/parameters.ts";
import { RfqDesk } from "../rfq/rfq-desk.ts";
import type { RiskGate } from "../risk/gate.ts";
import { GREEK, GREEKS } from "../risk/valuation.ts";
import type { MarketState } from "./market-state.ts";

export interface DeskRfqOptions {
  readonly parameters: RfqParameters;
  /** What earlier runs have learnt of counterparties. */
  readonly known: readonly SavedCounterparty[] | undefined;
  readonly market: MarketState;
  readonly quoter: Quoter;
  readonly gate: RiskGate;
  readonly execute: (
    executionId: string,
    instrument: number,
    side: number,
    priceTicks: number,
    sizeLots: number,
    timeUs: number,
    detail: ExecutionDetail,
  ) => void;
  readonly answer: (action: RfqAction, timeUs: number) => void;
}

/** An RFQ desk on the desk's own values, predictions and risk gate; its trades are executions like any other. */
export function deskRfq(options: DeskRfqOptions): RfqDesk {
  const { parameters, market, quoter, gate, execute, answer } = options;
  const rfqMarket: RfqMarket = {
    instruments: market.instruments,
    parameters: quoter.parameters,
    values: quoter.values,
    underlyingOf: (instrument) => quoter.underlyingOf(instrument),
    appraise: (instrument, timeUs) => quoter.appraise(instrument, timeUs),
    adjustment: (underlying) => quoter.predictions.adjustments[underlying],
    netDelta: (underlying) => gate.positions.netDeltaNotional(underlying),
    netVega: (underlying) => {
      gate.positions.refresh(underlying);
      return gate.positions.net[underlying * GREEKS + GREEK.vega];
    },
  };
  const port: RfqPort = {
    check: (quote, timeUs) => {
      const checked = gate.checkStructure(quote, timeUs);
      return typeof checked === "string" ? checked : checked.quote;
    },
    standing: (quote, timeUs) => gate.standingStructure(quote, timeUs),
    fill: (fill: RfqFill, timeUs) => {
      const { tradeId, instrument, side, priceTicks, lots, structureId, rfqQuoteId, counterparty } = fill;
      const detail = { structureId, rfqQuoteId, counterparty, liquidity: "maker" } as const;
      execute(tradeId, instrument, side, priceTicks, lots, timeUs, detail);
    },
    act: answer,
  };
  return new RfqDesk({ parameters, market: rfqMarket, port, known: options.known });
}
