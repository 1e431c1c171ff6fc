import { afterAll, expect, test } from "bun:test";
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { openRecording } from "../../src/backtest/recording.ts";
import { runBacktest } from "../../src/backtest/run.ts";
import { type BacktestSpec, DEFAULT_SPEC } from "../../src/backtest/spec.ts";
import { simulatedCapture } from "../../src/bench/input.ts";
import { SCHEMA_HASH } from "../../src/feature/schema.ts";
import { createFeed } from "../../src/feed/registry.ts";
import { RECORD } from "../../src/journal/record.ts";
import { JournalWriter } from "../../src/journal/writer.ts";
import { EventBatch } from "../../src/market/event-batch.ts";
import { InstrumentTable } from "../../src/market/instrument.ts";
import { NOT_TRIPPED } from "../../src/risk/kill-switch.ts";

const folder = mkdtempSync(join(tmpdir(), "keel-journalled-"));
afterAll(() => rmSync(folder, { recursive: true }));

/** Journals what the feed of a live desk would have heard of the capture. */
async function journalOf(capture: string, directory: string): Promise<void> {
  const recording = await openRecording([capture]);
  const journal = await JournalWriter.open({ directory, runId: "run" });
  const player = recording.player();
  const out = new EventBatch();
  const [first] = recording.feeds;
  if (first === undefined) throw new Error("the capture has a feed");
  const feed = createFeed({
    id: 0,
    ...first,
    instruments: new InstrumentTable(8),
    port: player,
    seed: 1,
    silenceMs: 10_000,
  });
  const { quote, risk } = DEFAULT_SPEC;
  const start = { keel: "1", schemaHash: SCHEMA_HASH, model: null, feeds: recording.feeds, signals: [] };
  const rest = { instrumentCapacity: 8, silenceMs: 10_000, seed: 1, quote, risk, kill: NOT_TRIPPED };
  journal.text(RECORD.start, 0, recording.firstUs, JSON.stringify({ ...start, ...rest }));
  feed.start(recording.firstUs);
  await player.begin({
    onOpen: (id, timeUs) => {
      journal.text(RECORD.feedOpen, id, timeUs, "");
      feed.onOpen(timeUs, out);
    },
    onFrame: (id, text, timeUs) => {
      journal.text(RECORD.feedFrame, id, timeUs, text);
      out.clear();
      feed.onFrame(text, timeUs, out);
    },
    onClose: () => {},
    onResponse: (id, request, status, body, _retry, timeUs) => {
      journal.text(
        RECORD.feedResponse,
        id,
        timeUs,
        JSON.stringify({ request, status, retryAfterMs: null, body }),
      );
      out.clear();
      feed.onResponse(request, status, body, Number.NaN, timeUs, out);
    },
    onTimer: () => {},
  });
  let timerUs = recording.firstUs;
  for await (const entries of recording.entries()) {
    for (const entry of entries) {
      for (; timerUs + 10_000 <= recording.timeUs(entry); timerUs += 10_000) {
        journal.text(RECORD.timer, 0, timerUs + 10_000, "");
        out.clear();
        feed.onTimer(timerUs + 10_000, out);
      }
      await player.take(entry);
    }
  }
  await journal.close();
}

test("the market of a journalled run is played again, by its own timers, and trades as the capture does", async () => {
  const capture = join(folder, "simulated.txt");
  const directory = join(folder, "journal");
  writeFileSync(capture, simulatedCapture(1, 15));
  await journalOf(capture, directory);
  const quote = {
    ...DEFAULT_SPEC.quote,
    deltaOneHalfSpreadBp: 0.1,
    minQuoteLifeMs: 0,
    tightenHysteresis: 0.05,
  };
  const spec: BacktestSpec = { ...DEFAULT_SPEC, strategy: "static", quote, recordings: [`${directory}@run`] };
  const { result } = await runBacktest(spec);
  const played = (await runBacktest({ ...spec, recordings: [capture] })).result;
  expect(result.summary.problems).toEqual([]);
  expect(result.fills.length).toBeGreaterThan(0);
  expect(result.fills.length).toBe(played.fills.length);
});

test("a journal that is damaged is played up to there, and the result says so", async () => {
  const capture = join(folder, "short.txt");
  const directory = join(folder, "damaged");
  writeFileSync(capture, simulatedCapture(1, 5));
  await journalOf(capture, directory);
  const segment = readdirSync(directory).filter((name) => name.endsWith(".kjl"))[0];
  const bytes = readFileSync(join(directory, segment));
  bytes[Math.floor(bytes.length * 0.6)] ^= 1;
  writeFileSync(join(directory, segment), bytes);
  const { result } = await runBacktest({ ...DEFAULT_SPEC, strategy: "static", recordings: [directory] });
  expect(result.summary.seconds).toBeWithin(1, 4.5);
  expect(result.summary.problems.join()).toContain(`${segment}: `);
});
