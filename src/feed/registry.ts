import { BadInputError } from "../core/errors.ts";
import { VENUES, type VenueName } from "../market/instrument.ts";
import type { Feed, FeedOptions } from "./feed.ts";
import { RelayFeed } from "./relay/feed.ts";
import { isRelayed, venueSubscription } from "./relay/subscription.ts";
import { VENUE_ENTRIES } from "./venues.ts";

/** Where a venue is reached: the WebSocket's full URL and the base of REST paths. */
export interface VenueEndpoint {
  readonly webSocketUrl: string;
  readonly restUrl: string;
}

/** Subscriptions of one venue; they share a connection. */
export interface VenueSubscriptions {
  readonly venue: VenueName;
  readonly subscriptions: readonly string[];
}

/** The venues' own endpoints. */
export function defaultEndpoint(venue: VenueName): VenueEndpoint {
  const { webSocketUrl, restUrl } = VENUE_ENTRIES[venue];
  return { webSocketUrl, restUrl };
}

/**
 * The path of the venue's WebSocket behind another server: `ws://127.0.0.1:9001` for `binance-usdm` is
 * `ws://127.0.0.1:9001/stream`, with REST under `http://127.0.0.1:9001`. A URL that has a path keeps it.
 *
 * @throws BadInputError when it is no ws, wss, http or https URL.
 */
export function endpointAt(venue: VenueName, base: string): VenueEndpoint {
  const url = URL.canParse(base) ? new URL(base) : undefined;
  if (url === undefined || !/^(ws|http)s?:$/.test(url.protocol)) {
    throw new BadInputError(`URL of ${venue}`, JSON.stringify(base), "a ws, wss, http or https URL");
  }
  const secure = url.protocol === "wss:" || url.protocol === "https:";
  const path = url.pathname === "/" ? VENUE_ENTRIES[venue].webSocketPath : url.pathname;
  return {
    webSocketUrl: `${secure ? "wss" : "ws"}://${url.host}${path}${url.search}`,
    restUrl: `${secure ? "https" : "http"}://${url.host}`,
  };
}

/**
 * Builds a venue's feed.
 *
 * @throws BadInputError when a subscription is none of the venue's.
 */
export function createFeed(options: FeedOptions): Feed {
  const { venue, subscriptions } = options;
  const problem = subscriptionProblem(venue, subscriptions);
  if (problem !== undefined) throw problem;
  return subscriptions.every(isRelayed) ? new RelayFeed(options) : VENUE_ENTRIES[venue].create(options);
}

/**
 * Reads `KEEL_FEEDS`: `venue:subscription,…`, e.g. `binance-usdm:BTCUSDT,deribit:options:BTC`. Subscriptions of one venue are
 * gathered in the order of first mention; one that is there twice counts once.
 *
 * @throws BadInputError naming the first part that is wrong and what was expected.
 */
export function parseFeedList(text: string): VenueSubscriptions[] {
  const byVenue = new Map<VenueName, Set<string>>();
  for (const part of text.split(",")) {
    const entry = part.trim();
    const colon = entry.indexOf(":");
    const name = colon < 0 ? entry : entry.slice(0, colon);
    const venue = VENUES.find((known) => known === name);
    if (venue === undefined) {
      throw new BadInputError(
        "feed list",
        JSON.stringify(entry),
        `venue:subscription, venue one of ${VENUES.join(", ")}`,
      );
    }
    const subscription = colon < 0 ? "" : entry.slice(colon + 1);
    const problem = subscriptionProblem(venue, [subscription]);
    if (problem !== undefined) throw new BadInputError("feed list", JSON.stringify(entry), problem.expected);
    const set = byVenue.get(venue) ?? new Set<string>();
    set.add(subscription);
    byVenue.set(venue, set);
  }
  const feeds = [...byVenue].map(([venue, set]) => ({ venue, subscriptions: [...set] }));
  for (const { venue, subscriptions } of feeds) {
    const problem = subscriptionProblem(venue, subscriptions);
    if (problem !== undefined) throw problem;
  }
  return feeds;
}

/** @returns what is wrong with a venue's subscriptions, undefined when nothing is */
export function subscriptionProblem(
  venue: VenueName,
  subscriptions: readonly string[],
): BadInputError | undefined {
  const where = `subscriptions of ${venue}`;
  if (subscriptions.length === 0) return new BadInputError(where, "none", "at least one");
  const { maxSubscriptions, isSubscription, expected } = VENUE_ENTRIES[venue];
  if (subscriptions.length > maxSubscriptions && !subscriptions.every(isRelayed)) {
    return new BadInputError(where, `${subscriptions.length}`, `at most ${maxSubscriptions}`);
  }
  const relayed = subscriptions.filter(isRelayed);
  if (relayed.length > 0 && relayed.length < subscriptions.length)
    return new BadInputError(
      where,
      JSON.stringify(relayed[0]),
      "all of a venue's subscriptions relayed, or none",
    );
  const bad = subscriptions.find((text) => !isSubscription(venueSubscription(text)));
  return bad === undefined ? undefined : new BadInputError(where, JSON.stringify(bad), expected);
}
