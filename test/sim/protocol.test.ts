import { describe, expect, test } from "bun:test";
import {
  answerBinanceControl,
  isCombinedStream,
  streamsInUrl,
} from "../../src/sim/protocol/binance-control.ts";
import { type DeribitBackend, DeribitSession } from "../../src/sim/protocol/deribit-session.ts";
import { Subscriptions } from "../../src/sim/protocol/subscriptions.ts";

describe("Binance's control protocol", () => {
  const listed: string[] = [];
  const streams = {
    subscribe: (stream: string) => listed.push(stream) > 0,
    unsubscribe: () => {},
    list: () => listed,
  };
  const ask = (text: string) => JSON.parse(answerBinanceControl(text, streams));

  test("answers SUBSCRIBE with a null result and the id", () => {
    expect(ask('{"method":"SUBSCRIBE","params":["a@trade"],"id":3}')).toEqual({ result: null, id: 3 });
    expect(listed).toEqual(["a@trade"]);
  });

  test.each([
    ["not JSON", 3],
    ["[]", 2],
    ['{"method":"SUBSCRIBE","params":"a","id":1}', 2],
    ['{"method":"SUBSCRIBE","params":[1],"id":1}', 2],
    ['{"method":"DANCE","params":[],"id":1}', 2],
    ['{"method":"SUBSCRIBE","params":[],"id":{}}', 2],
  ])("refuses %s", (text, code) => {
    expect(ask(text).error.code).toBe(code);
  });

  test("reads streams from both kinds of URL", () => {
    const combined = new URL("ws://h/stream?streams=a@trade/b@depth@0ms");
    const bare = new URL("ws://h/ws/a@trade/b@trade");
    expect([streamsInUrl(combined), isCombinedStream(combined)]).toEqual([["a@trade", "b@depth@0ms"], true]);
    expect([streamsInUrl(bare), isCombinedStream(bare)]).toEqual([["a@trade", "b@trade"], false]);
    expect(streamsInUrl(new URL("ws://h/stream"))).toEqual([]);
  });
});

describe("DeribitSession", () => {
  const setUp = () => {
    const channels = new Set<string>();
    const backend: DeribitBackend<DeribitSession> = {
      instruments: (currency) => (currency === "BTC" ? [{ instrument_name: "BTC-PERPETUAL" }] : null),
      subscribe: (_session, channel) => {
        if (channel.startsWith("book.")) channels.add(channel);
        return channels.has(channel);
      },
      unsubscribe: (_session, channel) => channels.delete(channel),
      channels: () => [...channels],
      timeUs: () => 1_700_000_000_123_456,
    };
    const session = new DeribitSession(backend);
    let id = 0;
    const call = (method: string, params: object = {}, timeUs = 0) => {
      id += 1;
      return JSON.parse(
        session.onMessage(JSON.stringify({ jsonrpc: "2.0", id, method, params }), timeUs) ?? "",
      );
    };
    return { session, call, channels };
  };

  test("answers in the venue's envelope", () => {
    const { call } = setUp();
    expect(call("public/get_time")).toEqual({
      jsonrpc: "2.0",
      id: 1,
      result: 1_700_000_000_123,
      usIn: 1_700_000_000_123_456,
      usOut: 1_700_000_000_123_456,
      usDiff: 0,
      testnet: false,
    });
    expect(call("public/hello").result.version).toMatch(/^\d/);
  });

  test("returns the channels it could subscribe", () => {
    const { call, channels } = setUp();
    expect(call("public/subscribe", { channels: ["book.X.raw", "nope"] }).result).toEqual(["book.X.raw"]);
    expect(call("public/unsubscribe", { channels: ["book.X.raw"] }).result).toEqual(["book.X.raw"]);
    call("public/subscribe", { channels: ["book.Y.raw"] });
    expect(call("public/unsubscribe_all").result).toBe("ok");
    expect(channels.size).toBe(0);
  });

  test("names what is wrong with a call", () => {
    const { session, call } = setUp();
    expect(JSON.parse(session.onMessage("{", 0) ?? "").error.code).toBe(-32_700);
    expect(JSON.parse(session.onMessage("3", 0) ?? "").error.code).toBe(-32_600);
    expect(call("public/dance").error.code).toBe(-32_601);
    expect(call("public/subscribe", { channels: "book" }).error.data.param).toBe("channels");
    expect(call("public/set_heartbeat", { interval: 1 }).error.data.param).toBe("interval");
    expect(call("public/get_instruments", { currency: "DOGE" }).error.data.param).toBe("currency");
  });

  test("beats, asks for a test, and gives the connection up when none comes", () => {
    const { session, call } = setUp();
    const sent: string[] = [];
    const beat = (timeUs: number) =>
      session.onTimer(timeUs, (text) => sent.push(JSON.parse(text).params.type));
    expect(beat(1e9)).toBe(true);
    expect(call("public/set_heartbeat", { interval: 10 }, 0).result).toBe("ok");
    expect(beat(9e6)).toBe(true);
    expect(sent).toEqual([]);
    expect(beat(10e6)).toBe(true);
    expect(sent).toEqual(["heartbeat", "test_request"]);
    call("public/test", {}, 11e6);
    expect(beat(20e6)).toBe(true);
    expect(beat(30e6)).toBe(false);
    call("public/disable_heartbeat", {}, 30e6);
    expect(beat(90e6)).toBe(true);
  });
});

describe("Subscriptions", () => {
  test("keeps both ways round in step", () => {
    const subscriptions = new Subscriptions<string>(2);
    expect(subscriptions.add("s", "a")).toBe(true);
    expect(subscriptions.add("s", "a")).toBe(true);
    expect(subscriptions.add("s", "b")).toBe(true);
    expect(subscriptions.add("s", "c")).toBe(false);
    subscriptions.add("t", "a");
    expect([...subscriptions.sessions("a")]).toEqual(["s", "t"]);
    subscriptions.drop("s");
    expect([...subscriptions.sessions("a")]).toEqual(["t"]);
    expect(subscriptions.wanted("b")).toBe(false);
    expect(subscriptions.remove("t", "a")).toBe(true);
    expect(subscriptions.remove("t", "a")).toBe(false);
    expect(subscriptions.wanted("a")).toBe(false);
    expect(subscriptions.channels("s")).toEqual([]);
  });
});
