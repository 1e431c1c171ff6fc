import { afterAll, expect, test } from "bun:test";
import { openSync } from "node:fs";
import { ReceiveQueues } from "../../src/core/receive-queues.ts";

const SENT = 50_000;
const server = Bun.listen({
  hostname: "127.0.0.1",
  port: 0,
  socket: {
    data() {},
    open(socket) {
      socket.write(Buffer.alloc(SENT));
    },
  },
});
afterAll(() => server.stop(true));
const isLinux = process.platform === "linux";
if (!isLinux) console.warn("skipped: receive queues are told by Linux alone");

async function until(holds: () => boolean): Promise<void> {
  for (const untilMs = performance.now() + 45_000; performance.now() < untilMs && !holds(); )
    await Bun.sleep(10);
  expect(holds()).toBeTrue();
}

test.skipIf(!isLinux)(
  "bytes that nobody reads are told, of connections to the ports asked for alone",
  async () => {
    const queues = new ReceiveQueues([server.port]);
    const others = new ReceiveQueues([server.port === 1 ? 2 : 1]);
    queues.refresh();
    const before = queues.connections;
    const socket = await Bun.connect({ hostname: "127.0.0.1", port: server.port, socket: { data() {} } });
    socket.pause();
    for (const one of [queues, others]) one.refresh();
    expect(queues.connections).toBe(before + 1);
    expect(others.connections).toBe(0);
    await until(() => queues.waitingBytes() === SENT);
    expect(others.waitingBytes()).toBeNaN();
    socket.resume();
    await until(() => queues.waitingBytes() === 0);
    socket.terminate();
  },
);

test.skipIf(!isLinux)("a descriptor that has become a file's is not taken for a connection", async () => {
  const queues = new ReceiveQueues([server.port]);
  const socket = await Bun.connect({ hostname: "127.0.0.1", port: server.port, socket: { data() {} } });
  socket.pause();
  queues.refresh();
  await until(() => queues.waitingBytes() > 0);
  socket.terminate();
  await Bun.sleep(50);
  for (let i = 0; i < 8; i += 1) openSync(import.meta.path, "r");
  expect(queues.waitingBytes()).toBe(0);
});
