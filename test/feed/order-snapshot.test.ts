import { describe, expect, test } from "bun:test";
import { ChaosSession } from "./chaos.ts";
import { FakeBitstamp } from "./fake-bitstamp.ts";
import { FakeCoinbase } from "./fake-coinbase.ts";
import { type FakeVenue, Session } from "./fake-venue.ts";
import { OrderVenueBook } from "./order-venue-book.ts";

/** So many that a snapshot of them is placed in several parts. */
const ORDERS = 4_000;

function large<V extends FakeVenue>(venue: V): V {
  for (const book of venue.books) {
    if (!(book instanceof OrderVenueBook)) throw new Error("a book by order");
    for (let order = 0; order < ORDERS; order += 1) {
      const side = order % 2 === 0 ? 0 : 1;
      const away = order % 15;
      book.add(side, side === 0 ? 999 - away : 1_002 + away, 1 + (order % 3));
    }
  }
  return venue;
}

describe.each([
  ["coinbase", () => large(new FakeCoinbase(true))],
  ["bitstamp", () => large(new FakeBitstamp(true))],
] as const)("a snapshot of many orders on %s", (_, makeVenue) => {
  /** Up to where the first book's snapshot is being placed. */
  const placing = (): Session => {
    const session = new Session(makeVenue());
    session.feed.start(session.timeUs);
    session.service();
    for (let i = 0; i < 3; i += 1) session.deliver(session.venue.next(0));
    session.deliver(session.venue.next(1));
    return session;
  };

  test("is placed over several turns, and what comes in between is not lost", () => {
    const session = placing();
    expect(session.live.size).toBe(0);
    let turns = 0;
    for (; session.live.size < 2 && turns < 200; turns += 1) {
      session.deliver(session.venue.next(0));
      session.deliver(session.venue.next(1));
      session.advance(10);
    }
    expect(turns).toBeGreaterThan(2);
    expect([session.agrees(0), session.agrees(1)]).toEqual([true, true]);
    session.advance(500, true);
    expect([session.agrees(0), session.agrees(1)]).toEqual([true, true]);
    expect(session.feed.counters).toMatchObject({ gaps: 0, overflows: 0, unparsable: 0 });
  });

  test("is forgotten with its connection", () => {
    const session = placing();
    session.disconnect();
    session.advance(3_000, true);
    expect(session.live.size).toBe(2);
    expect([session.agrees(0), session.agrees(1)]).toEqual([true, true]);
  });

  test("is forgotten when a frame in between was none", () => {
    const session = placing();
    session.deliver("garbage{{");
    session.advance(3_000, true);
    expect(session.live.size).toBe(2);
    expect([session.agrees(0), session.agrees(1)]).toEqual([true, true]);
  });

  test("and chaos: no unsound book is live, and both books heal", () => {
    const result = new ChaosSession(makeVenue(), 5).run(6_000);
    expect(result.unsound).toEqual([]);
    expect(result.healedMs).toBeGreaterThanOrEqual(0);
  });
});
