import { listSymbols } from "../../feed/binance/instruments.ts";
import { BINANCE_VENUES, type BinanceVenueName, isBinanceVenue } from "../../feed/binance/venue.ts";
import { isObject, parseJson } from "../../feed/decoder.ts";
import { readSubscription } from "../../feed/deribit/venue.ts";
import type { VenueName } from "../../market/instrument.ts";
import { type Check, type Finding, findings, within } from "./check.ts";

/** What the venue lists, of those subscriptions that can be looked up: how many instruments each one means. */
type Listing = ReadonlyMap<string, number>;

/** Gets a path under the venue's REST base; null when the venue does not answer with 200, which is `venues`' to report. */
type Ask = (path: string) => Promise<string | null>;

/** Every subscription of `KEEL_FEEDS` of Binance and Deribit is an instrument, or some, that the venue lists; the other feeds tell at once. */
export const instruments: Check = {
  area: "feed",
  async run({ config, offline }) {
    if (offline) return [];
    const perVenue = config.feeds.map(async ({ venue, subscriptions }): Promise<Finding[]> => {
      const ask = asker(config.endpoints[venue].restUrl, config.timeouts.requestMs);
      if (venue === "deribit") return report(venue, await deribit(subscriptions, ask));
      if (isBinanceVenue(venue)) return report(venue, await binance(venue, subscriptions, ask));
      return [];
    });
    return (await Promise.all(perVenue)).flat();
  },
};

function report(venue: VenueName, listing: Listing): Finding[] {
  const { ok, fail } = findings("feed");
  const subject = `${venue} instruments`;
  const unknown = [...listing].filter(([, count]) => count === 0).map(([name]) => name);
  if (unknown.length > 0) {
    return [fail(subject, `not listed by the venue: ${unknown.join(", ")}`, "correct KEEL_FEEDS")];
  }
  const total = [...listing.values()].reduce((sum, count) => sum + count, 0);
  return total === 0 ? [] : [ok(subject, `${total} listed for ${[...listing.keys()].join(", ")}`)];
}

async function binance(
  venue: BinanceVenueName,
  subscriptions: readonly string[],
  ask: Ask,
): Promise<Listing> {
  const { infoIsWhole, infoPath } = BINANCE_VENUES[venue];
  const listing = new Map<string, number>();
  let body: string | null = null;
  for (const symbol of subscriptions) {
    if (body === null || !infoIsWhole) body = await ask(infoPath(symbol));
    if (body !== null) listing.set(symbol, listSymbols(venue, body).has(symbol) ? 1 : 0);
  }
  return listing;
}

async function deribit(subscriptions: readonly string[], ask: Ask): Promise<Listing> {
  const listing = new Map<string, number>();
  const names = new Map<string, readonly unknown[] | null>();
  for (const text of subscriptions) {
    const wanted = readSubscription(text);
    if (wanted === undefined) continue;
    const { currency, kind, symbol } = wanted;
    const path = `/api/v2/public/get_instruments?currency=${currency}&kind=${kind}`;
    const listed = names.get(path) ?? namesIn(await ask(path));
    names.set(path, listed);
    if (listed === null) continue;
    listing.set(text, symbol === null ? listed.length : listed.filter((name) => name === symbol).length);
  }
  return listing;
}

function namesIn(body: string | null): readonly unknown[] | null {
  const answer = body === null ? undefined : parseJson(body);
  if (!isObject(answer) || !Array.isArray(answer.result)) return null;
  return answer.result.map((entry: unknown) => (isObject(entry) ? entry.instrument_name : undefined));
}

function asker(restUrl: string, timeoutMs: number): Ask {
  return async (path) => {
    try {
      const signal = AbortSignal.timeout(timeoutMs);
      const response = await within(timeoutMs, "HTTP", fetch(restUrl + path, { signal }));
      const body = await within(timeoutMs, "HTTP", response.text());
      // 400 says that there is no such symbol, or no such currency.
      if (response.status === 400) return '{"symbols":[],"result":[]}';
      return response.status === 200 ? body : null;
    } catch {
      return null;
    }
  };
}
