import { expect, test } from "bun:test";
import fc from "fast-check";
import { REASON } from "../../src/quote/quote-batch.ts";
import { asQuote, PRICE, RfqBed } from "./rfq-bed.ts";

const CALL = [{ symbol: "BTC-C60" }];
const SPREAD = [{ symbol: "BTC-C60" }, { symbol: "BTC-C64", side: "sell" as const }];

test("a request for one option is answered on both sides around fair value", () => {
  const bed = new RfqBed();
  const quote = bed.quoted(CALL);
  expect(Number(quote.bid)).toBeLessThan(quote.terms.fair);
  expect(Number(quote.offer)).toBeGreaterThan(quote.terms.fair);
  expect(quote.quantity).toBe("10");
  expect(quote.validUntilUs).toBe(bed.timeUs + 5_000_000);
});

test("only the side that is asked for is quoted", () => {
  const bed = new RfqBed();
  expect(bed.quoted(CALL, { side: "buy" }).bid).toBeNull();
  expect(bed.quoted(CALL, { side: "sell" }).offer).toBeNull();
});

test("a hit trades at the quoted price and moves the gate's position", () => {
  const bed = new RfqBed();
  const quote = bed.quoted(CALL);
  const trade = bed.respond(quote.quoteId, { side: "buy", price: quote.offer, orderId: "O1" });
  expect(trade).toMatchObject({
    do: "trade",
    side: "buy",
    price: quote.offer,
    quantity: "10",
    orderId: "O1",
  });
  expect(bed.gate.positionLots(bed.call.id)).toBe(-100);
  expect(bed.desk.open).toBe(0);
});

test("a repeated hit learns that it has traded, and does not trade again", () => {
  const bed = new RfqBed();
  const quote = bed.quoted(CALL);
  bed.respond(quote.quoteId, { responseId: "A" });
  expect(bed.respond(quote.quoteId, { responseId: "A" })).toMatchObject({ do: "status", status: "accepted" });
  expect(bed.gate.positionLots(bed.call.id)).toBe(-100);
});

test("nobody hits another's quote", () => {
  const bed = new RfqBed();
  const quote = bed.quoted(CALL);
  expect(bed.respond(quote.quoteId, { client: "OTHER" })).toMatchObject({ do: "status", status: "unknown" });
  expect(bed.fills).toEqual([]);
});

test("part of the quantity can be taken", () => {
  const bed = new RfqBed();
  const quote = bed.quoted(CALL);
  expect(bed.respond(quote.quoteId, { quantity: "20" })).toMatchObject({ status: "rejected" });
  expect(bed.respond(quote.quoteId, { quantity: "2.5" })).toMatchObject({ do: "trade", quantity: "2.5" });
  expect(bed.gate.positionLots(bed.call.id)).toBe(-25);
});

test("a structure's fair value is its legs', and its offsetting legs are charged less than alone", () => {
  const bed = new RfqBed();
  const spread = bed.quoted(SPREAD);
  const low = bed.quoted(CALL);
  const high = bed.quoted([{ symbol: "BTC-C64" }]);
  expect(spread.terms.fair).toBeCloseTo(low.terms.fair - high.terms.fair, 12);
  const width = ({ bid, offer }: typeof spread): number => Number(offer) - Number(bid);
  expect(width(spread)).toBeLessThan(width(low) + width(high));
});

test("a structure trades leg by leg at prices that add up to its own", () => {
  const bed = new RfqBed();
  const legs = [
    { symbol: "BTC-C60", ratio: "2" },
    { symbol: "BTC-C64", side: "sell" as const, ratio: "3" },
  ];
  const quote = bed.quoted(legs);
  const trade = bed.respond(quote.quoteId, { side: "sell" });
  if (trade.do !== "trade") throw new Error(JSON.stringify(trade));
  const sum = trade.legs.reduce(
    (total, { side, ratio, price }) => total + (side === "sell" ? 1 : -1) * Number(ratio) * Number(price),
    0,
  );
  expect(sum).toBeCloseTo(Number(quote.bid), 9);
  expect(bed.gate.positionLots(bed.call.id)).toBe(200);
  expect(bed.gate.positionLots(bed.highCall.id)).toBe(-300);
});

test("a structure that is sold on balance has a negative price", () => {
  const bed = new RfqBed();
  const quote = bed.quoted([{ symbol: "BTC-C60", side: "sell" }, { symbol: "BTC-C64" }]);
  expect(Number(quote.offer)).toBeLessThan(0);
  const trade = bed.respond(quote.quoteId, { side: "buy", price: quote.offer });
  expect(trade).toMatchObject({ do: "trade", price: quote.offer });
});

