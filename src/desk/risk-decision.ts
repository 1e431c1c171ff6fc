import type { KillState } from "../risk/kill-switch.ts";
import type { OrderIntent } from "../risk/order.ts";
import type { ReconciliationResult } from "../risk/reconciliation.ts";
import type { ReducingState } from "../risk/trading-state.ts";
import type { ExpiredPosition } from "./settlement.ts";

/** What the desk decided besides quotes, as it stands in a journal. */
export type RiskDecision =
  | { readonly decided: "order"; readonly order: OrderIntent }
  | { readonly decided: "cancelOrder"; readonly orderId: number }
  | { readonly decided: "askOrder"; readonly orderId: number }
  | { readonly decided: "state"; readonly kill: KillState; readonly reducing: ReducingState | null }
  | { readonly decided: "reconciled"; readonly result: ReconciliationResult }
  | ExpiredPosition;
