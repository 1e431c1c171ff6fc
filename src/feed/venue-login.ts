/** What a frame of the venue is to the login of its connection. */
export type LoginWord =
  /** Not the login's: the feed gets it. */
  | "pass"
  /** The connection may be used now. */
  | "granted"
  /** The login's own, and nothing for the feed. */
  | "kept"
  | { readonly refused: string };

/**
 * The login of one connection to a venue, at the outer edge of the process: what it adds to the feed's words and what it takes
 * out of the venue's is seen by no feed, capture, journal or log.
 */
export interface VenueLogin {
  /** Sent first on a new connection, of which the feed is told once it is granted. Null: the connection needs none. */
  hello(timeMs: number): string | null;
  onFrame(frame: string): LoginWord;
  /** What is sent in place of the feed's own words. */
  outgoing(text: string, timeMs: number): string;
  /** When to ask for the next token, ms since the epoch; `Infinity` = never. */
  readonly dueMs: number;
  /** What is then sent. */
  refresh(timeMs: number): string;
}

/** Makes the login of a new connection. */
export type VenueLogins = ReadonlyMap<number, () => VenueLogin>;
