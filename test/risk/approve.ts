import type { InstrumentTable } from "../../src/market/instrument.ts";
import type { QuoteBatch } from "../../src/quote/quote-batch.ts";
import { type ApprovedQuotes, RiskGate } from "../../src/risk/gate.ts";
import { NOT_TRIPPED } from "../../src/risk/kill-switch.ts";
import { RISK_LIMITS, type RiskLimits } from "../../src/risk/limits.ts";

/** Limits that nothing reaches. */
export const WIDEST_LIMITS: RiskLimits = {
  ...(Object.fromEntries(RISK_LIMITS.map((limit) => [limit.key, limit.maximum])) as unknown as RiskLimits),
  collarMarketTicks: 0,
};

/** Passes well-formed quotes of any instrument of the table through a gate whose limits are as wide as they go. */
export function approve(instruments: InstrumentTable, batch: QuoteBatch, timeUs: number): ApprovedQuotes {
  const gate = new RiskGate({ instruments, limits: WIDEST_LIMITS, kill: NOT_TRIPPED });
  for (const instrument of instruments.all()) {
    gate.add(instrument, 0);
    gate.onFeedState(instrument.id, true);
  }
  gate.onReference(0, 1, timeUs);
  return gate.check(batch, timeUs);
}
