import { expect, test } from "bun:test";
import fc from "fast-check";
import type { Instrument } from "../../src/market/instrument.ts";
import { gridMultiple } from "../../src/quote/grid.ts";
import { DEFAULT_QUOTE_PARAMETERS } from "../../src/quote/parameters.ts";
import { REASON } from "../../src/quote/quote-batch.ts";
import { DAY_MS, FORWARD, Scenario, START_US } from "./harness.ts";

const PARAMETERS = DEFAULT_QUOTE_PARAMETERS;
const LIFE_US = PARAMETERS.minQuoteLifeMs * 1_000;

const probability = fc.oneof(fc.constant(0), fc.constant(0.1), fc.double({ min: 0, max: 1, noNaN: true }));
const step = fc.record({
  afterMs: fc.oneof(fc.nat({ max: 20 }), fc.nat({ max: 600 })),
  moveBp: fc.oneof(
    fc.double({ min: -1, max: 1, noNaN: true }),
    fc.double({ min: -60, max: 60, noNaN: true }),
  ),
  probabilities: fc.option(fc.array(probability, { minLength: 7, maxLength: 7 }), { nil: null, freq: 8 }),
  event: fc.constantFrom("none", "none", "none", "timer", "ticker", "position", "fill", "down", "up", "book"),
  which: fc.nat({ max: 3 }),
  amount: fc.integer({ min: -200, max: 200 }),
});
type Step = typeof step extends fc.Arbitrary<infer T> ? T : never;

/** What stood on a side, and since when its price and its size have. */
interface Side {
  ticks: number;
  lots: number;
  priceUs: number;
  sizeUs: number;
}

class Watched {
  readonly instrument: Instrument;
  readonly bid: Side = {
    ticks: -1,
    lots: 0,
    priceUs: Number.NEGATIVE_INFINITY,
    sizeUs: Number.NEGATIVE_INFINITY,
  };
  readonly ask: Side = { ...this.bid };
  bestBid = -1;
  bestAsk = -1;
  live = true;

  constructor(instrument: Instrument) {
    this.instrument = instrument;
  }
}

function apply(scenario: Scenario, watched: Watched, { event, amount }: Step, price: number): void {
  const { quoter } = scenario;
  const id = watched.instrument.id;
  switch (event) {
    case "ticker":
      scenario.ticker(watched.instrument, 0.5 + amount / 1_000, price);
      break;
    case "position":
      quoter.onPosition(id, amount);
      break;
    case "down":
    case "up":
      watched.live = event === "up";
      watched.bestBid = -1;
      watched.bestAsk = -1;
      quoter.onFeedState(id, watched.live, REASON.bookUnsound);
      break;
    case "book": {
      const fair = Math.round((quoter.values.fair[id] ?? 0) / 1e-4);
      if (!(fair > 30) || !watched.live) break;
      watched.bestBid = 5 * Math.floor((fair + Math.trunc(amount / 10)) / 5);
      watched.bestAsk = watched.bestBid + 5;
      quoter.onBook(id, watched.bestBid, 1, watched.bestAsk, 1, scenario.timeUs);
      break;
    }
    case "fill": {
      const side = amount >= 0 ? watched.bid : watched.ask;
      if (side.lots < 2) break;
      quoter.onFill(id, amount >= 0 ? 0 : 1, 1, scenario.timeUs);
      side.lots -= 1;
      side.sizeUs = scenario.timeUs;
      break;
    }
    default:
      break;
  }
}

function checkSide(side: Side, inward: number, ticks: number, lots: number, timeUs: number): void {
  if (ticks < 0) {
    if (side.ticks >= 0) side.priceUs = side.sizeUs = timeUs;
    side.ticks = -1;
    side.lots = 0;
    return;
  }
  const appears = side.ticks < 0;
  const closer = appears || inward * (ticks - side.ticks) > 0;
  if (closer && ticks !== side.ticks) expect(timeUs - side.priceUs).toBeGreaterThanOrEqual(LIFE_US);
  if (appears || lots > side.lots) expect(timeUs - side.sizeUs).toBeGreaterThanOrEqual(LIFE_US);
  if (ticks !== side.ticks) side.priceUs = timeUs;
  if (lots !== side.lots) side.sizeUs = timeUs;
  side.ticks = ticks;
  side.lots = lots;
}

