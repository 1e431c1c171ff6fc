import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { JournalReader } from "../../src/journal/reader.ts";
import { buildDataset } from "../../src/learn/dataset/build.ts";
import { checkDataset } from "../../src/learn/dataset/check.ts";
import { journalSource } from "../../src/learn/dataset/journal-rows.ts";
import { readOutcomes } from "../../src/learn/outcomes/file.ts";
import { journalOutcomes } from "../../src/learn/outcomes/journal.ts";
import { OUTCOME_TABLE_NAMES, type OutcomeTable } from "../../src/learn/outcomes/table.ts";
import { LiveOutcomes } from "../../src/live/outcomes.ts";
import { engineForReplay } from "../../src/live/replay-engine.ts";
import { Harness } from "../live/harness.ts";
import { skipUnlessNative } from "../support/native.ts";

const noModel = await skipUnlessNative("predictions in the turn of their event");

type Rows = Record<OutcomeTable, Readonly<Record<string, number | string>>[]>;
const noRows = (): Rows => ({ prediction: [], quote: [], fill: [], unfilled: [] });

describe("outcomes of a live desk", () => {
  const folder = mkdtempSync(join(tmpdir(), "keel-parity-"));
  let harness: Harness;
  const live = noRows();
  const replayed = noRows();

  beforeAll(async () => {
    harness = await Harness.start(
      {
        KEEL_OUTCOMES_DIR: join(folder, "outcomes"),
        KEEL_HEDGE_INSTRUMENTS: "deribit:BTC-PERPETUAL",
        KEEL_HEDGE_BAND_NOTIONAL: "20000",
        KEEL_HEDGE_INTERVAL_MS: "20",
        KEEL_HEDGE_PATIENCE_MS: "0",
        KEEL_RISK_PROTECTION_FILLS: "100000",
      },
      { flow: { meanIntervalMs: 25 } },
    );
    await harness.untilQuoting();
    const { counters, hedger } = harness.desk;
    await harness.until(
      "40 fills, three hedges and 200 predictions",
      () => counters.executions >= 40 && hedger.counters.sent >= 3 && counters.predictions >= 200,
    );
    await Bun.sleep(300);
    const { live: desk } = harness;
    const outcomes = desk.taps.find((tap) => tap instanceof LiveOutcomes);
    await desk.stop();
    await outcomes?.ended();
    readOutcomes(join(folder, "outcomes"), (table, row) => live[table].push({ ...row }));
    const quiet = { info: () => {}, warn: () => {} };
    await journalOutcomes(
      new JournalReader(join(harness.folder, "journal")),
      (start) => engineForReplay(start, undefined, quiet),
      { outcome: (table, row) => void replayed[table].push({ ...(row as Record<string, number | string>) }) },
    );
  }, 120_000);

  afterAll(async () => {
    await harness.stop();
    harness.remove();
    rmSync(folder, { recursive: true, force: true });
  });

  test("there are predictions, quotes, and fills of quotes and of orders", () => {
    expect(live.prediction.length).toBeGreaterThan(20);
    expect(live.quote.length).toBeGreaterThan(50);
    expect(live.fill.length).toBeGreaterThanOrEqual(40);
    expect(new Set(live.fill.map(({ source }) => source))).toEqual(new Set(["quote", "order"]));
  });

  test("nearly every fill of a quote is told from the quote that was hit", () => {
    const quotes = live.fill.filter(({ source }) => source === "quote");
    const known = quotes.filter(({ quote_id }) => Number(quote_id) > 0);
    expect(known.length / quotes.length).toBeGreaterThan(0.9);
  });

  test.skipIf(noModel)(
    "a dataset of the journal has a row for each labelled prediction, and its outcomes, and comes out the same again",
    async () => {
      const quiet = { info: () => {}, warn: () => {} };
      const source = await journalSource(join(harness.folder, "journal"), undefined, (start) =>
        engineForReplay(start, undefined, quiet),
      );
      const built = await buildDataset([source], {
        directory: join(folder, "datasets"),
        splits: [["all", 1]],
        embargoUs: 0,
        label: "",
        leakCheck: true,
      });
      const [part] = built.manifest.parts;
      expect(part?.validation.counts.leak).toBe(0);
      // A row that no other one follows waits for its outcome when the journal ends, though the desk's own time went on.
      const without = live.prediction.length - built.manifest.rows;
      expect(without).toBeGreaterThanOrEqual(0);
      expect(without).toBeLessThanOrEqual(part?.unlabelled ?? 0);
      expect(Object.fromEntries(part?.outcomes.map(({ table, rows }) => [table, rows]) ?? [])).toMatchObject({
        prediction: live.prediction.length,
        quote: live.quote.length,
        fill: live.fill.length,
      });
      expect((await checkDataset(built.folder, [source])).problems.join()).not.toContain("rows up to then");
    },
  );

  for (const table of OUTCOME_TABLE_NAMES) {
    test(`the journal gives the same rows of ${table}, bit for bit`, () => {
      const float = (row: Readonly<Record<string, number | string>>) =>
        Object.fromEntries(
          Object.entries(row).map(([name, value]) => [
            name,
            typeof value === "number" ? Math.fround(value) : value,
          ]),
        );
      expect(replayed[table].length).toBe(live[table].length);
      for (const [at, row] of live[table].entries()) {
        expect(row.time_us).toBe(replayed[table][at]?.time_us ?? 0);
        expect(float(row)).toEqual(float(replayed[table][at] ?? {}));
      }
    });
  }
});
