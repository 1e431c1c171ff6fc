/**
 * Source of time for the edges of the process. Nothing inside the desk reads it: the desk is given times.
 *
 * Wall times are microseconds since the Unix epoch as a double (resolution about 0.25 µs); monotonic times are
 * nanoseconds with an arbitrary origin, comparable within one process only.
 */
export interface Clock {
  wallUs(): number;
  monotonicNs(): number;
}

/** The host's clock. The wall time advances with the monotonic clock between re-anchorings, so it never steps back within a turn. */
export const systemClock: Clock = {
  wallUs: () => (performance.timeOrigin + performance.now()) * 1_000,
  monotonicNs: () => Bun.nanoseconds(),
};
