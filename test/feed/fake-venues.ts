import { FakeBinance } from "./fake-binance.ts";
import { FakeBitstamp } from "./fake-bitstamp.ts";
import { FakeBybit } from "./fake-bybit.ts";
import { FakeCoinbase } from "./fake-coinbase.ts";
import { FakeDeribit } from "./fake-deribit.ts";
import { FakeKraken } from "./fake-kraken.ts";
import { FakeOkx } from "./fake-okx.ts";
import { FakeRelay } from "./fake-relay.ts";
import type { FakeVenue } from "./fake-venue.ts";

/** Every venue, in each way that it is followed. */
export const FAKE_VENUES: readonly (readonly [string, () => FakeVenue])[] = [
  ["binance-spot", () => new FakeBinance("binance-spot")],
  ["binance-usdm", () => new FakeBinance("binance-usdm")],
  ["binance-coinm", () => new FakeBinance("binance-coinm")],
  ["binance-option", () => new FakeBinance("binance-option")],
  ["deribit", () => new FakeDeribit()],
  ["bybit-spot", () => new FakeBybit("bybit-spot")],
  ["bybit-linear", () => new FakeBybit("bybit-linear")],
  ["bybit-inverse", () => new FakeBybit("bybit-inverse")],
  ["bybit-option", () => new FakeBybit("bybit-option")],
  ["okx with checksums", () => new FakeOkx(true)],
  ["okx", () => new FakeOkx(false)],
  ["kraken", () => new FakeKraken()],
  ["coinbase by level", () => new FakeCoinbase(false)],
  ["coinbase by order", () => new FakeCoinbase(true)],
  ["bitstamp by level", () => new FakeBitstamp(false)],
  ["bitstamp by order", () => new FakeBitstamp(true)],
  ["relay", () => new FakeRelay()],
];
