import { expect, test } from "bun:test";
import { black76, OptionValue } from "../../../src/option/black76.ts";
import { DOMAIN } from "../../../src/option/surface/domain.ts";
import { SLICE_SIZE, sliceDensity } from "../../../src/option/surface/slice.ts";
import { SURFACE_SOURCE } from "../../../src/option/surface/slices.ts";
import { skipUnlessShared } from "../../support/shared-data.ts";
import { CHAINS, chainNames, emptySurface, fittedSurface, pricedSurface, readChains } from "./chains.ts";

const TWO_DAYS = 2 / 365.25;
const GRID = 1_000;
const value = new OptionValue();

test.skipIf(skipUnlessShared(CHAINS))(
  "on 21 real chains the surface lies inside bid and ask for 99 % of the options, for 95 % of each underlying's, without arbitrage",
  () => {
    let quoted = 0;
    let inside = 0;
    let fitted = 0;
    let expiries = 0;
    const errors: number[] = [];
    const slice = new Float64Array(SLICE_SIZE);
    for (const chain of chainNames.flatMap(readChains)) {
      const { surface, slots } = fittedSurface(chain);
      let ofChain = 0;
      let insideChain = 0;
      chain.rows.forEach(({ bid, ask, mark, years, forward, strike, call }, i) => {
        if (!(bid > 0 && ask > bid && years >= TWO_DAYS)) return;
        ofChain += 1;
        black76(value, call, forward, strike, years, surface.volatility(slots[i], strike, forward));
        const price = value.price / forward;
        if (price >= bid && price <= ask) insideChain += 1;
        errors.push(Math.abs(price - mark));
      });
      expect(insideChain / ofChain).toBeGreaterThanOrEqual(0.95);
      quoted += ofChain;
      inside += insideChain;
      const times: number[] = [];
      for (let slot = 0; slot < surface.expiries; slot += 1) {
        expiries += 1;
        if (surface.source(slot) === SURFACE_SOURCE.svi) fitted += 1;
        if (!surface.copySlice(slot, slice)) continue;
        times.push(surface.fittedYears(slot));
        for (let i = 0; i <= GRID; i += 1) {
          const k = -DOMAIN + (2 * DOMAIN * i) / GRID;
          expect(sliceDensity(slice, 0, k)).toBeGreaterThan(0);
        }
      }
      times.sort((a, b) => a - b);
      for (let i = 0; i <= GRID; i += 1) {
        const k = -DOMAIN + (2 * DOMAIN * i) / GRID;
        let before = 0;
        for (const years of times) {
          const w = surface.totalVariance(years, k);
          expect(w).toBeGreaterThan(before);
          before = w;
        }
      }
    }
    expect(chainNames.length).toBe(21);
    expect(quoted).toBeGreaterThan(25_000);
    expect(inside / quoted).toBeGreaterThanOrEqual(0.99);
    expect(fitted / expiries).toBeGreaterThan(0.97);
    expect(errors.toSorted((a, b) => a - b)[errors.length >> 1]).toBeLessThan(7e-5);
  },
);

test.skipIf(skipUnlessShared(CHAINS))(
  "empty, crossed and stale rows do not move the surface of a real chain",
  () => {
    const [chain] = readChains(chainNames[10]);
    const { surface } = fittedSurface(chain);
    const { surface: dirty, slots } = emptySurface(chain);
    const { surface: reference } = fittedSurface(chain);
    chain.rows.forEach(({ bid, ask, expiryMs, strike, call, forward }, i) => {
      const slot = dirty.addExpiry(expiryMs);
      dirty.setQuote(slot, rowOf(i), bid, ask, chain.timeUs);
      dirty.setForward(slot, forward);
      const bad = dirty.addOption(slot, strike, call, true);
      if (bad < 0) return;
      const kind = i % 3;
      const staleUs = chain.timeUs - 120e6;
      if (kind === 0) dirty.setQuote(slot, bad, Number.NaN, Number.NaN, chain.timeUs);
      if (kind === 1) dirty.setQuote(slot, bad, 0.2, 0.1, chain.timeUs);
      if (kind === 2) dirty.setQuote(slot, bad, 0.3, 0.4, staleUs);
    });
    for (let slot = 0; slot < surface.expiries; slot += 1) {
      dirty.setForward(slot, reference.fittedForward(slot));
    }
    dirty.refit(chain.timeUs, chain.timeUs);
    chain.rows.forEach(({ strike, forward }, i) => {
      expect(dirty.volatility(slots[i], strike, forward)).toBe(surface.volatility(slots[i], strike, forward));
    });

    function rowOf(i: number): number {
      let row = 0;
      for (let j = 0; j < i; j += 1) if (slots[j] === slots[i]) row += 1;
      return row;
    }
  },
);

test.skipIf(skipUnlessShared(CHAINS))("a refit of a real chain needs a bounded number of units", () => {
  for (const chain of chainNames.slice(0, 4).flatMap(readChains)) {
    const { surface } = pricedSurface(chain, { refitMs: 1 });
    let units = 1;
    while (!surface.step(1, chain.timeUs, chain.timeUs)) units += 1;
    expect(units).toBeLessThan(1_500);
  }
});
