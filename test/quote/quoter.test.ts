import { expect, test } from "bun:test";
import { black76, OptionValue, YEAR_US } from "../../src/option/black76.ts";
import { DEFAULT_QUOTE_PARAMETERS } from "../../src/quote/parameters.ts";
import { QuoteBatch, REASON } from "../../src/quote/quote-batch.ts";
import { DAY_MS, EXCHANGE_AHEAD_US, FORWARD, NOT_QUOTED, Scenario, START_US } from "./harness.ts";

const PARAMETERS = DEFAULT_QUOTE_PARAMETERS;
const FALL = [0.7, 0, 0, 0, 0.6, 0, 0];
const TICK = 1e-4;

test("nothing is sent without a session", () => {
  const scenario = new Scenario();
  scenario.option();
  scenario.quoter.onFeedState(scenario.perpetual.id, true, 0);
  scenario.move(FORWARD);
  expect(scenario.requote()).toEqual([]);
});

test("an option is quoted around Black-76 on the exchange's clock, rounded away from the market", () => {
  const scenario = new Scenario().ready();
  const option = scenario.option({ strike: 62_000 });
  expect(scenario.requote()).toEqual([option.id]);
  const value = new OptionValue();
  const years = (option.expiryMs * 1_000 - START_US - EXCHANGE_AHEAD_US) / YEAR_US;
  black76(value, true, FORWARD, 62_000, years, 0.5);
  const fair = value.price / FORWARD;
  const half =
    value.delta * PARAMETERS.optionHalfSpreadBp * 1e-4 +
    (0.01 * PARAMETERS.optionHalfSpreadVol * value.vega) / FORWARD;
  const { bid, ask } = scenario.stands(option);
  expect(bid).toBe(5 * Math.floor((fair - half) / TICK / 5));
  expect(ask).toBe(5 * Math.ceil((fair + half) / TICK / 5));
  expect(scenario.batch.fair[0]).toBeCloseTo(fair, 12);
  expect(scenario.batch.delta[0]).toBeCloseTo(value.delta, 9);
  expect(scenario.batch.reasons[0]).toBe(REASON.base);
});

test("between tickers the forward follows the reference market", () => {
  const scenario = new Scenario().ready();
  const option = scenario.option();
  scenario.ticker(option, 0.5, 61_000);
  scenario.requote();
  scenario.later(300).move(FORWARD * 1.01);
  scenario.requote();
  const value = new OptionValue();
  const years = (option.expiryMs * 1_000 - scenario.timeUs - EXCHANGE_AHEAD_US) / YEAR_US;
  black76(value, true, 61_000 * 1.01, option.strike, years, 0.5);
  expect(scenario.quoter.values.fair[option.id]).toBeCloseTo(value.price / (61_000 * 1.01), 9);
});

test("small moves are followed by delta and gamma to within a hundred-millionth of the forward", () => {
  const scenario = new Scenario().ready();
  const option = scenario.option({ expiryMs: START_US / 1_000 + DAY_MS });
  scenario.requote();
  const value = new OptionValue();
  for (const bp of [1, -2, 4.9, -4.9, 3]) {
    const price = FORWARD * (1 + bp * 1e-4);
    scenario.later(5).move(price);
    scenario.requote();
    const years = (option.expiryMs * 1_000 - scenario.timeUs - EXCHANGE_AHEAD_US) / YEAR_US;
    black76(value, true, price, option.strike, years, 0.5);
    const fair = scenario.quoter.values.fair[option.id] ?? Number.NaN;
    expect(Math.abs(fair - value.price / price)).toBeLessThan(1e-7);
  }
});

test("the mission's scenario widens every affected option by 15 bp and cuts its size by 30 %, in the same turn", () => {
  const scenario = new Scenario().ready();
  const options = [54_000, 58_000, 60_000, 62_000].flatMap((strike) => [
    scenario.option({ strike }),
    scenario.option({ strike, optionType: "put" }),
  ]);
  scenario.requote();
  const calm = options.map((option) => scenario.stands(option));
  scenario.later(20).move(FORWARD, FALL);
  expect(scenario.requote().length).toBe(options.length);
  for (const [at, option] of options.entries()) {
    const { bid, ask, bidLots, askLots } = scenario.stands(option);
    const before = calm[at] ?? NOT_QUOTED;
    const delta = Math.abs(scenario.quoter.values.delta[option.id] ?? 0);
    const wider = (15e-4 * delta) / TICK;
    expect(Math.abs(before.bid - bid - wider)).toBeLessThan(5);
    expect(Math.abs(ask - before.ask - wider)).toBeLessThan(5);
    expect(bidLots).toBe(Math.floor(0.7 * before.bidLots));
    expect(askLots).toBe(Math.floor(0.7 * before.askLots));
    expect(scenario.reasons(option)).toBe(REASON.base | REASON.modelMove | REASON.modelWithdraw);
  }
  expect([...scenario.batch.widenBp.subarray(0, options.length)]).toEqual(options.map(() => 15));
  expect([...scenario.batch.sizeFactor.subarray(0, options.length)]).toEqual(options.map(() => 0.7));
  expect(scenario.quoter.counters.widened).toBe(options.length);
});

