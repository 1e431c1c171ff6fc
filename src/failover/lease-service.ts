import type { SessionNumbers } from "../gateway/gateway.ts";

export type { SessionNumbers } from "../gateway/gateway.ts";

export interface LeaseRequest {
  /** Who asks; shown to people. */
  readonly holder: string;
  readonly ttlMs: number;
  /** Highest token this process knows of: the one granted is higher, even where the service has lost its data. */
  readonly tokenFloor: number;
  readonly numbers: SessionNumbers;
  /** Numbers from the higher of both sides' `outgoing` on that the holder may use. */
  readonly block: number;
}

export type LeaseAnswer =
  | {
      readonly granted: true;
      /** Fencing token: higher than any granted before. */
      readonly token: number;
      /** As the holders before left them; null where there was none. */
      readonly before: SessionNumbers | null;
      /** The holder before has not given it back: its time ran out by a clock of the service that can be put. */
      readonly expired: boolean;
      /** That clock, ms since the epoch; null where no step of a clock frees a lease. */
      readonly clockMs: number | null;
    }
  | {
      readonly granted: false;
      /** Who holds it, or why nobody is given it. */
      readonly holder: string;
      /** Highest token that the service knows to have been granted; 0 = none. */
      readonly token: number;
      /** It cannot be had before; 0 = not known. */
      readonly remainingMs: number;
      readonly clockMs: number | null;
    };

/** The lease as it stands, for people. */
export interface LeaseView {
  /** Null = nobody holds it. */
  readonly holder: string | null;
  readonly token: number;
  readonly remainingMs: number;
  readonly numbers: SessionNumbers | null;
}

/**
 * A lease in a coordination service: at most one holder at a time, each with a higher token than the one before, as far as the
 * service keeps its word (docs/failover.md says for each when it does not). Every call rejects when no sound answer came within
 * the service's time limit; what became of the request is then unknown.
 */
export interface LeaseService {
  /** For logs and `keel failover status`, without secrets. */
  readonly name: string;
  acquire(request: LeaseRequest): Promise<LeaseAnswer>;
  /**
   * Prolongs the lease by its whole length, counted from when the service handles it, and reserves numbers.
   *
   * @returns false when the lease is not held under this token any more
   */
  renew(token: number, request: LeaseRequest): Promise<boolean>;
  /**
   * Gives the lease back with the numbers exactly as they are.
   *
   * @param owed the holder before, whose lease had run out, may still count on it: until this one's end it is granted to that holder or to
   *   this one alone
   * @returns false when it was not held any more
   */
  release(token: number, request: LeaseRequest, owed?: boolean): Promise<boolean>;
  /** The service's own name of the lease that is held, for {@link adopt}; empty where the token is enough. */
  readonly handle: string;
  /** A lease that another process of this host had is to be prolonged by this one. */
  adopt(handle: string): void;
  look(): Promise<LeaseView>;
  close(): void;
}
