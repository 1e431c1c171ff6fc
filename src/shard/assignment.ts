import type { DeskFeed } from "../desk/desk-options.ts";

/**
 * Deals feeds out to threads. The lines of a venue stay together, because one thread has to decide which of their events is the first;
 * venues go, in their order, to the thread with the fewest subscriptions so far.
 *
 * @returns feed numbers by thread; there are no more threads than venues
 */
export function dealFeeds(feeds: readonly DeskFeed[], shards: number): readonly (readonly number[])[] {
  const venues = [...new Set(feeds.map(({ venue }) => venue))];
  const hands = Array.from({ length: Math.min(shards, venues.length) }, () => ({
    feeds: [] as number[],
    subscriptions: 0,
  }));
  for (const venue of venues) {
    const least = Math.min(...hands.map(({ subscriptions }) => subscriptions));
    const hand = hands.find(({ subscriptions }) => subscriptions === least);
    for (const [id, feed] of feeds.entries()) {
      if (feed.venue !== venue || hand === undefined) continue;
      hand.feeds.push(id);
      hand.subscriptions += feed.subscriptions.length;
    }
  }
  return hands.map((hand) => hand.feeds);
}
