import { afterEach, describe, expect, test } from "bun:test";
import { Backlog } from "../../src/distribution/feed/backlog.ts";
import { Credit, WAITING_BATCHES_MAX } from "../../src/distribution/feed/credit.ts";
import { type Batch, Handover } from "../../src/distribution/feed/handover.ts";
import { Flood } from "./flood.ts";

let flood: Flood | null = null;
afterEach(() => flood?.close());

/** Has the event loop turn until nothing that was due has been left. */
async function turns(): Promise<void> {
  for (let i = 0; i < 20; i += 1) await Bun.sleep(1);
}

test("of a topic that is faster than the desk at most 64 batches wait for it, and every message is taken in order", async () => {
  const MESSAGES = 10_000;
  flood = new Flood({ messages: MESSAGES, everyMs: 0 });
  const running = flood;
  const numbers: number[] = [];
  let heldAt = Number.NaN;
  let most = 0;
  const { promise: closed, resolve } = Promise.withResolvers<string>();
  running.source.connect(0, {
    onOpen: () => {},
    onFrame: (_feed, text) => {
      // A desk that does not follow until the thread posts no more, and then does.
      for (let before = 0; numbers.length === 0 && running.posted > before; ) {
        before = running.posted;
        Bun.sleepSync(250);
      }
      if (numbers.length === 0) heldAt = running.posted;
      numbers.push(Number(text));
      most = Math.max(most, running.waiting);
    },
    onClose: (_feed, _code, reason) => resolve(reason),
    onResponse: () => {},
  });
  expect(await closed).toBe("the end");
  expect(numbers).toEqual(Array.from({ length: MESSAGES }, (_, number) => number));
  expect(heldAt).toBeWithin(1, WAITING_BATCHES_MAX + 1);
  expect(most).toBeLessThanOrEqual(WAITING_BATCHES_MAX);
}, 60_000);

test("what a thread had on its way when it ended waits no more", async () => {
  flood = new Flood({ messages: 10_000, everyMs: 0 });
  const running = flood;
  const waitedMs: number[] = [];
  const { promise: closed, resolve } = Promise.withResolvers<number>();
  running.source.connect(0, {
    onOpen: () => {},
    onFrame: () => {
      if (waitedMs.length > 0) return;
      const nowMs = performance.now();
      waitedMs.push(running.source.waitedMs(nowMs * 1e6));
      while (running.posted < WAITING_BATCHES_MAX / 2);
      waitedMs.push(running.source.waitedMs((nowMs + 70) * 1e6));
      running.end();
    },
    onClose: () => resolve(running.source.waitedMs((performance.now() + 60_000) * 1e6)),
    onResponse: () => {},
  });
  expect(await closed).toBe(0);
  expect(waitedMs).toEqual([0, 70]);
}, 60_000);

test("the wait is that of the oldest batch since it was seen first, and none where all have been taken", () => {
  const credit = new Credit();
  new Int32Array(credit.memory).fill(2 ** 31 - 3);
  const backlog = new Backlog(credit);
  const waitedMs = (nowMs: number) => backlog.waitedMs(nowMs * 1e6);
  expect(waitedMs(1_000)).toBe(0);
  credit.hand(["a"]);
  credit.hand(["b"]);
  expect([waitedMs(1_010), waitedMs(1_020)]).toEqual([0, 10]);
  credit.hand(["c"]);
  expect(waitedMs(1_030)).toBe(20);
  credit.take(["a"]);
  credit.take(["b"]);
  expect(waitedMs(1_045)).toBe(15);
  // Came and was taken between two looks.
  for (let i = 0; i < 3 * WAITING_BATCHES_MAX; i += 1) {
    credit.hand(["d"]);
    credit.take(["c"]);
  }
  expect(waitedMs(1_060)).toBe(0);
  credit.take(["d"]);
  expect(waitedMs(2_000)).toBe(0);
});

describe("values on their way to the desk's thread", () => {
  const posted: Batch[] = [];

  function bench(credit = new Credit()) {
    posted.length = 0;
    return { credit, handover: new Handover(["deribit", "okx"], credit, (batch) => posted.push(batch)) };
  }

  test("are handed over together when the event loop turns, by venue", async () => {
    const { handover } = bench();
    for (const [key, value] of [
      ["deribit:A", "1"],
      ["okx:A", "2"],
      ["deribit:B", "3"],
      ["bybit:A", "4"],
      ["deribit", "5"],
    ] as const)
      handover.add(key, value);
    expect(posted).toEqual([]);
    await turns();
    expect(posted).toEqual([
      { venue: "deribit", values: ["1", "3"] },
      { venue: "okx", values: ["2"] },
    ]);
  });

  test("wait where there is no room, until what is on its way has been taken", async () => {
    const { credit, handover } = bench();
    for (let i = 0; i < 256 * WAITING_BATCHES_MAX; i += 1) {
      handover.add("deribit:A", String(i));
      if (handover.isFull) await handover.flush();
    }
    expect([posted.length, credit.waiting, credit.hasRoom]).toEqual([
      WAITING_BATCHES_MAX,
      WAITING_BATCHES_MAX,
      false,
    ]);
    handover.add("okx:A", "the last");
    let isDone = false;
    const done = handover.flush().then(() => {
      isDone = true;
    });
    await turns();
    expect([posted.length, isDone]).toEqual([WAITING_BATCHES_MAX, false]);
    credit.take(posted[0]?.values ?? []);
    await done;
    expect(posted.at(-1)).toEqual({ venue: "okx", values: ["the last"] });
  });

  test("that are long wait after fewer batches", async () => {
    const { credit, handover } = bench();
    const book = "x".repeat(1024 * 1024);
    for (let i = 0; i < 16; i += 1) {
      handover.add("deribit:A", book);
      expect(handover.isFull).toBe(true);
      await handover.flush();
    }
    handover.add("deribit:A", book);
    await turns();
    expect([posted.length, credit.waiting]).toEqual([16, 16]);
    credit.take([book]);
    await handover.flush();
    expect(posted.length).toBe(17);
  });

  test("are counted beyond 2³¹ batches and characters", () => {
    const credit = new Credit();
    new Int32Array(credit.memory).fill(2 ** 31 - 3);
    for (let i = 0; i < WAITING_BATCHES_MAX; i += 1) credit.hand(["x"]);
    expect([credit.waiting, credit.hasRoom]).toEqual([WAITING_BATCHES_MAX, false]);
    expect(() => credit.hand(["x"])).toThrow("without room");
    for (let i = 0; i < WAITING_BATCHES_MAX; i += 1) credit.take(["x"]);
    expect([credit.waiting, credit.hasRoom]).toEqual([0, true]);
  });
});
