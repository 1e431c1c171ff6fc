import { expect, test } from "bun:test";
import { ChannelOutbox } from "../../src/feed/channel-outbox.ts";
import { ScriptedPort } from "./scripted-port.ts";

const LIMITS = { perMessage: 3, messageLength: 100, burst: 2, refillUs: 1_000 };

function outbox(): { readonly port: ScriptedPort; readonly outbox: ChannelOutbox } {
  const port = new ScriptedPort();
  return { port, outbox: new ChannelOutbox(0, port, LIMITS) };
}

test("puts as many channels into a message as the venue takes, by count and by length", () => {
  const { port, outbox: box } = outbox();
  box.add("subscribe", ['"a"', '"b"', '"c"', '"d"']);
  box.flush(0);
  expect(port.takeSent()).toEqual([
    '{"op":"subscribe","args":["a","b","c"]}',
    '{"op":"subscribe","args":["d"]}',
  ]);
  const long = JSON.stringify("x".repeat(20));
  box.add("unsubscribe", [long, long]);
  box.flush(2_000);
  expect(port.takeSent()).toHaveLength(2);
});

test("sends no faster than the venue takes, in order", () => {
  const { port, outbox: box } = outbox();
  for (const channel of ['"1"', '"2"', '"3"', '"4"']) box.add("subscribe", [channel]);
  box.flush(10_000);
  expect(port.takeSent()).toHaveLength(2);
  box.flush(10_500);
  expect(port.takeSent()).toEqual([]);
  box.flush(11_000);
  expect(port.takeSent()).toEqual(['{"op":"subscribe","args":["3"]}']);
  // A clock that was set back gives nothing and takes nothing.
  box.flush(5_000);
  expect(port.takeSent()).toEqual([]);
  box.flush(6_000);
  expect(port.takeSent()).toEqual(['{"op":"subscribe","args":["4"]}']);
});

test("a new connection has its own allowance and nothing of the old one's queue", () => {
  const { port, outbox: box } = outbox();
  for (let i = 0; i < 5; i += 1) box.add("subscribe", [`"${i}"`]);
  box.flush(0);
  port.takeSent();
  box.clear();
  box.add("subscribe", ['"new"']);
  box.flush(1);
  expect(port.takeSent()).toEqual(['{"op":"subscribe","args":["new"]}']);
});