test("a leg in the underlying is tied at its own price and takes the delta out of the structure", () => {
  const bed = new RfqBed();
  const alone = bed.quoted(CALL);
  const usd = String(Math.round((alone.terms.delta * PRICE) / 10) * 10);
  const quote = bed.quoted([...CALL, { symbol: "BTC-PERPETUAL", side: "sell", ratio: usd }], {
    quantity: "1",
  });
  expect(Math.abs(quote.terms.delta)).toBeLessThan(0.001);
  expect(quote.legs[1]?.tiedPrice).toBe("60000.0");
  expect(Number(quote.offer) - Number(quote.bid)).toBeLessThan(Number(alone.offer) - Number(alone.bid));
  bed.respond(quote.quoteId, { side: "buy" });
  expect(bed.gate.positionLots(bed.call.id)).toBe(-10);
  expect(bed.gate.positionLots(bed.perpetual.id)).toBe(Number(usd) / 10);
});

test("a tied price away from the market is in the structure's value, one far away is refused", () => {
  const bed = new RfqBed();
  const legs = [...CALL, { symbol: "BTC-PERPETUAL", side: "sell" as const, ratio: "30000" }];
  const fair = bed.quoted(legs, { quantity: "1" }).terms.fair;
  const tied = bed.quoted(legs, { quantity: "1", tiedPrice: "60120" });
  expect(tied.terms.fair - fair).toBeCloseTo((30_000 / PRICE) * (120 / PRICE), 9);
  expect(bed.request(legs, { quantity: "1", tiedPrice: "70000" })).toMatchObject({ reason: "invalid-price" });
});

test("a quote runs out and tells so; a hit after that is refused", () => {
  const bed = new RfqBed({ quoteLifeMs: 100 });
  const quote = bed.quoted(CALL);
  bed.later(110);
  expect(bed.last).toMatchObject({ do: "status", status: "expired" });
  expect(bed.respond(quote.quoteId, {})).toMatchObject({ do: "status", status: "expired" });
  expect(bed.fills).toEqual([]);
});

test("a hit between the end and the timer that notices it is late too", () => {
  const bed = new RfqBed({ quoteLifeMs: 100 });
  const quote = bed.quoted(CALL);
  bed.timeUs += 100_000;
  expect(bed.respond(quote.quoteId, {})).toMatchObject({ do: "status", status: "expired" });
});

test("a request that runs out too soon is refused", () => {
  const bed = new RfqBed();
  expect(bed.request(CALL, { validUntilUs: bed.timeUs + 10_000 })).toMatchObject({ reason: "too-late" });
});

test("done away and passed RFQs end without a word", () => {
  const bed = new RfqBed();
  for (const kind of ["done-away", "cover", "pass", "expired"] as const) {
    const quote = bed.quoted(CALL);
    const answered = bed.actions.length;
    bed.respond(quote.quoteId, { kind, side: null });
    expect(bed.actions.length).toBe(answered);
    expect(bed.desk.open).toBe(0);
  }
  expect(bed.desk.counters.doneAway).toBe(2);
});

test("a counter within the concession is met, one beyond gets our best, and the old quote is void", () => {
  const bed = new RfqBed({ maxConcession: 0.5 });
  const quote = bed.quoted(CALL);
  const met = Number(quote.offer) - 1e-4;
  const first = asQuote(bed.respond(quote.quoteId, { kind: "counter", price: met.toFixed(4) }));
  expect(first.offer).toBe(met.toFixed(4));
  expect(first.bid).toBeNull();
  expect(bed.respond(quote.quoteId, {})).toMatchObject({ do: "status", status: "removed" });
  const best = asQuote(bed.respond(first.quoteId, { kind: "counter", price: "0.0001" }));
  expect(Number(best.offer)).toBeGreaterThan(best.terms.fair);
  expect(bed.respond(best.quoteId, {})).toMatchObject({ do: "trade", price: best.offer });
});

test("after so many counters we pass", () => {
  const bed = new RfqBed({ maxCounters: 1 });
  const quote = bed.quoted(CALL);
  const again = asQuote(bed.respond(quote.quoteId, { kind: "counter", price: "0.0001" }));
  expect(bed.respond(again.quoteId, { kind: "counter", price: "0.0001" })).toMatchObject({ status: "pass" });
  expect(bed.desk.open).toBe(0);
});

