import { expect, test } from "bun:test";
import fc from "fast-check";
import { ServiceClock } from "../../src/failover/service-clock.ts";

/** A service whose clock is so far ahead, asked by requests that take as long as they take. */
function looked(rng: readonly number[], aheadMs: (look: number) => number) {
  const clock = new ServiceClock();
  let nowMs = 5_000;
  return rng.map((share, look) => {
    nowMs += 50;
    const sentMs = nowMs;
    const readMs = sentMs + share * 30;
    nowMs = readMs + (1 - share) * 20;
    return clock.look(1e12 + readMs + aheadMs(look), sentMs * 1e6, nowMs * 1e6);
  });
}

const shares = fc.array(fc.double({ min: 0, max: 1, noNaN: true }), { minLength: 5, maxLength: 60 });

test("a clock that nobody puts was never put, whatever the network takes", () => {
  fc.assert(
    fc.property(shares, (rng) => {
      const looks = looked(rng, () => 0);
      expect(looks.every(({ putMs }) => putMs === 0)).toBe(true);
      expect(looks[0].forwardMsMax).toBe(Number.POSITIVE_INFINITY);
      for (const { forwardMsMax } of looks.slice(1)) expect(forwardMsMax).toBeLessThan(52);
    }),
  );
});

test("a step beyond what requests take is certain, either way, and every sum of steps is possible then", () => {
  fc.assert(
    fc.property(shares, fc.constantFrom(-1, 1), fc.integer({ min: 60, max: 10_000_000 }), (rng, way, ms) => {
      const at = rng.length - 2;
      const looks = looked(rng, (look) => (look < at ? 0 : way * ms));
      const { putMs, forwardMsMax } = looks[at];
      expect(Math.sign(putMs)).toBe(way);
      expect(Math.abs(putMs)).toBeWithin(ms - 52, ms + 1);
      expect(forwardMsMax).toBe(Number.POSITIVE_INFINITY);
      expect(looks[at + 1].putMs).toBe(0);
    }),
  );
});

test("a step that requests may hide is possible, and not certain", () => {
  const clock = new ServiceClock();
  clock.look(1e12, 0, 1e6);
  const { putMs, forwardMsMax } = clock.look(1e12 + 40, 0, 41e6);
  expect(putMs).toBe(0);
  expect(forwardMsMax).toBeWithin(40, 42);
});

test("clocks that run apart slowly are none that is put", () => {
  const clock = new ServiceClock();
  for (let ms = 0; ms < 3_600_000; ms += 1_000) {
    const { putMs } = clock.look(1e12 + ms * 1.0004, ms * 1e6, (ms + 1) * 1e6);
    expect(putMs).toBe(0);
  }
});
