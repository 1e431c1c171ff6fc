import { expect, test } from "bun:test";
import { FRAME } from "../../src/feed/feed.ts";
import { SignalFeed } from "../../src/feed/signal.ts";
import { EVENT, EventBatch, TICKER_FIELDS } from "../../src/market/event-batch.ts";
import { ScriptedPort } from "./scripted-port.ts";

function open(): { feed: SignalFeed; port: ScriptedPort; out: EventBatch } {
  const port = new ScriptedPort();
  const feed = new SignalFeed({ id: 4, names: ["sentiment.btc", "sentiment.eth"], port, seed: 1 });
  feed.start(0);
  feed.onOpen(0);
  return { feed, port, out: new EventBatch(2, 1) };
}

test("a signal becomes an event with its number and value", () => {
  const { feed, out } = open();
  expect(feed.onFrame('{"signal":"sentiment.eth","value":-0.25,"ts":1700000000000}', out)).toBe(FRAME.ok);
  expect([out.kind[0], out.instrument[0], out.code[0]]).toEqual([EVENT.signal, -1, 1]);
  expect(out.values[0 * TICKER_FIELDS]).toBe(-0.25);
  expect(out.exchangeTimeUs[0]).toBe(1_700_000_000_000_000);
});

test("a signal without a time has none", () => {
  const { feed, out } = open();
  feed.onFrame('{"signal":"sentiment.btc","value":1}', out);
  expect(out.exchangeTimeUs[0]).toBeNaN();
});

test("a name that is not configured is counted and passed over", () => {
  const { feed, out } = open();
  expect(feed.onFrame('{"signal":"weather","value":1}', out)).toBe(FRAME.ignored);
  expect([out.count, feed.counters.ignored]).toEqual([0, 1]);
});

test("what is no signal is counted, with what was expected", () => {
  const { feed, out } = open();
  for (const bad of [
    "",
    "null",
    "[]",
    "{}",
    '{"signal":"sentiment.btc"}',
    '{"signal":"sentiment.btc","value":1e999}',
    '{"signal":"sentiment.btc","value":1,"ts":"now"}',
  ]) {
    expect(feed.onFrame(bad, out)).toBe(FRAME.unparsable);
  }
  expect([out.count, feed.counters.unparsable]).toEqual([0, 7]);
  expect(feed.problem).toContain("expected ms since the epoch as ts");
});

test("a full batch is an overflow", () => {
  const { feed, out } = open();
  const frame = '{"signal":"sentiment.btc","value":1}';
  expect([feed.onFrame(frame, out), feed.onFrame(frame, out), feed.onFrame(frame, out)]).toEqual([
    FRAME.ok,
    FRAME.ok,
    FRAME.overflow,
  ]);
});

test("a lost connection is opened again, silence is none", () => {
  const { feed, port } = open();
  feed.onTimer(3_600_000_000);
  expect(port.disconnects).toEqual([]);
  feed.onClose(1_006, "", 3_600_000_000);
  feed.onTimer(3_601_000_000);
  feed.onOpen(3_601_000_000);
  expect([port.connects, feed.counters.reconnects]).toEqual([2, 1]);
});
