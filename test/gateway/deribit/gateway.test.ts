import { afterEach, expect, test } from "bun:test";
import { systemClock } from "../../../src/core/clock.ts";
import { Secret } from "../../../src/core/secret.ts";
import { VENUE_LIMITS } from "../../../src/sim/deribit-trading/limits.ts";
import { openBed, started, stopBeds, until } from "./deribit-bed.ts";

afterEach(stopBeds);

test("logs in by signature, protects itself, and finds nothing open", async () => {
  const bed = await started();
  expect(bed.heard.ups).toBe(1);
  expect(bed.problems).toEqual([]);
  expect(bed.trading.requests.get("private/enable_cancel_on_disconnect")).toBe(1);
  expect(bed.trading.requests.get("private/cancel_all")).toBe(1);
  expect([...bed.account.groups.keys()]).toEqual(["btc_usd keel-btc_usd"]);
  expect(bed.gateway.describe().portfolios[0]?.currency).toBe("BTC");
});

test("logs in by credentials too", async () => {
  const bed = await started({
    credentials: { clientId: "keel", clientSecret: new Secret("simulated"), grant: "credentials" },
  });
  expect(bed.heard.ups).toBe(1);
});

test("a wrong secret is never up, and is not in what is told of it", async () => {
  const bed = openBed({
    credentials: { clientId: "keel", clientSecret: new Secret("wrong-secret"), grant: "credentials" },
  });
  bed.gateway.start(bed.heard);
  await until(() => bed.gateway.client.counters.connects >= 2);
  expect(bed.heard.ups).toBe(0);
  expect(bed.problems.join("\n")).toContain("13004");
  expect(bed.problems.join("\n")).not.toContain("wrong-secret");
});

test("quotes stand at the venue as they were sent, and are acknowledged", async () => {
  const bed = await started();
  const { fair, id } = await bed.quoted();
  expect(bed.heard.acks).toEqual([{ quoteId: id, status: 0, text: "" }]);
  const open = bed.account.openOrders();
  expect(open.map(({ side, ticks, lots }) => [side, ticks, lots])).toEqual([
    [0, fair - 100, 5],
    [1, fair + 100, 7],
  ]);
});

test("a side that did not change is not told again and keeps its priority", async () => {
  const bed = await started();
  const { option, fair } = await bed.quoted();
  const [bid] = bed.account.openOrders();
  bid.ahead = 3;
  bed.quote([{ instrument: option, bid: [fair - 100, 5], ask: [fair + 150, 7] }]);
  await until(() => bed.heard.acks.length === 2);
  expect(bid.ahead).toBe(3);
  expect(bid.replaced).toBe(false);
  expect(bed.gateway.counters.quoteSides).toBe(3);
});

test("a pulled side is cancelled, the other stands", async () => {
  const bed = await started();
  const option = bed.option();
  const fair = bed.fair(option);
  bed.quote([{ instrument: option, bid: [fair - 100, 5], ask: [fair + 100, 7] }]);
  bed.quote([{ instrument: option, bid: [fair - 100, 0], ask: [fair + 100, 7] }]);
  await until(() => bed.heard.acks.length === 2);
  expect(bed.account.openOrders().map(({ side }) => side)).toEqual([1]);
});

test("a price off the coarse grid is refused by the venue, and only that quote is", async () => {
  const bed = await started();
  const [first, second] = [bed.option(0), bed.option(1)];
  const [low, high] = [bed.fair(first), bed.fair(second)];
  const id = bed.quote([
    { instrument: first, bid: [low - 101, 5], ask: [low + 100, 7] },
    { instrument: second, bid: [high - 100, 5], ask: [high + 100, 7] },
  ]);
  await until(() => bed.heard.acks.length === 2);
  expect(bed.heard.acks).toEqual([
    { quoteId: id - 1, status: 1, text: "bid: 10043 price_wrong_tick" },
    { quoteId: id, status: 0, text: "" },
  ]);
});

test("fills of quotes come once, with their fee and as maker", async () => {
  const bed = await started();
  const { option, fair } = await bed.quoted();
  expect(bed.trading.exchange.hit(option.symbol, 0, 3)).toBe(3);
  await until(() => bed.heard.executions.length === 1);
  const [fill] = bed.heard.executions;
  expect([fill.instrument, fill.side, fill.priceTicks, fill.sizeLots]).toEqual([option.id, 0, fair - 100, 3]);
  expect(fill.detail?.liquidity).toBe("maker");
  expect(fill.detail?.fee).toBeCloseTo(0.3 * 0.0003, 12);
  expect(bed.account.positions.get(option.symbol)?.lots).toBe(3);
  const positions = await bed.gateway.reconciliation.positions();
  expect(positions).toMatchObject([{ venue: "deribit", symbol: option.symbol, size: "0.3" }]);
});

