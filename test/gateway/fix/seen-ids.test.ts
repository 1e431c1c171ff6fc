import { afterEach, beforeEach, expect, test } from "bun:test";
import { appendFileSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { SeenIds } from "../../../src/gateway/fix/seen-ids.ts";

let folder = "";
let path = "";
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "keel-seen-"));
  path = join(folder, "executions.log");
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

test("remembers what an earlier process has seen, killed or closed", () => {
  const first = new SeenIds(10, path);
  expect([first.add("a"), first.add("b\nc"), first.add("a")]).toEqual([true, true, false]);
  const second = new SeenIds(10, path);
  expect([second.has("a"), second.has("b\nc"), second.has("d")]).toEqual([true, true, false]);
  expect(second.skippedLines).toBe(0);
});

test("passes over a torn or damaged line and keeps the others", () => {
  new SeenIds(10, path).add("a");
  appendFileSync(path, "00000000 forged\ndeadbee");
  const again = new SeenIds(10, path);
  expect([again.has("a"), again.has("forged"), again.skippedLines]).toEqual([true, false, 2]);
  again.add("b");
  expect(new SeenIds(10, path).has("b")).toBe(true);
});

test("keeps the newest, in memory and on disk", () => {
  const ids = new SeenIds(5, path);
  for (let i = 0; i < 1_000; i += 1) ids.add(`id-${i}`);
  expect([ids.has("id-994"), ids.has("id-995")]).toEqual([false, true]);
  expect(readFileSync(path, "utf8").split("\n").length).toBeLessThanOrEqual(12);
});
