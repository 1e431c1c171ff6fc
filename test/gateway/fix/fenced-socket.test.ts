import { expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { LeaseFence } from "../../../src/failover/fence.ts";
import { FencedSocket } from "../../../src/gateway/fix/fenced-socket.ts";
import { FileStore } from "../../../src/gateway/fix/file-store.ts";
import { FollowedStore, type SessionWord } from "../../../src/gateway/fix/followed-store.ts";

const BYTES = new Uint8Array(8);

function bed() {
  let nowNs = 0;
  let written = 0;
  let refusals = 0;
  let used = 1;
  const fence = new LeaseFence(() => nowNs);
  fence.watch(() => used);
  const socket = { write: (_data: Uint8Array, _at: number, length: number) => (written += length) };
  return {
    fence,
    connect: () => new FencedSocket(socket, fence, () => (refusals += 1)),
    at: (ns: number) => (nowNs = ns),
    use: (next: number) => (used = next),
    seen: () => ({ written, refusals }),
  };
}

test("takes bytes until the term's end and reports the first refusal once", () => {
  const { fence, connect, at, seen } = bed();
  fence.open(1, 100, 1_000);
  const socket = connect();
  expect(socket.write(BYTES, 0, 8)).toBe(8);
  at(100);
  expect(socket.write(BYTES, 0, 8)).toBe(-1);
  expect(socket.write(BYTES, 0, 8)).toBe(-1);
  expect(seen()).toEqual({ written: 8, refusals: 1 });
  expect(fence.refused).toBe(1);
});

test("a connection of an earlier term stays shut in a later one", () => {
  const { fence, connect, at } = bed();
  fence.open(1, 100, 1_000);
  const early = connect();
  at(200);
  fence.open(2, 300, 1_000);
  expect(early.write(BYTES, 0, 8)).toBe(-1);
  expect(connect().write(BYTES, 0, 8)).toBeGreaterThan(0);
});

test("numbers beyond those reserved do not leave", () => {
  const { fence, connect, use } = bed();
  fence.open(1, 100, 10);
  const socket = connect();
  use(10);
  expect(socket.write(BYTES, 0, 8)).toBe(8);
  use(11);
  expect(socket.write(BYTES, 0, 8)).toBe(-1);
});

test("before its first term nothing leaves", () => {
  expect(bed().connect().write(BYTES, 0, 8)).toBe(-1);
});

test("a passive store goes on behind every number a leader can have used, across resets", () => {
  const folder = mkdtempSync(join(tmpdir(), "keel-followed-"));
  const words: SessionWord[] = [];
  const store = new FollowedStore(new FileStore(folder), (word) => words.push(word));
  store.followReset(1_000);
  store.followIncoming(40);
  store.takeOver({ outgoing: 500, startedUs: 1_000 });
  expect([store.nextOutgoing, store.nextIncoming]).toEqual([500, 40]);
  store.takeOver({ outgoing: 90, startedUs: 2_000 });
  expect([store.nextOutgoing, store.nextIncoming, store.startedUs]).toEqual([500, 1, 2_000]);
  expect(words).toEqual([]);
  store.setNextIncoming(5);
  store.setNextIncoming(7);
  store.flush();
  store.flush();
  expect(words).toEqual([{ said: "incoming", next: 7 }]);
  store.close();
  rmSync(folder, { recursive: true, force: true });
});
