/** Faults of the host under a real process: what it does, what it tells, and that it comes back. */
import { afterAll, afterEach, describe, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { systemClock } from "../../src/core/clock.ts";
import { BOOK_FILE, BookStore } from "../../src/position/book-store.ts";
import { FixCounterparty } from "../../src/sim/counterparty.ts";
import { freePort } from "../support/services.ts";

const MAIN = join(import.meta.dir, "../../src/main.ts");
const root = mkdtempSync(join(tmpdir(), "keel-host-faults-"));
const ends: (() => unknown)[] = [];
afterEach(async () => {
  for (const end of ends.splice(0).reverse()) await end();
});
afterAll(() => rmSync(root, { recursive: true, force: true }));

interface Running {
  readonly child: Bun.Subprocess<"ignore", "ignore", "pipe">;
  readonly port: number;
  readonly get: (path: string) => Promise<string>;
  readonly metric: (name: string) => Promise<number>;
  /** What the process has logged so far. */
  readonly log: () => string;
  /** Waits until it holds. @throws Error naming it when it does not in time */
  readonly until: (what: string, holds: () => Promise<boolean>) => Promise<void>;
}

let runs = 0;

/** @param prefix what the process is started by, such as a shell that takes file descriptors away */
function started(
  env: Record<string, string>,
  prefix: readonly string[] = [],
  verb: readonly string[] = ["demo", "--seconds", "120"],
): Running {
  runs += 1;
  const port = freePort();
  const child = Bun.spawn([...prefix, process.execPath, MAIN, ...verb], {
    env: {
      PATH: process.env.PATH ?? "",
      KEEL_STATE_DIR: join(root, `state-${runs}`),
      KEEL_HTTP: `127.0.0.1:${port}`,
      KEEL_WARM_UP_MS: "100",
      // A host that is short of processor time is no fault of what is tested.
      KEEL_SHED: "off",
      ...env,
    },
    stdin: "ignore",
    stdout: "ignore",
    stderr: "pipe",
  });
  ends.push(async () => {
    child.kill("SIGTERM");
    await child.exited;
  });
  let logged = "";
  void (async () => {
    for await (const text of child.stderr.pipeThrough(new TextDecoderStream())) logged += text;
  })();
  const get = (path: string) =>
    fetch(`http://127.0.0.1:${port}${path}`, { method: path === "/reset" ? "POST" : "GET" }).then(
      (answer) => answer.text(),
      () => "",
    );
  const metric = async (name: string): Promise<number> => {
    const line = (await get("/metrics")).split("\n").find((text) => text.startsWith(`${name} `));
    return line === undefined ? Number.NaN : Number(line.slice(name.length + 1));
  };
  const until = async (what: string, holds: () => Promise<boolean>): Promise<void> => {
    for (const untilMs = performance.now() + 60_000; performance.now() < untilMs; ) {
      if (await holds()) return;
      await Bun.sleep(50);
    }
    throw new Error(`not within 60 s: ${what}\n${logged.slice(-2_000)}`);
  };
  return { child, port, get, metric, log: () => logged, until };
}

/** Addresses of simulated venues. */
async function venues(): Promise<Record<string, string>> {
  const child = Bun.spawn([process.execPath, MAIN, "venue", "--simulate", "binance-usdm,deribit"], {
    stdin: "ignore",
    stdout: "pipe",
    stderr: "ignore",
  });
  ends.push(() => child.kill("SIGTERM"));
  let text = "";
  for await (const chunk of child.stdout.pipeThrough(new TextDecoderStream())) {
    text += chunk;
    if (text.split("\n").length > 2) break;
  }
  return Object.fromEntries(
    [...text.matchAll(/^(KEEL_URL_\w+)=(\S+)$/gm)].map(([, name, url]) => [name, url]),
  );
}

const isRoot = process.getuid?.() === 0;
if (!isRoot) console.warn("skipped: faults of the host need root");

describe.skipIf(!isRoot)("a full disk", () => {
  function disk(kibibytes: number): string {
    const path = join(root, `disk-${runs}`);
    mkdirSync(path);
    const { exitCode } = Bun.spawnSync(["mount", "-t", "tmpfs", "-o", `size=${kibibytes}k`, "none", path]);
    expect(exitCode).toBe(0);
    ends.push(() => Bun.spawnSync(["umount", "-l", path]));
    return path;
  }

  test("below the journal is told, trading goes on, and so does the journal once there is room", async () => {
    const journal = disk(2_048);
    const ballast = join(journal, "ballast");
    writeFileSync(ballast, Buffer.alloc(1_800 * 1_024));
    const { metric, until, get, log } = started({ KEEL_JOURNAL_DIR: journal });
    await until("stalled", async () => (await metric("keel_journal_stalled")) === 1);
    const before = await metric("keel_quote_sent_total");
    await until("an alert", async () => (await get("/alerts")).includes("KeelJournalStalled"));
    await until("quotes go on", async () => (await metric("keel_quote_sent_total")) > before);
    expect(log()).toContain("KeelJournalStalled");
    rmSync(ballast);
    await until("it goes on", async () => (await metric("keel_journal_stalled")) === 0);
    await until("the alert ends", async () => !(await get("/alerts")).includes("KeelJournalStalled"));
    expect(await metric("keel_journal_dropped_total")).toBe(0);
  });

  test("below the state folder holds up no quote and no fill, is told, and what was held back is written once there is room", async () => {
    const state = disk(512);
    const counterparty = new FixCounterparty({
      ...{ host: "127.0.0.1", port: 0, version: "4.4", clock: systemClock, seed: 7 },
      ...{ senderCompId: "PEER", targetCompId: "KEEL", flow: { meanIntervalMs: 40 } },
    });
    const fixPort = counterparty.start();
    const timer = setInterval(() => counterparty.onTimer(systemClock.wallUs()), 5);
    ends.push(() => {
      clearInterval(timer);
      counterparty.stop();
    });
    const { child, metric, until, log } = started(
      {
        ...(await venues()),
        KEEL_FEEDS: "binance-usdm:BTCUSDT,deribit:BTC-PERPETUAL",
        KEEL_STATE_DIR: state,
        KEEL_FIX_HOST: "127.0.0.1",
        KEEL_FIX_PORT: String(fixPort),
        KEEL_FIX_SENDER_COMP_ID: "KEEL",
        KEEL_FIX_TARGET_COMP_ID: "PEER",
        KEEL_FIX_HEARTBEAT_SECONDS: "10",
      },
      [],
      ["run"],
    );
    const filled = () => metric("keel_gateway_executions_total");
    await until("fills", async () => (await filled()) > 3);
    Bun.spawnSync(["dd", "if=/dev/zero", `of=${join(state, "ballast")}`, "bs=1k"], { stderr: "ignore" });
    await until("files are behind", async () => (await metric("keel_state_behind")) >= 2);
    expect(log()).toContain("the books cannot be written");
    expect(await metric("keel_state_write_failures_total")).toBeGreaterThan(0);
    const before = await filled();
    await until("fills go on", async () => (await filled()) > before + 20);
    expect(await metric("keel_gateway_session_up")).toBe(1);
    expect(child.exitCode).toBeNull();
    rmSync(join(state, "ballast"));
    await until("they are written", async () => (await metric("keel_state_behind")) === 0);
    child.kill("SIGTERM");
    expect(await child.exited).toBe(0);
    const books = new BookStore(join(state, BOOK_FILE)).load();
    expect(books?.executionIds.length).toBe(counterparty.counters.executions);
  });
});

test("a desk that must record reduces when it cannot, until the operator resets it", async () => {
  const { metric, until, get, log } = started({
    KEEL_JOURNAL_DIR: join(root, "journal"),
    KEEL_JOURNAL_LOST: "reduce",
    KEEL_JOURNAL_SEGMENT_MB: "1",
  });
  await until("trading", async () => (await metric("keel_quote_sent_total")) > 0);
  expect(await metric("keel_risk_state")).toBe(0);
  // The folder of the next segment is gone.
  rmSync(join(root, "journal"), { recursive: true });
  await until("the journal has failed", async () => (await metric("keel_journal_failed")) === 1);
  await until("reducing", async () => (await metric("keel_risk_state")) === 1);
  await until("an alert", async () => (await get("/alerts")).includes("KeelJournalFailed"));
  expect(log()).toContain("KeelJournalFailed");
  await get("/reset");
  await until("an operator lets it trade on", async () => (await metric("keel_risk_state")) === 0);
});

test("without file descriptors left the desk quotes on over the connections it has", async () => {
  const { child, port, metric, until, get, log } = started({}, [
    "bash",
    "-c",
    'ulimit -n 128; exec "$@"',
    "keel",
  ]);
  await until("ready", async () => (await get("/readyz")) === "ok\n");
  const before = await metric("keel_quote_sent_total");
  const hoard = await Promise.allSettled(
    Array.from({ length: 160 }, () =>
      Bun.connect({ hostname: "127.0.0.1", port, socket: { data() {}, error() {} } }),
    ),
  );
  await until("none left", async () => readdirSync(`/proc/${child.pid}/fd`).length >= 125);
  await until("the log tells", async () => log().includes("KeelDescriptorsLow"));
  for (const one of hoard) if (one.status === "fulfilled") one.value.terminate();
  await until("it answers again", async () => (await get("/readyz")) === "ok\n");
  await until("there are some again", async () => (await metric("keel_process_open_files_ratio")) < 0.8);
  expect(await metric("keel_quote_sent_total")).toBeGreaterThan(before + 20);
  const status = JSON.parse(await get("/status"));
  expect([status.reconnects, status.gaps]).toEqual([0, 0]);
});

const compiler = Bun.which("cc");
if (compiler === null) console.warn("skipped: a clock is put by a library that needs a C compiler");

describe.skipIf(compiler === null || process.platform !== "linux")("a clock that is put", () => {
  /** Stands before the host's own and adds what a file says to the time of day, and to no other clock. */
  const LIBRARY = `
#include <fcntl.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>
static long shift(void) {
  char text[32] = {0};
  int file = open(getenv("CLOCK_SHIFT_FILE"), O_RDONLY | O_CLOEXEC);
  if (file < 0) return 0;
  if (read(file, text, sizeof text - 1) < 0) text[0] = 0;
  close(file);
  return atol(text);
}
int clock_gettime(clockid_t clock, struct timespec *time) {
  int answer = syscall(SYS_clock_gettime, clock, time);
  if (answer == 0 && clock == CLOCK_REALTIME) time->tv_sec += shift();
  return answer;
}
int gettimeofday(struct timeval *time, void *zone) {
  struct timespec now;
  clock_gettime(CLOCK_REALTIME, &now);
  time->tv_sec = now.tv_sec;
  time->tv_usec = now.tv_nsec / 1000;
  return 0;
}
`;

  test("by an hour, either way, moves no quote and is told", async () => {
    const [source, library, shift] = [join(root, "put.c"), join(root, "put.so"), join(root, "shift")];
    writeFileSync(source, LIBRARY);
    writeFileSync(shift, "0");
    const { exitCode } = Bun.spawnSync([compiler ?? "", "-shared", "-fPIC", "-o", library, source]);
    expect(exitCode).toBe(0);
    const { metric, until, get, log } = started({
      ...{ LD_PRELOAD: library, CLOCK_SHIFT_FILE: shift, KEEL_SHED: "conflate" },
    });
    await until("ready", async () => (await get("/readyz")) === "ok\n");
    for (const [steps, seconds] of [3_600, -3_600].entries()) {
      writeFileSync(shift, String(seconds));
      await until("it is told", async () => (await metric("keel_clock_steps_total")) === steps + 1);
      expect(await metric("keel_clock_apart_seconds")).toBeWithin(3_599, 3_601);
      const before = await metric("keel_quote_sent_total");
      await until("quotes go on", async () => (await metric("keel_quote_sent_total")) > before + 20);
      await until("it is ready", async () => (await get("/readyz")) === "ok\n");
    }
    await until("an alert", async () => (await get("/alerts")).includes("KeelClockPut"));
    expect(log()).toContain("the host's clock was put");
    writeFileSync(shift, "0");
    await until("it is put right", async () => (await metric("keel_clock_apart_seconds")) < 1);
    const status = JSON.parse(await get("/status"));
    expect([status.reconnects, status.gaps, status.killed]).toEqual([0, 0, null]);
    await until(
      "no load is seen in it",
      async () =>
        (await metric('keel_load_lag_seconds{of="data"}')) < 60 && (await get("/readyz")) === "ok\n",
    );
  });
});

describe.skipIf(!isRoot)("without DNS", () => {
  test("a venue is asked for again until its name is known, while the others go on", async () => {
    const [hosts, resolver] = [join(root, "hosts"), join(root, "resolv.conf")];
    writeFileSync(hosts, "127.0.0.1 localhost\n");
    writeFileSync(resolver, "nameserver 127.0.0.53\noptions timeout:1 attempts:1\n");
    const { KEEL_URL_BINANCE_USDM = "", KEEL_URL_DERIBIT = "" } = await venues();
    const { port } = new URL(KEEL_URL_DERIBIT);
    const gone =
      'mount --bind "$0/resolv.conf" /etc/resolv.conf && mount --bind "$0/hosts" /etc/hosts && exec "$@"';
    const { until, get, metric, log } = started(
      {
        KEEL_FEEDS: "binance-usdm:BTCUSDT,deribit:BTC-PERPETUAL",
        KEEL_URL_BINANCE_USDM,
        KEEL_URL_DERIBIT: `ws://venue.keel-test.invalid:${port}`,
      },
      ["unshare", "-m", "sh", "-c", gone, root],
      ["run"],
    );
    await until("one book is live", async () => (await metric('keel_feed_instruments{state="live"}')) === 1);
    await until("the other is missed", async () => (await get("/readyz")).includes("deribit"));
    await until(
      "it is asked for again",
      async () => (await metric('keel_feed_closes_total{venue="deribit"}')) > 1,
    );
    expect(await metric('keel_feed_up{venue="deribit"}')).toBe(0);
    expect(log()).toMatch(/feed disconnected.*deribit/);
    const before = await metric("keel_market_events_total");
    await until("events go on", async () => (await metric("keel_market_events_total")) > before + 20);
    writeFileSync(hosts, "127.0.0.1 localhost venue.keel-test.invalid\n");
    await until("both are live", async () => (await metric('keel_feed_instruments{state="live"}')) === 2);
    expect(await metric('keel_feed_up{venue="deribit"}')).toBe(1);
  }, 120_000);
});
