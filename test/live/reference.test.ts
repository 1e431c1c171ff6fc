import { afterAll, beforeAll, beforeEach, describe, expect, test } from "bun:test";
import { join } from "node:path";
import { JournalReader } from "../../src/journal/reader.ts";
import { replay } from "../../src/journal/replay.ts";
import { showDecision } from "../../src/journal/show.ts";
import { DecisionComparer } from "../../src/journal/verify.ts";
import { engineForReplay } from "../../src/live/replay-engine.ts";
import { REASON } from "../../src/quote/quote-batch.ts";
import { Harness } from "./harness.ts";

/** Longer than a busy host stands still, and shorter than the freeze. */
const SILENCE_MS = 3_000;
const FROZEN_MS = 7_000;

describe("a second book for the underlying, over real sockets", () => {
  let harness: Harness;
  let changes = 0;
  beforeAll(async () => {
    harness = await Harness.start({ KEEL_REFERENCE: "next", KEEL_SILENCE_MS: String(SILENCE_MS) });
    await harness.untilQuoting();
  }, 120_000);
  // What one trouble has done is not held against the next.
  beforeEach(() => {
    harness.violations.length = 0;
  });
  afterAll(() => harness.remove());

  const leader = (): string => {
    const { instruments, underlyings } = harness.desk.market;
    return instruments.get(underlyings.reference[0]).symbol;
  };

  test("it leads while the first is lost: no option is pulled, and the model begins anew", async () => {
    const { desk } = harness;
    // Where the other venue was first to bring its book, that one led at first.
    await harness.until(
      "the first book to lead, and the model to be warm",
      () => leader() === "BTCUSDT" && desk.modelStatus(0) === 0,
    );
    changes = desk.counters.referenceChanges;
    const options = desk.market.instruments.all().filter(({ kind }) => kind === "option");
    const standing = (): number =>
      options.filter(({ id }) => desk.quoter.standing(id).bidLots + desk.quoter.standing(id).askLots > 0)
        .length;
    const before = standing();
    const forward = desk.quoter.values.forward[options[0]?.id ?? 0] ?? 0;
    harness.simulation.binance.server.faults.inject(
      { kind: "freeze", forMs: FROZEN_MS, control: true },
      harness.live.clock.wallUs(),
    );
    await harness.until("the other book to lead", () => leader() === "BTC-PERPETUAL", 45_000);
    expect(desk.modelStatus(0)).not.toBe(0);
    expect(standing()).toBeGreaterThan(before * 0.8);
    expect(Math.abs((desk.quoter.values.forward[options[0]?.id ?? 0] ?? 0) / forward - 1)).toBeLessThan(0.01);
    await harness.until("the model to be warm again", () => desk.modelStatus(0) === 0, 45_000);
    expect(desk.modelStatus(0) & REASON.inputUnsound).toBe(0);
    expect(harness.violations).toEqual([]);
  }, 120_000);

  test("the first leads again when it has been live for a while", async () => {
    await harness.until("the first book to lead", () => leader() === "BTCUSDT", 45_000);
    expect(harness.desk.counters.referenceChanges).toBe(changes + 2);
    expect(harness.violations).toEqual([]);
  }, 120_000);

  test("the journal replays to the same decisions", async () => {
    await harness.stop();
    const comparer = new DecisionComparer(showDecision);
    const { desk } = await replay(new JournalReader(join(harness.folder, "journal")).records(), {
      engineFor: (start) => engineForReplay(start, undefined, { info: () => {}, warn: () => {} }),
      decisions: comparer,
      onRecord: (record) => comparer.recorded(record),
      stop: () => comparer.differs,
    });
    expect(comparer.finish().difference).toBeNull();
    expect(desk.counters.referenceChanges).toBe(changes + 2);
  }, 120_000);
});
