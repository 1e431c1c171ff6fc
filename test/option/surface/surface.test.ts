import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { Rng } from "../../../src/core/rng.ts";
import { black76, OptionValue, YEAR_US } from "../../../src/option/black76.ts";
import { DOMAIN } from "../../../src/option/surface/domain.ts";
import {
  DEFAULT_SURFACE_PARAMETERS,
  type SurfaceParameters,
} from "../../../src/option/surface/parameters.ts";
import { SLICE_SIZE, sliceDensity } from "../../../src/option/surface/slice.ts";
import { SURFACE_SOURCE } from "../../../src/option/surface/slices.ts";
import { VolatilitySurface } from "../../../src/option/surface/surface.ts";

const NOW_US = 1_700_000_000e6;
const FORWARD = 60_000;
const value = new OptionValue();

function makeSurface(changes: Partial<SurfaceParameters> = {}): VolatilitySurface {
  return new VolatilitySurface({
    expiries: 16,
    optionsPerExpiry: 256,
    parameters: { ...DEFAULT_SURFACE_PARAMETERS, ...changes },
  });
}

function expiryOf(years: number): number {
  return (NOW_US + years * YEAR_US) / 1_000;
}

interface Quoted {
  readonly slot: number;
  readonly row: number;
  readonly strike: number;
  readonly call: boolean;
  readonly years: number;
}

/** Adds out-of-the-money options at the given log-moneynesses, quoted in coin around a volatility. */
function quote(
  surface: VolatilitySurface,
  years: number,
  moneyness: readonly number[],
  volatility: (k: number) => number,
  halfSpreadVol = 0.005,
): Quoted[] {
  const slot = surface.addExpiry(expiryOf(years));
  surface.setForward(slot, FORWARD);
  return moneyness.map((k) => {
    const strike = FORWARD * Math.exp(k);
    const call = k >= 0;
    const row = surface.addOption(slot, strike, call, true);
    const quoted = { slot, row, strike, call, years };
    set(surface, quoted, volatility(k) - halfSpreadVol, volatility(k) + halfSpreadVol);
    return quoted;
  });
}

function coin({ call, strike, years }: Quoted, volatility: number, forward = FORWARD): number {
  black76(value, call, forward, strike, years, volatility);
  return value.price / forward;
}

function set(
  surface: VolatilitySurface,
  option: Quoted,
  bidVol: number,
  askVol: number,
  atUs = NOW_US,
): void {
  const bid = bidVol > 0 ? coin(option, bidVol) : 0;
  const ask = askVol > 0 ? coin(option, askVol) : 0;
  surface.setQuote(option.slot, option.row, bid, ask, atUs);
}

const STRIKES = Array.from({ length: 21 }, (_, i) => (i - 10) / 25);
const smile = (k: number): number => 0.5 - 0.1 * k + 0.4 * k * k;

/** Most by which a surface in force offends: density below zero, total variance falling with time. */
function offence(surface: VolatilitySurface): { density: number; calendar: number } {
  const slice = new Float64Array(SLICE_SIZE);
  const times: number[] = [];
  let density = 0;
  let calendar = 0;
  for (let slot = 0; slot < surface.expiries; slot += 1) {
    if (!surface.copySlice(slot, slice)) continue;
    times.push(surface.fittedYears(slot));
    for (let i = 0; i <= 2_500; i += 1) {
      const k = -DOMAIN + (2 * DOMAIN * i) / 2_500;
      density = Math.max(density, -sliceDensity(slice, 0, k));
    }
  }
  times.sort((a, b) => a - b);
  for (let i = 0; i <= 2_500; i += 1) {
    const k = -DOMAIN + (2 * DOMAIN * i) / 2_500;
    let before = 0;
    for (const years of times) {
      const w = surface.totalVariance(years, k);
      calendar = Math.max(calendar, before - w);
      before = w;
    }
  }
  return { density, calendar };
}

