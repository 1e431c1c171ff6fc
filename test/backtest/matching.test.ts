import { describe, expect, test } from "bun:test";
import { ASK, BID, VenueScript } from "./venue-script.ts";

function market(options: ConstructorParameters<typeof VenueScript>[0] = {}): VenueScript {
  const venue = new VenueScript(options);
  venue.book([BID, 100, 50], [BID, 99, 80], [ASK, 102, 40], [ASK, 103, 60]);
  return venue;
}

describe("the queue at a price", () => {
  test("we stand behind all that was there", () => {
    const venue = market();
    venue.quote(100, 10);
    expect(venue.ahead).toBe(50);
  });

  test("a trade that does not reach past those ahead fills nothing and brings us forward", () => {
    const venue = market();
    venue.quote(100, 10);
    venue.trade(ASK, 100, 30);
    expect([venue.told(), venue.ahead]).toEqual([[], 20]);
  });

  test("a trade that reaches past them fills the rest of itself", () => {
    const venue = market();
    venue.quote(100, 10);
    venue.trade(ASK, 100, 54);
    expect(venue.told()).toEqual(["bought 4 at 100 as maker"]);
    venue.trade(ASK, 100, 100);
    expect(venue.told()).toEqual(["bought 6 at 100 as maker"]);
    expect(venue.matching.resting(0)).toEqual([]);
  });

  test("buyers do not trade with bids", () => {
    const venue = market();
    venue.quote(100, 10);
    venue.trade(BID, 102, 1_000);
    expect(venue.told()).toEqual([]);
  });

  test("what traded is not counted as cancelled when the book shows it", () => {
    const venue = market({ queue: "front" });
    venue.quote(100, 10);
    venue.trade(ASK, 100, 30);
    venue.level([BID, 100, 20]);
    expect(venue.ahead).toBe(20);
  });

  test.each([
    ["conservative", 50],
    ["front", 20],
    ["power", 50 - 30 * (1 - 2_500 / 5_000)],
    ["power2", 50 - 30 * (1 - 2_500 / 10_000)],
    ["power3", 50 - 30 * (1 - 0.75)],
    ["log", 35],
    ["log2", 50 - 30 * (1 - Math.log1p(50) / Math.log1p(100))],
  ] as const)("%s: of 30 cancelled of 100, half of them behind us, %d are left ahead", (queue, ahead) => {
    const venue = market({ queue });
    venue.quote(100, 10);
    venue.level([BID, 100, 100]);
    venue.level([BID, 100, 70]);
    expect(venue.ahead).toBeCloseTo(ahead, 9);
  });

  test("nobody is behind us: whoever cancels stood ahead, whatever the model", () => {
    const venue = market();
    venue.quote(100, 10);
    venue.level([BID, 100, 30]);
    expect(venue.ahead).toBe(30);
  });

  test("a smaller size keeps the place, a larger one and another price lose it", () => {
    const venue = market();
    venue.quote(100, 10);
    venue.trade(ASK, 100, 30);
    venue.quote(100, 8);
    expect(venue.ahead).toBe(20);
    venue.quote(100, 9);
    expect(venue.ahead).toBe(50);
    venue.quote(99, 9);
    expect(venue.ahead).toBe(80);
  });
});

describe("beyond our price", () => {
  test("a trade at a worse price fills us with as much as traded", () => {
    const venue = market();
    venue.quote(100, 10);
    venue.trade(ASK, 99, 6);
    expect(venue.told()).toEqual(["bought 6 at 100 as maker"]);
  });

  test("or with all, where that is asked for", () => {
    const venue = market({ through: "full" });
    venue.quote(100, 10);
    venue.trade(ASK, 99, 6);
    expect(venue.told()).toEqual(["bought 10 at 100 as maker"]);
  });

  test("one trade's lots are given to ours once, best price first", () => {
    const venue = market();
    venue.matching.quote(0, 1, 1, 99, 10, -1, 0, venue.timeUs);
    venue.matching.quote(0, 0, 2, 100, 10, -1, 0, venue.timeUs);
    venue.trade(ASK, 98, 14);
    expect(venue.told()).toEqual(["bought 10 at 100 as maker", "bought 4 at 99 as maker"]);
  });

  test("the recorded other side coming to our price trades with us, once for each lot that it shows", () => {
    const venue = market();
    venue.quote(101, 50);
    venue.level([ASK, 101, 20]);
    expect(venue.told()).toEqual(["bought 20 at 101 as maker"]);
    venue.level([BID, 99, 70]);
    expect(venue.told()).toEqual([]);
    venue.timeUs += 100_000_000;
    venue.level([BID, 99, 60]);
    expect(venue.told()).toEqual(["bought 20 at 101 as maker"]);
  });
});

