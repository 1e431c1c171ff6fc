import type { Config } from "../config.ts";
import { CoinbaseFeedLogin } from "../feed/coinbase/feed-login.ts";
import { DeribitFeedLogin } from "../feed/deribit/feed-login.ts";
import type { VenueLogins } from "../feed/venue-login.ts";

/** Logins of the configured feeds whose keys are configured, by feed number. */
export function feedLogins({ feeds, feedKeys }: Pick<Config, "feeds" | "feedKeys">): VenueLogins {
  const { deribit, coinbase } = feedKeys;
  const logins = new Map<number, () => DeribitFeedLogin | CoinbaseFeedLogin>();
  for (const [id, { venue }] of feeds.entries()) {
    if (venue === "deribit" && deribit !== null) logins.set(id, () => new DeribitFeedLogin(deribit));
    if (venue === "coinbase" && coinbase !== null) logins.set(id, () => new CoinbaseFeedLogin(coinbase));
  }
  return logins;
}