describe("a volatility surface", () => {
  test("passes through the bands of quotes, and reads the same volatility by slot and by date", () => {
    const surface = makeSurface();
    const options = quote(surface, 0.1, STRIKES, smile);
    surface.refit(NOW_US, NOW_US);
    expect(surface.source(0)).toBe(SURFACE_SOURCE.svi);
    for (const { strike } of options) {
      const iv = surface.volatility(0, strike, FORWARD);
      expect(Math.abs(iv - smile(Math.log(strike / FORWARD)))).toBeLessThan(0.005);
      expect(surface.iv(expiryOf(0.1), strike, FORWARD)).toBe(iv);
    }
  });

  test("has none before its first fit, outside its domain and without a forward", () => {
    const surface = makeSurface();
    quote(surface, 0.1, STRIKES, smile);
    expect(surface.volatility(0, FORWARD, FORWARD)).toBeNaN();
    surface.refit(NOW_US, NOW_US);
    expect(surface.volatility(0, FORWARD * 13, FORWARD)).toBeNaN();
    expect(surface.volatility(0, FORWARD, Number.NaN)).toBeNaN();
    expect(surface.iv(expiryOf(0.5), FORWARD, FORWARD)).toBeNaN();
  });

  test("is not moved by empty, crossed and stale rows", () => {
    const clean = makeSurface();
    const dirty = makeSurface();
    quote(clean, 0.1, STRIKES, smile);
    quote(dirty, 0.1, STRIKES, smile);
    const bad = quote(dirty, 0.1, [-0.1, 0.05, 0.12, 0.2], () => 0.9);
    set(dirty, bad[0], 0, 0);
    set(dirty, bad[1], 1.4, 0.9);
    set(dirty, bad[2], 0.9, 0.9);
    set(dirty, bad[3], 1.1, 1.2, NOW_US - 61e6);
    clean.refit(NOW_US, NOW_US);
    dirty.refit(NOW_US, NOW_US);
    for (const k of STRIKES) {
      const strike = FORWARD * Math.exp(k);
      expect(dirty.volatility(0, strike, FORWARD)).toBe(clean.volatility(0, strike, FORWARD));
    }
  });

  test("is hardly moved by one quote that is far off", () => {
    const surface = makeSurface();
    const options = quote(surface, 0.1, STRIKES, smile);
    set(surface, options[13], 0.9, 0.91);
    surface.refit(NOW_US, NOW_US);
    for (const { strike } of options) {
      const k = Math.log(strike / FORWARD);
      expect(Math.abs(surface.volatility(0, strike, FORWARD) - smile(k))).toBeLessThan(0.012);
    }
  });

  test("gives an expiry with few quotes their level and its neighbour's shape", () => {
    const surface = makeSurface();
    quote(surface, 0.1, STRIKES, smile);
    quote(surface, 0.3, [-0.05, 0.05], () => 0.6);
    surface.refit(NOW_US, NOW_US);
    expect(surface.source(1)).toBe(SURFACE_SOURCE.ssvi);
    expect(surface.volatility(1, FORWARD, FORWARD)).toBeCloseTo(0.6, 1);
    expect(surface.volatility(1, FORWARD * 0.7, FORWARD)).toBeGreaterThan(0.61);
  });

  test("interpolates an expiry without quotes linearly in total variance, and scales beyond the last", () => {
    const surface = makeSurface();
    quote(surface, 0.1, STRIKES, () => 0.5);
    quote(surface, 0.3, STRIKES, () => 0.6);
    const between = surface.addExpiry(expiryOf(0.2));
    const before = surface.addExpiry(expiryOf(0.05));
    const after = surface.addExpiry(expiryOf(0.6));
    for (const slot of [between, before, after]) surface.setForward(slot, FORWARD);
    surface.refit(NOW_US, NOW_US);
    expect(surface.source(between)).toBe(SURFACE_SOURCE.neighbours);
    const [near = 0, far = 0] = [0, 1].map((slot) => surface.volatility(slot, FORWARD, FORWARD));
    const middle = Math.sqrt((near ** 2 * 0.1 + far ** 2 * 0.3) / 2 / 0.2);
    expect(surface.volatility(between, FORWARD, FORWARD)).toBeCloseTo(middle, 9);
    expect(surface.volatility(before, FORWARD, FORWARD)).toBeCloseTo(near, 9);
    expect(surface.volatility(after, FORWARD, FORWARD)).toBeCloseTo(far, 9);
    expect(surface.totalVariance(0.2, 0)).toBeCloseTo(middle ** 2 * 0.2, 9);
  });

  test("has nothing where no expiry has quotes", () => {
    const surface = makeSurface();
    surface.setForward(surface.addExpiry(expiryOf(0.1)), FORWARD);
    surface.refit(NOW_US, NOW_US);
    expect(surface.source(0)).toBe(SURFACE_SOURCE.none);
    expect(surface.volatility(0, FORWARD, FORWARD)).toBeNaN();
    expect(surface.totalVariance(0.1, 0)).toBeNaN();
  });

  test("takes the forward from put-call parity when it is given none", () => {
    const surface = makeSurface();
    const options = quote(surface, 0.1, STRIKES, smile);
    surface.setForward(0, Number.NaN);
    const strike = FORWARD;
    for (const call of [true, false]) {
      const row = surface.addOption(0, strike, call, true);
      const premium = coin({ slot: 0, row, strike, call, years: 0.1 }, 0.5);
      surface.setQuote(0, row, premium - 1e-5, premium + 1e-5, NOW_US);
    }
    surface.refit(NOW_US, NOW_US);
    expect(surface.fittedForward(0)).toBeCloseTo(FORWARD, 3);
    expect(surface.volatility(0, options[3].strike, FORWARD)).toBeGreaterThan(0.5);
  });

  test("sticks to strikes or to moneyness between refits, as configured", () => {
    const moved = FORWARD * 1.02;
    const atStrike = (stickiness: number): number[] => {
      const surface = makeSurface({ stickiness });
      quote(surface, 0.1, STRIKES, smile);
      surface.refit(NOW_US, NOW_US);
      return [surface.volatility(0, FORWARD, FORWARD), surface.volatility(0, FORWARD, moved)].concat(
        surface.volatility(0, moved, moved),
      );
    };
    const [, strikeAfter, strikeRoot] = atStrike(0);
    expect(strikeAfter).toBe(atStrike(0)[0]);
    expect(strikeRoot).not.toBe(strikeAfter);
    const [deltaBefore, deltaAfter, deltaMoney] = atStrike(1);
    expect(deltaMoney).toBeCloseTo(deltaBefore, 12);
    expect(deltaAfter).not.toBe(deltaBefore);
  });

  test("a refit in small steps is the same, bit for bit, as one at once, and comes into force all at once", () => {
    const whole = makeSurface();
    const stepped = makeSurface({ refitMs: 1 });
    for (const surface of [whole, stepped]) {
      quote(surface, 0.1, STRIKES, smile);
      quote(surface, 0.25, STRIKES, (k) => smile(k) + 0.02);
    }
    whole.refit(NOW_US, NOW_US);
    let steps = 0;
    while (!stepped.step(3, NOW_US, NOW_US)) {
      steps += 1;
      expect(stepped.volatility(0, FORWARD, FORWARD)).toBeNaN();
      expect(steps).toBeLessThan(1_000);
    }
    expect(steps).toBeGreaterThan(5);
    const [a, b] = [new Float64Array(SLICE_SIZE), new Float64Array(SLICE_SIZE)];
    for (const slot of [0, 1]) {
      whole.copySlice(slot, a);
      stepped.copySlice(slot, b);
      expect(b).toEqual(a);
    }
  });

  test("does nothing until something has changed and its time has come", () => {
    const surface = makeSurface({ refitMs: 100 });
    const options = quote(surface, 0.1, STRIKES, smile);
    expect(surface.step(1e6, NOW_US, NOW_US)).toBe(true);
    expect(surface.step(1e6, NOW_US, NOW_US + 200_000)).toBe(false);
    set(surface, options[0], 0.6, 0.7, NOW_US + 200_000);
    expect(surface.step(1e6, NOW_US, NOW_US + 50_000)).toBe(false);
    expect(surface.step(1e6, NOW_US, NOW_US + 200_000)).toBe(true);
    expect(surface.version).toBe(2);
  });

  test("an expiry that comes in the middle of a pass makes it begin anew", () => {
    const surface = makeSurface({ refitMs: 1 });
    quote(surface, 0.2, STRIKES, smile);
    expect(surface.step(4, NOW_US, NOW_US)).toBe(false);
    quote(surface, 0.1, STRIKES, smile);
    expect(surface.step(1e6, NOW_US, NOW_US + 2_000)).toBe(true);
    expect([surface.source(0), surface.source(1)]).toEqual([SURFACE_SOURCE.svi, SURFACE_SOURCE.svi]);
  });
});

