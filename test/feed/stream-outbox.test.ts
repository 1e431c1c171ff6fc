import { expect, test } from "bun:test";
import fc from "fast-check";
import { StreamOutbox } from "../../src/feed/binance/stream-outbox.ts";

const STREAMS = ["depth@0ms", "bookTicker", "trade", "markPrice@1s"];
const TICK_US = 10_000;

class Sent {
  readonly messages: {
    readonly method: string;
    readonly params: readonly string[];
    readonly timeUs: number;
  }[] = [];
  nowUs = 1_700_000_000_000_000;
  readonly outbox = new StreamOutbox(
    0,
    {
      connect: () => {},
      disconnect: () => {},
      request: () => {},
      send: (_feed, text) => this.messages.push({ ...JSON.parse(text), timeUs: this.nowUs }),
    },
    STREAMS,
  );

  run(us: number): void {
    for (const untilUs = this.nowUs + us; this.nowUs < untilUs; this.nowUs += TICK_US)
      this.outbox.flush(this.nowUs);
  }
}

test("a desk of fifty symbols is subscribed at once", () => {
  const sent = new Sent();
  for (let i = 0; i < 50; i += 1) sent.outbox.subscribe(`S${i}USDT`);
  sent.outbox.flush(sent.nowUs);
  expect(sent.messages.map(({ method, params }) => [method, params.length])).toEqual([
    ["SUBSCRIBE", 100],
    ["SUBSCRIBE", 100],
  ]);
  expect(sent.messages[0]?.params.slice(0, 4)).toEqual(STREAMS.map((stream) => `s0usdt@${stream}`));
});

test("symbols that fall silent together are subscribed anew in few messages, each given up first", () => {
  const sent = new Sent();
  for (let i = 0; i < 20; i += 1) {
    sent.outbox.resubscribe(`S${i}USDT`);
    sent.outbox.flush(sent.nowUs);
  }
  sent.run(5_000_000);
  expect(sent.messages.length).toBeLessThanOrEqual(4);
  expect(isSubscribed(sent, "s19usdt")).toBe(true);
});

test("never more than five messages in a second, and everything is subscribed in the end", () => {
  const step = fc.record({
    symbol: fc.nat(60),
    anew: fc.boolean(),
    waitUs: fc.integer({ min: 0, max: 900_000 }),
  });
  fc.assert(
    fc.property(fc.array(step, { minLength: 1, maxLength: 60 }), (steps) => {
      const sent = new Sent();
      for (const { symbol, anew, waitUs } of steps) {
        if (anew) sent.outbox.resubscribe(`S${symbol}USDT`);
        else sent.outbox.subscribe(`S${symbol}USDT`);
        sent.outbox.flush(sent.nowUs);
        sent.run(waitUs);
      }
      sent.run(10_000_000);
      for (const [i, { timeUs, params }] of sent.messages.entries()) {
        expect(params.length).toBeLessThanOrEqual(100);
        expect((sent.messages[i + 4]?.timeUs ?? Number.POSITIVE_INFINITY) - timeUs).toBeGreaterThanOrEqual(
          1_000_000,
        );
      }
      for (const { symbol } of steps) expect(isSubscribed(sent, `s${symbol}usdt`)).toBe(true);
    }),
    { seed: 5, numRuns: 60 },
  );
});

test("what waited for a connection that was lost is not sent on the next one", () => {
  const sent = new Sent();
  for (let i = 0; i < 100; i += 1) sent.outbox.resubscribe(`S${i}USDT`);
  sent.outbox.flush(sent.nowUs);
  sent.outbox.clear();
  sent.run(5_000_000);
  expect(sent.messages.length).toBe(2);
});

function isSubscribed({ messages }: Sent, symbol: string): boolean {
  return messages.findLast(({ params }) => params.includes(`${symbol}@trade`))?.method === "SUBSCRIBE";
}
