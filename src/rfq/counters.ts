/** Counters of one run. */
export interface RfqCounters {
  requests: number;
  refused: number;
  quotes: number;
  hits: number;
  trades: number;
  lastLookRejects: number;
  counters: number;
  expired: number;
  doneAway: number;
  removed: number;
  orders: number;
}

export function newRfqCounters(): RfqCounters {
  return {
    requests: 0,
    refused: 0,
    quotes: 0,
    hits: 0,
    trades: 0,
    lastLookRejects: 0,
    counters: 0,
    expired: 0,
    doneAway: 0,
    removed: 0,
    orders: 0,
  };
}
