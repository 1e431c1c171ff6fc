import { afterAll, beforeAll, beforeEach, describe, expect, setDefaultTimeout, spyOn, test } from "bun:test";
import { existsSync, rmSync } from "node:fs";
import { join } from "node:path";
import { systemClock } from "../../src/core/clock.ts";
import { stepToNumber } from "../../src/core/decimal.ts";
import { ShmReader } from "../../src/gateway/shm/reader.ts";
import { SHM_DIR } from "../../src/gateway/shm/segment.ts";
import { CpuEngine, cpuIsas } from "../../src/inference/cpu.ts";
import { EngineLostError } from "../../src/inference/engine.ts";
import { JournalReader } from "../../src/journal/reader.ts";
import { RECORD } from "../../src/journal/record.ts";
import { replay } from "../../src/journal/replay.ts";
import { showDecision } from "../../src/journal/show.ts";
import { DecisionComparer } from "../../src/journal/verify.ts";
import type { LiveSummary } from "../../src/live/live-desk.ts";
import { engineForReplay } from "../../src/live/replay-engine.ts";
import { FEED_STATE } from "../../src/market/event-batch.ts";
import type { Instrument } from "../../src/market/instrument.ts";
import { REASON } from "../../src/quote/quote-batch.ts";
import { SIDES_FILE, SidesStore } from "../../src/quote/sides-store.ts";
import { skipUnless } from "../support/shared-data.ts";
import { Harness } from "./harness.ts";

setDefaultTimeout(60_000);
/** Until it is lifted: however long this process stands still meanwhile, the silence is noticed before. */
const FROZEN_MS = 600_000;
const SHM_NAME = `keel-test-${process.pid}`;
const noCpuEngine = skipUnless(
  (await cpuIsas()).length > 0,
  "no native library: the cpu engine cannot be lost",
);

