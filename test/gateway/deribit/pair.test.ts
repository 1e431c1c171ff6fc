import { afterEach, expect, test } from "bun:test";
import { systemClock } from "../../../src/core/clock.ts";
import { LeaseFence } from "../../../src/failover/fence.ts";
import type { DeribitGateway } from "../../../src/gateway/deribit/gateway.ts";
import type { DeribitGatewayOptions } from "../../../src/gateway/deribit/gateway-options.ts";
import { Bed, Heard, until } from "./deribit-bed.ts";

const MINUTE_NS = 60e9;
const FIRST = 7;
const SECOND = 8;
/** As a service that has lost its data may grant it. */
const LOWER = 3;

const open: { stop(): Promise<void> }[] = [];
afterEach(async () => {
  for (const one of open.splice(0).reverse()) await one.stop();
});

interface One {
  readonly gateway: DeribitGateway;
  readonly heard: Heard;
  readonly fence: LeaseFence;
}

/** Two gateways to one account; the first one leads and both are connected. */
async function pair(
  options: Partial<DeribitGatewayOptions> = {},
): Promise<{ bed: Bed; a: One; b: One; lead(one: One, token: number): void }> {
  const [fenceA, fenceB] = [new LeaseFence(systemClock.monotonicNs), new LeaseFence(systemClock.monotonicNs)];
  const bed = new Bed({ ...options, pair: { fence: fenceA } });
  open.push(bed);
  const gateway = bed.another({ ...options, pair: { fence: fenceB } });
  const a = { gateway: bed.gateway, heard: bed.heard, fence: fenceA };
  const b = { gateway, heard: new Heard(), fence: fenceB };
  const timer = setInterval(() => gateway.onTimer(systemClock.wallUs()), 5);
  open.push({
    stop: async () => {
      clearInterval(timer);
      await gateway.stop(500);
    },
  });
  const lead = ({ gateway: one, fence }: One, token: number): void => {
    fence.open(token, systemClock.monotonicNs() + MINUTE_NS, Number.POSITIVE_INFINITY);
    one.lead(null, systemClock.wallUs());
  };
  a.gateway.start(a.heard);
  b.gateway.start(b.heard);
  await until(() => a.gateway.prepared && b.gateway.prepared, "both are connected");
  lead(a, FIRST);
  await until(() => a.gateway.ready, "the first one leads");
  return { bed, a, b, lead };
}

/** One option with both of its sides quoted by the first gateway. */
async function quoted(bed: Bed) {
  const instrument = bed.option();
  const fair = bed.fair(instrument);
  bed.quote([{ instrument, bid: [fair - 50, 5], ask: [fair + 50, 5] }]);
  await until(() => bed.account.openOrders().length === 2, "two quotes stand");
  return { instrument, fair };
}

const changing = (bed: Bed): number =>
  [...bed.trading.requests]
    .filter(([method]) => !/^private\/(get_|subscribe$)/.test(method))
    .reduce((sum, [, count]) => sum + count, 0);

test("one that stands by is logged in and hears of trades, and neither sends, cancels nor books", async () => {
  const { bed, a, b } = await pair();
  const { instrument } = await quoted(bed);
  const before = changing(bed);
  expect(b.gateway.describe().state).toBe("standing by");
  expect(b.gateway.cancelAll(systemClock.wallUs())).toBe(false);
  expect(b.gateway.resetProtection(systemClock.wallUs())).toBe(false);
  await expect(b.gateway.cancelCurrency("BTC", systemClock.wallUs())).rejects.toThrow("does not lead");
  bed.trading.exchange.hit(instrument.symbol, 0, 2);
  await until(() => a.heard.executions.length === 1, "the leader books the trade");
  await b.gateway.follow("told twice", systemClock.wallUs());
  await b.gateway.stop(500);
  expect(bed.account.openOrders()).toHaveLength(2);
  expect(changing(bed)).toBe(before);
  expect(b.heard.executions).toEqual([]);
  expect(b.heard.ups).toBe(0);
});

for (const quoting of ["mass", "orders"] as const) {
  test(`by ${quoting}: a new leader cancels what a dead one left and books the trades that nobody told it of, once`, async () => {
    const { bed, a, b, lead } = await pair({ quoting });
    const { instrument, fair } = await quoted(bed);
    bed.trading.exchange.hit(instrument.symbol, 0, 1);
    await until(() => a.heard.executions.length === 1, "the first trade");
    b.gateway.adoptTrades(a.gateway.booked);
    bed.trading.exchange.hit(instrument.symbol, 0, 1);
    await until(() => a.heard.executions.length === 2, "the second trade");
    b.gateway.followTrade(instrument.symbol, a.heard.executions[1].id);
    bed.trading.exchange.hit(instrument.symbol, 1, 2);
    a.fence.close();
    lead(b, SECOND);
    await until(() => b.gateway.ready, "the second one leads");
    expect(bed.account.openOrders()).toEqual([]);
    expect(b.heard.executions.map(({ side, sizeLots }) => ({ side, sizeLots }))).toEqual([
      { side: 1, sizeLots: 2 },
    ]);
    expect(fair).toBeGreaterThan(0);
  });

  test.each([SECOND, LOWER])(
    `by ${quoting}: under token %p no id is an earlier leader's, and a quote of one that comes to stand late is taken away`,
    async (token) => {
      const { bed, b, lead } = await pair({ quoting });
      await quoted(bed);
      const ids = (): string[] =>
        bed.account.openOrders().map(({ label, quoteId }) => (quoting === "mass" ? quoteId : label));
      for (const id of ids()) expect(id).toContain(`${FIRST}-`);
      lead(b, token);
      await until(() => b.gateway.ready, "the second one leads");
      expect(bed.account.openOrders()).toEqual([]);
      const instrument = bed.option(1);
      const fair = bed.fair(instrument);
      bed.quote([{ instrument, bid: [fair - 50, 5], ask: [fair + 50, 5] }]);
      await until(() => b.gateway.describe().counters.recoveries > 0, "the second one has noticed");
      await until(() => bed.account.openOrders().length === 0, "it is taken away");
    },
  );
}

