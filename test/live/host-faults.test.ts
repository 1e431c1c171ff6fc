/** Faults of the host under a real process: what it does, what it tells, and that it comes back. */
import { describe, expect, test } from "bun:test";
import { mkdirSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { systemClock } from "../../src/core/clock.ts";
import { BOOK_FILE, BookStore } from "../../src/position/book-store.ts";
import { FixCounterparty } from "../../src/sim/counterparty.ts";
import { CLOCK_FIXED, PutClock } from "../support/put-clock.ts";
import { HostScene, MAIN } from "./host-scene.ts";

/** Tests wait for each other, and on a host that is short of processor time for all else. */
const PATIENCE_MS = 400_000;
const isRoot = process.getuid?.() === 0;
if (!isRoot) console.warn("skipped: faults of the host need root");

describe.skipIf(!isRoot)("a full disk", () => {
  function disk(scene: HostScene, kibibytes: number): string {
    const path = join(scene.root, "disk");
    mkdirSync(path);
    const { exitCode } = Bun.spawnSync(["mount", "-t", "tmpfs", "-o", `size=${kibibytes}k`, "none", path]);
    expect(exitCode).toBe(0);
    scene.ends.push(() => Bun.spawnSync(["umount", "-l", path]));
    return path;
  }

  test.concurrent(
    "below the journal is told, trading goes on, and so does the journal once there is room",
    async () => {
      await using scene = await HostScene.enter();
      const journal = disk(scene, 16_384);
      const ballast = join(journal, "ballast");
      writeFileSync(ballast, Buffer.alloc(16_136 * 1_024));
      const { metric, until, get, log } = scene.start({ KEEL_JOURNAL_DIR: journal });
      await until("stalled", async () => (await metric("keel_journal_stalled")) === 1);
      const before = await metric("keel_quote_sent_total");
      await until("an alert", async () => (await get("/alerts")).includes("KeelJournalStalled"));
      await until("quotes go on", async () => (await metric("keel_quote_sent_total")) > before);
      expect(log()).toContain("KeelJournalStalled");
      rmSync(ballast);
      await until("it goes on", async () => (await metric("keel_journal_stalled")) === 0);
      await until("the alert ends", async () => !(await get("/alerts")).includes("KeelJournalStalled"));
      expect(await metric("keel_journal_dropped_total")).toBe(0);
    },
    PATIENCE_MS,
  );

  test.concurrent(
    "below the state folder holds up no quote and no fill, is told, and what was held back is written once there is room",
    async () => {
      await using scene = await HostScene.enter();
      const state = disk(scene, 512);
      const counterparty = new FixCounterparty({
        ...{ host: "127.0.0.1", port: 0, version: "4.4", clock: systemClock, seed: 7 },
        ...{ senderCompId: "PEER", targetCompId: "KEEL", flow: { meanIntervalMs: 40 } },
      });
      const fixPort = counterparty.start();
      const timer = setInterval(() => counterparty.onTimer(systemClock.wallUs()), 5);
      scene.ends.push(() => {
        clearInterval(timer);
        counterparty.stop();
      });
      const { child, metric, until, log } = scene.start(
        {
          ...(await scene.venues()),
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
    },
    PATIENCE_MS,
  );
});

test.concurrent(
  "a desk that must record reduces when it cannot, and no reset has it trade on unrecorded",
  async () => {
    await using scene = await HostScene.enter();
    const { metric, until, get, log } = scene.start({
      KEEL_JOURNAL_DIR: join(scene.root, "journal"),
      KEEL_JOURNAL_LOST: "reduce",
      KEEL_JOURNAL_SEGMENT_MB: "1",
    });
    await until("trading", async () => (await metric("keel_quote_sent_total")) > 0);
    expect(await metric("keel_risk_state")).toBe(0);
    // The folder of the next segment is gone.
    rmSync(join(scene.root, "journal"), { recursive: true });
    await until("the journal has failed", async () => (await metric("keel_journal_failed")) === 1);
    await until("reducing", async () => (await metric("keel_risk_state")) === 1);
    await until("an alert", async () => (await get("/alerts")).includes("KeelJournalFailed"));
    expect(log()).toContain("KeelJournalFailed");
    expect(await get("/reset")).toContain(
      "KEEL_JOURNAL_LOST is reduce: see to its disk, restart, then reset",
    );
    expect(await metric("keel_risk_state")).toBe(1);
  },
  PATIENCE_MS,
);

test.concurrent(
  "without file descriptors left the desk quotes on over the connections it has",
  async () => {
    await using scene = await HostScene.enter();
    const { child, port, metric, until, get, log } = scene.start({}, [
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
  },
  PATIENCE_MS,
);

test.concurrent(
  "a process that stood still reads what waited, quotes on over the connections it has, and replays the same",
  async () => {
    await using scene = await HostScene.enter();
    const counterparty = new FixCounterparty({
      ...{ host: "127.0.0.1", port: 0, version: "4.4", clock: systemClock, seed: 7, flow: null },
      ...{ senderCompId: "PEER", targetCompId: "KEEL" },
    });
    const fixPort = counterparty.start();
    const timer = setInterval(() => counterparty.onTimer(systemClock.wallUs()), 5);
    scene.ends.push(() => {
      clearInterval(timer);
      counterparty.stop();
    });
    const journal = join(scene.root, "journal");
    const { child, metric, until, log } = scene.start(
      {
        ...(await scene.venues()),
        KEEL_FEEDS: "binance-usdm:BTCUSDT,deribit:BTC-PERPETUAL",
        KEEL_JOURNAL_DIR: journal,
        KEEL_SILENCE_MS: "6000",
        KEEL_FIX_HOST: "127.0.0.1",
        KEEL_FIX_PORT: String(fixPort),
        KEEL_FIX_SENDER_COMP_ID: "KEEL",
        KEEL_FIX_TARGET_COMP_ID: "PEER",
        KEEL_FIX_HEARTBEAT_SECONDS: "30",
      },
      [],
      ["run"],
    );
    await until("quotes stand", async () => counterparty.liveQuotes.size === 2);
    child.kill("SIGSTOP");
    await Bun.sleep(9_000);
    expect(counterparty.liveQuotes.size).toBe(2);
    child.kill("SIGCONT");
    // Longer than a silence could wait to be judged.
    await Bun.sleep(3_000);
    const before = await metric("keel_quote_sent_total");
    await until("quotes go on", async () => (await metric("keel_quote_sent_total")) > before);
    await until("they stand", async () => counterparty.liveQuotes.size === 2);
    for (const venue of ["binance-usdm", "deribit"]) {
      expect(await metric(`keel_feed_silences_total{venue="${venue}"}`)).toBe(0);
      expect(await metric(`keel_feed_reconnects_total{venue="${venue}"}`)).toBe(0);
      expect(await metric(`keel_feed_resyncs_total{venue="${venue}"}`)).toBe(0);
    }
    expect(log()).not.toContain("feed disconnected");
    child.kill("SIGTERM");
    expect(await child.exited).toBe(0);
    const replayed = Bun.spawnSync([process.execPath, MAIN, "replay", journal, "--verify"], {
      env: { PATH: process.env.PATH ?? "" },
    });
    expect(replayed.exitCode).toBe(0);
  },
  PATIENCE_MS,
);

if (CLOCK_FIXED !== null) console.warn(`skipped: ${CLOCK_FIXED}`);

describe.skipIf(CLOCK_FIXED !== null)("a clock that is put", () => {
  test.concurrent(
    "by an hour, either way, moves no quote and is told",
    async () => {
      await using scene = await HostScene.enter();
      const clock = new PutClock(scene.root);
      const { metric, until, get, log } = scene.start({ ...clock.environment, KEEL_SHED: "conflate" });
      await until("ready", async () => (await get("/readyz")) === "ok\n");
      for (const [steps, seconds] of [3_600, -3_600].entries()) {
        clock.put(seconds);
        await until("it is told", async () => (await metric("keel_clock_steps_total")) === steps + 1);
        expect(await metric("keel_clock_apart_seconds")).toBeWithin(3_599, 3_601);
        const before = await metric("keel_quote_sent_total");
        await until("quotes go on", async () => (await metric("keel_quote_sent_total")) > before + 20);
        await until("it is ready", async () => (await get("/readyz")) === "ok\n");
      }
      await until("an alert", async () => (await get("/alerts")).includes("KeelClockPut"));
      expect(log()).toContain("the host's clock was put");
      clock.put(0);
      await until("it is put right", async () => (await metric("keel_clock_apart_seconds")) < 1);
      const status = JSON.parse(await get("/status"));
      expect([status.reconnects, status.gaps, status.killed]).toEqual([0, 0, null]);
      await until(
        "no load is seen in it",
        async () =>
          (await metric('keel_load_lag_seconds{of="data"}')) < 60 && (await get("/readyz")) === "ok\n",
      );
    },
    PATIENCE_MS,
  );
});

describe.skipIf(!isRoot)("without DNS", () => {
  test.concurrent(
    "a venue is asked for again until its name is known, while the others go on",
    async () => {
      await using scene = await HostScene.enter();
      const [hosts, resolver] = [join(scene.root, "hosts"), join(scene.root, "resolv.conf")];
      writeFileSync(hosts, "127.0.0.1 localhost\n");
      writeFileSync(resolver, "nameserver 127.0.0.53\noptions timeout:1 attempts:1\n");
      const { KEEL_URL_BINANCE_USDM = "", KEEL_URL_DERIBIT = "" } = await scene.venues();
      const { port } = new URL(KEEL_URL_DERIBIT);
      const gone =
        'mount --bind "$0/resolv.conf" /etc/resolv.conf && mount --bind "$0/hosts" /etc/hosts && exec "$@"';
      const { until, get, metric, log } = scene.start(
        {
          KEEL_FEEDS: "binance-usdm:BTCUSDT,deribit:BTC-PERPETUAL",
          KEEL_URL_BINANCE_USDM,
          KEEL_URL_DERIBIT: `ws://venue.keel-test.invalid:${port}`,
        },
        ["unshare", "-m", "sh", "-c", gone, scene.root],
        ["run"],
      );
      await until(
        "one book is live",
        async () => (await metric('keel_feed_instruments{state="live"}')) === 1,
      );
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
    },
    PATIENCE_MS,
  );
});
