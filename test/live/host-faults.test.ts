/** Faults of the host under a real process: what it does, what it tells, and that it comes back. */
import { afterAll, afterEach, describe, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

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
  const listener = Bun.listen({ hostname: "127.0.0.1", port: 0, socket: { data() {} } });
  const { port } = listener;
  listener.stop(true);
  const child = Bun.spawn([...prefix, process.execPath, MAIN, ...verb], {
    env: {
      PATH: process.env.PATH ?? "",
      KEEL_STATE_DIR: join(root, `state-${runs}`),
      KEEL_HTTP: `127.0.0.1:${port}`,
      KEEL_WARM_UP_MS: "100",
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
    for (let i = 0; i < 600; i += 1) {
      if (await holds()) return;
      await Bun.sleep(50);
    }
    throw new Error(`not within 30 s: ${what}`);
  };
  return { child, port, get, metric, until };
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
    const { metric, until, get } = started({ KEEL_JOURNAL_DIR: journal });
    await until("stalled", async () => (await metric("keel_journal_stalled")) === 1);
    const before = await metric("keel_quote_sent_total");
    await until("an alert", async () => (await get("/alerts")).includes("KeelJournalStalled"));
    await until("quotes go on", async () => (await metric("keel_quote_sent_total")) > before);
    rmSync(ballast);
    await until("it goes on", async () => (await metric("keel_journal_stalled")) === 0);
    expect(await metric("keel_journal_dropped_total")).toBe(0);
  });

  test("below the state folder holds up no quote", async () => {
    const state = disk(64);
    const { metric, until, get } = started({ KEEL_STATE_DIR: state });
    await until("ready", async () => (await get("/readyz")) === "ok\n");
    writeFileSync(join(state, "ballast"), Buffer.alloc(1));
    Bun.spawnSync(["dd", "if=/dev/zero", `of=${join(state, "ballast")}`, "bs=1k"], { stderr: "ignore" });
    const before = await metric("keel_quote_sent_total");
    await until("quotes go on", async () => (await metric("keel_quote_sent_total")) > before + 20);
  });
});

test("a desk that must record reduces when it cannot, until the operator resets it", async () => {
  const { metric, until } = started({
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
});

test("without file descriptors left the desk quotes on over the connections it has", async () => {
  const { child, port, metric, until, get } = started({}, ["bash", "-c", 'ulimit -n 128; exec "$@"', "keel"]);
  await until("ready", async () => (await get("/readyz")) === "ok\n");
  const before = await metric("keel_quote_sent_total");
  const hoard = await Promise.allSettled(
    Array.from({ length: 160 }, () =>
      Bun.connect({ hostname: "127.0.0.1", port, socket: { data() {}, error() {} } }),
    ),
  );
  await until("none left", async () => readdirSync(`/proc/${child.pid}/fd`).length >= 125);
  await Bun.sleep(1_000);
  for (const one of hoard) if (one.status === "fulfilled") one.value.terminate();
  await until("it answers again", async () => (await get("/readyz")) === "ok\n");
  expect(await metric("keel_quote_sent_total")).toBeGreaterThan(before + 20);
  const status = JSON.parse(await get("/status"));
  expect([status.reconnects, status.gaps]).toEqual([0, 0]);
});

describe.skipIf(!isRoot)("without DNS", () => {
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

  test("a venue is asked for again until its name is known, while the others go on", async () => {
    const [hosts, resolver] = [join(root, "hosts"), join(root, "resolv.conf")];
    writeFileSync(hosts, "127.0.0.1 localhost\n");
    writeFileSync(resolver, "nameserver 127.0.0.53\noptions timeout:1 attempts:1\n");
    const { KEEL_URL_BINANCE_USDM = "", KEEL_URL_DERIBIT = "" } = await venues();
    const { port } = new URL(KEEL_URL_DERIBIT);
    const gone =
      'mount --bind "$0/resolv.conf" /etc/resolv.conf && mount --bind "$0/hosts" /etc/hosts && exec "$@"';
    const { until, get, metric } = started(
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
    const before = await metric("keel_market_events_total");
    await until("events go on", async () => (await metric("keel_market_events_total")) > before + 20);
    writeFileSync(hosts, "127.0.0.1 localhost venue.keel-test.invalid\n");
    await until("both are live", async () => (await metric('keel_feed_instruments{state="live"}')) === 2);
  }, 120_000);
});
