import { afterAll, describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { systemClock } from "../../src/core/clock.ts";
import { Recorder } from "../../src/feed/recorder.ts";
import { defaultEndpoint, endpointAt } from "../../src/feed/registry.ts";
import { VENUES, type VenueName } from "../../src/market/instrument.ts";
import type { VenueServer, VenueServerOptions } from "../../src/sim/protocol/venue-server.ts";
import { BitstampVenue } from "../../src/sim/spot/bitstamp-venue.ts";
import { CoinbaseVenue } from "../../src/sim/spot/coinbase-venue.ts";
import { KrakenVenue } from "../../src/sim/spot/kraken-venue.ts";
import { SpotOrders } from "../../src/sim/spot/orders.ts";
import { playThrough, type ServedCapture } from "./served-capture.ts";

type MakeVenue = (market: SpotOrders, options: VenueServerOptions) => { readonly server: VenueServer };

const coinbase: MakeVenue = (market, options) => new CoinbaseVenue(market, options);
const bitstamp: MakeVenue = (market, options) => new BitstampVenue(market, options);
const CASES: readonly (readonly [string, VenueName, string, string, MakeVenue])[] = [
  ["kraken", "kraken", "BTC/USD", "BTC/USD", (market, options) => new KrakenVenue(market, options)],
  ["coinbase by level", "coinbase", "BTC-USD", "BTC-USD", coinbase],
  ["coinbase by order", "coinbase", "orders:BTC-USD", "BTC-USD", coinbase],
  ["bitstamp by level", "bitstamp", "btcusd", "btcusd", bitstamp],
  ["bitstamp by order", "bitstamp", "orders:btcusd", "btcusd", bitstamp],
];
const START_US = 1_760_000_000_000_000;

const folder = mkdtempSync(join(tmpdir(), "keel-recorded-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** Lets a simulated market act for a while and records what keel's feed sees of it. */
async function record(
  name: string,
  venue: VenueName,
  subscription: string,
  make: MakeVenue,
): Promise<{ readonly capture: string; readonly market: SpotOrders }> {
  const market = new SpotOrders({ seed: 7, startUs: START_US, middleTicks: 6_000_000 });
  const { server } = make(market, { hostname: "127.0.0.1", port: 0, clock: systemClock, seed: 7 });
  const endpoints = Object.fromEntries(VENUES.map((other) => [other, defaultEndpoint(other)])) as Record<
    VenueName,
    ReturnType<typeof defaultEndpoint>
  >;
  endpoints[venue] = endpointAt(venue, server.url);
  const capture = join(folder, `${name.replaceAll(" ", "-")}.zst`);
  const recorder = new Recorder({
    feeds: [{ venue, subscriptions: [subscription] }],
    endpoints,
    out: capture,
    maxFileBytes: 1 << 28,
    silenceMs: 5_000,
    requestTimeoutMs: 5_000,
    seed: 1,
    clock: systemClock,
  });
  await recorder.start();
  const act = async (): Promise<void> => {
    market.advance(market.timeUs + 20_000, 5);
    await Bun.sleep(2);
  };
  const seen = () => recorder.recorded()[0];
  const untilMs = performance.now() + 60_000;
  while (seen()?.live === 0 && performance.now() < untilMs) await act();
  for (let turn = 0; turn < 300; turn += 1) await act();
  for (let [quiet, before] = [0, seen()?.capture.entries]; quiet < 20; quiet += 1) {
    await Bun.sleep(5);
    if (seen()?.capture.entries !== before) [quiet, before] = [0, seen()?.capture.entries];
  }
  await recorder.stop();
  await server.stop();
  return { capture, market };
}

function difference(served: ServedCapture, symbol: string, market: SpotOrders): string {
  const book = served.book(symbol);
  if (book === undefined || !served.tally.live.has(symbol)) return `not live: ${served.feed.problem}`;
  for (const side of [0, 1] as const) {
    const prices = market.prices(side);
    if (book.levels(side) !== prices.length)
      return `side ${side}: ${book.levels(side)} levels, expected ${prices.length}`;
    for (const ticks of prices) {
      const [lots, expected] = [book.sizeAt(side, ticks), market.lotsAt(side, ticks)];
      if (lots !== expected) return `side ${side}: ${lots} lots at ${ticks}, expected ${expected}`;
    }
  }
  return "";
}

describe.each([...CASES])("a recording of %s", (name, venue, subscription, symbol, make) => {
  test("served as the venue ends at the market's own book, also for who lost the connection and was refused on the way", async () => {
    const { capture, market } = await record(name, venue, subscription, make);
    const quiet = { read: () => null };

    const { served } = await playThrough(capture, venue, [subscription], quiet);
    expect(difference(served, symbol, market)).toBe("");
    expect(served.tally.differences).toEqual([]);
    expect(served.feed.counters).toMatchObject({ gaps: 0, checksums: 0, unparsable: 0, ignored: 0 });

    const troubled = await playThrough(capture, venue, [subscription], quiet, (server) => {
      server.injectAt(60, { kind: "disconnect", code: 1_006, reason: "" });
      server.injectAt(61, { kind: "refuse", status: 429, forMs: 400, retryAfterSeconds: 1 });
      server.injectAt(160, { kind: "disconnect", code: 1_006, reason: "" });
    });
    expect(difference(troubled.served, symbol, market)).toBe("");
    expect(troubled.served.feed.counters.reconnects).toBeGreaterThanOrEqual(2);
    expect(troubled.venue.summary().snapshotsServed).toBeGreaterThanOrEqual(2);
  }, 120_000);
});
