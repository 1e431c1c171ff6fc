import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { Rng } from "../../src/core/rng.ts";
import { LeadLag } from "../../src/desk/lead-lag.ts";
import { VenueClock } from "../../src/feed/venue-clock.ts";

const START_US = 1_700_000_000e6;

/** Messages every 10 ms on a venue whose clock is `offsetUs` behind, over a way of at least `wayUs`. */
function observe(clock: VenueClock, seconds: number, offsetUs: number, wayUs: number, ppm = 0): number {
  const rng = new Rng(3);
  let localUs = START_US;
  for (let i = 0; i < seconds * 100; i += 1) {
    const atUs = START_US + i * 10_000;
    localUs = atUs + wayUs + (rng.int(20) === 0 ? 0 : rng.int(30_000));
    clock.observe(atUs - offsetUs - (atUs - START_US) * ppm * 1e-6, localUs);
  }
  return localUs;
}

describe("a venue's clock", () => {
  test("is told by the fastest messages, whatever the others' delay", () => {
    const clock = new VenueClock();
    observe(clock, 30, 1_270_000, 2_000);
    expect(clock.delayUs).toBeGreaterThanOrEqual(1_272_000);
    expect(clock.delayUs).toBeLessThan(1_272_100);
    expect(clock.jitterUs).toBeGreaterThan(10_000);
    expect(clock.toLocalUs(START_US)).toBe(START_US + clock.delayUs);
  });

  test("may be ahead of ours", () => {
    const clock = new VenueClock();
    observe(clock, 10, -500_000, 2_000);
    expect(Math.abs(clock.delayUs + 498_000)).toBeLessThan(100);
  });

  test("drifts by so many parts per million", () => {
    const clock = new VenueClock();
    observe(clock, 60, 0, 2_000, 50);
    expect(Math.abs(clock.driftPpm - 50)).toBeLessThan(5);
  });

  test("is forgotten after a minute, and when this host's clock is stepped back", () => {
    const clock = new VenueClock();
    const endUs = observe(clock, 10, 0, 2_000);
    clock.observe(endUs + 61e6, endUs + 61e6 + 9_000);
    expect(clock.delayUs).toBe(9_000);
    clock.observe(START_US, START_US - 100e6);
    expect(clock.delayUs).toBe(-100e6);
  });

  test("a step of either clock is known within 15 s, and from then on is no drift", () => {
    fc.assert(
      fc.property(
        fc.record({
          stepUs: fc.oneof(
            fc.integer({ min: 300_000, max: 60_000_000 }),
            fc.integer({ min: -60_000_000, max: -300_000 }),
          ),
          isHosts: fc.boolean(),
          beforeMs: fc.integer({ min: 20_000, max: 70_000 }),
          seed: fc.nat(1_000),
        }),
        ({ stepUs, isHosts, beforeMs, seed }) => {
          const clock = new VenueClock();
          const rng = new Rng(seed);
          for (let ms = 0; ms < beforeMs + 90_000; ms += 50) {
            const isAfter = ms >= beforeMs;
            const [host, venue] = [isAfter && isHosts ? stepUs : 0, isAfter && !isHosts ? -stepUs : 0];
            const wayUs = 2_000 + (rng.int(10) === 0 ? 0 : rng.int(30_000));
            clock.observe(START_US + ms * 1_000 + venue, START_US + ms * 1_000 + host + wayUs);
            if (ms < 10_000 || (isAfter && ms < beforeMs + 15_100)) continue;
            expect(Math.abs(clock.delayUs - (isAfter ? stepUs : 0))).toBeLessThan(10_000);
            const { driftPpm } = clock;
            if (!Number.isNaN(driftPpm)) expect(Math.abs(driftPpm)).toBeLessThan(500);
          }
        },
      ),
      { seed: 3, numRuns: 15 },
    );
  });

  test("a while of slow messages is no step", () => {
    const clock = new VenueClock();
    for (let ms = 0; ms < 40_000; ms += 20) {
      const isSlow = ms >= 20_000 && ms < 29_000;
      clock.observe(START_US + ms * 1_000, START_US + ms * 1_000 + (isSlow ? 900_000 : 2_000));
    }
    expect(clock.delayUs).toBe(2_000);
  });

  test("messages without a time tell nothing", () => {
    const clock = new VenueClock();
    clock.observe(Number.NaN, START_US);
    expect(clock.delayUs).toBeNaN();
    expect(clock.jitterUs).toBeNaN();
    expect(clock.driftPpm).toBeNaN();
  });
});

describe("lead and lag", () => {
  function walk(lagUs: number): LeadLag {
    const rng = new Rng(9);
    const leadLag = new LeadLag();
    let ticks = 600_000;
    let atUs = START_US;
    for (let i = 0; i < 600; i += 1) {
      atUs += 20_000 + rng.int(60_000);
      ticks += rng.int(2) === 0 ? 1 : -1;
      leadLag.onMid(0, atUs, ticks);
      leadLag.onMid(1, atUs + lagUs + rng.int(3_000), ticks * 2 + rng.int(2));
    }
    return leadLag;
  }

  test.each([20_000, 60_000, 0])("a book that follows by %d µs does so", (lagUs) => {
    const found = walk(lagUs).estimate(0, 1);
    expect(Math.abs((found?.leadUs ?? Number.NaN) - lagUs)).toBeLessThanOrEqual(10_000);
    expect(found?.correlation).toBeGreaterThan(0.5);
  });

  test("seen from the other one it follows", () => {
    expect(walk(60_000).estimate(1, 0)?.leadUs).toBeLessThanOrEqual(-50_000);
  });

  test("with few changes nothing is told", () => {
    const leadLag = new LeadLag();
    for (let i = 0; i < 20; i += 1) {
      leadLag.onMid(0, START_US + i, 100 + i);
      leadLag.onMid(1, START_US + i, 100 + i);
    }
    expect(leadLag.estimate(0, 1)).toBeNull();
    expect(leadLag.estimate(0, 7)).toBeNull();
  });
});
