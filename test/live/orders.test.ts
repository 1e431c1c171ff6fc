import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { systemClock } from "../../src/core/clock.ts";
import { ORDER_STATE } from "../../src/risk/order.ts";
import { Harness } from "./harness.ts";

setDefaultTimeout(120_000);

/** Hedges over a real FIX session with a counterparty that answers, keeps silent and hangs up. */
describe("orders over FIX", () => {
  let harness: Harness;

  beforeAll(async () => {
    harness = await Harness.start(
      {
        KEEL_HEDGE_INSTRUMENTS: "deribit:BTC-PERPETUAL",
        KEEL_HEDGE_BAND_NOTIONAL: "1000",
        KEEL_HEDGE_PATIENCE_MS: "600000",
        KEEL_HEDGE_INTERVAL_MS: "10",
        KEEL_HEDGE_URGENT_BP: "0",
        KEEL_RISK_ORDER_TIMEOUT_MS: "150",
      },
      { orderRestMs: 600_000 },
    );
    await harness.untilQuoting();
  });

  afterAll(async () => {
    await harness.stop();
    harness.remove();
  });

  const orders = () => harness.desk.gate.orders;
  const only = () => [...orders().all()][0];

  test("an order is accepted and rests", async () => {
    const { counterparty } = harness;
    const [key = ""] = [...counterparty.liveQuotes.keys()].filter((name) => name.endsWith("-C"));
    expect(counterparty.execute(key, 0, systemClock.wallUs())).toBe(true);
    await harness.until("an order works", () => only()?.state === ORDER_STATE.working);
    expect(counterparty.orders.resting).toBe(1);
    expect(only()?.intent).toMatchObject({ hedge: true, timeInForce: "day", side: 1 });
  });

  test("a session that is lost leaves its outcome unknown, until the counterparty is asked and tells", async () => {
    const { counterparty } = harness;
    const before = only()?.intent.orderId ?? 0;
    counterparty.orders.silent = true;
    counterparty.disconnect();
    await harness.until("the outcome is unknown", () => orders().unknown === 1);
    await harness.until(
      "the counterparty is asked again and again",
      () => counterparty.orders.counters.questions >= 2,
    );
    expect(orders().get(before)?.state).toBe(ORDER_STATE.unknown);
    const { sent } = harness.desk.hedger.counters;
    await Bun.sleep(100);
    expect(harness.desk.hedger.counters.sent).toBe(sent);
    counterparty.orders.silent = false;
    await harness.until("its end is told", () => orders().get(before) === undefined);
    await harness.until("the next one is sent", () => harness.desk.hedger.counters.sent > sent);
  });

  test("a kill whose cancellation stays unanswered is carried through as soon as the counterparty speaks", async () => {
    const { counterparty, live } = harness;
    await harness.until("an order works", () => only()?.state === ORDER_STATE.working);
    counterparty.orders.silent = true;
    live.trading.kill("drill");
    await harness.until("the cancellation is not answered", () => orders().unknown === 1);
    counterparty.orders.silent = false;
    await harness.until("the order is at its end", () => orders().count === 0);
    expect(counterparty.orders.resting).toBe(0);
    expect(counterparty.liveQuotes.size).toBe(0);
  });
});
