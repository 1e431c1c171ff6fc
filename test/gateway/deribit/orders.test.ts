import { afterEach, expect, test } from "bun:test";
import { systemClock } from "../../../src/core/clock.ts";
import { ORDER_STATE } from "../../../src/risk/order.ts";
import { type Bed, started, stopBeds, until } from "./deribit-bed.ts";

afterEach(stopBeds);

function perpetual(
  bed: Bed,
  side: 0 | 1,
  offTicks: number,
  lots: number,
  timeInForce: "day" | "ioc" = "day",
) {
  const instrument = bed.find("BTC-PERPETUAL");
  const best = bed.simulation.market.follower.book.best(side);
  const priceTicks = best + (side === 0 ? -offTicks : offTicks);
  return bed.approveOrder({ instrument: instrument.id, side, priceTicks, sizeLots: lots, timeInForce });
}

test("an order rests, is changed in place, and is cancelled", async () => {
  const bed = await started();
  const order = perpetual(bed, 0, 20, 50);
  const { orderId, priceTicks } = order.intent;
  expect(bed.gateway.sendOrder(order, systemClock.wallUs())).toBe(true);
  await until(() => bed.heard.orders.some(({ state }) => state === ORDER_STATE.working));
  expect(bed.heard.orders[0]).toMatchObject({ orderId, leavesLots: 50 });
  expect(bed.gateway.orders.edit(orderId, priceTicks - 2, 30, systemClock.wallUs())).toBe(true);
  await until(() => bed.account.openOrders()[0]?.lots === 30);
  expect(bed.account.openOrders()[0].ticks).toBe(priceTicks - 2);
  const open = await bed.gateway.reconciliation.openOrders();
  expect(open).toEqual([{ venue: "deribit", symbol: "BTC-PERPETUAL", orderId, side: 0, leavesSize: "300" }]);
  expect(bed.gateway.cancelOrder(orderId, systemClock.wallUs())).toBe(true);
  await until(() => bed.heard.orders.some(({ state }) => state === ORDER_STATE.done));
  expect(bed.account.openOrders()).toEqual([]);
});

test("an immediate order takes the market and tells its fill once, as taker", async () => {
  const bed = await started();
  const order = perpetual(bed, 0, -4, 20, "ioc");
  bed.gateway.sendOrder(order, systemClock.wallUs());
  await until(() => bed.heard.executions.length > 0);
  await until(() => bed.gateway.counters.duplicateExecutions > 0);
  const bought = bed.heard.executions.reduce((sum, { sizeLots }) => sum + sizeLots, 0);
  expect(bought).toBe(20);
  expect(bed.heard.executions[0].detail).toMatchObject({ orderId: order.intent.orderId, liquidity: "taker" });
  expect(bed.account.positions.get("BTC-PERPETUAL")?.lots).toBe(20);
  const [position] = await bed.gateway.reconciliation.positions();
  expect(position).toMatchObject({ symbol: "BTC-PERPETUAL", size: "200" });
});

test("a refused order is done, with the venue's words", async () => {
  const bed = await started();
  bed.gateway.sendOrder(perpetual(bed, 0, -9_000, 20), systemClock.wallUs());
  await until(() => bed.heard.orders.length > 0);
  expect(bed.heard.orders[0]).toMatchObject({ state: ORDER_STATE.done, text: "10007 price_too_high" });
});

test("an order whose answer was lost is unknown, asked about, and found", async () => {
  const bed = await started({ timeoutMs: 1_000 });
  bed.trading.rehearsals.push({ method: "private/buy", left: 1, code: null });
  const order = perpetual(bed, 0, 20, 50);
  bed.gateway.sendOrder(order, systemClock.wallUs());
  await until(() => bed.heard.orders.some(({ state }) => state === ORDER_STATE.unknown));
  await until(() => bed.heard.orders.at(-1)?.state === ORDER_STATE.working);
  expect(bed.account.openOrders()).toHaveLength(1);
});

test("an order that the venue does not know is done once the venue has said so", async () => {
  const bed = await started({ timeoutMs: 1_000 });
  bed.trading.rehearsals.push({ method: "private/buy", left: 1, code: null });
  bed.gateway.sendOrder(perpetual(bed, 0, 20, 50), systemClock.wallUs());
  await until(() => bed.account.orders.size === 1);
  bed.account.orders.clear();
  await until(() => bed.heard.orders.at(-1)?.state === ORDER_STATE.done);
  expect(bed.heard.orders.some(({ state }) => state === ORDER_STATE.unknown)).toBe(true);
  expect(bed.heard.orders.at(-1)?.text).toBe("10004 order_not_found");
});

test("an error that leaves open whether an order was entered: it is asked about, and found", async () => {
  const bed = await started();
  bed.trading.rehearsals.push({ method: "private/buy", left: 1, code: 13_888, done: true });
  bed.gateway.sendOrder(perpetual(bed, 0, 20, 50), systemClock.wallUs());
  await until(() => bed.heard.orders.some(({ state }) => state === ORDER_STATE.unknown));
  await until(() => bed.heard.orders.at(-1)?.state === ORDER_STATE.working);
  expect(bed.account.openOrders()).toHaveLength(1);
});