/** Surfaces of which two slices, or a density and zero, nearly touch between the points of any even grid. */
const NEARLY_TOUCHING: [seed: number, expiries: number, noise: number][] = [
  [509_090_963, 7, 0.23187091996706022],
  [714_068_405, 3, 0.4666155394172916],
  [977_472_196, 6, 0],
  [925_786_299, 7, 0.46891261436284953],
  [129_110_642, 7, 0.35709179699187027],
  [117_421_631, 8, 0.07191674002660581],
];

test("whatever the quotes say, the surface is free of butterfly and calendar arbitrage", () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 1e9 }),
      fc.integer({ min: 1, max: 8 }),
      fc.double({ min: 0, max: 0.5, noNaN: true }),
      (seed, expiries, noise) => {
        const rng = new Rng(seed);
        const surface = makeSurface();
        let years = 0.002 + 0.02 * rng.next();
        for (let expiry = 0; expiry < expiries; expiry += 1) {
          const count = 1 + rng.int(30);
          const reach = 0.05 + 3 * Math.sqrt(years) * rng.next();
          const at = Array.from({ length: count }, () => reach * (2 * rng.next() - 1));
          const level = 0.2 + 1.2 * rng.next();
          const skew = rng.next() - 0.5;
          const curvature = 4 * rng.next() - 0.5;
          const volatility = (k: number): number => {
            const clean = level + (skew * k + (curvature * k * k) / reach) / reach;
            return Math.max(0.05, clean * (1 + noise * (rng.next() - 0.5)));
          };
          quote(surface, years, at, volatility, 0.001 + 0.04 * rng.next());
          years *= 1.05 + 2 * rng.next();
        }
        surface.refit(NOW_US, NOW_US);
        surface.refit(NOW_US, NOW_US);
        expect(offence(surface)).toEqual({ density: 0, calendar: 0 });
      },
    ),
    { seed: 8, numRuns: 300, examples: NEARLY_TOUCHING },
  );
});

