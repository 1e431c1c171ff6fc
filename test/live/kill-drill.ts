/**
 * From the kill signal to the last cancel on the wire: `bun test/live/kill-drill.ts [drills]`. A live desk with quotes standing
 * and an order at work is sent SIGUSR1; the time is taken until the counterparty has read the cancellation of all quotes and that of the order
 * from its socket, and until nothing stands there. Everything is in one process, so that time is an upper bound: the counterparty
 * reads when the desk's turn is over, and so is the writing of the switch's state. The desk's own part ends with the last
 * cancellation handed to the socket.
 */
import { systemClock } from "../../src/core/clock.ts";
import { Histogram } from "../../src/core/histogram.ts";
import { MSG } from "../../src/gateway/fix/tags.ts";
import { Harness } from "./harness.ts";

const drills = Number(process.argv[2] ?? "20");
const harness = await Harness.start(
  {
    KEEL_HEDGE_INSTRUMENTS: "deribit:BTC-PERPETUAL",
    KEEL_HEDGE_BAND_NOTIONAL: "1000",
    KEEL_HEDGE_PATIENCE_MS: "600000",
    KEEL_HEDGE_INTERVAL_MS: "1",
    KEEL_HEDGE_URGENT_BP: "0",
  },
  { orderRestMs: 600_000 },
);
const { counterparty, live } = harness;
const cancels: number[] = [];
const onMessage = counterparty.onMessage.bind(counterparty);
counterparty.onMessage = (message, timeUs) => {
  const taken = onMessage(message, timeUs);
  const { msgType } = message;
  if (msgType === MSG.quoteCancel || msgType === MSG.orderCancel) cancels.push(Bun.nanoseconds());
  return taken;
};
const signalled = new Histogram();
const written = new Histogram();
const returned = new Histogram();
const lasted = new Histogram();
let signalNs = 0;
const onSignal = (): void => {
  signalled.record(Bun.nanoseconds() - signalNs);
  live.trading.kill("signal");
  written.record(writtenNs - signalNs);
  returned.record(Bun.nanoseconds() - signalNs);
};
let writtenNs = 0;
const { gateway } = live;
const cancelAll = gateway.cancelAll.bind(gateway);
gateway.cancelAll = (timeUs) => {
  const sent = cancelAll(timeUs);
  writtenNs = Bun.nanoseconds();
  return sent;
};
const cancelOrder = gateway.cancelOrder?.bind(gateway);
if (cancelOrder !== undefined) {
  gateway.cancelOrder = (orderId, timeUs) => {
    const sent = cancelOrder(orderId, timeUs);
    writtenNs = Bun.nanoseconds();
    return sent;
  };
}
process.on("SIGUSR1", onSignal);
await harness.untilQuoting();
let standing = 0;
for (let drill = 0; drill < drills; drill += 1) {
  await harness.untilQuoting();
  const [key = ""] = [...counterparty.liveQuotes.keys()].filter((name) => name.endsWith("-C"));
  counterparty.execute(key, 0, systemClock.wallUs());
  await harness.until("an order rests", () => counterparty.orders.resting > 0);
  await Bun.sleep(20);
  cancels.length = 0;
  standing += counterparty.liveQuotes.size;
  signalNs = Bun.nanoseconds();
  process.kill(process.pid, "SIGUSR1");
  await harness.until("nothing stands", () => cancels.length >= 2 && counterparty.liveQuotes.size === 0);
  lasted.record((cancels.at(-1) ?? Number.NaN) - signalNs);
  await harness.until("the order is cancelled", () => live.desk.gate.orders.count === 0);
  live.trading.resetKill();
}
const row = (name: string, histogram: Histogram): string => {
  const us = (p: number): string => (histogram.quantile(p / 100) / 1_000).toFixed(0);
  return `${name.padEnd(34)} p50 ${us(50)} µs   p99 ${us(99)} µs   max ${us(100)} µs`;
};
console.log(
  `${drills} drills, ${(standing / drills).toFixed(0)} quotes standing and an order at work each time`,
);
console.log(row("signal to the kill switch", signalled));
console.log(row("signal to the last cancel written", written));
console.log(row("signal to the end of the turn", returned));
console.log(row("signal to the last cancel received", lasted));
process.off("SIGUSR1", onSignal);
await harness.stop();
harness.remove();
