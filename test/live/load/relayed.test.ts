import { afterEach, describe, expect, test } from "bun:test";
import { loadConfig } from "../../../src/config.ts";
import { VenueClock } from "../../../src/feed/venue-clock.ts";
import { loadWatchOf } from "../../../src/live/load/live-load.ts";
import type { LoadWatch } from "../../../src/live/load/load-watch.ts";
import { LOAD_STAGE } from "../../../src/risk/load-shedder.ts";
import { Flood } from "../../distribution/flood.ts";
import { watchedDesk } from "./watched-desk.ts";

const TIMER_MS = 10;
const OVERDUE_MS = 20;

const closing: (() => unknown)[] = [];
afterEach(() => {
  for (const close of closing.splice(0).reverse()) close();
});

/** The watch over a desk all of whose feeds are relayed. */
function watchOf(clock: VenueClock, relay: { waitedMs(nowNs: number): number }, port = 1): LoadWatch {
  const config = loadConfig({
    KEEL_FEEDS: "deribit:relay:futures:BTC",
    KEEL_KAFKA_BROKERS: "127.0.0.1:1",
    KEEL_URL_DERIBIT: `ws://127.0.0.1:${port}`,
  });
  const watch = loadWatchOf(config, watchedDesk([clock]), { shards: null, relay }, TIMER_MS);
  if (watch === null) throw new Error("nothing is shed");
  return watch;
}

describe("a desk that is slower than the topic", () => {
  const MESSAGES = 4_000_000;
  const EVERY_MS = 0.01;
  const TAKES_MS = 0.05;

  test.each([
    ["without another connection", false],
    ["with a connection to the relayed venue on which nothing waits", true],
  ])(
    "conflates, widens and pulls, one after the other, %s",
    async (_, isConnected) => {
      const venue = Bun.listen({ hostname: "127.0.0.1", port: 0, socket: { data() {} } });
      closing.push(() => venue.stop(true));
      if (isConnected) {
        const session = await Bun.connect({ hostname: "127.0.0.1", port: venue.port, socket: { data() {} } });
        closing.push(() => session.terminate());
      }
      const flood = new Flood({ messages: MESSAGES, everyMs: EVERY_MS });
      closing.push(() => flood.close());
      const clock = new VenueClock();
      const watch = watchOf(clock, flood.source, venue.port);
      const stages: number[] = [watch.shedder.stage];
      const { promise: pulled, resolve } = Promise.withResolvers<void>();
      let [openMs, turnedMs] = [Number.NaN, Number.POSITIVE_INFINITY];
      const turn = (nowMs: number, isTimer: boolean): void => {
        turnedMs = nowMs;
        if (!watch.turn(nowMs * 1e6, isTimer)) return;
        stages.push(watch.shedder.stage);
        if (watch.shedder.stage === LOAD_STAGE.pull) resolve();
      };
      flood.source.connect(0, {
        onOpen: () => {
          openMs = performance.now();
        },
        onFrame: (_feed, text) => {
          const nowMs = performance.now();
          clock.observe(1e15 + (openMs + Number(text) * EVERY_MS) * 1_000, 1e15 + nowMs * 1_000);
          if (nowMs - turnedMs > OVERDUE_MS) turn(nowMs, false);
          while (performance.now() - nowMs < TAKES_MS);
        },
        onClose: () => {},
        onResponse: () => {},
      });
      const timer = setInterval(() => turn(performance.now(), true), TIMER_MS);
      closing.push(() => clearInterval(timer));
      await pulled;
      expect(stages).toEqual([LOAD_STAGE.normal, LOAD_STAGE.conflate, LOAD_STAGE.widen, LOAD_STAGE.pull]);
      expect(watch.relayMs).toBeGreaterThan(0);
    },
    60_000,
  );
});

test("a longer way to the other keel is no load, and becomes usual", () => {
  const clock = new VenueClock();
  const watch = watchOf(clock, { waitedMs: () => 0 });
  const ageMs: number[] = [];
  let ms = 1_000_000;
  const run = (forMs: number, delayMs: number): void => {
    for (const endMs = ms + forMs; ms < endMs; ms += 1) {
      clock.observe((ms - delayMs) * 1_000, ms * 1_000);
      if (ms % TIMER_MS === 0) watch.turn(ms * 1e6);
    }
    ageMs.push(watch.ageMs);
  };
  run(10_000, 5);
  run(200, 45);
  run(180_000, 45);
  expect(ageMs[0]).toBeCloseTo(0);
  expect(ageMs[1]).toBeWithin(35, 41);
  expect(ageMs[2]).toBeLessThan(3);
  expect([watch.shedder.stage, watch.shedder.entries[LOAD_STAGE.conflate]]).toEqual([LOAD_STAGE.normal, 0]);
  expect([watch.queuedBytes, watch.relayMs]).toEqual([0, 0]);
});
