import { expect, test } from "bun:test";
import { join } from "node:path";

const core = (name: string): string => JSON.stringify(join(import.meta.dir, "../../src/core", name));
const onLinux = process.platform === "linux";
if (!onLinux) console.log("skipped: a loop that spins, this is not Linux");

/** Runs in a process of its own, whose loop spins. @returns what it printed, as JSON */
async function spinning(body: string): Promise<Record<string, unknown>> {
  const program = `
    import { afterBatch } from ${core("after-batch.ts")};
    import { SpinningLoop } from ${core("spinning-loop.ts")};
    const loop = new SpinningLoop();
    const spins = async (count) => {
      for (const from = loop.counters.spins; loop.counters.spins < from + count; ) await Bun.sleep(1);
    };
    ${body}
    process.exit(0);`;
  const child = Bun.spawn([process.execPath, "-e", program], { stdout: "pipe", stderr: "inherit" });
  return JSON.parse(await child.stdout.text());
}

test.skipIf(!onLinux)("timers go on, and what a socket brings ends a spin", async () => {
  const { spins, events, echoed, ticks } = await spinning(`
    let ticks = 0;
    setInterval(() => { ticks += 1; }, 10);
    const server = Bun.listen({ hostname: "127.0.0.1", port: 0, socket: { data: (socket, bytes) => void socket.write(bytes) } });
    let back = Promise.withResolvers();
    const client = await Bun.connect({ hostname: "127.0.0.1", port: server.port, socket: { data: (_, bytes) => back.resolve(bytes.length) } });
    await spins(5);
    let echoed = 0;
    for (let at = 0; at < 50; at += 1) {
      client.write("sixteen bytes...");
      echoed += await back.promise;
      back = Promise.withResolvers();
    }
    while (ticks < 3) await spins(1);
    console.log(JSON.stringify({ ...loop.counters, echoed, ticks }));`);
  expect(echoed).toBe(50 * 16);
  expect(spins).toBeGreaterThan(5);
  expect(events).toBeGreaterThan(0);
  expect(ticks).toBeGreaterThanOrEqual(3);
});

test.skipIf(!onLinux)("what is put off to the batch's end does not wait for a spin", async () => {
  const { between } = await spinning(`
    const between = [];
    for (let at = 0; at < 50; at += 1) {
      await spins(1);
      const before = loop.counters.spins;
      await new Promise((resolve) => afterBatch(() => { between.push(loop.counters.spins - before); resolve(); }));
    }
    console.log(JSON.stringify({ between }));`);
  expect(between).toEqual(Array.from({ length: 50 }, () => 0));
});

test.skipIf(!onLinux)("stopped, the loop spins no more and ends with what else it has to do", async () => {
  const { before, after, twice } = await spinning(`
    await spins(3);
    loop.stop();
    const before = loop.counters.spins;
    await Bun.sleep(20);
    const after = loop.counters.spins;
    loop.stop();
    console.log(JSON.stringify({ before, after, twice: true }));`);
  expect(after).toBe(before);
  expect(twice).toBe(true);
});

test.skipIf(!onLinux)("a message of another thread ends a spin", async () => {
  const { answers, events } = await spinning(`
    const worker = new Worker(URL.createObjectURL(new Blob(["onmessage = ({ data }) => postMessage(data + 1)"])));
    const before = loop.counters.events;
    let answers = 0;
    for (let at = 0; at < 100; at += 1) {
      answers += await new Promise((resolve) => {
        worker.onmessage = ({ data }) => resolve(data - at);
        worker.postMessage(at);
      });
    }
    console.log(JSON.stringify({ answers, events: loop.counters.events - before }));`);
  expect(answers).toBe(100);
  expect(events).toBeGreaterThan(0);
});
