import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import {
  appendFileSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { FileStore, openSessionStore, RESERVE_BLOCK } from "../../../src/gateway/fix/file-store.ts";
import { lockHolder } from "../../../src/gateway/fix/store-lock.ts";

let folder = "";
let copies = 0;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "keel-fix-"));
});

afterEach(() => {
  rmSync(folder, { recursive: true, force: true });
});

/** A store as it is found after its process has died: the same log, the lock of nobody. */
function crashed(store: FileStore, bytes = Number.POSITIVE_INFINITY): string {
  copies += 1;
  const copy = join(folder, `crash-${copies}`);
  mkdirSync(copy);
  copyFileSync(store.path, join(copy, "session.log"));
  if (Number.isFinite(bytes)) truncateSync(join(copy, "session.log"), bytes);
  return copy;
}

const MESSAGE = new TextEncoder().encode("8=FIX.4.4...");

describe("FileStore", () => {
  test("starts at 1", () => {
    const store = new FileStore(join(folder, "new"));
    expect([store.nextOutgoing, store.nextIncoming]).toEqual([1, 1]);
    store.close();
  });

  test("goes on exactly where an orderly close left it", () => {
    const store = new FileStore(join(folder, "a"));
    for (let i = 0; i < 3; i += 1) store.claimOutgoing();
    store.setNextIncoming(9);
    store.keep(2, 5, MESSAGE, 0, MESSAGE.length);
    store.close();
    const again = new FileStore(join(folder, "a"));
    expect([again.nextOutgoing, again.nextIncoming]).toEqual([4, 9]);
    expect(again.find(2)).toEqual({ seq: 2, sendingTimeUs: 5, bytes: MESSAGE });
    expect(again.skippedBytes).toBe(0);
    again.close();
  });

  test("never uses a number twice after a crash, whatever byte it came at", () => {
    const store = new FileStore(join(folder, "a"));
    const used: { bytes: number; next: number; incoming: number }[] = [];
    const note = (): void => {
      used.push({
        bytes: readFileSync(store.path).length,
        next: store.nextOutgoing,
        incoming: store.nextIncoming,
      });
    };
    note();
    for (let i = 0; i < RESERVE_BLOCK * 2; i += 1) {
      const seq = store.claimOutgoing();
      if (i % 500 === 0) {
        store.keep(seq, i, MESSAGE, 0, MESSAGE.length);
        store.setNextIncoming(i + 1);
        store.flush();
        note();
      }
    }
    note();
    const size = readFileSync(store.path).length;
    for (let bytes = used[0].bytes; bytes <= size; bytes += 1) {
      const reached = used.findLast((entry) => entry.bytes <= bytes);
      const copy = crashed(store, bytes);
      const found = new FileStore(copy);
      expect(found.nextOutgoing).toBeGreaterThanOrEqual(reached?.next ?? 1);
      expect(found.nextIncoming).toBeGreaterThanOrEqual(reached?.incoming ?? 1);
      found.close();
      rmSync(copy, { recursive: true });
    }
    store.close();
  });

  test("goes on behind damage in the middle", () => {
    const store = new FileStore(join(folder, "a"));
    for (let i = 0; i < 3_000; i += 1) {
      store.claimOutgoing();
      store.setNextIncoming(i + 1);
      if (i % 100 === 0) store.flush();
    }
    const copy = crashed(store);
    const bytes = readFileSync(join(copy, "session.log"));
    bytes.fill(0xf5, 30, 60);
    writeFileSync(join(copy, "session.log"), bytes);
    const found = new FileStore(copy);
    expect(found.nextOutgoing).toBeGreaterThanOrEqual(store.nextOutgoing);
    expect(found.nextIncoming).toBe(2_901);
    expect(found.skippedBytes).toBeGreaterThan(0);
    found.close();
    store.close();
  });

  test("goes on behind numbers that another process of the session may have used, after a crash, too, and never back", () => {
    const store = new FileStore(join(folder, "a"));
    const begun = statSync(store.path).size;
    for (let next = 20_000; next <= 20_100; next += 1) store.advanceOutgoing(next);
    expect(statSync(store.path).size - begun).toBeLessThan(64);
    store.advanceOutgoing(15);
    expect(store.nextOutgoing).toBe(20_100);
    const found = new FileStore(crashed(store));
    expect(found.claimOutgoing()).toBeWithin(20_100, 20_100 + RESERVE_BLOCK + 1);
    found.close();
    expect(store.claimOutgoing()).toBe(20_100);
    store.close();
  });

  test("reports a torn tail and uses everything before it", () => {
    const store = new FileStore(join(folder, "a"));
    store.setNextIncoming(7);
    store.flush();
    const copy = crashed(store);
    appendFileSync(join(copy, "session.log"), Uint8Array.of(0xf5, 3, 8, 0, 0));
    const found = new FileStore(copy);
    expect(found.nextIncoming).toBe(7);
    expect(found.skippedBytes).toBe(5);
    found.close();
    store.close();
  });

  test("refuses a log without a valid record", () => {
    mkdirSync(join(folder, "bad"));
    writeFileSync(join(folder, "bad", "session.log"), "not a log at all");
    expect(() => new FileStore(join(folder, "bad"))).toThrow("16 bytes without a valid record");
  });

  test("starts again at 1 after a reset", () => {
    const store = new FileStore(join(folder, "a"));
    store.claimOutgoing();
    store.keep(1, 5, MESSAGE, 0, MESSAGE.length);
    store.reset(0);
    expect([store.nextOutgoing, store.nextIncoming, store.find(1)]).toEqual([1, 1, undefined]);
    store.close();
    const again = new FileStore(join(folder, "a"));
    expect([again.nextOutgoing, again.find(1)]).toEqual([1, undefined]);
    again.close();
  });

  test("keeps a bounded number of messages", () => {
    const store = new FileStore(join(folder, "a"), { maxMessages: 3, maxBytes: 1_000 });
    for (let i = 0; i < 10; i += 1) store.keep(store.claimOutgoing(), i, MESSAGE, 0, MESSAGE.length);
    expect(store.nextKept(1, 10)).toBe(8);
    expect(store.find(7)).toBeUndefined();
    store.close();
  });

  test("is open in one place only", () => {
    const identity = { version: "4.4", senderCompId: "A/B", targetCompId: ".." } as const;
    const store = openSessionStore(folder, identity);
    expect(() => openSessionStore(folder, identity)).toThrow("held by a running process");
    store.close();
    openSessionStore(folder, identity).close();
  });

  test("is refused while another process has it, and taken when that was killed", async () => {
    mkdirSync(join(folder, "a"));
    const source = `import { lockStore } from ${JSON.stringify(join(import.meta.dir, "../../../src/gateway/fix/store-lock.ts"))};
      globalThis.release = lockStore(process.argv[1]);
      console.log("held");
      setInterval(() => {}, 1_000);`;
    const lock = join(folder, "a", "session.lock");
    const holder = Bun.spawn([process.execPath, "-e", source, lock], { stdout: "pipe" });
    await holder.stdout.getReader().read();
    expect(lockHolder(lock)).toBe(holder.pid);
    expect(() => new FileStore(join(folder, "a"))).toThrow(`held by a running process, ${holder.pid}`);
    holder.kill("SIGKILL");
    await holder.exited;
    expect(lockHolder(lock)).toBeNull();
    new FileStore(join(folder, "a")).close();
    expect(existsSync(lock)).toBe(false);
  });

  test("takes over the lock of a process that is gone", () => {
    mkdirSync(join(folder, "a"));
    writeFileSync(join(folder, "a", "session.lock"), "4194303 1\n");
    new FileStore(join(folder, "a")).close();
  });
});
