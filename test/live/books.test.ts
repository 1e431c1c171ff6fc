import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { join } from "node:path";
import { stepsToDecimal } from "../../src/core/decimal.ts";
import { JournalReader } from "../../src/journal/reader.ts";
import { replay } from "../../src/journal/replay.ts";
import { showDecision } from "../../src/journal/show.ts";
import { DecisionComparer } from "../../src/journal/verify.ts";
import type { LiveSummary } from "../../src/live/live-desk.ts";
import { engineForReplay } from "../../src/live/replay-engine.ts";
import { positionReport } from "../../src/monitor/position-report.ts";
import { BOOK_FILE, BookStore } from "../../src/position/book-store.ts";
import { exact, inexact } from "../../src/sim/counterparty-books.ts";
import { Harness } from "./harness.ts";

setDefaultTimeout(120_000);

const COMMISSION = "0.00012";
/** The venues' own resolution: a hundred-millionth of a coin. */
const RESOLUTION = 1e-8;

/** A session with fills of quotes and hedges, then both sides' books are held against each other. */
describe("the books of a session", () => {
  let harness: Harness;
  let summary: LiveSummary | null = null;

  beforeAll(async () => {
    harness = await Harness.start(
      {
        KEEL_HEDGE_INSTRUMENTS: "deribit:BTC-PERPETUAL",
        KEEL_HEDGE_BAND_NOTIONAL: "20000",
        KEEL_HEDGE_INTERVAL_MS: "20",
        KEEL_HEDGE_PATIENCE_MS: "0",
        KEEL_RISK_PROTECTION_FILLS: "100000",
      },
      { commission: COMMISSION, flow: { meanIntervalMs: 25 } },
    );
    await harness.untilQuoting();
  });

  afterAll(async () => {
    if (summary === null) await harness.stop();
    harness.remove();
  });

  test("quotes are hit, and the delta is hedged through the gate", async () => {
    const { desk, counterparty } = harness;
    await harness.until("40 fills and 3 hedges", () => {
      const { executions } = desk.counters;
      return executions >= 40 && counterparty.orders.counters.fills >= 3;
    });
    expect(desk.gate.refused("selfCross")).toBe(0);
    expect(desk.gate.kill.tripped).toBe(false);
  });

  test("tighter limits hold at once, and a desk that only reduces still reduces", async () => {
    const { live, desk } = harness;
    const standing = desk.gate.limits;
    live.trading.setLimits({ ...standing, maxQuoteNotional: 1 });
    const refused = (): number => desk.gate.refused("quoteNotional");
    await harness.until(
      "everything is refused",
      () => refused() > 100 && harness.counterparty.liveQuotes.size === 0,
    );
    live.trading.setLimits(standing);
    const { instruments } = desk.market;
    const options = instruments.all().filter(({ kind }) => kind === "option");
    const held = (): number => options.reduce((sum, { id }) => sum + Math.abs(desk.gate.positionLots(id)), 0);
    live.trading.reduce("drill");
    expect(desk.gate.tradingState).toBe("reducing");
    const idOf = new Map(options.map(({ venue, symbol, id }) => [`${venue}:${symbol}`, id]));
    // Fills of what added, and was on its way before the counterparty heard of it, come first.
    await harness.until("nothing is left that adds", () => {
      const { liveQuotes, books } = harness.counterparty;
      const trades = books.all().reduce((sum, { trades: count }) => sum + count, 0);
      return (
        desk.counters.executions === trades &&
        [...liveQuotes].every(([key, { bidSize, offerSize }]) => {
          const id = idOf.get(key);
          if (id === undefined) return true;
          const lots = desk.gate.positionLots(id);
          return (lots < 0 || Number(bidSize) === 0) && (lots > 0 || Number(offerSize) === 0);
        })
      );
    });
    let before = held();
    const { executions } = desk.counters;
    await harness.until("positions shrink and none grows", () => {
      expect(held()).toBeLessThanOrEqual(before);
      before = held();
      return desk.counters.executions > executions + 3 || before === 0;
    });
    expect(live.trading.resetKill()).toBe(true);
    await harness.untilQuoting();
  });

  test("positions, cash and profit are the counterparty's to the last hundred-millionth", async () => {
    const { desk, counterparty } = harness;
    summary = await harness.stop();
    const { book } = desk;
    const traded = counterparty.books.all();
    expect(traded.length).toBeGreaterThan(5);
    let trades = 0;
    let difference = 0;
    for (const { key, size, flow, inverse, fees, trades: count } of traded) {
      const [venue, symbol = ""] = key.split(":");
      const instrument = desk.market.instruments
        .all()
        .find((known) => known.venue === venue && known.symbol === symbol);
      if (instrument === undefined) throw new Error(`${key} is not known`);
      const id = instrument.id;
      trades += count;
      expect([key, exact(stepsToDecimal(book.ledger.lots[id], instrument.lot))]).toEqual([key, size]);
      expect(desk.gate.positionLots(id)).toBe(book.ledger.lots[id]);
      const mark = positionReport(desk).positions.find((position) => position.symbol === symbol)?.mark ?? 0;
      // Theirs: money that changed hands, and what is still open at the same mark; ours: by average cost.
      const face = instrument.inverse && instrument.kind !== "option";
      const theirs = face
        ? inexact(inverse) - inexact(size) / mark - inexact(fees)
        : (inexact(flow) + inexact(size) * mark) * instrument.contractSize - inexact(fees);
      const ours = book.ledger.realised(id) + book.ledger.unrealised(id, mark) - book.ledger.fees[id];
      expect([key, Math.round(Math.abs(ours - theirs) / RESOLUTION)]).toEqual([key, 0]);
      // An open perpetual or future has cash only for what was closed.
      if (instrument.kind === "option" || (!face && book.ledger.lots[id] === 0)) {
        const cash = inexact(flow) * instrument.contractSize - inexact(fees);
        const apart = Math.abs(book.ledger.cash(instrument) - cash);
        expect([key, Math.round(apart / RESOLUTION)]).toEqual([key, 0]);
      }
      difference = Math.max(difference, Math.abs(ours - theirs));
    }
    expect(trades).toBe(desk.counters.executions);
    expect(difference).toBeLessThan(RESOLUTION);
  });

  test("what profit came from adds up to it", () => {
    const { positions, profit, fills } = positionReport(harness.desk);
    let total = 0;
    for (const position of positions) {
      const sum = Object.values(position.attribution).reduce((all, amount) => all + amount, 0);
      expect(Math.abs(sum - position.profit)).toBeLessThan(1e-6 * Math.max(1, Math.abs(position.profit)));
      total += position.profit;
    }
    expect(Math.abs(total - profit)).toBeLessThan(1e-6);
    const [[key, sums] = ["", null]] = Object.entries(fills);
    expect(key).toStartWith("PEER ");
    expect(sums?.fills).toBe(harness.desk.counters.executions);
    expect(sums?.markout[0]).not.toBe(0);
  });

  test("the books outlive the process", () => {
    const saved = new BookStore(join(harness.folder, "state", BOOK_FILE)).load();
    expect(JSON.stringify(saved)).toBe(JSON.stringify(harness.desk.book.snapshot()));
  });

  test("a replay makes the same orders, quotes, states and books, bit for bit", async () => {
    const reader = new JournalReader(join(harness.folder, "journal"));
    const comparer = new DecisionComparer(showDecision);
    const result = await replay(reader.records(), {
      engineFor: (start) => engineForReplay(start, undefined, { info: () => {}, warn: () => {} }),
      decisions: comparer,
      onRecord: (record) => comparer.recorded(record),
      stop: () => comparer.differs,
    });
    expect(comparer.finish()).toMatchObject({ identical: true, difference: null });
    expect(result.desk.hedger.counters).toEqual(harness.desk.hedger.counters);
    expect(JSON.stringify(result.desk.book.snapshot())).toBe(JSON.stringify(harness.desk.book.snapshot()));
  });
});
