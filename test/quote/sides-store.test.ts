import { afterAll, expect, test } from "bun:test";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { SIDES_FILE, SidesStore } from "../../src/quote/sides-store.ts";

const folder = mkdtempSync(join(tmpdir(), "keel-sides-"));
const path = join(folder, "state", SIDES_FILE);
const unsynced: unknown[] = [];
const fail = (error: unknown): void => void unsynced.push(error);

afterAll(() => rmSync(folder, { recursive: true }));

test("nothing was told where there is no file", () => {
  expect(new SidesStore(path).load()).toEqual({ sides: {}, unreadable: null });
});

test("what was told is there after a restart; that both sides are quoted is left to the configuration", async () => {
  const store = new SidesStore(path);
  store.tell("A", "bid", fail);
  store.tell("B", "reducing", fail);
  store.tell("A", "both", fail);
  expect(new SidesStore(path).load().sides).toEqual({ B: "reducing" });
  store.tell("", "ask", fail);
  expect(new SidesStore(path).load().sides).toEqual({ "": "ask" });
  await store.synced;
  const restarted = new SidesStore(path);
  restarted.load();
  restarted.tell("C", "bid", fail);
  await restarted.synced;
  expect(new SidesStore(path).load().sides).toEqual({ "": "ask", C: "bid" });
  restarted.tell("", "both", fail);
  expect(new SidesStore(path).load().sides).toEqual({});
  await restarted.synced;
  expect(unsynced).toEqual([]);
});

test.each(["", "{", "[]", '{"A":"both"}', '{"A":"left"}', '{"A":1}', "null"])(
  "%p cannot be read: only what reduces a position is quoted",
  (text) => {
    writeFileSync(path, text);
    const { sides, unreadable } = new SidesStore(path).load();
    expect(sides).toEqual({ "": "reducing" });
    expect(unreadable).toContain(path);
  },
);

test("a folder in its place is an error when it is written, and cannot be read", () => {
  const store = new SidesStore(folder);
  expect(store.load().unreadable).toContain(folder);
  expect(() => store.tell("A", "bid", fail)).toThrow();
  expect(readFileSync(path, "utf8")).toBe("null");
});
