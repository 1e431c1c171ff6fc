import { expect, test } from "bun:test";
import { REASON } from "../../src/quote/quote-batch.ts";
import { SIDES } from "../../src/quote/target.ts";
import { TERM, type TermName } from "../../src/quote/term.ts";
import { FORWARD, Scenario } from "./harness.ts";

/** Only the Greek asked for has a limit that a position can reach. */
const WIDE = { deltaNotional: 1e12, gammaNotional: 1e12, vegaPoint: 1e12, positionNotional: 1e12 };

function term(scenario: Scenario, name: TermName): number {
  return scenario.batch.terms[TERM[name]];
}

test("a long vega lowers both sides of every option of the underlying, in proportion to its vega", () => {
  const scenario = new Scenario({ ...WIDE, vegaPoint: 10_000, greekRoomShare: 1, minQuoteLifeMs: 0 }).ready();
  const near = scenario.option();
  const far = scenario.option({ strike: 90_000 });
  scenario.requote();
  const before = scenario.stands(near);
  scenario.quoter.onPosition(near.id, 2_000);
  scenario.requote();
  const after = scenario.stands(near);
  expect(after.bid).toBeLessThan(before.bid);
  expect(after.ask).toBeLessThan(before.ask);
  const { inventory, values } = scenario.quoter;
  const share = inventory.netVega / 10_000;
  expect(inventory.netVega).toBeCloseTo(0.01 * 200 * values.vega[near.id], 6);
  const vegaSkew = (id: number): number => (-0.5 * 0.01 * values.vega[id] * share) / values.forward[id];
  expect(term(scenario, "skewVega")).toBeCloseTo(vegaSkew(near.id), 8);
  expect(Math.abs(vegaSkew(far.id))).toBeLessThan(Math.abs(vegaSkew(near.id)) / 2);
  expect(scenario.reasons(far) & REASON.inventory).toBe(REASON.inventory);
});

test("a short gamma raises both sides by half gamma times the square of the move", () => {
  const gammaNotional = 1e6;
  const scenario = new Scenario({
    ...WIDE,
    gammaNotional,
    gammaSkewMove: 0.05,
    greekRoomShare: 1,
    minQuoteLifeMs: 0,
  }).ready();
  const option = scenario.option();
  scenario.requote();
  scenario.quoter.onPosition(option.id, -1_000);
  scenario.requote();
  const { inventory, values } = scenario.quoter;
  const forward = values.forward[option.id];
  const gamma = values.gamma[option.id];
  expect(inventory.netGamma).toBeCloseTo(-100 * gamma * 0.01 * forward * forward, 3);
  const wanted = ((0.5 * gamma * (0.05 * forward) ** 2) / forward) * (-inventory.netGamma / gammaNotional);
  expect(term(scenario, "skewGamma")).toBeCloseTo(wanted, 8);
  expect(wanted).toBeGreaterThan(0);
});

test("a side takes no more than its share of the room left to a full vega, and none when it is full", () => {
  const scenario = new Scenario({ ...WIDE, vegaPoint: 1_000, sizeTolerance: 0, vegaSkewVol: 0 }).ready();
  const option = scenario.option();
  scenario.requote();
  const perLot = 0.001 * scenario.quoter.values.vega[option.id];
  scenario.quoter.onPosition(option.id, Math.floor(500 / perLot));
  scenario.later(1_000).move(FORWARD);
  scenario.requote();
  const left = 1_000 - scenario.quoter.inventory.netVega;
  expect(scenario.stands(option).bidLots).toBe(Math.floor((0.5 * left) / perLot + 1e-9));
  expect(term(scenario, "roomBid")).toBeLessThan(1);
  expect(scenario.stands(option).askLots * perLot).toBeLessThanOrEqual(
    0.5 * (1_000 + scenario.quoter.inventory.netVega),
  );
  scenario.quoter.onPosition(option.id, Math.ceil(1_000 / perLot));
  scenario.requote();
  expect(scenario.stands(option)).toMatchObject({ bid: -1, bidLots: 0 });
  expect(scenario.stands(option).askLots).toBeGreaterThan(0);
});

test("one-sided: the other side is pulled and comes back when it is asked for again", () => {
  const scenario = new Scenario().ready();
  const option = scenario.option();
  scenario.requote();
  const before = scenario.stands(option);
  scenario.quoter.setSides(option.id, SIDES.bid);
  scenario.requote();
  expect(scenario.stands(option)).toMatchObject({ bid: before.bid, ask: -1, askLots: 0 });
  expect(scenario.reasons(option) & REASON.sides).toBe(REASON.sides);
  scenario.quoter.setSides(option.id, SIDES.both);
  scenario.later(1_000).requote();
  expect(scenario.stands(option)).toEqual(before);
});

test("reduce-only: no more than the position, on the side that reduces it, and nothing without one", () => {
  const scenario = new Scenario({ levels: 2 }).ready();
  const option = scenario.option();
  const flat = scenario.option({ strike: 62_000 });
  scenario.requote();
  scenario.quoter.setReducing(true);
  scenario.quoter.onPosition(option.id, 30);
  scenario.requote();
  const second = scenario.quoter.standing(option.id, 1);
  expect(scenario.stands(option)).toMatchObject({ bid: -1, bidLots: 0, askLots: 30 });
  expect([second.bidLots, second.askLots]).toEqual([0, 0]);
  expect(scenario.stands(flat)).toEqual({ bid: -1, bidLots: 0, ask: -1, askLots: 0 });
  scenario.quoter.setReducing(false);
  scenario.later(1_000).requote();
  expect(scenario.stands(flat).bidLots).toBeGreaterThan(0);
});

test("the parameter names the sides that are quoted from the start", () => {
  const scenario = new Scenario({ sides: SIDES.ask }).ready();
  const option = scenario.option();
  scenario.requote();
  expect(scenario.stands(option).bidLots).toBe(0);
  expect(scenario.stands(option).askLots).toBeGreaterThan(0);
});
