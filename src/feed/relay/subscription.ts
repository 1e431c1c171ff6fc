import type { InstrumentSpec } from "../../market/instrument.ts";

/** Goes before what a venue would be asked for: another keel tells of it. `binance-usdm:relay:BTCUSDT`. */
const RELAY_PREFIX = "relay:";

export function isRelayed(subscription: string): boolean {
  return subscription.startsWith(RELAY_PREFIX);
}

/** The subscription as the venue itself takes it. */
export function venueSubscription(subscription: string): string {
  return isRelayed(subscription) ? subscription.slice(RELAY_PREFIX.length) : subscription;
}

/**
 * Whether a venue's subscription names an instrument: by its symbol (with or without a depth, by level or by order), or as one of
 * all `options:` of a coin or family, or `futures:` of a coin, perpetuals among them.
 */
export function names(subscription: string, { symbol, kind, base, settle }: InstrumentSpec): boolean {
  const [, group, of] = /^(options|futures|orders):(.+)$/.exec(subscription) ?? [];
  if (group === undefined || group === "orders") return (of ?? subscription).replace(/@\d+$/, "") === symbol;
  const isOfKind = group === "options" ? kind === "option" : kind === "future" || kind === "perpetual";
  return isOfKind && (of === base || of === settle || symbol.startsWith(`${of}-`));
}