test("what was widened tightens only after its minimum life, by the timer alone", () => {
  const scenario = new Scenario({ calmMs: 0 }).ready();
  const option = scenario.option();
  scenario.requote();
  const calm = scenario.stands(option);
  scenario.later(300).move(FORWARD, FALL);
  scenario.requote();
  const wide = scenario.stands(option);
  scenario.later(10).move(FORWARD);
  expect(scenario.requote()).toEqual([]);
  expect(scenario.reasons(option) & REASON.held).toBe(REASON.held);
  scenario.later(PARAMETERS.minQuoteLifeMs - 15);
  scenario.move(FORWARD);
  expect(scenario.timer()).toEqual([]);
  expect(scenario.stands(option)).toEqual(wide);
  scenario.later(10);
  expect(scenario.timer()).toEqual([option.id]);
  expect(scenario.stands(option)).toEqual(calm);
});

test("quotes do not follow a model that wavers: they stay wide until no prediction has widened for the calm", () => {
  const scenario = new Scenario({ minQuoteLifeMs: 0 }).ready();
  const option = scenario.option();
  scenario.requote();
  const calm = scenario.stands(option);
  scenario.move(FORWARD, FALL);
  expect(scenario.requote()).toEqual([option.id]);
  const wide = scenario.stands(option);
  for (let waver = 0; waver < 20; waver += 1) {
    scenario.later(PARAMETERS.calmMs / 2).move(FORWARD, waver % 2 === 0 ? undefined : FALL);
    expect(scenario.requote()).toEqual([]);
    expect(scenario.stands(option)).toEqual(wide);
  }
  expect(scenario.quoter.counters.flickers).toBe(0);
  scenario.later(PARAMETERS.calmMs - 10).move(FORWARD);
  expect(scenario.requote()).toEqual([]);
  scenario.later(10).move(FORWARD);
  expect(scenario.requote()).toEqual([option.id]);
  expect(scenario.stands(option)).toEqual(calm);
});

test("while a widening is held, a worse prediction widens further at once", () => {
  const scenario = new Scenario().ready();
  const option = scenario.option();
  scenario.move(FORWARD, [0.45, 0, 0, 0, 0, 0, 0]);
  scenario.requote();
  const wide = scenario.stands(option);
  scenario.later(20).move(FORWARD);
  expect(scenario.requote()).toEqual([]);
  scenario.later(20).move(FORWARD, [0.95, 0, 0, 0, 0.6, 0, 0]);
  expect(scenario.requote()).toEqual([option.id]);
  expect(scenario.stands(option).bid).toBeLessThan(wide.bid);
  expect(scenario.stands(option).bidLots).toBeLessThan(wide.bidLots);
});

test("an improvement below the hysteresis is not sent", () => {
  const scenario = new Scenario().ready();
  const perpetual = scenario.perpetual;
  scenario.quoter.add(perpetual, 0);
  scenario.quoter.onBook(perpetual.id, 119_990, 100, 120_010, 100, scenario.timeUs);
  scenario.requote();
  const { bid, ask } = scenario.stands(perpetual);
  scenario.later(1_000).move(FORWARD);
  scenario.quoter.onBook(perpetual.id, 119_991, 100, 120_011, 100, scenario.timeUs);
  expect(scenario.requote()).toEqual([]);
  expect(scenario.stands(perpetual)).toMatchObject({ bid, ask });
});

test("a perpetual is quoted around its own microprice", () => {
  const scenario = new Scenario().ready();
  const perpetual = scenario.perpetual;
  scenario.quoter.add(perpetual, 0);
  scenario.quoter.onBook(perpetual.id, 119_990, 300, 120_010, 100, scenario.timeUs);
  scenario.requote();
  const micro = (119_990 * 100 + 120_010 * 300) / 400;
  const half = micro * PARAMETERS.deltaOneHalfSpreadBp * 1e-4;
  expect(scenario.stands(perpetual)).toEqual({
    bid: Math.floor(micro - half),
    bidLots: PARAMETERS.deltaOneNotional / 10,
    ask: Math.ceil(micro + half),
    askLots: PARAMETERS.deltaOneNotional / 10,
  });
});

