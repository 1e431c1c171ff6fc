import { afterAll, describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { DEFAULT_FLOW } from "../../src/backtest/flow.ts";
import { openRecording } from "../../src/backtest/recording.ts";
import { runBacktest } from "../../src/backtest/run.ts";
import { type BacktestSpec, DEFAULT_SPEC } from "../../src/backtest/spec.ts";
import { simulatedCapture } from "../../src/bench/input.ts";
import { sharedPath, skipUnlessShared } from "../support/shared-data.ts";

const folder = mkdtempSync(join(tmpdir(), "keel-recordings-"));
afterAll(() => rmSync(folder, { recursive: true }));

const DERIBIT = "data/ws/DERIBIT.ws.1.0.gz";
const BINANCE = "data/binance/cm-btcusd_perp-20240808.gz";

describe("options", () => {
  const skip = skipUnlessShared(DERIBIT);
  const spec: BacktestSpec = { ...DEFAULT_SPEC, strategy: "static", recordings: [sharedPath(DERIBIT)] };
  const run = async (flow: Partial<typeof DEFAULT_FLOW>) =>
    (await runBacktest({ ...spec, flow: { ...DEFAULT_FLOW, ...flow } })).result;
  const uninformed = { uninformedPerSecond: 10, informedPerSecond: 0 };
  const informed = { uninformedPerSecond: 0, informedPerSecond: 10 };

  test.skipIf(skip)("who knows nothing pays the spread, who knows the middle ahead takes it", async () => {
    const [blind, knowing] = [
      await run({ ...uninformed, best: false }),
      await run({ ...informed, best: false }),
    ];
    expect(blind.fills.length).toBeGreaterThan(20);
    expect(blind.fills.every(({ counterparty }) => counterparty === "uninformed")).toBe(true);
    expect(blind.summary.spreadCaptured).toBeGreaterThan(0);
    expect(knowing.summary.markouts[2]?.markout ?? 0).toBeLessThanOrEqual(0);
    expect(knowing.summary.flow?.idle ?? 0).toBeGreaterThan(0);
  });

  test.skipIf(skip)("a better price on the recorded chain takes the trade away", async () => {
    const [anywhere, best] = [await run({ ...uninformed, best: false }), await run(uninformed)];
    expect(best.fills.length).toBeLessThan(anywhere.fills.length);
    expect(best.summary.flow?.elsewhere ?? 0).toBeGreaterThan(anywhere.summary.flow?.elsewhere ?? 0);
  });

  test.skipIf(skip)(
    "without counterparties only what was recorded trades, and nothing is counted",
    async () => {
      const { result } = await runBacktest(spec);
      expect(result.summary.flow).toBeNull();
    },
  );
});

describe("several recordings", () => {
  test.skipIf(skipUnlessShared(BINANCE))("are played together, by time", async () => {
    const simulated = join(folder, "simulated.txt");
    writeFileSync(simulated, simulatedCapture(1, 5));
    const merged = await openRecording([sharedPath(BINANCE), simulated]);
    expect(merged.feeds.map(({ venue }) => venue)).toEqual(["binance-coinm", "binance-usdm"]);
    let lastUs = Number.NEGATIVE_INFINITY;
    let entries = 0;
    for await (const batch of merged.entries()) {
      for (const entry of batch) {
        expect(merged.timeUs(entry)).toBeGreaterThanOrEqual(lastUs);
        lastUs = merged.timeUs(entry);
        entries += 1;
      }
      if (entries > 5_000) break;
    }
    expect(entries).toBeGreaterThan(5_000);
  });

  test("nothing, a path that is not there and a file that is none are named", async () => {
    const none = join(folder, "none.zst");
    const junk = join(folder, "junk.txt");
    writeFileSync(junk, "this is no capture\n");
    expect(openRecording([])).rejects.toThrow("recording");
    expect(openRecording([none])).rejects.toThrow("none.zst");
    expect(openRecording([junk])).rejects.toThrow("junk.txt");
  });

  test("that was cut off is played up to there, and says so", async () => {
    const whole = gzipSync(simulatedCapture(1, 5));
    const path = join(folder, "cut.gz");
    writeFileSync(path, whole.subarray(0, whole.length * 0.6));
    const { result } = await runBacktest({ ...DEFAULT_SPEC, strategy: "static", recordings: [path] });
    expect(result.summary.seconds).toBeWithin(1, 4.5);
    expect(result.summary.problems).toHaveLength(1);
    expect(result.summary.problems[0]).toMatch(/cut\.gz: .+; what is before it was played$/);
  });

  test("of another time than is asked for is refused, with the time that it is of", async () => {
    const path = join(folder, "five.txt");
    writeFileSync(path, simulatedCapture(1, 5));
    const spec: BacktestSpec = { ...DEFAULT_SPEC, strategy: "static", recordings: [path] };
    const { firstUs, lastUs } = await openRecording([path]);
    const expected = `a time within ${new Date(firstUs / 1_000).toISOString()}`;
    for (const asked of [
      { fromUs: lastUs + 1_000_000 },
      { toUs: firstUs - 1_000_000 },
      { fromUs: firstUs + 2_000_000, toUs: firstUs + 1_000_000 },
    ])
      await expect(runBacktest({ ...spec, ...asked })).rejects.toThrow(expected);
    const { result } = await runBacktest({ ...spec, fromUs: firstUs + 1e6, toUs: firstUs + 3e6 });
    expect(result.summary.seconds).toBeCloseTo(2, 6);
  });
});
