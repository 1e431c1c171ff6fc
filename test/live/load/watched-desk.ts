import type { VenueClock } from "../../../src/feed/venue-clock.ts";
import type { WatchedDesk } from "../../../src/live/load/load-age.ts";

/**
 * What is looked at of a desk whose feeds each carry the reference of an underlying.
 *
 * @param primaries first line of each feed
 * @param quoted whether quotes rest on a feed
 */
export function watchedDesk(
  clocks: readonly VenueClock[],
  primaries: readonly number[] = clocks.map((_, feed) => feed),
  quoted = (feed: number) => feed >= 0,
): WatchedDesk {
  const references = primaries.map((_, feed) => feed).filter(quoted);
  return {
    clocks,
    lines: { primary: (feed: number) => primaries[feed] ?? feed },
    market: {
      instruments: { size: 0 },
      books: [],
      underlyings: { size: references.length, reference: Int32Array.from(references) },
      feedOf: (instrument: number) => instrument,
    },
    quoter: { quotes: () => false },
  };
}
