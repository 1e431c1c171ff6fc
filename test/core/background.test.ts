import { afterAll, expect, spyOn, test } from "bun:test";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Collector, RegularCollection } from "../../src/core/background.ts";
import { skipUnless } from "../support/shared-data.ts";

const MODULE = join(import.meta.dir, "../../src/core/background.ts");

const folder = mkdtempSync(join(tmpdir(), "keel-background-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** Runs `body` in a thread of its own. @returns what it posts */
function inThread(name: string, body: string): Promise<unknown> {
  const file = join(folder, `${name}.ts`);
  writeFileSync(file, `import { yieldToLine } from ${JSON.stringify(MODULE)};\n${body}`);
  const worker = new Worker(file);
  return new Promise((resolve, reject) => {
    worker.onmessage = ({ data }) => {
      worker.terminate();
      resolve(data);
    };
    worker.onerror = (event) => reject(new Error(event.message));
  });
}

/** Field 19 of proc_pid_stat(5), of the thread that runs the event loop. */
const niceOfLoop = (): number => {
  const stat = readFileSync(`/proc/self/task/${process.pid}/stat`, "utf8");
  return Number(stat.slice(stat.lastIndexOf(")") + 2).split(" ")[16]);
};

test.skipIf(skipUnless(process.platform === "linux", "thread priorities are Linux's"))(
  "a thread that yields to the line is nicer than the line, which stays as it was",
  async () => {
    const before = niceOfLoop();
    const told = await inThread(
      "nice",
      `
      import { readFileSync } from "node:fs";
      const isLower = yieldToLine();
      const stat = readFileSync("/proc/thread-self/stat", "utf8");
      postMessage({ isLower, nice: Number(stat.slice(stat.lastIndexOf(")") + 2).split(" ")[16]) });`,
    );
    expect(told).toEqual({ isLower: true, nice: Math.max(10, before) });
    expect(niceOfLoop()).toBe(before);
  },
);

test("garbage is collected once for so many pieces of work, however they come", () => {
  const collecting = spyOn(Bun, "gc").mockImplementation(() => 0);
  const collector = new Collector(100);
  const seen = [60, 39, 1, 0, 99, 250].map((pieces) => {
    collector.worked(pieces);
    return collecting.mock.calls.length;
  });
  collecting.mockRestore();
  expect(seen).toEqual([0, 0, 1, 1, 1, 2]);
});

test("garbage is collected beside the thread at regular times until it is stopped, or never", async () => {
  const collecting = spyOn(Bun, "gc").mockImplementation(() => 0);
  const never = new RegularCollection(0);
  const collection = new RegularCollection(0.005);
  while (collecting.mock.calls.length < 3) await Bun.sleep(1);
  collection.stop();
  never.stop();
  const { length } = collecting.mock.calls;
  await Bun.sleep(50);
  const { calls } = collecting.mock;
  collecting.mockRestore();
  expect(calls.length).toBe(length);
  expect(calls.every(([force]) => force === false)).toBe(true);
});