test("a quote that crosses the market trades at once, and its trades count once", async () => {
  const bed = await started();
  const option = bed.option();
  const traded = bed.trading.exchange.instruments.get(option.symbol);
  if (traded === undefined) throw new Error("traded");
  const ask = bed.trading.exchange.best(traded, 1);
  bed.quote([{ instrument: option, bid: [ask, 2], ask: [ask + 200, 7] }]);
  await until(() => bed.heard.acks.length === 1 && bed.heard.executions.length > 0);
  expect(bed.heard.executions).toHaveLength(1);
  expect(bed.heard.executions[0]).toMatchObject({ side: 0, priceTicks: ask, sizeLots: 2 });
  await until(() => bed.gateway.counters.duplicateExecutions === 1);
});

test("the venue's protection freezes quotes, tells the desk, and is over by itself", async () => {
  const bed = await started({
    mmp: {
      intervalSeconds: 1,
      frozenSeconds: 3,
      quantityLimit: 1,
      deltaLimit: 0.9,
      vegaLimit: 0,
      maxQuoteQuantity: 0,
    },
  });
  bed.simulation.start();
  const [option, other] = [bed.option(0), bed.option(1)];
  const fair = bed.fair(option);
  const quotes = [
    { instrument: option, bid: [fair - 200, 9], ask: [fair + 200, 9] },
    { instrument: other, bid: [bed.fair(other) - 200, 9], ask: [bed.fair(other) + 200, 9] },
  ] as const;
  bed.quote(quotes);
  await until(() => bed.account.openOrders().length === 4);
  bed.trading.exchange.hit(option.symbol, 0, 9);
  bed.trading.exchange.hit(other.symbol, 0, 9);
  await until(() => bed.heard.frozen.length > 0);
  expect(bed.account.openOrders()).toEqual([]);
  const [frozen] = bed.heard.frozen;
  expect(frozen.base).toBe("BTC");
  expect(frozen.untilUs).toBeGreaterThan(frozen.timeUs);
  const id = bed.quote(quotes);
  await until(() => bed.heard.acks.some(({ quoteId, status }) => quoteId === id && status === 1));
  expect(bed.account.openOrders()).toEqual([]);
  // It may be over here a moment before it is at the venue, which then refuses once more.
  let tried = 0;
  await until(() => {
    if (bed.heard.frozen.filter(({ text }) => text === "over").length > tried) {
      tried += 1;
      bed.quote(quotes);
    }
    return bed.account.openOrders().length === 4;
  });
});

test("protection without an end is lifted by a reset", async () => {
  const bed = await started({
    mmp: {
      intervalSeconds: 1,
      frozenSeconds: 0,
      quantityLimit: 1,
      deltaLimit: 0.9,
      vegaLimit: 0,
      maxQuoteQuantity: 0,
    },
  });
  const option = bed.option();
  const fair = bed.fair(option);
  const quotes = [{ instrument: option, bid: [fair - 200, 9], ask: [fair + 200, 9] }] as const;
  bed.quote(quotes);
  await until(() => bed.account.openOrders().length === 2);
  bed.trading.exchange.hit(option.symbol, 0, 9);
  bed.trading.exchange.hit(option.symbol, 1, 9);
  await until(() => bed.heard.frozen.length === 1);
  expect(bed.heard.frozen[0].untilUs).toBe(Number.POSITIVE_INFINITY);
  bed.gateway.client.cut("tried", systemClock.wallUs());
  await until(() => bed.heard.frozen.length === 2);
  expect(bed.heard.ups).toBe(2);
  expect(bed.heard.frozen[1].untilUs).toBe(Number.POSITIVE_INFINITY);
  expect(bed.heard.frozen[1].timeUs).toBeGreaterThanOrEqual(bed.heard.upUs);
  expect(bed.gateway.resetProtection(systemClock.wallUs())).toBe(true);
  await until(() => bed.heard.frozen.length === 3);
  expect(bed.gateway.resetProtection(systemClock.wallUs())).toBe(false);
  bed.quote(quotes);
  await until(() => bed.account.openOrders().length === 2);
});

test("what the venue's rate does not let out waits, the newest of each instrument", async () => {
  const bed = await started();
  const option = bed.option();
  const fair = bed.fair(option);
  for (let i = 0; i < 60; i += 1) {
    bed.quote([{ instrument: option, bid: [fair - 400 + 5 * i, 5], ask: [fair + 400, 7] }]);
  }
  await until(() => bed.heard.acks.some(({ quoteId }) => quoteId === 60));
  expect(bed.heard.acks.every(({ status }) => status === 0)).toBe(true);
  expect(bed.trading.requests.get("private/mass_quote")).toBeLessThan(20);
  expect(bed.account.openOrders()[0].ticks).toBe(fair - 400 + 5 * 59);
  expect(bed.gateway.writer.conflated).toBeGreaterThan(30);
});

