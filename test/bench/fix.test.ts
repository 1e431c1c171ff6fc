import { expect, test } from "bun:test";
import { runFixBench } from "../../src/bench/fix.ts";

test("the FIX benchmark runs and does the same work for the same seed", async () => {
  const options = { messages: 2_000, seed: 1, roundTrips: 0, peersEvery: 0, quickFix: false };
  const first = await runFixBench(options);
  const second = await runFixBench(options);
  expect(first.rows.map((row) => row.name)).toEqual(["fix/encode", "fix/parse"]);
  expect(first.checksum).toBe(second.checksum);
  expect(first.rows.every((row) => row.p50 > 0 && row.n === 2_000)).toBe(true);
});

test("its peers do the same work in the same run, and its round trip stands beside an echo", async () => {
  const { rows, ratios } = await runFixBench({
    messages: 640,
    seed: 1,
    roundTrips: 50,
    peersEvery: 4,
    quickFix: false,
  });
  const names = rows.map((row) => row.name);
  for (const name of ["fix/jspurefix/encode", "fix/jspurefix/parse", "fix/roundtrip", "fix/echo"]) {
    expect(names).toContain(name);
  }
  expect(rows.find((row) => row.name === "fix/jspurefix/parse")?.n).toBe(160);
  expect(rows.find((row) => row.name === "fix/roundtrip")?.n).toBe(50);
  for (const { value } of ratios) expect(value).toBeGreaterThan(0);
});
