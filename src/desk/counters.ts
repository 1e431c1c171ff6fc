/** Counters of one run of a desk. */
export interface DeskCounters {
  frames: number;
  /** Book, top-of-book, trade and ticker events. */
  events: number;
  levelUpdates: number;
  trades: number;
  crossed: number;
  /** Times that another book began to lead an underlying because the one before was lost, or was back. */
  referenceChanges: number;
  predictions: number;
  /** Events that came while a submit was in flight and were answered by the next one. */
  conflated: number;
  /** Frames beyond the desk's capacity: applied, and answered together with later ones. */
  conflatedFrames: number;
  /** Quotes (rows, not messages) handed to the gateway. */
  quotesSent: number;
  quotesAcked: number;
  quotesRejected: number;
  /** Quotes handed to the gateway that the model had made wider or smaller. */
  widened: number;
  executions: number;
  /** Executions in instruments that the desk does not know. */
  unknownExecutions: number;
}

export function newDeskCounters(): DeskCounters {
  return {
    frames: 0,
    events: 0,
    levelUpdates: 0,
    trades: 0,
    crossed: 0,
    referenceChanges: 0,
    predictions: 0,
    conflated: 0,
    conflatedFrames: 0,
    quotesSent: 0,
    quotesAcked: 0,
    quotesRejected: 0,
    widened: 0,
    executions: 0,
    unknownExecutions: 0,
  };
}
