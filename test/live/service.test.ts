import { afterAll, afterEach, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ServiceTap } from "../../src/live/service-tap.ts";
import { ServiceNotifier } from "../../src/monitor/service-notifier.ts";
import { NotifySocket } from "../support/notify-socket.ts";

const MAIN = join(import.meta.dir, "../../src/main.ts");
const WATCHDOG_MS = 2_000;
const folder = mkdtempSync(join(tmpdir(), "keel-service-"));
const open: { close(): void }[] = [];
afterEach(() => {
  for (const thing of open.splice(0)) thing.close();
});
afterAll(() => rmSync(folder, { recursive: true }));

let sockets = 0;

function manager(path = join(folder, `notify-${sockets++}`)): { socket: NotifySocket; path: string } {
  const socket = new NotifySocket(path);
  open.push(socket);
  return { socket, path };
}

function started(path: string): Bun.Subprocess {
  const child = Bun.spawn([process.execPath, MAIN, "demo", "--seconds", "60"], {
    env: {
      KEEL_STATE_DIR: join(folder, `state-${sockets}`),
      NOTIFY_SOCKET: path,
      WATCHDOG_USEC: String(WATCHDOG_MS * 1_000),
      // A host that is short of processor time is no fault of what is tested.
      KEEL_SHED: "off",
    },
    stdin: "ignore",
    stdout: "ignore",
    stderr: "ignore",
  });
  open.push({ close: () => child.kill("SIGKILL") });
  return child;
}

/** Waits until the process has given no sign of life for as long as systemd lets it. */
async function silence(socket: NotifySocket): Promise<void> {
  for (;;) {
    socket.drain();
    const last = socket.received.findLast(({ text }) => text === "WATCHDOG=1");
    if (performance.now() - (last?.atMs ?? 0) > WATCHDOG_MS) return;
    await Bun.sleep(20);
  }
}

test("a process says that it is ready, alive, what it does, that it reloads and that it ends", async () => {
  const { socket, path } = manager();
  const child = started(path);
  await socket.until("READY=1", 60_000);
  await socket.until("STATUS=quoting", 60_000);
  await socket.until("WATCHDOG=1", 60_000, 3);
  child.kill("SIGHUP");
  await socket.until("RELOADING=1", 30_000);
  expect(socket.received.some(({ text }) => /^RELOADING=1\nMONOTONIC_USEC=\d+$/.test(text))).toBe(true);
  child.kill("SIGTERM");
  await socket.until("STOPPING=1", 30_000);
  expect(await child.exited).toBe(0);
});

test("a process that hangs is silent for its watchdog, and the one started in its place quotes", async () => {
  const { socket, path } = manager();
  const hung = started(path);
  await socket.until("STATUS=quoting", 60_000);
  hung.kill("SIGSTOP");
  await silence(socket);
  // What systemd does then: WatchdogSignal=, and Restart=.
  hung.kill("SIGABRT");
  hung.kill("SIGCONT");
  await hung.exited;
  expect(hung.signalCode).toBe("SIGABRT");
  socket.received.length = 0;
  const next = started(path);
  await socket.until("STATUS=quoting", 60_000);
  next.kill("SIGTERM");
  expect(await next.exited).toBe(0);
});

test("nothing but the desk's own turn feeds the watchdog", async () => {
  const { socket, path } = manager(`@keel-test-${process.pid}`);
  const notifier = new ServiceNotifier({ socket: path, watchdogUs: 40_000 });
  open.push(notifier);
  const tap = new ServiceTap(notifier, () => "quoting\nmuch");
  await Bun.sleep(100);
  socket.drain();
  expect(socket.received).toEqual([]);
  for (let timeUs = 0; timeUs < 40_000; timeUs += 5_000) tap.onTimer(timeUs);
  tap.onTimer(-3_600_000_000);
  socket.drain();
  const texts = socket.received.map(({ text }) => text);
  expect(texts.filter((text) => text === "WATCHDOG=1")).toHaveLength(5);
  expect(texts.filter((text) => text.startsWith("STATUS="))).toEqual(["STATUS=quoting much"]);
});

test("what a manager had no room for is told in its order once there is room, of sentences the last", async () => {
  const { socket, path } = manager();
  const notifier = new ServiceNotifier({ socket: path, watchdogUs: 40_000 });
  open.push(notifier);
  const tap = new ServiceTap(notifier, () => "quoting");
  for (let sign = 0; sign < 1_000 && notifier.lost === 0; sign += 1) notifier.alive();
  expect(notifier.lost).toBe(1);
  notifier.status("starts");
  notifier.status("warms up");
  notifier.mainProcess(7);
  notifier.ready("ready");
  expect([notifier.lost, notifier.waiting]).toEqual([5, true]);
  tap.onTimer(0);
  expect(notifier.waiting).toBe(true);
  socket.drain();
  expect(socket.received.every(({ text }) => text === "WATCHDOG=1")).toBe(true);
  socket.received.length = 0;
  tap.onTimer(100_000);
  socket.drain();
  const texts = socket.received.map(({ text }) => text).filter((text) => text !== "WATCHDOG=1");
  expect(texts).toEqual(["STATUS=warms up", "MAINPID=7", "READY=1\nSTATUS=ready", "STATUS=quoting"]);
  await notifier.told(0);
  expect(notifier.waiting).toBe(false);
});

test("a manager that has gone away is counted and nothing else", () => {
  const notifier = new ServiceNotifier({ socket: join(folder, "nobody"), watchdogUs: null });
  notifier.ready("quoting");
  notifier.alive();
  notifier.close();
  expect(notifier.lost).toBe(2);
});
