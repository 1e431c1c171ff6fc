import { afterEach, expect, spyOn, test } from "bun:test";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { systemClock } from "../../src/core/clock.ts";
import { JournalReader } from "../../src/journal/reader.ts";
import { RECORD } from "../../src/journal/record.ts";
import { Harness } from "./harness.ts";

let harness: Harness | null = null;
afterEach(async () => {
  await harness?.stop();
  harness?.remove();
  harness = null;
});

test("where the gateway is what failed, taps are still told, books written and the journal closed", async () => {
  const logged: string[] = [];
  const desk = await Harness.start(
    {},
    {},
    (url) => url,
    (line) => logged.push(line),
  );
  harness = desk;
  await desk.untilQuoting();
  const told: string[] = [];
  desk.live.taps.push({
    onQuotes: () => {},
    onTimer: () => {},
    onCancelAll: () => told.push("cancelled"),
    close: () => told.push("closed"),
  });
  const before = desk.desk.counters.executions;
  const [key] = desk.counterparty.liveQuotes.keys();
  if (key === undefined) throw new Error("the counterparty holds quotes");
  expect(desk.counterparty.execute(key, 0, systemClock.wallUs())).toBeTrue();
  await desk.until("the desk has the fill", () => desk.desk.counters.executions > before);
  const cancelAll = spyOn(desk.live.gateway, "cancelAll").mockImplementation(() => {
    throw new Error("the session's buffer is half written");
  });
  desk.live.abandon();
  cancelAll.mockRestore();
  expect(told).toEqual(["cancelled", "closed"]);
  expect(logged.some((line) => line.includes("the session's buffer is half written"))).toBeTrue();
  expect(existsSync(join(desk.folder, "state/positions.json"))).toBeTrue();
  const reader = new JournalReader(join(desk.folder, "journal"));
  let quotes = 0;
  for (const record of reader.records()) if (record.type === RECORD.quote) quotes += 1;
  expect([reader.damage, quotes > 0]).toEqual([null, true]);
});
