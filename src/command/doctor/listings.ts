import { listSymbols } from "../../feed/binance/instruments.ts";
import { BINANCE_VENUES, type BinanceVenueName } from "../../feed/binance/venue.ts";
import { readMarket } from "../../feed/bitstamp/instruments.ts";
import * as bybitInstruments from "../../feed/bybit/instruments.ts";
import { BYBIT_VENUES, type BybitVenueName, readSubscription as readBybit } from "../../feed/bybit/venue.ts";
import type { Listing as InstrumentListing } from "../../feed/channel-feed.ts";
import { isObject, parseJson } from "../../feed/decoder.ts";
import { readSubscription as readDeribit } from "../../feed/deribit/venue.ts";
import * as okxInstruments from "../../feed/okx/instruments.ts";
import { readSubscription as readOkx } from "../../feed/okx/venue.ts";
import { readSpotSubscription } from "../../feed/snapshot-feed.ts";
import type { VenueName } from "../../market/instrument.ts";

/** What the venue lists: how many instruments each subscription that could be looked up means. */
export type Listing = ReadonlyMap<string, number>;

export interface Asked {
  readonly status: number;
  readonly body: string;
}

/** How a venue is asked. */
export interface Inquiry {
  /** Gets a path under the venue's REST base; null when no answer comes or it is a refusal, which is `venues`' to report. */
  get(path: string): Promise<Asked | null>;
  /** Opens the WebSocket, sends one message and gives the first frame that `wanted` takes; null when none comes in time. */
  hear(message: string, wanted: (frame: string) => boolean): Promise<string | null>;
}

type Lookup = (subscriptions: readonly string[], inquiry: Inquiry) => Promise<Listing>;

/** Pages of one list that are followed. */
const PAGES_MAX = 8;

/** How each venue's subscriptions are looked up, by the calls that its feed makes. */
export const LOOKUPS: Readonly<Record<VenueName, Lookup>> = {
  "binance-spot": binance("binance-spot"),
  "binance-usdm": binance("binance-usdm"),
  "binance-coinm": binance("binance-coinm"),
  "binance-option": binance("binance-option"),
  "bybit-spot": bybit("bybit-spot"),
  "bybit-linear": bybit("bybit-linear"),
  "bybit-inverse": bybit("bybit-inverse"),
  "bybit-option": bybit("bybit-option"),
  okx,
  deribit,
  kraken,
  coinbase,
  bitstamp,
};

function binance(venue: BinanceVenueName): Lookup {
  return async (subscriptions, inquiry) => {
    const { infoIsWhole, infoPath } = BINANCE_VENUES[venue];
    const listing = new Map<string, number>();
    let answer: Asked | null = null;
    for (const symbol of subscriptions) {
      if (answer === null || !infoIsWhole) answer = await inquiry.get(infoPath(symbol));
      if (answer === null || answer.status === 404) continue;
      // 400 says that there is no such symbol.
      const isListed = answer.status === 200 && listSymbols(venue, answer.body).has(symbol);
      listing.set(symbol, isListed ? 1 : 0);
    }
    return listing;
  };
}

async function deribit(subscriptions: readonly string[], inquiry: Inquiry): Promise<Listing> {
  const listing = new Map<string, number>();
  const names = new Map<string, readonly unknown[] | null>();
  for (const text of subscriptions) {
    const wanted = readDeribit(text);
    if (wanted === undefined) continue;
    const { currency, kind, symbol } = wanted;
    const path = `/api/v2/public/get_instruments?currency=${currency}&kind=${kind}`;
    const listed = names.get(path) ?? namesIn(await inquiry.get(path));
    names.set(path, listed);
    if (listed === null) continue;
    listing.set(text, symbol === null ? listed.length : listed.filter((name) => name === symbol).length);
  }
  return listing;
}

/** 400 says that there is no such currency. */
function namesIn(answer: Asked | null): readonly unknown[] | null {
  if (answer?.status === 400) return [];
  const body = answer === null ? undefined : parseJson(answer.body);
  if (!isObject(body) || !Array.isArray(body.result)) return null;
  return body.result.map((entry: unknown) => (isObject(entry) ? entry.instrument_name : undefined));
}

function bybit(name: BybitVenueName): Lookup {
  const venue = BYBIT_VENUES[name];
  return async (subscriptions, inquiry) => {
    const listing = new Map<string, number>();
    for (const text of subscriptions) {
      const wanted = readBybit(venue.category, text);
      if (wanted === undefined) continue;
      const paths = bybitInstruments.listingPaths(venue, [wanted]);
      const read = (body: string, path: string): InstrumentListing =>
        bybitInstruments.readListing(venue, body, path);
      await countPages(text, paths, read, inquiry, listing);
    }
    return listing;
  };
}

async function okx(subscriptions: readonly string[], inquiry: Inquiry): Promise<Listing> {
  const listing = new Map<string, number>();
  for (const text of subscriptions) {
    const wanted = readOkx(text);
    if (wanted === undefined) continue;
    const read = (body: string): InstrumentListing => okxInstruments.readListing([wanted], body);
    await countPages(text, okxInstruments.listingPaths([wanted]), read, inquiry, listing);
  }
  return listing;
}

async function countPages(
  text: string,
  paths: readonly string[],
  read: (body: string, path: string) => InstrumentListing,
  inquiry: Inquiry,
  listing: Map<string, number>,
): Promise<void> {
  const [first] = paths;
  let path: string | null = first ?? null;
  for (let page = 0; path !== null && page < PAGES_MAX; page += 1) {
    const answer = await inquiry.get(path);
    if (answer === null || answer.status !== 200) return;
    const { found, next } = read(answer.body, path);
    const instruments = found.filter((entry) => !(entry instanceof Error)).length;
    listing.set(text, (listing.get(text) ?? 0) + instruments);
    path = next;
  }
}

/** Pairs are listed by the WebSocket channel that the feed uses: REST spells them otherwise. */
async function kraken(subscriptions: readonly string[], inquiry: Inquiry): Promise<Listing> {
  const listing = new Map<string, number>();
  const message = JSON.stringify({
    method: "subscribe",
    params: { channel: "instrument", snapshot: true },
  });
  const wanted = (frame: string): boolean => frame.includes('"instrument"') && frame.includes('"pairs"');
  const frame = await inquiry.hear(message, wanted);
  const body = frame === null ? undefined : parseJson(frame);
  if (!isObject(body) || !isObject(body.data) || !Array.isArray(body.data.pairs)) return listing;
  const symbols = new Set(body.data.pairs.map((pair: unknown) => (isObject(pair) ? pair.symbol : undefined)));
  for (const text of subscriptions) listing.set(text, symbols.has(text) ? 1 : 0);
  return listing;
}

async function coinbase(subscriptions: readonly string[], inquiry: Inquiry): Promise<Listing> {
  const listing = new Map<string, number>();
  for (const text of subscriptions) {
    const answer = await inquiry.get(`/products/${readSpotSubscription(text).symbol}`);
    if (answer !== null) listing.set(text, answer.status === 200 ? 1 : 0);
  }
  return listing;
}

async function bitstamp(subscriptions: readonly string[], inquiry: Inquiry): Promise<Listing> {
  const listing = new Map<string, number>();
  const answer = await inquiry.get("/api/v2/markets/");
  if (answer === null || answer.status !== 200) return listing;
  for (const text of subscriptions) {
    const { symbol } = readSpotSubscription(text);
    listing.set(text, readMarket(answer.body, symbol) === undefined ? 0 : 1);
  }
  return listing;
}
