import { describe, expect, test } from "bun:test";
import { createFeed, defaultEndpoint, endpointAt, parseFeedList } from "../../src/feed/registry.ts";
import { InstrumentTable, VENUES } from "../../src/market/instrument.ts";
import { ScriptedPort } from "./scripted-port.ts";

describe("feed list", () => {
  test("gathers subscriptions by venue", () => {
    expect(
      parseFeedList("binance-usdm:BTCUSDT, deribit:BTC-PERPETUAL,binance-usdm:ETHUSDT,deribit:options:BTC"),
    ).toEqual([
      { venue: "binance-usdm", subscriptions: ["BTCUSDT", "ETHUSDT"] },
      { venue: "deribit", subscriptions: ["BTC-PERPETUAL", "options:BTC"] },
    ]);
  });

  test("one subscription twice counts once", () => {
    expect(parseFeedList("deribit:options:BTC,deribit:options:BTC")).toEqual([
      { venue: "deribit", subscriptions: ["options:BTC"] },
    ]);
  });

  test("says what is wrong and what was expected", () => {
    expect(() => parseFeedList("mtgox:XBTUSD")).toThrow(
      `feed list: found "mtgox:XBTUSD", expected venue:subscription, venue one of ${VENUES.join(", ")}`,
    );
    expect(() => parseFeedList("")).toThrow('found ""');
    expect(() => parseFeedList("binance-usdm")).toThrow(
      'feed list: found "binance-usdm", expected a symbol in capitals such as binance-usdm:BTCUSDT',
    );
    expect(() => parseFeedList("binance-coinm:btcusd_perp")).toThrow(
      "a symbol in capitals such as binance-coinm:BTCUSD_PERP",
    );
    expect(() => parseFeedList("deribit:calls:BTC")).toThrow("deribit:options:BTC, or deribit:futures:BTC");
    const many = Array.from({ length: 51 }, (_, i) => `binance-spot:A${i}B`).join(",");
    expect(() => parseFeedList(many)).toThrow("found 51, expected at most 50");
  });
});

describe("endpoints", () => {
  test("every venue has one", () => {
    for (const venue of VENUES) {
      expect(defaultEndpoint(venue).webSocketUrl).toStartWith("wss://");
      expect(defaultEndpoint(venue).restUrl).toStartWith("https://");
    }
  });

  test("a base URL takes on the venue's path", () => {
    expect(endpointAt("binance-usdm", "ws://127.0.0.1:9001")).toEqual({
      webSocketUrl: "ws://127.0.0.1:9001/stream",
      restUrl: "http://127.0.0.1:9001",
    });
    expect(endpointAt("deribit", "https://test.deribit.com/")).toEqual({
      webSocketUrl: "wss://test.deribit.com/ws/api/v2",
      restUrl: "https://test.deribit.com",
    });
    expect(endpointAt("deribit", "ws://h:1/other").webSocketUrl).toBe("ws://h:1/other");
  });

  test("something else is no URL of a venue", () => {
    expect(() => endpointAt("deribit", "127.0.0.1:9001")).toThrow("expected a ws, wss, http or https URL");
    expect(() => endpointAt("deribit", "ftp://h")).toThrow("URL of deribit");
  });
});

test("a feed is refused subscriptions that are none of its venue's", () => {
  const options = {
    id: 0,
    instruments: new InstrumentTable(1),
    port: new ScriptedPort(),
    seed: 1,
    silenceMs: 1,
  };
  expect(() => createFeed({ ...options, venue: "deribit", subscriptions: ["BTCUSDT"] })).toThrow('"BTCUSDT"');
  expect(() => createFeed({ ...options, venue: "binance-spot", subscriptions: [] })).toThrow("found none");
});
