import { REASON } from "../quote/quote-batch.ts";

/** Limits by the names under which refusals are counted and reported. */
export const LIMITS = [
  "killed",
  "unknownInstrument",
  "duplicate",
  "feed",
  "stale",
  "protection",
  "malformed",
  "selfCross",
  "collarFair",
  "collarMarket",
  "quoteNotional",
  "position",
  "gross",
  "delta",
  "reduceOnly",
  "messageRate",
] as const;
export type LimitName = (typeof LIMITS)[number];

/** Number of each limit. */
export const LIMIT = Object.fromEntries(LIMITS.map((name, number) => [name, number])) as Record<
  LimitName,
  number
>;

/** Refusals that a working quoter never causes; too many of them within a second trip the kill switch. */
export const LOSS_OF_CONTROL: ReadonlySet<number> = new Set([
  LIMIT.unknownInstrument,
  LIMIT.duplicate,
  LIMIT.malformed,
  LIMIT.selfCross,
  LIMIT.collarFair,
  LIMIT.collarMarket,
  LIMIT.quoteNotional,
]);

/** What a refusal adds to the row's reasons. */
export const REFUSAL_REASON = new Int32Array(LIMITS.length).fill(REASON.riskLimit);
REFUSAL_REASON[LIMIT.killed] = REASON.killed;
REFUSAL_REASON[LIMIT.feed] = REASON.bookUnsound;
REFUSAL_REASON[LIMIT.stale] = REASON.stale;
REFUSAL_REASON[LIMIT.malformed] = REASON.riskLimit | REASON.noFair;
