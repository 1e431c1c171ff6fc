import { afterAll, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Logger } from "../../src/core/log.ts";
import { FileStore, LOG_NAME } from "../../src/gateway/fix/file-store.ts";
import { inspectStore } from "../../src/gateway/fix/inspect.ts";
import { SeenIds } from "../../src/gateway/fix/seen-ids.ts";
import { PAYLOAD_AT, recordBytes, STORE_RECORD, sealRecord } from "../../src/gateway/fix/store-log.ts";
import { readManifest } from "../../src/learn/dataset/manifest.ts";
import { decodeManifest } from "../../src/learn/registry/version.ts";
import { openCounterparties } from "../../src/live/live-counterparties.ts";
import { BookStore } from "../../src/position/book-store.ts";
import { SidesStore } from "../../src/quote/sides-store.ts";
import { CounterpartyStore } from "../../src/rfq/counterparty-store.ts";
import { KillSwitchStore } from "../../src/risk/kill-switch-store.ts";

const folder = mkdtempSync(join(tmpdir(), "keel-formats-"));
afterAll(() => rmSync(folder, { recursive: true }));

function file(name: string, text: string): string {
  const path = join(folder, name);
  writeFileSync(path, text);
  return path;
}

/** A FIX session's log of these records. */
function sessionLog(name: string, records: readonly (readonly [kind: number, value: number])[]): string {
  const directory = join(folder, name);
  mkdirSync(directory);
  const bytes = records.map(([kind, value]) => {
    const record = new Uint8Array(recordBytes(8));
    new DataView(record.buffer).setFloat64(PAYLOAD_AT, value, true);
    sealRecord(record, kind, 8);
    return record;
  });
  writeFileSync(join(directory, LOG_NAME), Buffer.concat(bytes));
  return directory;
}

const LATER = "version 99, expected version";
const log = new Logger({ format: "text", level: "error", sink: () => {} });

test("books of a later keel are refused; those without a version are read and go on with one", async () => {
  const later = file("later.json", '{"version":99,"new":true}');
  expect(() => new BookStore(later).load()).toThrow(`${later}: found ${LATER} 2`);
  const empty = { positions: {}, sums: {}, executionIds: ["E1"], day: -1, dayStart: 0, dayPeak: 0 };
  const first = file("first.json", JSON.stringify({ ...empty, generation: 3 }));
  const store = new BookStore(first);
  expect(store.load()).toEqual(empty);
  store.saveSync(empty);
  store.close();
  expect(JSON.parse(readFileSync(first, "utf8"))).toMatchObject({ version: 2, generation: 4 });
  expect(new BookStore(first).load()).toEqual(empty);
});

test("a kill switch of a later keel counts as tripped, and the reason names the versions", () => {
  const later = file("kill-later.json", '{"version":99,"tripped":false,"reason":"","timeUs":0}');
  expect(new KillSwitchStore(later).load(1)).toMatchObject({
    tripped: true,
    reason: expect.stringContaining(`${later}: found ${LATER} 2`),
  });
  const first = file("kill-first.json", '{"tripped":false,"reason":"x","timeUs":5}');
  const store = new KillSwitchStore(first);
  expect(store.load(1)).toEqual({ tripped: false, reason: "x", timeUs: 5 });
  store.save({ tripped: true, reason: "y", timeUs: 6 });
  expect(JSON.parse(readFileSync(first, "utf8")).version).toBe(2);
  expect(new KillSwitchStore(first).load(1)).toEqual({ tripped: true, reason: "y", timeUs: 6 });
});

test("sides of a later keel: only what reduces a position is quoted; those of the first form are read", async () => {
  const later = file("sides-later.json", '{"version":99,"sides":{}}');
  expect(new SidesStore(later).load()).toEqual({
    sides: { "": "reducing" },
    unreadable: expect.stringContaining(`${later}: found ${LATER} 2`),
  });
  const first = file("sides-first.json", '{"A":"bid"}');
  const store = new SidesStore(first);
  expect(store.load().sides).toEqual({ A: "bid" });
  store.tell("B", "ask", () => {});
  await store.synced;
  expect(JSON.parse(readFileSync(first, "utf8"))).toEqual({ version: 2, sides: { A: "bid", B: "ask" } });
});

test("what a later keel has learnt of counterparties is not written over: the desk does not start", () => {
  const later = file("counterparties-later.json", '{"version":99,"counterparties":[]}');
  expect(() => openCounterparties(new CounterpartyStore(later), log)).toThrow(`${later}: found ${LATER} 1`);
});

test("a FIX session's log of a later keel is refused; one without a version is read and goes on with one", () => {
  const { version, outgoingExact, incoming } = STORE_RECORD;
  const later = sessionLog("fix-later", [
    [version, 99],
    [outgoingExact, 7],
  ]);
  expect(() => new FileStore(later)).toThrow(`${join(later, LOG_NAME)}: found ${LATER} 2`);
  mkdirSync(join(folder, "stores"));
  renameSync(later, join(folder, "stores", "FIX.4.4-US-PEER"));
  expect(() => inspectStore(join(folder, "stores"), "FIX.4.4-US-PEER")).toThrow(LATER);
  const first = sessionLog("FIX.4.4-US-PEER", [
    [outgoingExact, 7],
    [incoming, 9],
  ]);
  const store = new FileStore(first);
  expect([store.nextOutgoing, store.nextIncoming]).toEqual([7, 9]);
  store.close();
  const again = new FileStore(first);
  expect([again.nextOutgoing, again.nextIncoming, again.skippedBytes]).toEqual([7, 9, 0]);
  again.close();
});

test("executions that a later keel has seen are refused; a list without a version is read", () => {
  const line = (id: string): string => `${Bun.hash.crc32(id).toString(16).padStart(8, "0")} ${id}\n`;
  const later = file("later.log", line("# version 99") + line("20260101 E1"));
  expect(() => new SeenIds(8, later)).toThrow(`${later}: found ${LATER} 2`);
  const first = file("first.log", line("20260101 E1"));
  const seen = new SeenIds(8, first);
  expect([seen.has("20260101 E1"), seen.skippedLines]).toEqual([true, 0]);
  seen.close();
  const again = new SeenIds(8, first);
  expect([again.has("20260101 E1"), again.skippedLines]).toEqual([true, 0]);
  again.close();
});

test("manifests of datasets and of model versions of a later keel are refused by their format", () => {
  mkdirSync(join(folder, "dataset"));
  file("dataset/manifest.json", '{"format":99}');
  expect(() => readManifest(join(folder, "dataset"))).toThrow(LATER);
  expect(() => decodeManifest("model@x", Buffer.from('{"format":99}'))).toThrow(`model@x: found ${LATER} 1`);
});
