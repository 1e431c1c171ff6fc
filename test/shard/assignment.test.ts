import { expect, test } from "bun:test";
import fc from "fast-check";
import type { DeskFeed } from "../../src/desk/desk-options.ts";
import { primaries } from "../../src/feed/lines.ts";
import { dealFeeds, spreadFeeds } from "../../src/shard/assignment.ts";

const feed = (venue: DeskFeed["venue"], ...subscriptions: string[]): DeskFeed => ({ venue, subscriptions });
const count = (venue: DeskFeed["venue"], number: number): DeskFeed =>
  feed(venue, ...Array.from({ length: number }, (_, at) => `${at}`));

test("the lines of a venue stay together, and venues go to the thread with the least to do", () => {
  const feeds = [count("deribit", 5), count("okx", 1), count("kraken", 2), count("deribit", 5)];
  expect(dealFeeds(feeds, 2)).toEqual([
    [0, 3],
    [1, 2],
  ]);
  expect(dealFeeds(feeds, 8)).toEqual([[0, 3], [1], [2]]);
  expect(dealFeeds(feeds, 1)).toEqual([[0, 3, 1, 2]]);
});

test("a chain of options weighs more than an instrument", () => {
  const feeds = [feed("deribit", "options:BTC"), count("kraken", 20), count("okx", 20)];
  expect(dealFeeds(feeds, 2)).toEqual([[0], [1, 2]]);
});

test("with no more threads than venues the feeds stay as they are", () => {
  const feeds = [feed("binance-usdm", "BTCUSDT", "ETHUSDT"), feed("okx", "BTC-USDT")];
  expect(spreadFeeds(feeds, 1)).toBe(feeds);
  expect(spreadFeeds(feeds, 2)).toBe(feeds);
  expect(spreadFeeds([], 4)).toEqual([]);
});

test("a venue gets several connections, by coin, where there are more threads than venues", () => {
  const binance = feed("binance-usdm", "BTCUSDT", "ETHUSDT", "BTCUSDC", "SOLUSDT");
  const deribit = feed("deribit", "BTC-PERPETUAL", "options:BTC", "options:ETH", "ETH-PERPETUAL");
  expect(spreadFeeds([binance, deribit], 4)).toEqual([
    feed("binance-usdm", "BTCUSDT", "BTCUSDC"),
    feed("binance-usdm", "ETHUSDT", "SOLUSDT"),
    feed("deribit", "BTC-PERPETUAL", "options:BTC"),
    feed("deribit", "options:ETH", "ETH-PERPETUAL"),
  ]);
  expect(spreadFeeds([binance], 16)).toHaveLength(3);
});

test.each([
  ["deribit", ["options:USDC", "BTC_USDC-PERPETUAL", "futures:USDC"]],
  ["okx", ["BTC-USDT", "BTC-USDT-SWAP", "options:BTC-USD", "BTC-USD-241227-60000-C"]],
  ["bybit-option", ["options:BTC", "BTC-27DEC24-60000-C-USDT"]],
  ["bybit-linear", ["BTCUSDT@50", "BTCUSDT@1000"]],
  ["binance-coinm", ["BTCUSD_PERP", "BTCUSD_241227"]],
  ["bitstamp", ["btcusd", "orders:btcusd", "btceur"]],
  ["coinbase", ["BTC-USD", "orders:BTC-USD"]],
  ["kraken", ["BTC/USD", "BTC/EUR"]],
] as const)("what %s tells of one coin is not split", (venue, subscriptions) => {
  expect(spreadFeeds([feed(venue, ...subscriptions)], 8)).toEqual([feed(venue, ...subscriptions)]);
});

test("lines stay lines of one another, and parts of a venue are none", () => {
  const whole = [feed("binance-usdm", "BTCUSDT", "ETHUSDT"), feed("okx", "BTC-USDT")];
  const spread = spreadFeeds([...whole, ...whole], 3);
  expect(primaries(spread)).toEqual([0, 1, 2, 0, 1, 2]);
  expect(dealFeeds(spread, 3)).toEqual([
    [0, 3],
    [1, 4],
    [2, 5],
  ]);
});

test("every subscription is dealt to one thread, whatever the feeds", () => {
  const coin = fc.constantFrom("BTC", "ETH", "SOL", "XRP", "ADA");
  const feeds = fc.uniqueArray(
    fc.record({
      venue: fc.constantFrom("binance-usdm", "bybit-linear", "binance-spot"),
      subscriptions: fc.uniqueArray(
        coin.map((name) => `${name}USDT`),
        { minLength: 1 },
      ),
    }),
    { selector: ({ venue }) => venue, minLength: 1 },
  );
  fc.assert(
    fc.property(
      feeds,
      fc.integer({ min: 1, max: 16 }),
      fc.integer({ min: 1, max: 3 }),
      (given, shards, lines) => {
        const all = Array.from({ length: lines }, () => given).flat();
        const spread = spreadFeeds(all, shards);
        const told = (each: readonly DeskFeed[]): string[] =>
          each.flatMap(({ venue, subscriptions }) => subscriptions.map((text) => `${venue}:${text}`)).sort();
        expect(told(spread)).toEqual(told(all));
        const hands = dealFeeds(spread, shards);
        expect(hands.flat().sort((a, b) => a - b)).toEqual(spread.map((_, id) => id));
        const coins = given.reduce((total, { subscriptions }) => total + subscriptions.length, 0);
        expect(hands).toHaveLength(Math.min(shards, coins));
      },
    ),
  );
});