test("what leaves after the term is held back, and the connection goes with what stands", async () => {
  const { bed, a } = await pair();
  const { instrument, fair } = await quoted(bed);
  const sent = bed.trading.requests.get("private/mass_quote");
  a.fence.close();
  bed.quote([{ instrument, bid: [fair - 60, 5], ask: [fair + 60, 5] }]);
  await until(() => a.heard.downs.length === 1, "the desk is told");
  await until(() => bed.account.openOrders().length === 0, "the venue has cancelled");
  expect(bed.trading.requests.get("private/mass_quote")).toBe(sent);
  expect(a.fence.refused).toBeGreaterThan(0);
  await a.gateway.follow("the lease could not be renewed", systemClock.wallUs());
  await until(() => a.gateway.prepared, "it stands by");
  expect(a.gateway.ready).toBe(false);
});

test("an order that arrives after the term is not begun with", async () => {
  const { bed, a } = await pair({ quoting: "orders" });
  const limits: number[] = [];
  const { trading } = bed;
  const call = trading.call.bind(trading);
  trading.call = (session, method, params, timeUs) => {
    if (method !== "private/buy" && method !== "private/sell") return call(session, method, params, timeUs);
    limits.push(Number(params.valid_until) - trading.exchange.timeMs);
    return call(session, method, { ...params, valid_until: trading.exchange.timeMs }, timeUs);
  };
  a.fence.open(FIRST, systemClock.monotonicNs() + 700e6, Number.POSITIVE_INFINITY);
  const instrument = bed.option();
  const fair = bed.fair(instrument);
  bed.quote([{ instrument, bid: [fair - 50, 5], ask: [fair + 50, 5] }]);
  await until(() => limits.length === 2 && a.gateway.describe().counters.recoveries === 1, "the refusals");
  for (const limit of limits) {
    // The simulated venue's clock goes on in steps.
    expect(limit).toBeLessThan(900);
    expect(limit).toBeGreaterThan(0);
  }
  expect(bed.account.openOrders()).toEqual([]);
});

test("a leader that gives way has the venue's word that everything is cancelled, and keeps its connection", async () => {
  const { bed, a, b, lead } = await pair();
  const { instrument } = await quoted(bed);
  const logins = a.gateway.describe().requests.logins;
  await a.gateway.follow("a planned switch", systemClock.wallUs());
  expect(bed.account.openOrders()).toEqual([]);
  expect(a.heard.downs).toEqual(["a planned switch"]);
  lead(b, SECOND);
  await until(() => b.gateway.ready, "the second one leads");
  await b.gateway.follow("a planned switch back", systemClock.wallUs());
  lead(a, SECOND + 1);
  await until(() => a.gateway.ready, "the first one leads again");
  expect(a.gateway.describe().requests.logins).toBe(logins);
  const fair = bed.fair(instrument);
  bed.quote([{ instrument, bid: [fair - 50, 5], ask: [fair + 50, 5] }]);
  await until(() => bed.account.openOrders().length === 2, "it quotes");
});

test("a leader that gives way and gets no answer cuts its connection, with which its quotes go", async () => {
  const { bed, a } = await pair();
  await quoted(bed);
  bed.trading.rehearsals.push({ method: "private/cancel_all", left: 99, code: null });
  bed.trading.rehearsals.push({ method: "private/enable_cancel_on_disconnect", left: 99, code: null });
  await a.gateway.follow("the lease could not be renewed", systemClock.wallUs());
  await until(() => bed.account.openOrders().length === 0, "the venue has cancelled");
  await until(() => a.gateway.prepared, "it stands by on another connection");
  expect(a.gateway.describe().requests.logins).toBe(2);
});

test("one whose connection is down when it is given the lead connects at once", async () => {
  const { b, lead } = await pair({ reconnectFirstMs: 60_000, reconnectCapMs: 60_000 });
  b.gateway.client.cut("a break", systemClock.wallUs());
  expect(b.gateway.prepared).toBe(false);
  lead(b, SECOND);
  await until(() => b.gateway.ready, "it leads");
});

test("the id of an order is found in its label, whichever term has given it", async () => {
  const { b, lead } = await pair();
  // Ids of orders are times in microseconds.
  const orderId = 1_795_392_000_000_001;
  const { orders } = b.gateway;
  expect(orders.orderIdOf(orders.label(orderId))).toBe(orderId);
  const before = orders.label(orderId);
  lead(b, SECOND);
  expect(orders.label(orderId)).not.toBe(before);
  expect(orders.orderIdOf(orders.label(orderId))).toBe(orderId);
  expect(orders.orderIdOf("other-1")).toBe(0);
});
