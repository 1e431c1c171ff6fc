import { expect, test } from "bun:test";
import { runOptionBench } from "../../src/bench/option.ts";

test("the option benchmark runs, small, and does the same work for the same seed", async () => {
  const first = await runOptionBench({ seed: 1, rounds: 1, small: true });
  const names = first.rows.map((row) => row.name);
  for (const name of ["iv", "bisection/iv", "greeks", "surface-fit", "surface-refit", "chain-1000"]) {
    expect(names).toContain(`option/${name}`);
  }
  for (const row of first.rows) {
    expect(row.n).toBeGreaterThan(0);
    expect(row.p50).toBeGreaterThan(0);
    expect(row.p99).toBeGreaterThanOrEqual(row.p50);
  }
  expect(first.rows.find(({ name }) => name === "option/chain-1000")?.quotesPerEvent).toBeGreaterThan(0);
  expect(first.ratios.map(({ name }) => name)).toContain("option/iv/bisection:keel");
  const second = await runOptionBench({ seed: 1, rounds: 1, small: true });
  expect(second.checksum).toBe(first.checksum);
}, 120_000);