test("an unsound feed pulls its instrument at once", () => {
  const scenario = new Scenario().ready();
  const broken = scenario.option();
  const sound = scenario.option({ strike: 61_000 });
  scenario.requote();
  scenario.quoter.onFeedState(broken.id, false, REASON.bookUnsound);
  expect(scenario.requote()).toEqual([broken.id]);
  expect(scenario.stands(broken)).toEqual(NOT_QUOTED);
  expect(scenario.reasons(broken)).toBe(REASON.pulled | REASON.bookUnsound);
  expect(scenario.stands(sound).bid).toBeGreaterThan(0);
});

test("an unsound reference pulls every option of its underlying at once", () => {
  const scenario = new Scenario().ready();
  const options = [scenario.option(), scenario.option({ strike: 61_000 })];
  scenario.requote();
  scenario.quoter.onFeedState(scenario.perpetual.id, false, REASON.stale);
  expect(scenario.requote().length).toBe(2);
  for (const option of options) {
    expect(scenario.stands(option)).toEqual(NOT_QUOTED);
    expect(scenario.reasons(option) & (REASON.pulled | REASON.stale)).toBe(REASON.pulled | REASON.stale);
  }
});

test("a reference that has fallen silent pulls by the timer", () => {
  const scenario = new Scenario().ready();
  const option = scenario.option();
  scenario.requote();
  scenario.later(PARAMETERS.underlyingMaxAgeMs + 1).timer();
  expect(scenario.stands(option)).toEqual(NOT_QUOTED);
  expect(scenario.reasons(option)).toBe(REASON.pulled | REASON.stale);
});

test("a ticker that is too old pulls its option", () => {
  const scenario = new Scenario({ tickerMaxAgeMs: 1_000 }).ready();
  const option = scenario.option();
  scenario.requote();
  scenario.later(1_001).move(FORWARD);
  scenario.timer();
  expect(scenario.stands(option)).toEqual(NOT_QUOTED);
});

test("without a reference market options rest on their tickers alone", () => {
  const scenario = new Scenario();
  scenario.quoter.onSessionUp();
  const option = scenario.option();
  const alone = scenario.alone({ ...option, symbol: "ALONE" });
  expect(scenario.requote()).toEqual([]);
  const out = new QuoteBatch(4);
  expect(scenario.quoter.requote(1, scenario.timeUs, out)).toBe(1);
  expect(out.instrument[0]).toBe(alone.id);
  expect(out.reasons[0]).toBe(REASON.base | REASON.defensive | REASON.modelMissing);
});

test("a model that is missing gives the static defensive spread and says so", () => {
  const scenario = new Scenario().ready();
  const option = scenario.option();
  scenario.requote();
  const calm = scenario.stands(option);
  scenario.quoter.onModelStatus(0, REASON.engineLost);
  expect(scenario.requote()).toEqual([option.id]);
  expect(scenario.stands(option).bid).toBeLessThan(calm.bid);
  expect(scenario.stands(option).bidLots).toBe(Math.floor(calm.bidLots * PARAMETERS.defensiveSizeFactor));
  expect(scenario.reasons(option)).toBe(REASON.base | REASON.defensive | REASON.engineLost);
  expect(scenario.batch.widenBp[0]).toBe(PARAMETERS.defensiveWidenBp);
});

test("a model that leaves events unanswered is late", () => {
  const scenario = new Scenario().ready();
  const option = scenario.option();
  scenario.requote();
  scenario.later(10).move(FORWARD, null);
  scenario.later(PARAMETERS.modelMaxAgeMs - 1).timer();
  expect(scenario.reasons(option) & REASON.modelLate).toBe(0);
  scenario.later(2).timer();
  expect(scenario.reasons(option) & (REASON.defensive | REASON.modelLate)).toBe(
    REASON.defensive | REASON.modelLate,
  );
  scenario.move(FORWARD);
  scenario.timer();
  expect(scenario.reasons(option) & REASON.modelLate).toBe(0);
});

test("a quiet market makes no model late", () => {
  const scenario = new Scenario().ready();
  const option = scenario.option();
  scenario.requote();
  scenario.later(4_000).timer();
  expect(scenario.reasons(option)).toBe(REASON.base);
});

