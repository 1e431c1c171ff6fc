import { afterEach, expect, test } from "bun:test";
import { letGo } from "../../src/distribution/kafka-client.ts";
import { KeptThread } from "../../src/distribution/kept-thread.ts";

const URL_OF_THREAD = new URL("./kept-thread-worker.ts", import.meta.url).href;

let thread: KeptThread<string> | null = null;
afterEach(() => thread?.close());

async function until(what: string, condition: () => boolean): Promise<void> {
  const deadline = performance.now() + 40_000;
  while (!condition()) {
    if (performance.now() > deadline) throw new Error(`waited 40 s for ${what}`);
    await Bun.sleep(10);
  }
}

function begun(lookMs?: number) {
  const seen = { begun: 0, replies: [] as string[], problems: [] as string[], lostMs: 0 };
  const kept = new KeptThread<string>({
    url: URL_OF_THREAD,
    begin: (beat) => {
      seen.begun += 1;
      return { beat };
    },
    onReply: (reply) => seen.replies.push(reply),
    onLost: (problem) => {
      seen.problems.push(problem);
      seen.lostMs = performance.now();
    },
    ...(lookMs === undefined ? {} : { lookMs }),
  });
  thread = kept;
  return { kept, seen };
}

async function answers(kept: KeptThread<string>, replies: readonly string[]): Promise<void> {
  const before = replies.length;
  kept.post({ order: "answer" });
  await until("an answer", () => replies.length > before);
}

test.each([
  ["throw", "its thread ended: RangeError: what it was told"],
  ["reject", "its thread ended: error: what it was told"],
  ["exit", "its thread ended"],
])(
  "a thread that ends by %s is told of once, counted, and replaced",
  async (order, problem) => {
    const { kept, seen } = begun();
    await answers(kept, seen.replies);
    kept.post({ order });
    await until("the loss", () => seen.problems.length > 0);
    expect([kept.running, kept.failure, seen.problems, kept.losses]).toEqual([
      false,
      problem,
      [problem],
      { crash: 1, hang: 0 },
    ]);
    await until("another thread", () => kept.running);
    await answers(kept, seen.replies);
    await until("its beat", () => kept.failure === null);
    expect([seen.begun, seen.problems.length]).toEqual([2, 1]);
  },
  120_000,
);

test("a thread whose event loop stands still is ended and replaced", async () => {
  const { kept, seen } = begun(200);
  await answers(kept, seen.replies);
  await until("its beat", () => kept.failure === null);
  kept.post({ order: "hang" });
  await until("the hang", () => kept.losses.hang > 0);
  expect(seen.problems.at(-1)).toBe("its thread stood still");
  await until("another thread", () => kept.running);
  await answers(kept, seen.replies);
}, 120_000);

test("threads that end at once are begun ever more slowly", async () => {
  const { kept, seen } = begun();
  const times: number[] = [];
  for (let lost = 1; lost <= 3; lost += 1) {
    await until("a thread", () => kept.running);
    kept.post({ order: "exit" });
    await until("its loss", () => seen.problems.length === lost);
    await until("the next", () => kept.running);
    times.push(performance.now() - seen.lostMs);
  }
  // Each delay is drawn between half and all of 250, 500, 1,000 ms.
  expect(times[0]).toBeGreaterThan(120);
  expect(times[1]).toBeGreaterThan(245);
  expect(times[2]).toBeGreaterThan(495);
}, 120_000);

test("timers get their turns between replies that are there together, and the replies keep their order", async () => {
  const replies: string[] = [];
  let timerTurns = 0;
  const timer = setInterval(() => {
    timerTurns += 1;
  }, 10);
  const kept = new KeptThread<string>({
    url: URL_OF_THREAD,
    begin: (beat) => ({ beat }),
    onReply: (reply) => {
      if (replies.length === 0) timerTurns = 0;
      replies.push(reply);
      for (const endMs = performance.now() + 2; performance.now() < endMs; );
      if (replies.length === 200) clearInterval(timer);
    },
    onLost: () => {},
  });
  thread = kept;
  kept.post({ order: "flood" });
  await until("the replies", () => replies.length === 200);
  expect(replies).toEqual(Array.from({ length: 200 }, (_, i) => String(i)));
  expect(timerTurns).toBeGreaterThan(10);
}, 120_000);

test("what a thread replied is not told after the close", async () => {
  const replies: string[] = [];
  const kept = new KeptThread<string>({
    url: URL_OF_THREAD,
    begin: (beat) => ({ beat }),
    onReply: (reply) => {
      replies.push(reply);
      // All others have been delivered meanwhile.
      for (const endMs = performance.now() + 50; performance.now() < endMs; );
      if (replies.length === 2) kept.close();
    },
    onLost: () => {},
  });
  thread = kept;
  kept.post({ order: "flood" });
  await until("two replies", () => replies.length === 2);
  await Bun.sleep(200);
  expect(replies).toEqual(["0", "1"]);
}, 120_000);

test("after the close nothing is begun or told", async () => {
  const { kept, seen } = begun();
  await answers(kept, seen.replies);
  kept.post({ order: "exit" });
  await until("the loss", () => seen.problems.length === 1);
  kept.close();
  await Bun.sleep(400);
  expect([kept.running, seen.begun, seen.problems.length]).toEqual([false, 1, 1]);
}, 120_000);

test("a consumer that is not let go holds nobody up", async () => {
  const startMs = performance.now();
  await letGo({ close: () => new Promise(() => {}) }, 50);
  expect(performance.now() - startMs).toBeGreaterThan(45);
});

test("what a consumer says when it closes changes nothing", async () => {
  await letGo({ close: () => Promise.reject(new Error("no broker")) }, 120_000);
  await letGo({
    close: () => {
      throw new Error("already closed");
    },
  });
  const forced: boolean[] = [];
  await letGo({ close: async (force) => void forced.push(force) }, 120_000);
  expect(forced).toEqual([true]);
});