test("the venue's word on its limits narrows the budget, so that it is never exceeded", async () => {
  const limits = { ...VENUE_LIMITS, massQuotes: { burst: 2, rate: 20 } };
  const bed = await started({}, { limits, floodEndsConnection: true });
  const option = bed.option();
  const fair = bed.fair(option);
  for (let i = 0; i < 12; i += 1) {
    bed.quote([{ instrument: option, bid: [fair - 400 + 5 * i, 5], ask: [fair + 400, 7] }]);
    await Bun.sleep(10);
  }
  await until(() => bed.heard.acks.some(({ quoteId }) => quoteId === 12));
  expect(bed.heard.downs).toEqual([]);
  expect(bed.gateway.client.counters.errors).toBe(0);
});

test("too_many_requests and a full queue are answered by a pause and another attempt", async () => {
  const bed = await started();
  bed.trading.rehearsals.push(
    { method: "private/mass_quote", left: 1, code: 10_028 },
    { method: "private/mass_quote", left: 1, code: 10_047 },
  );
  const { id } = await bed.quoted();
  expect(bed.heard.acks).toEqual([{ quoteId: id, status: 0, text: "" }]);
  expect(bed.gateway.counters.quoteRetries).toBe(2);
  expect(bed.account.openOrders()).toHaveLength(2);
});

test("a quote that has to be tried again is not, when a newer one waits by then", async () => {
  const bed = await started();
  const option = bed.option();
  const fair = bed.fair(option);
  bed.trading.rehearsals.push({ method: "private/mass_quote", left: 1, code: 10_028 });
  bed.quote([{ instrument: option, bid: [fair - 100, 5], ask: [fair + 100, 7] }]);
  await until(() => bed.gateway.counters.quoteRetries === 1);
  const id = bed.quote([{ instrument: option, bid: [fair - 300, 5], ask: [fair + 300, 7] }]);
  await until(() => bed.heard.acks.some(({ quoteId }) => quoteId === id));
  expect(bed.trading.requests.get("private/mass_quote")).toBe(2);
  expect(bed.account.openOrders().map(({ ticks }) => ticks)).toEqual([fair - 300, fair + 300]);
  expect(bed.heard.acks.every(({ status }) => status === 0)).toBe(true);
});

test("an error that leaves open what became of quotes is no refusal: all of them are cancelled", async () => {
  for (const code of [13_888, 13_028, 11_094]) {
    const bed = await started();
    bed.trading.rehearsals.push({ method: "private/mass_quote", left: 1, code, done: true });
    const { id } = await bed.quoted();
    expect(bed.heard.acks[0]).toMatchObject({ quoteId: id, status: 2 });
    expect(bed.account.openOrders()).toEqual([]);
    expect(bed.gateway.counters.recoveries).toBe(1);
    expect(bed.heard.downs).toEqual([]);
  }
});

test("a cancellation that the venue does not know the outcome of is asked for again", async () => {
  const bed = await started();
  await bed.quoted();
  bed.trading.rehearsals.push({ method: "private/cancel_all", left: 2, code: 13_888 });
  bed.gateway.cancelAll(systemClock.wallUs());
  await until(() => bed.heard.acks.length === 2);
  expect(bed.account.openOrders()).toEqual([]);
  expect(bed.heard.downs).toEqual([]);
});

test("protection that goes off for a shorter time does not end a longer one", async () => {
  const bed = await started();
  const nowMs = Date.now();
  for (const [forMs, group] of [
    [60_000, "keel-btc_usd"],
    [5_000, "keel-btc_usd"],
  ] as const) {
    const data = { frozen_until: nowMs + forMs, mmp_group: group };
    bed.gateway.onNotification("user.mmp_trigger.btc_usd", data, systemClock.wallUs());
  }
  expect(bed.gateway.describe().frozen.btc_usd / 1_000 - nowMs).toBeGreaterThan(30_000);
});

test("a lost answer is never taken for anything: all quotes are cancelled and the desk is told so", async () => {
  const bed = await started({ timeoutMs: 1_000 });
  bed.trading.rehearsals.push({ method: "private/mass_quote", left: 1, code: null });
  const { option, fair, id } = await bed.quoted();
  expect(bed.heard.acks[0]).toMatchObject({ quoteId: id, status: 2 });
  expect(bed.account.openOrders()).toEqual([]);
  expect(bed.heard.downs).toEqual([]);
  bed.quote([{ instrument: option, bid: [fair - 100, 5], ask: [fair + 100, 7] }]);
  await until(() => bed.account.openOrders().length === 2);
});

