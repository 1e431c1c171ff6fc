import type { LimitName } from "./refusal.ts";

/** `active` trades freely, `reducing` only lets through what reduces a position, `halted` has cancelled everything. */
export const TRADING_STATES = ["active", "reducing", "halted"] as const;
export type TradingState = (typeof TRADING_STATES)[number];

/** Why only reductions pass. `by` is the limit under which what does not reduce is refused. */
export interface ReducingState {
  readonly by: Extract<LimitName, "loss" | "drawdown" | "reduceOnly">;
  /** Stable and machine-readable: `limit:loss`, `limit:drawdown`, `http: …`. */
  readonly reason: string;
  readonly timeUs: number;
}

export const REDUCING_LIMITS = ["loss", "drawdown", "reduceOnly"] as const;
