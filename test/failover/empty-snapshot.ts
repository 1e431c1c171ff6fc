import type { StreamSnapshot } from "../../src/failover/stream.ts";

/** What a leader that has done nothing yet tells its follower. */
export const EMPTY_SNAPSHOT: StreamSnapshot = {
  books: { positions: {}, sums: {}, executionIds: [], day: 0, dayStart: 0, dayPeak: 0 },
  positions: [],
  kill: { tripped: false, reason: "", timeUs: 0 },
  reducing: null,
  sides: {},
  session: null,
};
