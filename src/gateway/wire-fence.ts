/**
 * Says whether this process may speak to the counterparty, asked right before bytes are handed to a socket. The token numbers
 * terms of leadership, higher with each: a connection made under one never speaks under another.
 */
export interface WireFence {
  /** The term in force; 0 = none was yet. */
  readonly token: number;
  /** Bytes may leave under this token, now. Reads the monotonic clock. */
  permits(token: number): boolean;
}

/** A fence of which it is known how long it stays open, for what has to travel before it counts. */
export interface TermFence extends WireFence {
  /** End of the term as it is now, monotonic ns. */
  readonly untilNs: number;
}