test("an order that the venue did not know, and that is open all the same, is cancelled", async () => {
  const bed = await started();
  bed.trading.rehearsals.push({ method: "private/buy", left: 1, code: 13_888 });
  const order = perpetual(bed, 0, 20, 50);
  bed.gateway.sendOrder(order, systemClock.wallUs());
  await until(() => bed.heard.orders.at(-1)?.state === ORDER_STATE.done);
  const { orderId, priceTicks } = order.intent;
  const late = {
    ...{ instrument_name: "BTC-PERPETUAL", amount: 50, type: "limit", price: priceTicks / 2 },
    label: bed.gateway.orders.label(orderId),
  };
  await bed.gateway.client.call("private/buy", late, systemClock.wallUs());
  await until(() => bed.account.orders.size === 1 && bed.account.openOrders().length === 0);
  expect(bed.problems.some((text) => text.includes(`order ${orderId} is open, though`))).toBe(true);
  expect(bed.heard.orders.at(-1)?.state).toBe(ORDER_STATE.done);
});

test("a cancellation of an order that has been filled asks what became of it", async () => {
  const bed = await started();
  const order = perpetual(bed, 0, 20, 50);
  bed.gateway.sendOrder(order, systemClock.wallUs());
  await until(() => bed.heard.orders.length > 0);
  bed.trading.rehearsals.push({ method: "private/cancel", left: 1, code: 11_044 });
  bed.gateway.cancelOrder(order.intent.orderId, systemClock.wallUs());
  await until(() => (bed.trading.requests.get("private/get_order_state") ?? 0) === 1);
});

test("an order beyond the budget is not sent, for certain", async () => {
  const bed = await started();
  let sent = 0;
  for (let i = 0; i < 40; i += 1) {
    if (bed.gateway.sendOrder(perpetual(bed, 0, 20 + i, 1), systemClock.wallUs())) sent += 1;
  }
  expect(sent).toBeGreaterThanOrEqual(19);
  expect(sent).toBeLessThanOrEqual(22);
  await until(() => bed.account.openOrders().length === sent);
  expect(bed.gateway.client.counters.errors).toBe(0);
});

test("orders of one instrument are cancelled together", async () => {
  const bed = await started();
  bed.gateway.sendOrder(perpetual(bed, 0, 20, 1), systemClock.wallUs());
  await until(() => bed.account.openOrders().length === 1);
  await bed.gateway.cancelInstrument("BTC-PERPETUAL", systemClock.wallUs());
  expect(bed.account.openOrders()).toEqual([]);
  bed.gateway.sendOrder(perpetual(bed, 0, 20, 1), systemClock.wallUs());
  await until(() => bed.account.openOrders().length === 1);
  await bed.gateway.cancelCurrency("BTC", systemClock.wallUs());
  expect(bed.account.openOrders()).toEqual([]);
});

test("quotes as orders: entered, edited in place, pulled, filled", async () => {
  const budget = {
    trading: { burst: 100, perSecond: 100 },
    massQuotes: { burst: 10, perSecond: 10 },
    quotes: { burst: 500, perSecond: 500 },
  };
  const bed = await started({ quoting: "orders", budget }, { massQuotes: false });
  const { option, fair } = await bed.quoted();
  expect(bed.heard.acks[0].status).toBe(0);
  const ids = bed.account.openOrders().map(({ id }) => id);
  expect(ids).toHaveLength(2);
  bed.quote([{ instrument: option, bid: [fair - 150, 5], ask: [fair + 100, 0] }]);
  await until(() => bed.heard.acks.length === 2);
  expect(bed.account.openOrders().map(({ id, ticks }) => [id, ticks])).toEqual([[ids[0], fair - 150]]);
  bed.trading.exchange.hit(option.symbol, 0, 2);
  await until(() => bed.heard.executions.length === 1);
  expect(bed.heard.executions[0]).toMatchObject({ side: 0, sizeLots: 2, priceTicks: fair - 150 });
  bed.quote([{ instrument: option, bid: [fair - 120, 4], ask: [fair + 100, 7] }]);
  await until(() => bed.heard.acks.length === 3);
  const [bid] = bed.account.openOrders();
  expect([bid.ticks, bid.lots - bid.filled]).toEqual([fair - 120, 4]);
  expect(bed.heard.acks.every(({ status }) => status === 0)).toBe(true);
});

test("quotes as orders: a refused edit leaves nothing behind", async () => {
  const bed = await started({ quoting: "orders", mmp: null });
  const option = bed.option();
  const fair = bed.fair(option);
  bed.quote([{ instrument: option, bid: [fair - 100, 5], ask: [0, 0] }]);
  await until(() => bed.heard.acks.length === 1);
  const id = bed.quote([{ instrument: option, bid: [fair - 101, 5], ask: [0, 0] }]);
  await until(() => bed.heard.acks.length === 2);
  expect(bed.heard.acks[1]).toEqual({ quoteId: id, status: 1, text: "bid: 10043 price_wrong_tick" });
  await until(() => bed.account.openOrders().length === 0);
});