describe("what the venue refuses", () => {
  test("a quote that would trade at once, with both sides of its level", () => {
    const venue = market();
    venue.quote(100, 10, 103, 5);
    expect(venue.quote(102, 10, 103, 5)).toContain("post-only");
    expect(venue.matching.resting(0)).toEqual([]);
    expect(venue.matching.counters.rejects["post-only"]).toBe(1);
  });

  test("or it takes, where that is allowed", () => {
    const venue = market({ crossing: "take" });
    expect(venue.quote(102, 45)).toBe("");
    expect(venue.told()).toEqual(["bought 40 at 102 as taker"]);
    expect(venue.matching.resting(0).map(({ lots }) => lots)).toEqual([5]);
  });

  test("sizes that are no whole lots, and prices of nothing", () => {
    const venue = market();
    expect([venue.quote(100, 0.5), venue.quote(0, 5)]).toEqual([
      "0.5 lots, at least 1 whole ones are taken",
      "price of 0 ticks is not on the grid",
    ]);
  });

  test("more requests than its rate, until time has passed; cancellations never", () => {
    const venue = market({ rate: { perSecond: 10, burst: 2 } });
    const ids = [1, 2, 3].map((id) => venue.quote(100 - id, 1, -1, 0, id));
    expect(ids).toEqual(["", "", "too many requests"]);
    expect(venue.quote(-1, 0)).toBe("");
    venue.timeUs += 300_000;
    expect(venue.quote(100, 1)).toBe("");
  });

  test("an instrument without a live book", () => {
    expect(new VenueScript().quote(100, 10)).toBe("the instrument has no live book");
  });
});

describe("orders", () => {
  test("an immediate one takes what is there, at the book's prices, and its rest is cancelled", () => {
    const venue = market();
    venue.order(0, 102, 60, "ioc");
    expect(venue.told()).toEqual([
      "bought 40 at 102 as taker",
      "order 7 done 0 what did not trade at once is cancelled",
    ]);
  });

  test("what it took is missing for a while", () => {
    const venue = market({ impactRecoveryMs: 1_000 });
    venue.order(0, 102, 40, "ioc", 1);
    venue.told();
    venue.timeUs += 1_000_000 * Math.log(2);
    venue.order(0, 103, 30, "ioc", 2);
    expect(venue.told()).toEqual(["bought 20 at 102 as taker", "bought 10 at 103 as taker"]);
  });

  test("one that rests waits in the queue, is filled in parts, and says so", () => {
    const venue = market();
    venue.order(1, 102, 5, "day");
    venue.trade(BID, 102, 43);
    venue.trade(BID, 102, 43);
    expect(venue.told()).toEqual(["order 7 working 5", "sold 3 at 102 as maker", "sold 2 at 102 as maker"]);
  });

  test("a cancellation that comes after the fill changes nothing, and is told so", () => {
    const venue = market();
    venue.order(1, 102, 5, "day");
    venue.trade(BID, 103, 100);
    venue.matching.cancel(7, venue.timeUs);
    expect(venue.told()).toEqual([
      "order 7 working 5",
      "sold 5 at 102 as maker",
      "order 7 done 0 no such order at work",
    ]);
    expect(venue.matching.counters.late).toBe(1);
  });
});

describe("recorded by order", () => {
  test("whoever leaves from before us brings us forward, whoever leaves behind us does not", () => {
    const venue = market();
    venue.quote(100, 10);
    venue.orderLost(BID, 100, 20, venue.timeUs - 1, false);
    expect(venue.ahead).toBe(30);
    venue.orderLost(BID, 100, 20, venue.timeUs + 1, false);
    expect([venue.ahead, venue.told()]).toEqual([30, []]);
  });

  test("a trade with an order behind us, or beyond our price, would have been ours", () => {
    const venue = market();
    venue.quote(100, 10);
    venue.orderLost(BID, 100, 4, venue.timeUs + 1, true);
    venue.orderLost(BID, 99, 100, venue.timeUs - 1, true);
    expect(venue.told()).toEqual(["bought 4 at 100 as maker", "bought 6 at 100 as maker"]);
  });

  test("trades and sizes of levels, which tell the same again, are not counted twice", () => {
    const venue = market({ queue: "front" });
    venue.quote(100, 10);
    venue.orderLost(BID, 100, 20, venue.timeUs - 1, true);
    venue.trade(ASK, 100, 60);
    venue.level([BID, 100, 30]);
    expect([venue.ahead, venue.told()]).toEqual([30, []]);
  });
});
