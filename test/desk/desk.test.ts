import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { QUOTE_STATUS } from "../../src/gateway/gateway.ts";
import { FEED_STATE } from "../../src/market/event-batch.ts";
import { REASON } from "../../src/quote/quote-batch.ts";
import { SIDES } from "../../src/quote/target.ts";
import { DeskBed } from "./desk-bed.ts";
import { ScriptedEngine } from "./scripted-engine.ts";

setDefaultTimeout(120_000);

/** Warmed up, with a calm model. */
function warmBed(engine = new ScriptedEngine(), parameters = {}): { bed: DeskBed; engine: ScriptedEngine } {
  const bed = new DeskBed(engine, parameters);
  bed.run(4_000);
  return { bed, engine };
}

/** Half of what lies between bid and ask, in bp of the fair value. */
function halfSpreadBp({
  bidTicks,
  askTicks,
  fair,
}: {
  bidTicks: number;
  askTicks: number;
  fair: number;
}): number {
  return (((askTicks - bidTicks) * 0.1) / 2 / fair) * 1e4;
}

describe("Desk", () => {
  test("the mission's scenario: 70 % down and 60 % withdrawal widen by 15 bp and cut the size by 30 % within the frame's turn", () => {
    const { bed, engine } = warmBed();
    const before = bed.last;
    expect(before.widenBp).toBe(0);
    expect(before.sizeFactor).toBe(1);
    engine.answer[0] = 0.7;
    engine.answer[4] = 0.6;
    const sentBefore = bed.sent.length;
    bed.run(50);
    const widened = bed.sent[sentBefore];
    expect(widened?.widenBp).toBe(15);
    expect(widened?.sizeFactor).toBe(0.7);
    expect(widened?.bidLots).toBe(Math.floor(before.bidLots * 0.7));
    expect(widened?.reasons).toContain("modelMove");
    expect(widened?.reasons).toContain("modelWithdraw");
    const added = halfSpreadBp(widened ?? before) - halfSpreadBp(before);
    expect(Math.abs(added - 15)).toBeLessThan(0.5);
    expect(widened?.fix).toStartWith("8=FIX.4.4|9=");
    expect(widened?.fix).toContain(`|55=BTCUSDT|207=binance-usdm|`);
    expect(widened?.fix).toContain(`|132=${((widened?.bidTicks ?? 0) / 10).toFixed(1)}|`);
  });

  test("tightens again when the prediction has passed, not before the quote's minimum life", () => {
    const { bed, engine } = warmBed();
    engine.answer[0] = 0.9;
    bed.run(50);
    const widened = bed.last;
    expect(widened.widenBp).toBeGreaterThan(15);
    engine.answer[0] = 0;
    bed.run(2_000);
    expect(bed.last.widenBp).toBe(0);
    const tightened = bed.sent.find(({ quoteId, widenBp }) => quoteId > widened.quoteId && widenBp === 0);
    expect((tightened?.timeUs ?? 0) - widened.timeUs).toBeGreaterThan(200_000);
  });

  test("warms up defensively, then trusts the model", () => {
    const bed = new DeskBed(new ScriptedEngine());
    bed.run(1_000);
    expect(bed.last.reasons).toContain("modelWarming");
    expect(bed.last.reasons).toContain("defensive");
    bed.run(4_000);
    expect(bed.last.reasons).not.toContain("defensive");
  });

  test("without a model it quotes defensively and says so", () => {
    const bed = new DeskBed(null);
    bed.run(1_000);
    expect(bed.last.reasons).toContain("modelMissing");
    expect(bed.last.bidLots).toBeGreaterThan(0);
  });

  test("quotes the sides that the last run was told, from its first quote on, until it is told others", () => {
    for (const sides of [{ BTCUSDT: "bid" }, { "": "bid" }] as const) {
      const bed = new DeskBed(null, {}, false, sides);
      bed.run(1_000);
      expect(bed.sent.length).toBeGreaterThan(0);
      expect(bed.sent.filter(({ askLots }) => askLots > 0)).toEqual([]);
      expect(bed.desk.setSides(-1, SIDES.both, bed.timeUs)).toBe(1);
      bed.run(1_000);
      expect(bed.last.askLots).toBeGreaterThan(0);
    }
  });

  test("a gap pulls the quote in the same turn and forgets the model's state", () => {
    const { bed, engine } = warmBed();
    const resets = engine.resets;
    bed.market.alter = (frame) => frame.replace(/"pu":\d+/, '"pu":1');
    const sentBefore = bed.sent.length;
    for (let ms = 0; ms < 200 && bed.desk.market.feedState[0] === FEED_STATE.live; ms += 1) bed.run(1);
    expect(bed.desk.market.feedState[0]).not.toBe(FEED_STATE.live);
    const pulled = bed.sent.slice(sentBefore).find(({ reasons }) => reasons.includes("bookUnsound"));
    expect(pulled?.bidLots).toBe(0);
    expect(pulled?.askLots).toBe(0);
    expect(pulled?.timeUs).toBeLessThanOrEqual(bed.timeUs);
    expect(engine.resets).toBeGreaterThan(resets);
    bed.market.alter = null;
    bed.run(4_000);
    expect(bed.desk.market.feedState[0]).toBe(FEED_STATE.live);
    expect(bed.last.bidLots).toBeGreaterThan(0);
  });

  test("silence pulls the quote", () => {
    const { bed } = warmBed();
    bed.market.muted = true;
    bed.run(3_000);
    expect(bed.last.reasons).toContain("pulled");
    expect(bed.last.bidLots + bed.last.askLots).toBe(0);
  });

  test("a stall beyond the silence limit pulls the quote at once, and it comes back over the same connection", () => {
    const { bed } = warmBed();
    const { timeUs: fromUs } = bed;
    const book = () => bed.desk.market.books[0];
    expect(bed.last.bidLots).toBeGreaterThan(0);
    const sentBefore = bed.sent.length;
    bed.stall(3_000);
    const [pulled, ...others] = bed.sent.slice(sentBefore);
    expect(pulled?.timeUs).toBe(fromUs + 3_000_000);
    expect(pulled?.reasons).toContain("stale");
    expect((pulled?.bidLots ?? 0) + (pulled?.askLots ?? 0)).toBe(0);
    expect(others).toEqual([]);
    bed.run(490);
    expect(bed.sent.slice(sentBefore + 1)).toEqual([]);
    expect(book().bestBidTicks).toBeGreaterThan(0);
    bed.run(1_000);
    expect(bed.last.bidLots).toBeGreaterThan(0);
    const { silences, reconnects, resyncs, gaps } = bed.desk.feeds[0].counters;
    expect({ silences, reconnects, resyncs, gaps }).toEqual({
      silences: 0,
      reconnects: 0,
      resyncs: 0,
      gaps: 0,
    });
  });

  test("an asynchronous engine answers in a second turn and the latest event wins", () => {
    const engine = new ScriptedEngine(false);
    const bed = new DeskBed(engine);
    bed.run(3_000);
    expect(bed.submits).toBe(1);
    expect(bed.desk.counters.conflated).toBeGreaterThan(10);
    for (let turn = 0; turn < 400; turn += 1) {
      if (bed.submits > bed.desk.counters.predictions) {
        engine.step(1);
        bed.desk.onInference(bed.timeUs);
      }
      bed.run(5);
    }
    expect(bed.desk.counters.predictions).toBeGreaterThan(100);
    expect(bed.submits - bed.desk.counters.predictions).toBeLessThanOrEqual(1);
    expect(bed.last.reasons).not.toContain("defensive");
  });

  test("a model that does not answer is late, and the desk goes defensive", () => {
    const engine = new ScriptedEngine(false);
    const bed = new DeskBed(engine);
    for (let turn = 0; turn < 800; turn += 1) {
      if (bed.submits > bed.desk.counters.predictions) {
        engine.step(1);
        bed.desk.onInference(bed.timeUs);
      }
      bed.run(5);
    }
    expect(bed.last.reasons).not.toContain("defensive");
    bed.run(1_000);
    expect(bed.last.reasons).toContain("modelLate");
    expect(bed.last.reasons).toContain("defensive");
  });

  test("a lost engine makes it defensive at once, a restored one is trusted again", () => {
    const { bed, engine } = warmBed();
    bed.desk.onEngineLost(bed.timeUs);
    expect(bed.last.reasons).toContain("engineLost");
    bed.desk.onEngineRestored(engine, bed.timeUs);
    bed.run(5_000);
    expect(bed.last.reasons).not.toContain("defensive");
  });

  test("a synchronous engine lost in a step makes it defensive in that very turn, and a restored one is trusted again", () => {
    const { bed, engine } = warmBed();
    const stepped = engine.steps;
    engine.failing = true;
    while (bed.losses.length === 0) bed.run(1);
    const lostUs = bed.timeUs;
    expect(bed.losses).toEqual([stepped + 1]);
    expect(bed.last.timeUs).toBe(lostUs);
    expect(bed.last.reasons).toContain("engineLost");
    expect(bed.last.reasons).toContain("defensive");
    expect(bed.desk.modelStatus(0)).toBe(REASON.engineLost);
    bed.run(500);
    expect(bed.losses).toHaveLength(1);

    engine.failing = false;
    bed.desk.onEngineRestored(engine, bed.timeUs);
    bed.run(5_000);
    expect(bed.last.reasons).not.toContain("defensive");
  });

  test("a lost engine pulls every quote where the parameters say so, until the engine is back", () => {
    const { bed, engine } = warmBed(undefined, { engineLostPull: 1 });
    const before = bed.sent.length;
    bed.desk.onEngineLost(bed.timeUs);
    const pulls = bed.sent.slice(before);
    expect(pulls.length).toBeGreaterThan(0);
    for (const { bidLots, askLots, reasons, timeUs } of pulls) {
      expect(bidLots + askLots).toBe(0);
      expect(reasons).toEqual(["engineLost", "pulled"]);
      expect(timeUs).toBe(bed.timeUs);
    }
    bed.run(2_000);
    expect(bed.sent).toHaveLength(before + pulls.length);

    bed.desk.onEngineRestored(engine, bed.timeUs);
    bed.run(100);
    expect(bed.last.reasons).not.toContain("engineLost");
    expect(bed.last.bidLots).toBeGreaterThan(0);
    bed.run(5_000);
    expect(bed.last.reasons).not.toContain("defensive");
  });

  test("a fault of a synchronous engine that is no lost device is not taken for one", () => {
    const { bed, engine } = warmBed();
    engine.step = () => {
      throw new Error("a fault");
    };
    expect(() => bed.run(100)).toThrow("a fault");
    expect(bed.losses).toEqual([]);
  });

  test("the kill switch cancels once, holds, and lets go when reset", () => {
    const { bed } = warmBed();
    bed.desk.kill("drill", bed.timeUs);
    bed.desk.kill("again", bed.timeUs);
    expect(bed.cancels).toBe(1);
    expect(bed.desk.gate.kill.state.reason).toBe("drill");
    const sentBefore = bed.sent.length;
    bed.run(500);
    expect(bed.sent.length).toBe(sentBefore);
    expect(bed.desk.resetKill(bed.timeUs)).toBe(true);
    bed.run(200);
    expect(bed.sent.length).toBeGreaterThan(sentBefore);
    expect(bed.last.bidLots).toBeGreaterThan(0);
  });

  test("a fill moves the position, and too large a one trips the kill switch", () => {
    const { bed } = warmBed();
    const { instrument, bidTicks, bidLots } = bed.last;
    bed.desk.onExecution("E1", instrument, 0, bidTicks, bidLots, bed.timeUs);
    expect(bed.desk.gate.positionLots(instrument)).toBe(bidLots);
    expect(bed.last.reasons).toContain("inventory");
    bed.desk.onExecution("E2", instrument, 0, bidTicks, bidLots * 10_000, bed.timeUs);
    expect(bed.desk.gate.kill.state.reason).toStartWith("limit:");
    expect(bed.cancels).toBe(1);
  });

  test("an execution in an unknown instrument trips the kill switch", () => {
    const { bed } = warmBed();
    bed.desk.onExecution("E1", 63, 0, 1, 1, bed.timeUs);
    expect(bed.desk.gate.kill.tripped).toBe(true);
    expect(bed.desk.counters.unknownExecutions).toBe(1);
  });

  test("sends nothing without a session and everything when it is back", () => {
    const { bed } = warmBed();
    bed.desk.onSessionDown("cut", bed.timeUs);
    const sentBefore = bed.sent.length;
    bed.run(300);
    expect(bed.sent.length).toBe(sentBefore);
    bed.desk.onSessionUp(bed.timeUs);
    expect(bed.sent.length).toBeGreaterThan(sentBefore);
  });

  test("tells since when the counterparty has not answered", () => {
    const { bed, engine } = warmBed();
    expect(bed.desk.unansweredSinceUs).toBeGreaterThan(0);
    bed.desk.onQuoteAck(bed.last.quoteId, QUOTE_STATUS.accepted, "", bed.timeUs);
    expect(bed.desk.unansweredSinceUs).toBeNaN();
    expect(bed.desk.counters.quotesAcked).toBe(bed.desk.counters.quotesSent);
    engine.answer[0] = 0.9;
    bed.run(50);
    expect(bed.desk.unansweredSinceUs).toBe(bed.sent.at(-1)?.timeUs ?? 0);
    bed.desk.onSessionDown("cut", bed.timeUs);
    expect(bed.desk.unansweredSinceUs).toBeNaN();
  });

  test("the end cancels everything and nothing follows", () => {
    const { bed } = warmBed();
    bed.desk.shutdown(bed.timeUs);
    expect(bed.cancels).toBe(1);
    const sentBefore = bed.sent.length;
    bed.run(500);
    expect(bed.sent.length).toBe(sentBefore);
    expect(bed.desk.quoter.standing(0).reasons & REASON.shutdown).toBe(REASON.shutdown);
  });

  test("the same inputs give the same quotes", () => {
    const [a, b] = [warmBed().bed, warmBed().bed];
    expect(a.sent.length).toBeGreaterThan(0);
    expect(JSON.stringify(a.sent)).toBe(JSON.stringify(b.sent));
  });
});