test("the last look refuses a hit after a move against us, and after one for us where it is symmetric", () => {
  for (const [move, symmetric, outcome] of [
    [1.02, 1, "status"],
    [0.98, 1, "status"],
    [0.98, 0, "trade"],
    [1.02, 0, "status"],
    [1, 1, "trade"],
  ] as const) {
    const bed = new RfqBed({ lastLookSymmetric: symmetric });
    const quote = bed.quoted(CALL);
    bed.move(PRICE * move);
    expect([move, symmetric, bed.respond(quote.quoteId, { side: "buy" }).do]).toEqual([
      move,
      symmetric,
      outcome,
    ]);
  }
});

test("the last look looks at the model: a fall that is now predicted refuses who sells to us", () => {
  const bed = new RfqBed();
  const quote = bed.quoted(CALL);
  bed.adjustment.set(40, 0, 0, 1, 1, REASON.modelMove);
  expect(bed.respond(quote.quoteId, { side: "sell" })).toMatchObject({
    status: "rejected",
    text: "the market has moved",
  });
});

test("a hit is held for the configured time and then decided; its hold is reported", () => {
  const bed = new RfqBed({ lastLookMs: 30 });
  const quote = bed.quoted(CALL);
  expect(bed.respond(quote.quoteId, {})).toMatchObject({ do: "status", status: "pending" });
  bed.later(20);
  expect(bed.fills).toEqual([]);
  bed.later(10);
  expect(bed.last).toMatchObject({ do: "trade", heldUs: 30_000 });
  const [{ lastLook } = { lastLook: null }] = bed.desk.counterparties();
  expect(lastLook).toMatchObject({ accepted: 1, heldUsTotal: 30_000, heldUsMax: 30_000 });
});

test("a hit that is held when the client's session goes is refused and says so", () => {
  const bed = new RfqBed({ lastLookMs: 30 });
  const quote = bed.quoted(CALL);
  bed.respond(quote.quoteId, {});
  bed.desk.onInput(
    { on: "withdraw", channel: "fix", client: "ACME", requestId: null, reason: "logout" },
    bed.timeUs,
  );
  expect(bed.last).toMatchObject({ do: "status", status: "rejected", cause: "last look: session, logout" });
  expect(bed.fills).toEqual([]);
});

test("the kill switch takes every quote back, refuses what is held and what comes", () => {
  const bed = new RfqBed({ lastLookMs: 30 });
  const held = bed.quoted(CALL);
  const open = bed.quoted(SPREAD);
  bed.respond(held.quoteId, {});
  bed.gate.kill.trip("drill", bed.timeUs);
  bed.desk.halt("killed", bed.timeUs);
  const ends = bed.actions
    .filter((action) => action.do === "status")
    .map(({ quoteId, status }) => [quoteId, status]);
  expect(ends).toEqual([
    [held.quoteId, "pending"],
    [held.quoteId, "rejected"],
    [open.quoteId, "removed"],
  ]);
  expect(bed.request(CALL)).toMatchObject({ do: "reject", reason: "no-market" });
  expect(bed.respond(open.quoteId, {})).toMatchObject({ status: "removed" });
  expect(bed.fills).toEqual([]);
});

test("a tripped kill switch alone refuses at the last look, whoever was told of it", () => {
  const bed = new RfqBed();
  const quote = bed.quoted(CALL);
  bed.gate.kill.trip("drill", bed.timeUs);
  expect(bed.respond(quote.quoteId, {})).toMatchObject({ status: "rejected" });
  expect(bed.fills).toEqual([]);
});

test("what cannot be trusted is not quoted, and its quotes are taken back", () => {
  const bed = new RfqBed();
  const quote = bed.quoted(SPREAD);
  bed.obstacles.set(bed.highCall.id, REASON.bookUnsound);
  bed.later(10);
  expect(bed.last).toMatchObject({
    do: "status",
    quoteId: quote.quoteId,
    status: "removed",
    cause: "bookUnsound",
  });
  expect(bed.request(SPREAD)).toMatchObject({ do: "reject", reason: "no-market", cause: "bookUnsound" });
  expect(bed.quoted(CALL).do).toBe("quote");
});