test("a prediction that no event renews passes", () => {
  const scenario = new Scenario().ready();
  const option = scenario.option();
  scenario.requote();
  const calm = scenario.stands(option);
  scenario.later(300).move(FORWARD, FALL);
  scenario.requote();
  scenario.later(PARAMETERS.predictionLifeMs + PARAMETERS.calmMs + 1).timer();
  expect(scenario.stands(option)).toEqual(calm);
});

test("a prediction that is no number is answered defensively until a sound one comes", () => {
  const scenario = new Scenario().ready();
  const option = scenario.option();
  scenario.requote();
  scenario.move(FORWARD, [Number.NaN, 0, 0, 0, 0, 0, 0]);
  scenario.requote();
  scenario.later(1_000).timer();
  expect(scenario.reasons(option)).toBe(REASON.base | REASON.defensive | REASON.inputUnsound);
  scenario.move(FORWARD);
  scenario.requote();
  expect(scenario.reasons(option) & REASON.defensive).toBe(0);
});

test("quoting stops before expiry", () => {
  const scenario = new Scenario().ready();
  const soon = (START_US + EXCHANGE_AHEAD_US) / 1_000 + PARAMETERS.expiryCutoffMs + 5_000;
  const option = scenario.option({ expiryMs: soon });
  scenario.requote();
  expect(scenario.stands(option).ask).toBeGreaterThan(0);
  scenario.later(5_000).move(FORWARD);
  scenario.timer();
  expect(scenario.stands(option)).toEqual(NOT_QUOTED);
  expect(scenario.reasons(option)).toBe(REASON.pulled | REASON.expiring);
});

test("a quote never reaches the venue's best opposite price", () => {
  const scenario = new Scenario().ready();
  const option = scenario.option();
  scenario.requote();
  const { bid } = scenario.stands(option);
  scenario.quoter.onBook(option.id, bid - 50, 10, bid, 10, scenario.timeUs);
  scenario.requote();
  expect(scenario.stands(option).bid).toBe(bid - 5);
  scenario.quoter.onBook(option.id, bid + 100, 10, bid + 150, 10, scenario.timeUs);
  scenario.requote();
  expect(scenario.stands(option).ask).toBe(bid + 105);
});

test("a long position lowers both sides and shrinks the bid", () => {
  const scenario = new Scenario().ready();
  const option = scenario.option();
  scenario.requote();
  const flat = scenario.stands(option);
  scenario.later(1_000);
  scenario.quoter.onPosition(option.id, 500);
  scenario.move(FORWARD);
  scenario.requote();
  const long = scenario.stands(option);
  expect(long.bid).toBeLessThanOrEqual(flat.bid);
  expect(long.ask).toBeLessThanOrEqual(flat.ask);
  expect(long.bidLots).toBeLessThan(flat.bidLots);
  expect(long.askLots).toBe(flat.askLots);
  expect(scenario.reasons(option) & REASON.inventory).toBe(REASON.inventory);
});

test("at the position limit only the side that reduces it is quoted", () => {
  const scenario = new Scenario().ready();
  const option = scenario.option();
  scenario.requote();
  scenario.quoter.onPosition(option.id, -PARAMETERS.positionNotional / (0.1 * FORWARD) - 1);
  scenario.requote();
  expect(scenario.stands(option)).toMatchObject({ ask: -1, askLots: 0 });
  expect(scenario.stands(option).bidLots).toBeGreaterThan(0);
});

test("a filled side is filled up again after its minimum life", () => {
  const scenario = new Scenario().ready();
  const option = scenario.option();
  scenario.requote();
  const { bidLots } = scenario.stands(option);
  scenario.quoter.onFill(option.id, 0, bidLots - 5, scenario.timeUs);
  expect(scenario.stands(option).bidLots).toBe(5);
  expect(scenario.requote()).toEqual([]);
  scenario.later(PARAMETERS.minQuoteLifeMs).move(FORWARD);
  scenario.timer();
  expect(scenario.stands(option).bidLots).toBe(bidLots);
});

test("a rejected quote is pulled and left alone for a while", () => {
  const scenario = new Scenario().ready();
  const option = scenario.option();
  scenario.requote();
  scenario.quoter.answers.onRejected(scenario.quoter.lastQuoteId, scenario.timeUs);
  expect(scenario.requote()).toEqual([option.id]);
  expect(scenario.stands(option)).toEqual(NOT_QUOTED);
  expect(scenario.reasons(option)).toBe(REASON.pulled | REASON.rejected);
  scenario.later(PARAMETERS.rejectBackoffMs - 1).move(FORWARD);
  expect(scenario.timer()).toEqual([]);
  scenario.later(200).move(FORWARD);
  expect(scenario.timer()).toEqual([option.id]);
});

