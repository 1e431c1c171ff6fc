import type { HeadName } from "../inference/card.ts";

/** A logistic curve over the queue imbalance of the schema: (bid − ask)/(bid + ask) of the best queues. */
export interface QueueCurve {
  readonly intercept: number;
  readonly slope: number;
}

/** As `bun models/train/queue-rule.ts` fits them on the training captures; null for heads that have no curve. */
export const QUEUE_RULE: Readonly<Record<HeadName, QueueCurve | null>> = {
  down50: { intercept: -3.0141, slope: -1.4896 },
  down100: { intercept: -2.6806, slope: -1.5587 },
  up50: { intercept: -3.0141, slope: 1.4896 },
  up100: { intercept: -2.6806, slope: 1.5587 },
  bidWithdraw50: null,
  askWithdraw50: null,
  volatilitySpike: null,
};