function check(scenario: Scenario, watched: Watched): void {
  const { instrument, bestBid, bestAsk } = watched;
  const { bid, bidLots, ask, askLots } = scenario.stands(instrument);
  checkSide(watched.bid, 1, bid, bidLots, scenario.timeUs);
  checkSide(watched.ask, -1, ask, askLots, scenario.timeUs);
  if (!watched.live) expect([bid, ask]).toEqual([-1, -1]);
  if (bid >= 0 && ask >= 0) expect(bid).toBeLessThan(ask);
  const fair = (scenario.quoter.values.fair[instrument.id] ?? 0) / 1e-4;
  const delta = Math.abs(scenario.quoter.values.delta[instrument.id] ?? 0);
  const skew = (delta * (PARAMETERS.inventorySkewBp + PARAMETERS.positionSkewBp) * 1e-4) / 1e-4;
  for (const [ticks, lots] of [
    [bid, bidLots],
    [ask, askLots],
  ]) {
    if (ticks < 0) {
      expect(lots).toBe(0);
      continue;
    }
    expect(ticks % gridMultiple(instrument, ticks)).toBe(0);
    expect(Number.isInteger(lots) && lots >= instrument.minSizeLots).toBe(true);
  }
  if (bid >= 0) expect(bid).toBeLessThan(fair + skew);
  if (ask >= 0) expect(ask).toBeGreaterThan(fair - skew);
  if (bid >= 0 && bestAsk >= 0) expect(bid).toBeLessThan(bestAsk);
  if (ask >= 0 && bestBid >= 0) expect(ask).toBeGreaterThan(bestBid);
}

test("whatever happens: quotes stay uncrossed, on the grid, on their side of fair and market, and live their minimum life", () => {
  fc.assert(
    fc.property(fc.array(step, { minLength: 1, maxLength: 60 }), (steps) => {
      const scenario = new Scenario().ready();
      const all = [56_000, 60_000, 63_000, 90_000].map(
        (strike, at) =>
          new Watched(
            scenario.option({
              strike,
              optionType: at % 2 === 0 ? "call" : "put",
              expiryMs: START_US / 1_000 + (1 + 3 * at) * DAY_MS,
            }),
          ),
      );
      let price = FORWARD;
      scenario.requote();
      for (const watched of all) check(scenario, watched);
      for (const one of steps) {
        scenario.later(one.afterMs);
        price *= 1 + one.moveBp * 1e-4;
        scenario.move(price, one.probabilities);
        apply(scenario, all[one.which] ?? all[0], one, price);
        if (one.event === "timer") scenario.timer();
        else scenario.requote();
        for (const watched of all) check(scenario, watched);
      }
    }),
    { seed: 7, numRuns: 150 },
  );
});

test("a worse prediction never leaves a closer or larger quote", () => {
  const vector = fc.array(fc.double({ min: 0, max: 1, noNaN: true }), { minLength: 7, maxLength: 7 });
  fc.assert(
    fc.property(vector, fc.nat({ max: 6 }), fc.double({ min: 0, max: 1, noNaN: true }), (low, at, raised) => {
      const [before, after] = [low, low.with(at, Math.max(low[at], raised))].map((probabilities) => {
        const scenario = new Scenario().ready();
        const option = scenario.option();
        scenario.move(FORWARD, probabilities);
        scenario.requote();
        return scenario.stands(option);
      });
      expect(after.bid).toBeLessThanOrEqual(before.bid);
      expect(after.ask).toBeGreaterThanOrEqual(before.ask);
      expect(after.bidLots).toBeLessThanOrEqual(before.bidLots);
      expect(after.askLots).toBeLessThanOrEqual(before.askLots);
    }),
    { seed: 8, numRuns: 200 },
  );
});
