import { expect, test } from "bun:test";
import { runCrashes } from "./crash-run.ts";

const KILLS = 6;

test("a process killed under load reuses no number, loses nothing, and cancels before it quotes again", async () => {
  const report = await runCrashes(KILLS, 5);
  expect(report.kills).toBe(KILLS);
  expect(report.reusedNumbers).toEqual([]);
  expect(report.quotesBeforeCancel).toBe(0);
  expect(report.lostOrders).toEqual([]);
  expect(report.lostExecutions).toEqual([]);
  expect(report.repeatedExecutions).toBeLessThanOrEqual(KILLS);
  expect(Math.min(report.quotes, report.orders, report.executions)).toBeGreaterThan(KILLS);
}, 120_000);
