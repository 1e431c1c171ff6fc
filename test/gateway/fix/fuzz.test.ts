import { expect, test } from "bun:test";
import { fuzzFix } from "./fuzz-run.ts";

test("mutated streams neither break nor stall the parser, the session or the readers of messages", () => {
  const report = fuzzFix(11, (rounds) => rounds < 3_000);
  expect(report.messages).toBeGreaterThan(3_000);
  expect(Math.min(report.garbled, report.rejects, report.reconnects)).toBeGreaterThan(50);
});
