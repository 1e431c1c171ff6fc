import { expect, test } from "bun:test";
import { runDashboardBench } from "../../src/bench/dashboard.ts";

test("what somebody who looks on costs is measured with nobody and with two screens, by turns", async () => {
  const options = { seed: 1, rounds: 1, blockSeconds: 0.7, strikesPerExpiry: 3 };
  const { rows, ratios } = await runDashboardBench({ ...options, warmUpMs: 500 });
  expect(rows.map(({ name }) => name)).toEqual([
    "dashboard/off",
    "dashboard/on",
    "dashboard/all",
    "dashboard/update",
  ]);
  for (const { n } of rows) expect(n).toBeGreaterThan(0);
  for (const { value } of ratios) expect(value).toBeGreaterThan(0);
}, 120_000);