test("limits hold before the quote and at the last look, each by its name and unseen by the client", () => {
  const bed = new RfqBed({ maxNotional: 1e9 }, { maxPositionNotional: 1_000_000, maxStructureNotional: 1e9 });
  const refused = bed.request(CALL, { quantity: "20" });
  expect(refused).toMatchObject({ do: "reject", reason: "exceeds-limit", cause: "limit:position" });
  expect("text" in refused && refused.text).not.toContain("position");
  const first = bed.quoted(CALL, { side: "buy" });
  const second = bed.quoted(CALL, { side: "buy" });
  expect(bed.respond(first.quoteId, {}).do).toBe("trade");
  expect(bed.respond(second.quoteId, {})).toMatchObject({
    status: "rejected",
    cause: "last look: limit, limit:position",
  });
  expect(bed.gate.positionLots(bed.call.id)).toBe(-100);
});

test("what is malformed is refused in words", () => {
  const bed = new RfqBed();
  const refusals: [Parameters<RfqBed["request"]>[0], Parameters<RfqBed["request"]>[1], string][] = [
    [[], {}, "no instrument"],
    [[{ symbol: "DOGE" }], {}, "DOGE is not known"],
    [[...CALL, ...CALL], {}, "named twice"],
    [CALL, { quantity: "0.05" }, "multiple of 0.1"],
    [CALL, { quantity: "-1" }, "no positive decimal"],
    [CALL, { quantity: "1e999" }, "no positive decimal"],
    [[{ symbol: "BTC-C60", ratio: "1.5" }], {}, "whole number"],
    [[{ symbol: "BTC-C60", ratio: "99" }], {}, "whole number up to 20"],
    [Array.from({ length: 9 }, () => ({ symbol: "BTC-C60" })), {}, "at most 8 legs"],
    [[{ symbol: "BTC-C60", venue: "okx" }], {}, "at okx is not known"],
  ];
  for (const [legs, given, text] of refusals) {
    const answer = bed.request(legs, given);
    expect(answer).toMatchObject({ do: "reject", text: expect.stringContaining(text) });
  }
  expect(bed.desk.open).toBe(0);
});

test("a client's open requests, its ids and its rate are bounded", () => {
  const bed = new RfqBed({ maxOpenPerClient: 2, maxInputsPerSecond: 5 });
  bed.quoted(CALL, { requestId: "A" });
  expect(bed.request(CALL, { requestId: "A" })).toMatchObject({ text: "a request of this id is alive" });
  bed.quoted(CALL, { requestId: "B" });
  expect(bed.request(CALL)).toMatchObject({ text: "too many requests are open" });
  expect(bed.request(CALL)).toMatchObject({ text: "too many requests are open" });
  expect(bed.request(CALL)).toMatchObject({ text: "too many messages" });
  expect(bed.quoted(CALL, { client: "OTHER" }).do).toBe("quote");
});

test("the price moves away from the side that adds to what is held", () => {
  const bed = new RfqBed();
  const before = bed.quoted(CALL);
  bed.gate.onExecution(bed.perpetual.id, 0, 120_000, 200_000, bed.timeUs);
  const after = bed.quoted(CALL);
  expect(Number(after.offer)).toBeLessThan(Number(before.offer));
  expect(Number(after.bid)).toBeLessThanOrEqual(Number(before.bid));
});

test("a predicted fall makes the bid for a call worse, a predicted withdrawal makes its hedge dearer", () => {
  const bed = new RfqBed();
  const calm = bed.quoted(CALL);
  bed.adjustment.set(15, 0, 0, 0.7, 1, REASON.modelMove | REASON.modelWithdraw);
  const tense = bed.quoted(CALL);
  expect(tense.terms.moveBid).toBeGreaterThan(0);
  expect(tense.terms.moveAsk).toBe(0);
  expect(tense.terms.impactBid).toBeGreaterThan(calm.terms.impactBid);
  expect(Number(tense.bid)).toBeLessThan(Number(calm.bid));
  expect(tense.offer).toBe(calm.offer);
});