/** One desk meets every kind of trouble in turn, over real sockets, and must come back from each. */
describe("a live desk in trouble", () => {
  let harness: Harness;
  let summary: LiveSummary | null = null;
  let calibrated: { readonly mock: { readonly calls: readonly unknown[] } };

  beforeAll(async () => {
    harness = await Harness.start({ KEEL_SHM: SHM_NAME, KEEL_RECALIBRATE: "on" });
    calibrated = spyOn(harness.live, "takeCalibration");
    await harness.untilQuoting();
  });

  // What one trouble has done is not held against the next.
  beforeEach(() => {
    harness.violations.length = 0;
  });

  afterAll(async () => {
    if (summary === null) await harness.stop();
    harness.remove();
    rmSync(join(SHM_DIR, SHM_NAME), { force: true });
  });

  const binance = () => harness.desk.feeds[0].counters;
  const deribit = () => harness.desk.feeds[1].counters;
  const nowUs = () => systemClock.wallUs();

  async function recovers(trouble: () => void, noticed: () => boolean, what: string): Promise<void> {
    trouble();
    await harness.until(`${what} is noticed`, noticed);
    await harness.untilQuoting();
    expect(harness.violations).toEqual([]);
  }

  test("shared memory shows the quotes that the counterparty holds, and the predictions", async () => {
    const reader = new ShmReader(SHM_NAME);
    const { instruments } = harness.desk.market;
    expect(reader.instruments).toHaveLength(instruments.size);
    expect(reader.state).toBe("running");
    const isShown = ({ id, tick }: Instrument): boolean => {
      const { bidTicks, bidLots, askTicks, askLots } = harness.desk.quoter.standing(id);
      const quote = reader.quote(id);
      if (quote === null) return bidLots === 0 && askLots === 0;
      const price = (lots: number, ticks: number) => (lots > 0 ? ticks * stepToNumber(tick) : Number.NaN);
      return (
        Object.is(quote.bidPrice, price(bidLots, bidTicks)) &&
        Object.is(quote.askPrice, price(askLots, askTicks))
      );
    };
    await harness.until("a quote and a prediction come by the ring", () => {
      const kinds = new Set<string>();
      for (let update = reader.next(); update !== null; update = reader.next()) kinds.add(update.kind);
      return kinds.has("quote") && kinds.has("prediction");
    });
    // Whoever looks on is told when the quotes have left: for that moment the desk is ahead of what it shows.
    await harness.until("the last prediction and every quote are shown", () => {
      const shown = reader.prediction(0);
      const last = harness.desk.probabilities.subarray(0, 7);
      return (
        shown?.status === harness.desk.modelStatus(0) &&
        shown.probabilities.length === last.length &&
        shown.probabilities.every((probability, head) => probability === last[head]) &&
        instruments.all().every(isShown)
      );
    });
    reader.close();
    expect(harness.violations).toEqual([]);
  });

  test("a lost depth diff is one gap, and the book is joined anew", async () => {
    const { gaps, resyncs } = binance();
    const faults = harness.simulation.binance.server.faults;
    await recovers(
      () => faults.inject({ kind: "drop", count: 1, channel: "@depth" }, nowUs()),
      () => binance().gaps > gaps,
      "the gap",
    );
    expect(faults.counters.drop).toBe(1);
    expect(binance().gaps).toBe(gaps + 1);
    expect(binance().resyncs).toBe(resyncs + 1);
  });

  test("a lost option book change is one gap of one instrument", async () => {
    const { gaps, resyncs } = deribit();
    const faults = harness.simulation.deribit.server.faults;
    await recovers(
      () => faults.inject({ kind: "drop", count: 1, channel: "book.BTC-PERPETUAL" }, nowUs()),
      () => deribit().gaps > gaps,
      "the gap",
    );
    expect(deribit().gaps).toBe(gaps + 1);
    expect(deribit().resyncs).toBe(resyncs + 1);
  });

  test("a duplicated frame changes nothing", async () => {
    const { gaps, resyncs } = binance();
    const faults = harness.simulation.binance.server.faults;
    faults.inject({ kind: "duplicate", count: 3, channel: "@depth" }, nowUs());
    await harness.until("three duplicates were sent", () => faults.counters.duplicate === 3);
    await Bun.sleep(100);
    expect(binance().gaps).toBe(gaps);
    expect(binance().resyncs).toBe(resyncs);
    expect(harness.violations).toEqual([]);
  });

  test("garbage and half frames are counted one by one and nothing else is lost", async () => {
    const { unparsable } = binance();
    const faults = harness.simulation.binance.server.faults;
    await recovers(
      () => {
        faults.inject({ kind: "garble", count: 2, channel: "@bookTicker" }, nowUs());
        faults.inject({ kind: "half", count: 2, channel: "@bookTicker" }, nowUs());
      },
      () => binance().unparsable >= unparsable + 4,
      "every broken frame",
    );
    expect(faults.counters.garble + faults.counters.half).toBe(4);
    expect(binance().unparsable).toBe(unparsable + 4);
  });

  test("a disconnect pulls the quotes and the feed comes back", async () => {
    const { reconnects } = binance();
    await recovers(
      () =>
        harness.simulation.binance.server.faults.inject(
          { kind: "disconnect", code: 1_011, reason: "drill" },
          nowUs(),
        ),
      () => binance().reconnects > reconnects,
      "the disconnect",
    );
    expect(binance().reconnects).toBe(reconnects + 1);
  });

  test("a frozen feed is silence, whatever its heartbeats say", async () => {
    const { silences } = deribit();
    const { faults } = harness.simulation.deribit.server;
    faults.inject({ kind: "freeze", forMs: FROZEN_MS, control: false }, nowUs());
    await harness.until("the silence is noticed", () => deribit().silences > silences);
    faults.lift();
    await harness.untilQuoting();
    expect(harness.violations).toEqual([]);
  });

  test("a frozen reference pulls the whole chain", async () => {
    const { silences } = binance();
    const faults = harness.simulation.binance.server.faults;
    faults.inject({ kind: "freeze", forMs: FROZEN_MS, control: true }, nowUs());
    await harness.until("the silence is noticed", () => binance().silences > silences);
    await harness.until("no option is quoted", () => harness.counterparty.liveQuotes.size <= 1);
    faults.lift();
    await harness.untilQuoting();
    expect(harness.violations).toEqual([]);
  });

  test("a dead counterparty is left, and quoted again when it is back", async () => {
    const { counterparty, live } = harness;
    counterparty.freeze();
    await harness.until("the session is down", () => !live.gateway.ready, 10_000);
    counterparty.thaw();
    await harness.untilQuoting();
    counterparty.kill();
    await harness.until("the session is down again", () => !live.gateway.ready, 10_000);
    counterparty.start();
    await harness.untilQuoting();
    expect(counterparty.counters.cancels).toBeGreaterThanOrEqual(3);
    expect(harness.violations).toEqual([]);
  });

  test("the kill switch cancels everything and holds until it is reset", async () => {
    const { counterparty, live } = harness;
    live.trading.kill("drill");
    await harness.until("nothing is quoted", () => counterparty.liveQuotes.size === 0);
    await Bun.sleep(300);
    expect(counterparty.liveQuotes.size).toBe(0);
    expect(existsSync(join(harness.folder, "state", "kill-switch.json"))).toBe(true);
    expect(live.trading.resetKill()).toBe(true);
    await harness.untilQuoting();
    expect(harness.violations).toEqual([]);
  });

  test("one side is quoted when an operator says so, then both again", async () => {
    const { live, desk } = harness;
    const quoted = desk.market.instruments.all().filter(({ id }) => desk.quoter.quotes(id));
    const asks = () => quoted.filter(({ id }) => desk.quoter.standing(id).askLots > 0).length;
    const bids = () => quoted.filter(({ id }) => desk.quoter.standing(id).bidLots > 0).length;
    expect(live.trading.setSides("NO-SUCH", "bid")).toBe(0);
    expect(live.trading.setSides("", "bid")).toBe(quoted.length);
    expect(asks()).toBe(0);
    expect(new SidesStore(join(harness.folder, "state", SIDES_FILE)).load().sides).toEqual({ "": "bid" });
    await harness.until("bids stand without asks", () => bids() > 0);
    expect(asks()).toBe(0);
    const [{ symbol, id }] = quoted;
    expect(live.trading.setSides(symbol, "reducing")).toBe(1);
    expect(desk.quoter.standing(id).reasons & (REASON.sides | REASON.pulled)).not.toBe(0);
    expect(live.trading.setSides("", "both")).toBe(quoted.length);
    await harness.until("asks stand again", () => asks() > 0);
    await harness.untilQuoting();
    expect(harness.violations).toEqual([]);
  });

  test.skipIf(noCpuEngine)(
    "an engine lost within a turn is started again, and quotes go on meanwhile",
    async () => {
      const { live, desk } = harness;
      expect(live.engineName).toBe("cpu");
      const step = spyOn(CpuEngine.prototype, "step").mockImplementationOnce(() => {
        throw new EngineLostError("cpu", "made to fail");
      });
      await harness.until("the loss is noticed", () => desk.modelStatus(0) === REASON.engineLost);
      step.mockRestore();
      const { quotesSent, predictions } = desk.counters;
      await harness.until("quotes without the engine", () => desk.counters.quotesSent > quotesSent);
      await harness.until("predictions again", () => desk.counters.predictions > predictions + 3);
      expect(harness.violations).toEqual([]);
      await harness.untilQuoting();
    },
  );

  test("the end cancels everything, and the journal replays to the same decisions", async () => {
    expect(harness.desk.market.feedState.includes(FEED_STATE.unsound)).toBe(false);
    await harness.until("a recalibration", () => calibrated.mock.calls.length > 0);
    summary = await harness.stop();
    expect(harness.violations).toEqual([]);
    expect(harness.counterparty.liveQuotes.size).toBe(0);
    expect(summary.journal?.dropped).toBe(0);
    const comparer = new DecisionComparer(showDecision);
    const reader = new JournalReader(join(harness.folder, "journal"));
    let calibrations = 0;
    await replay(reader.records(), {
      engineFor: (start) => engineForReplay(start, undefined, { info: () => {}, warn: () => {} }),
      decisions: comparer,
      onRecord: (record) => {
        if (record.type === RECORD.calibration) calibrations += 1;
        comparer.recorded(record);
      },
      stop: () => comparer.differs,
    });
    expect(reader.damage).toBeNull();
    const verification = comparer.finish();
    expect(verification.difference).toBeNull();
    expect(verification.compared).toBeGreaterThan(20);
    expect(calibrations).toBeGreaterThan(0);
  });
});
