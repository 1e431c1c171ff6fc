import { expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { LIMIT_MEANING } from "../../src/risk/refusal.ts";

test("docs/risk.md has the table of limits, in their order", () => {
  const page = readFileSync(join(import.meta.dir, "../../docs/risk.md"), "utf8");
  const [, table = ""] = /<!-- limits -->\n([\s\S]*?)\n<!-- \/limits -->/.exec(page) ?? [];
  const rows = Object.entries(LIMIT_MEANING).map(([name, meaning]) => `| \`${name}\` | ${meaning} |`);
  expect(table.split("\n")).toEqual(["| Limit | Refuses |", "| --- | --- |", ...rows]);
});
