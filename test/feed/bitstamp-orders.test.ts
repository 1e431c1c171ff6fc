import { expect, test } from "bun:test";
import { FakeBitstamp } from "./fake-bitstamp.ts";
import { Session } from "./fake-venue.ts";

test("messages that the snapshot overtook change nothing", () => {
  const venue = new FakeBitstamp(true);
  const session = new Session(venue);
  session.feed.start(session.timeUs);
  session.service();
  const frames = Array.from({ length: 60 }, () => venue.next(0));
  session.deliver(frames[0]);
  session.advance(100);
  expect(session.live.has("btcusd")).toBe(true);
  for (const frame of frames.slice(1)) {
    session.deliver(frame);
    expect(session.agrees(0)).toBe(true);
  }
  session.deliver(venue.next(0));
  expect(session.agrees(0)).toBe(true);
  expect(session.feed.counters.gaps).toBe(0);
});