test("a quote that was accepted before is not touched by a later rejection", () => {
  const scenario = new Scenario().ready();
  const option = scenario.option();
  scenario.requote();
  scenario.quoter.answers.onAccepted(scenario.quoter.lastQuoteId);
  scenario.quoter.answers.onRejected(scenario.quoter.lastQuoteId + 1, scenario.timeUs);
  expect(scenario.requote()).toEqual([]);
  expect(scenario.stands(option).bid).toBeGreaterThan(0);
});

test("with the session all standing quotes are gone, and with the next one all are sent anew", () => {
  const scenario = new Scenario().ready();
  const option = scenario.option();
  scenario.requote();
  const before = scenario.stands(option);
  scenario.quoter.onSessionDown(scenario.timeUs);
  expect(scenario.stands(option)).toEqual(NOT_QUOTED);
  expect(scenario.reasons(option)).toBe(REASON.pulled | REASON.sessionDown);
  expect(scenario.requote()).toEqual([]);
  scenario.later(1);
  scenario.quoter.onSessionUp();
  expect(scenario.requote()).toEqual([option.id]);
  expect(scenario.stands(option)).toEqual(before);
});

test("what was not handed over is decided again", () => {
  const scenario = new Scenario().ready();
  const option = scenario.option();
  const out = new QuoteBatch(8);
  scenario.quoter.requote(0, scenario.timeUs, out);
  scenario.quoter.onSent(out, 0, scenario.timeUs);
  expect(scenario.stands(option)).toEqual(NOT_QUOTED);
  expect(scenario.quoter.counters.notSent).toBe(1);
  expect(scenario.requote()).toEqual([option.id]);
});

test("an instrument is not decided twice before its quote is settled", () => {
  const scenario = new Scenario().ready();
  scenario.option();
  const out = new QuoteBatch(8);
  expect(scenario.quoter.requote(0, scenario.timeUs, out)).toBe(1);
  expect(scenario.quoter.requoteAll(scenario.timeUs, out)).toBe(0);
});

test("what does not fit the batch follows in the next", () => {
  const scenario = new Scenario({}, 2).ready();
  const options = [1, 2, 3, 4, 5].map((step) => scenario.option({ strike: 55_000 + step * 1_000 }));
  const seen = [...scenario.requote(), ...scenario.requote(), ...scenario.requote()];
  expect(seen.toSorted((a, b) => a - b)).toEqual(options.map((option) => option.id));
});

test("a halt pulls everything and a resumption quotes again", () => {
  const scenario = new Scenario().ready();
  const option = scenario.option();
  scenario.requote();
  scenario.quoter.onHalt(REASON.killed);
  scenario.requote();
  expect(scenario.reasons(option)).toBe(REASON.pulled | REASON.killed);
  expect(scenario.stands(option)).toEqual(NOT_QUOTED);
  scenario.later(PARAMETERS.minQuoteLifeMs);
  scenario.quoter.onHalt(0);
  scenario.move(FORWARD);
  expect(scenario.requote()).toEqual([option.id]);
});

test("the message budget holds tightenings back, not widenings", () => {
  const scenario = new Scenario({ messagesPerSecond: 1, messageBurst: 3 }).ready();
  const options = [1, 2, 3, 4, 5].map((step) => scenario.option({ strike: 55_000 + step * 1_000 }));
  expect(scenario.requote().length).toBe(3);
  expect(scenario.quoter.counters.heldForBudget).toBe(2);
  scenario.later(1).move(FORWARD, FALL);
  expect(scenario.requote().length).toBe(3);
  scenario.later(10_000).move(FORWARD);
  for (let second = 0; second < 10; second += 1) {
    scenario.later(1_000).move(FORWARD);
    scenario.timer();
  }
  for (const option of options) expect(scenario.stands(option).bid).toBeGreaterThan(0);
});

test("quote ids grow by one", () => {
  const scenario = new Scenario().ready();
  scenario.option();
  scenario.option({ strike: 61_000 });
  scenario.requote();
  expect([...scenario.batch.quoteId.subarray(0, 2)]).toEqual([1, 2]);
  expect(scenario.quoter.lastQuoteId).toBe(2);
});
