import { readMarket } from "../../src/feed/bitstamp/instruments.ts";
import { readProduct } from "../../src/feed/coinbase/instruments.ts";
import { readPair } from "../../src/feed/kraken/instruments.ts";
import { bitstampMarket, FakeBitstamp } from "./fake-bitstamp.ts";
import { coinbaseProduct, FakeCoinbase } from "./fake-coinbase.ts";
import { FakeKraken, krakenPair } from "./fake-kraken.ts";
import { listing, type VenueFrames } from "./simulated-frames.ts";

/** Rounds of changes that each venue tells. */
const ROUNDS = 120;

/** Frames of Kraken's books, trades and tickers. */
export function krakenFrames(): VenueFrames {
  const venue = new FakeKraken();
  const frames = [venue.snapshot(0), venue.snapshot(1), venue.heartbeat(), venue.offGrid(0)];
  for (let round = 0; round < ROUNDS; round += 1) frames.push(venue.next(round % 2));
  frames.push(venue.trade(0), venue.trade(1));
  const specs = [readPair(krakenPair("BTC/USD", 0.1, 1)).spec, readPair(krakenPair("ETH/USD", 0.05, 3)).spec];
  return { bySymbol: listing(specs), frames, snapshots: [] };
}

/** Frames of Bitstamp's books by level and by order. */
export function bitstampFrames(): VenueFrames {
  const frames: string[] = [];
  for (const orders of [false, true]) {
    const venue = new FakeBitstamp(orders);
    for (let round = 0; round < ROUNDS; round += 1) frames.push(venue.next(round % 2));
    frames.push(venue.fullBook(0), venue.trade(1), venue.offGrid(0), venue.heartbeat());
  }
  const body = JSON.stringify([bitstampMarket("btcusd", 0), bitstampMarket("etheur", 2)]);
  const specs = ["btcusd", "etheur"]
    .map((symbol) => readMarket(body, symbol))
    .filter((spec) => spec !== undefined);
  return { bySymbol: listing(specs), frames, snapshots: [] };
}

/** Frames of Coinbase's books by level and by order. */
export function coinbaseFrames(): VenueFrames {
  const frames: string[] = [];
  for (const orders of [false, true]) {
    const venue = new FakeCoinbase(orders);
    for (let round = 0; round < ROUNDS; round += 1) {
      const frame = venue.next(round % 2);
      frames.push(frame);
      if (orders && round % 4 === 0) frames.push(frame.replace('"open"', '"received"'));
    }
    frames.push(venue.trade(0), venue.trade(1), venue.heartbeat(0), venue.offGrid(0), venue.snapshot(1));
  }
  const specs = [
    readProduct(coinbaseProduct("BTC-USD", "0.01")),
    readProduct(coinbaseProduct("ETH-EUR", "0.0001")),
  ];
  return { bySymbol: listing(specs), frames, snapshots: [] };
}