test("a client whose trades go against us falls to the last tier, wider and smaller, and no further", () => {
  const bed = new RfqBed({ tierLeastTrades: 2, markoutMs: 1_000, lastLookTolerance: 10, maxNotional: 1e7 });
  const calm = bed.quoted(CALL);
  for (let trade = 0; trade < 12; trade += 1) {
    const quote = bed.quoted([{ symbol: "BTC-P60" }], { quantity: "1" });
    bed.respond(quote.quoteId, { side: trade % 2 === 0 ? "buy" : "sell" });
    bed.move(trade % 2 === 0 ? 0.97 * PRICE : PRICE).later(1_010);
  }
  const [acme] = bed.desk.counterparties();
  expect(acme).toMatchObject({ tier: 4, factor: 1.7 });
  bed.move(PRICE);
  const toxic = bed.quoted(CALL);
  const width = ({ bid, offer }: typeof toxic): number => Number(offer) - Number(bid);
  expect(width(toxic) / width(calm)).toBeCloseTo(1.7, 0);
  expect(bed.request(CALL, { quantity: "60" })).toMatchObject({ reason: "exceeds-limit" });
  expect(bed.quoted(CALL, { client: "NEW" }).terms.tier).toBe(2);
});

test("who only asks falls a tier", () => {
  const bed = new RfqBed({ maxInputsPerSecond: 1_000 });
  for (let asked = 0; asked < 120; asked += 1) {
    const quote = bed.quoted(CALL, { quantity: "1" });
    bed.respond(quote.quoteId, { kind: "pass" });
  }
  expect(bed.desk.counterparties()[0]).toMatchObject({ tier: 3 });
});

test("an in-house order trades at our price within its limit, or not at all", () => {
  const bed = new RfqBed();
  const order = { on: "order", channel: "json", client: "book-7", symbol: "BTC-C60", venue: null } as const;
  bed.desk.onInput({ ...order, orderId: "1", side: "buy", quantity: "1", limit: "0.0001" }, bed.timeUs);
  expect(bed.last).toMatchObject({ do: "order-reject", reason: "invalid-price" });
  bed.desk.onInput({ ...order, orderId: "2", side: "buy", quantity: "1", limit: "1" }, bed.timeUs);
  expect(bed.last).toMatchObject({ do: "trade", orderId: "2", side: "buy", quantity: "1" });
  expect(bed.last.do === "trade" && Number(bed.last.price)).toBeLessThan(0.1);
  expect(bed.gate.positionLots(bed.call.id)).toBe(-10);
});

test("the same inputs give the same answers, byte for byte", () => {
  const run = (): string => {
    const bed = new RfqBed({ lastLookMs: 20 });
    const quote = bed.quoted(SPREAD);
    bed.later(30).respond(quote.quoteId, { kind: "counter", price: "0.0001" });
    bed.move(PRICE + 5).later(10);
    bed.respond(asQuote(bed.last).quoteId, {});
    bed.later(50);
    return JSON.stringify([bed.actions, bed.fills]);
  };
  expect(run()).toBe(run());
});

test("whatever is asked, prices do not cross, legs add up, and nothing is thrown", () => {
  const symbols = ["BTC-C60", "BTC-C64", "BTC-P60", "BTC-PERPETUAL"];
  const leg = fc.record({
    symbol: fc.constantFrom(...symbols),
    side: fc.constantFrom("buy" as const, "sell" as const),
    ratio: fc.constantFrom("1", "2", "3", "5", "0.5", "1000", "", "NaN"),
  });
  const script = fc.record({
    legs: fc.array(leg, { maxLength: 5 }),
    quantity: fc.constantFrom("1", "10", "0.1", "250", "0", "x"),
    side: fc.constantFrom("buy" as const, "sell" as const, null),
    hit: fc.constantFrom("buy" as const, "sell" as const, null),
    move: fc.double({ min: 0.999, max: 1.001, noNaN: true }),
  });
  fc.assert(
    fc.property(fc.array(script, { maxLength: 6 }), (scripts) => {
      const bed = new RfqBed({ maxInputsPerSecond: 1_000 });
      for (const { legs, quantity, side, hit, move } of scripts) {
        const answer = bed.request(legs, { quantity, side });
        if (answer.do !== "quote") continue;
        if (answer.bid !== null && answer.offer !== null) {
          expect(Number(answer.bid)).toBeLessThan(Number(answer.offer));
        }
        bed.move(bed.price * move);
        const trade = bed.respond(answer.quoteId, { side: hit });
        if (trade.do !== "trade") continue;
        const sign = trade.side === "buy" ? 1 : -1;
        const sum = trade.legs
          .filter(({ tiedPrice }) => tiedPrice === null)
          .reduce((total, { side: bought, ratio, price }) => {
            return total + (bought === "buy" ? sign : -sign) * Number(ratio) * Number(price);
          }, 0);
        expect(Math.abs(sum - Number(trade.price))).toBeLessThan(1e-9);
      }
    }),
    { numRuns: 200, seed: 7 },
  );
});