const numbers = fc.oneof(
  fc.double({ min: -1, max: 2 }),
  fc.constantFrom(Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, 0, 1e-300, 1e300),
);

test("no prices and no forward make it throw, loop or answer with a volatility that is none", () => {
  fc.assert(
    fc.property(
      fc.array(fc.tuple(numbers, numbers, fc.boolean()), { minLength: 1, maxLength: 40 }),
      fc.array(numbers, { minLength: 1, maxLength: 4 }),
      (quotes, forwards) => {
        const surface = makeSurface({ refitMs: 1 });
        forwards.forEach((forward, i) => {
          const slot = surface.addExpiry(expiryOf(0.01 + 0.1 * i));
          surface.setForward(slot, forward > 0.5 ? FORWARD : forward);
          quotes.forEach(([bid, ask, call], at) => {
            const row = surface.addOption(slot, FORWARD * (0.5 + at / quotes.length), call, true);
            surface.setQuote(slot, row, bid / 10, ask / 10, NOW_US);
          });
        });
        let steps = 0;
        while (!surface.step(8, NOW_US, NOW_US)) {
          steps += 1;
          expect(steps).toBeLessThan(2_000);
        }
        for (let slot = 0; slot < surface.expiries; slot += 1) {
          const volatility = surface.volatility(slot, FORWARD, FORWARD);
          const none = surface.source(slot) === SURFACE_SOURCE.none;
          if (!none && surface.fittedForward(slot) === FORWARD) {
            expect(volatility).toBeGreaterThan(0);
            expect(volatility).toBeLessThan(Infinity);
          }
          if (none) expect(volatility).toBeNaN();
        }
        expect(offence(surface)).toEqual({ density: 0, calendar: 0 });
      },
    ),
    { seed: 9, numRuns: 60 },
  );
});
