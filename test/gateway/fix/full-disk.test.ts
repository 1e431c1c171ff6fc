/** A session's files on a disk that takes nothing more: no number is used twice, nothing throws, and all is made up for. */
import { afterAll, afterEach, describe, expect, test } from "bun:test";
import { copyFileSync, mkdirSync, mkdtempSync, rmSync, statfsSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { FileStore, LOG_NAME, RESERVE_BLOCK } from "../../../src/gateway/fix/file-store.ts";
import { SeenIds } from "../../../src/gateway/fix/seen-ids.ts";
import { BookStore } from "../../../src/position/book-store.ts";

const ATTRIBUTION = {
  ...{ spread: 0, delta: 0, gamma: 0, vega: 0 },
  ...{ theta: 0, currency: 0, residual: 0, fees: 0 },
};
const ANCHOR = {
  ...{ mark: null, forward: null, volatility: null, timeUs: null, conversion: null },
  ...{ delta: null, gamma: null, vega: null, theta: null },
};
const POSITION = {
  ...{ flow: 0, average: 0, fees: 0, bought: 0, sold: 0, profit: 0 },
  ...{ attribution: ATTRIBUTION, anchor: ANCHOR, markout: [], adverse: [] },
};

const root = mkdtempSync(join(tmpdir(), "keel-full-disk-"));
const mounts: string[] = [];
afterEach(() => {
  for (const path of mounts.splice(0)) Bun.spawnSync(["umount", "-l", path]);
});
afterAll(() => rmSync(root, { recursive: true, force: true }));
const canMount = process.getuid?.() === 0;
if (!canMount) console.warn("skipped: a full disk needs root");

function disk(): string {
  const path = mkdtempSync(join(root, "disk-"));
  const { exitCode } = Bun.spawnSync(["mount", "-t", "tmpfs", "-o", "size=256k", "none", path]);
  expect(exitCode).toBe(0);
  mounts.push(path);
  return path;
}

function fill(path: string): void {
  Bun.spawnSync(["dd", "if=/dev/zero", `of=${join(path, "ballast")}`, "bs=1k"], { stderr: "ignore" });
  expect(statfsSync(path).bavail).toBe(0);
}

describe.skipIf(!canMount)("on a full disk", () => {
  test("numbers are reserved for as long as they are asked for, and none comes again after a crash", () => {
    const path = disk();
    const store = new FileStore(join(path, "session"));
    store.setNextIncoming(7);
    store.flush();
    fill(path);
    const message = new Uint8Array(400).fill(65);
    let last = 0;
    for (let i = 0; i < RESERVE_BLOCK * 4; i += 1) {
      last = store.claimOutgoing();
      if (i % 64 === 0) store.keep(last, 1, message, 0, message.length);
      store.setNextIncoming(8 + i);
      store.flush();
    }
    expect(last).toBe(RESERVE_BLOCK * 4);
    expect(store.behind).toBeTrue();
    expect(store.failures).toBeGreaterThan(0);
    // What a process that dies now leaves.
    const crashed = join(root, "crashed");
    mkdirSync(crashed);
    copyFileSync(join(path, "session", LOG_NAME), join(crashed, LOG_NAME));
    const next = new FileStore(crashed);
    expect(next.nextOutgoing).toBeGreaterThan(last);
    expect(next.nextIncoming).toBeGreaterThanOrEqual(7);
    next.close();

    rmSync(join(path, "ballast"));
    for (let i = 0; i < 1_000 && store.behind; i += 1) store.flush();
    expect(store.behind).toBeFalse();
    store.close();
    const again = new FileStore(join(path, "session"));
    expect([again.nextOutgoing, again.nextIncoming]).toEqual([last + 1, 7 + RESERVE_BLOCK * 4]);
    expect(again.find(last - 63)?.bytes).toEqual(message);
    again.close();
  });

  test("a reset is taken, and written once there is room", () => {
    const path = disk();
    const store = new FileStore(join(path, "session"));
    for (let i = 0; i < 10; i += 1) store.claimOutgoing();
    fill(path);
    store.reset(5);
    expect([store.claimOutgoing(), store.behind]).toEqual([1, true]);
    rmSync(join(path, "ballast"));
    for (let i = 0; i < 1_000 && store.behind; i += 1) store.flush();
    store.close();
    const again = new FileStore(join(path, "session"));
    expect([again.nextOutgoing, again.startedUs]).toEqual([2, 5]);
    again.close();
  });

  test("executions are known, and written once there is room", () => {
    const path = disk();
    const file = join(path, "seen");
    const seen = new SeenIds(100, file);
    seen.add("before");
    fill(path);
    for (let i = 0; i < 1_000; i += 1) expect(seen.add(`full-${i}`)).toBeTrue();
    expect([seen.add("full-999"), seen.behind]).toEqual([false, true]);
    rmSync(join(path, "ballast"));
    for (let i = 0; i < 1_000 && seen.behind; i += 1) seen.flush();
    expect(seen.behind).toBeFalse();
    seen.add("after");
    seen.close();
    const again = new SeenIds(100, file);
    expect(again.skippedLines).toBe(0);
    expect([again.has("full-999"), again.has("after")]).toEqual([true, true]);
    again.close();
  });

  test("an orderly end writes executions that could not be written before", () => {
    const path = disk();
    const file = join(path, "seen");
    const seen = new SeenIds(100, file);
    fill(path);
    seen.add(`full-${"x".repeat(10_000)}`);
    expect(seen.behind).toBeTrue();
    rmSync(join(path, "ballast"));
    seen.close();
    const again = new SeenIds(100, file);
    expect([again.has(`full-${"x".repeat(10_000)}`), again.skippedLines]).toEqual([true, 0]);
    again.close();
  });

  test("books end with a whole line, and are whole again once there is room", async () => {
    const path = disk();
    const file = join(path, "positions.json");
    const store = new BookStore(file);
    const change = (lots: number) => ({
      instrument: `deribit:${"BTC-PERPETUAL".repeat(20)}`,
      position: { ...POSITION, lots },
      executionId: null,
      sum: null,
      day: 1,
      dayStart: 0,
      dayPeak: 0,
    });
    for (let lots = 0; lots < 3; lots += 1) store.append([change(lots)]);
    fill(path);
    let written = 2;
    for (let lots = 3; lots < 100 && !store.behind; lots += 1) {
      try {
        store.append([change(lots)]);
        written = lots;
      } catch {
        expect(store.behind).toBeTrue();
      }
    }
    expect(store.behind).toBeTrue();
    const [position] = Object.values(new BookStore(file).load()?.positions ?? {});
    expect(position?.lots).toBe(written);
    rmSync(join(path, "ballast"));
    writeFileSync(join(path, "probe"), "");
    store.append([change(500)]);
    const snapshot = new BookStore(file).load();
    expect(Object.values(snapshot?.positions ?? {})[0]?.lots).toBe(written);
    if (snapshot === null) throw new Error("there are books");
    const whole = { ...snapshot, positions: { [change(0).instrument]: change(777).position } };
    await store.save(whole);
    expect(store.behind).toBeFalse();
    store.append([change(778)]);
    expect(Object.values(new BookStore(file).load()?.positions ?? {})[0]?.lots).toBe(778);
    store.close();
  });
});
