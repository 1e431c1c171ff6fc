import { afterAll, expect, test } from "bun:test";
import { chmodSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { KillSwitch, NOT_TRIPPED } from "../../src/risk/kill-switch.ts";
import { KillSwitchStore } from "../../src/risk/kill-switch-store.ts";

const folder = mkdtempSync(join(tmpdir(), "keel-kill-"));
afterAll(() => rmSync(folder, { recursive: true }));

test("the first trip stays until the reset", () => {
  const kill = new KillSwitch();
  expect(kill.trip("signal", 5)).toBe(true);
  expect(kill.trip("http", 6)).toBe(false);
  expect(kill.state).toEqual({ tripped: true, reason: "signal", timeUs: 5 });
  expect(kill.reset()).toBe(true);
  expect(kill.reset()).toBe(false);
  expect(kill.state).toEqual(NOT_TRIPPED);
});

test("a saved trip survives a restart, a saved reset too", () => {
  const path = join(folder, "deep", "state.json");
  const kill = new KillSwitch(new KillSwitchStore(path).load(1));
  expect(kill.tripped).toBe(false);
  kill.trip("limit:position", 7);
  new KillSwitchStore(path).save(kill.state);
  const restarted = new KillSwitch(new KillSwitchStore(path).load(8));
  expect(restarted.state).toEqual({ tripped: true, reason: "limit:position", timeUs: 7 });
  restarted.reset();
  new KillSwitchStore(path).save(restarted.state);
  expect(new KillSwitchStore(path).load(9)).toEqual(NOT_TRIPPED);
});

test("a save leaves no other file behind and only its owner may read it", () => {
  const path = join(folder, "alone", "state.json");
  new KillSwitchStore(path).save({ tripped: true, reason: "http", timeUs: 1 });
  expect(readdirSync(join(folder, "alone"))).toEqual(["state.json"]);
  expect(JSON.parse(readFileSync(path, "utf8"))).toEqual({
    version: 2,
    tripped: true,
    reason: "http",
    timeUs: 1,
  });
});

test.each([
  ["empty", ""],
  ["half written", '{"tripped":fal'],
  ["of another form", '{"tripped":"no"}'],
  ["of no object", "null"],
])("a file that is %s counts as tripped", (what, content) => {
  const path = join(folder, `${what}.json`);
  writeFileSync(path, content);
  const { tripped, reason, timeUs } = new KillSwitchStore(path).load(3);
  expect([tripped, timeUs]).toEqual([true, 3]);
  expect(reason).toStartWith(`state-unreadable: ${path}: expected {`);
});

test("a path that is no readable file counts as tripped", () => {
  expect(new KillSwitchStore(folder).load(3).tripped).toBe(true);
});

test.skipIf(process.getuid?.() === 0)("a file without permission counts as tripped", () => {
  const path = join(folder, "forbidden.json");
  writeFileSync(path, "{}");
  chmodSync(path, 0);
  expect(new KillSwitchStore(path).load(3).tripped).toBe(true);
});