test("when even the cancellation is not answered the connection is cut, and the venue cancels", async () => {
  const bed = await started({ timeoutMs: 1_000 });
  await bed.quoted();
  bed.trading.rehearsals.push({ method: "private/cancel_all", left: 1, code: null });
  bed.gateway.cancelAll(systemClock.wallUs());
  await until(() => bed.heard.downs.length === 1);
  expect(bed.account.openOrders()).toEqual([]);
  await until(() => bed.heard.ups === 2);
});

test("a quote that somebody else cancels is noticed", async () => {
  const bed = await started();
  const { id } = await bed.quoted();
  bed.trading.exchange.cancel(bed.account, bed.account.openOrders()[0], "user_request");
  await until(() => bed.heard.acks.length === 2);
  expect(bed.heard.acks[1]).toMatchObject({ quoteId: id, status: 2 });
  expect(bed.account.openOrders()).toEqual([]);
});

test("the venue cancels when the connection breaks, and the gateway comes back", async () => {
  const bed = await started();
  await bed.quoted();
  bed.simulation.deribit.server.faults.inject(
    { kind: "disconnect", code: 1_006, reason: "" },
    systemClock.wallUs(),
  );
  await until(() => bed.account.openOrders().length === 0);
  await until(() => bed.heard.ups === 2);
  expect(bed.heard.downs).toHaveLength(1);
});

test("fills while nobody listened are told at the next login, when the venue forgot to cancel", async () => {
  const bed = await started(
    { reconnectFirstMs: 300, reconnectCapMs: 300 },
    { honoursCancelOnDisconnect: false },
  );
  const { option } = await bed.quoted();
  bed.simulation.deribit.server.faults.inject(
    { kind: "disconnect", code: 1_006, reason: "" },
    systemClock.wallUs(),
  );
  await until(() => bed.heard.downs.length === 1);
  expect(bed.account.openOrders()).toHaveLength(2);
  bed.trading.exchange.hit(option.symbol, 1, 4);
  await until(() => bed.heard.ups === 2);
  expect(bed.heard.executions).toMatchObject([{ instrument: option.id, side: 1, sizeLots: 4 }]);
  expect(bed.account.openOrders()).toEqual([]);
});

test("the token is refreshed before it dies", async () => {
  const bed = await started({}, { tokenSeconds: 3 });
  await until(() => bed.gateway.client.counters.refreshes >= 1);
  expect(bed.heard.downs).toEqual([]);
  expect(bed.gateway.client.counters.errors).toBe(0);
});

test("a refresh that is refused is followed by a login with the key", async () => {
  const bed = await started({}, { tokenSeconds: 3 });
  bed.trading.tokens.refuseNext = 1;
  await until(() => bed.gateway.client.counters.refreshes >= 1);
  expect(bed.problems).toEqual(["login refused: 13004 invalid_credentials"]);
  expect(bed.heard.downs).toEqual([]);
});

test.each(["garbage {", "[1]", '{"jsonrpc":"2.0"}', '{"method":"subscription","params":{}}', "null"])(
  "%s from the venue ends the connection, and a new one begins",
  async (frame) => {
    const bed = await started();
    for (const client of bed.simulation.deribit.server.clients) client.control(frame);
    await until(() => bed.heard.ups === 2);
    expect(bed.heard.downs).toEqual(["the venue sent what cannot be read"]);
    expect(bed.gateway.client.counters.badMessages).toBe(1);
  },
);

test("levels have groups of their own", async () => {
  const bed = await started({ levels: 2 });
  const [first, second] = [bed.option(0), bed.option(1)];
  bed.quote([
    { instrument: first, bid: [bed.fair(first) - 100, 5], ask: [bed.fair(first) + 100, 7] },
    { instrument: second, bid: [bed.fair(second) - 200, 6], ask: [bed.fair(second) + 200, 8], level: 1 },
  ]);
  await until(() => bed.account.openOrders().length === 4);
  const groupOf = new Map(bed.account.openOrders().map((order) => [order.instrument.symbol, order.mmpGroup]));
  expect(groupOf.get(first.symbol)).toBe("keel-btc_usd");
  expect(groupOf.get(second.symbol)).toBe("keel-btc_usd-1");
});

test("an account without mass quotes is told so, and never up for long", async () => {
  const bed = await started({}, { massQuotes: false });
  const option = bed.option();
  const fair = bed.fair(option);
  bed.quote([{ instrument: option, bid: [fair - 100, 5], ask: [fair + 100, 7] }]);
  await until(() => bed.heard.downs.length === 1);
  expect(bed.heard.downs[0]).toContain("11042 permission_denied");
});
