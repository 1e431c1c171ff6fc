import { afterEach, beforeEach, expect, test } from "bun:test";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { RedisClient } from "bun";
import { FileLock } from "../../src/core/file-lock.ts";
import { Rng } from "../../src/core/rng.ts";
import { HandoverGiver } from "../../src/failover/handover/giver.ts";
import { HANDOVER_SOCKET } from "../../src/failover/handover/messages.ts";
import { ownIdentity } from "../../src/live/formats.ts";
import { lockHolder } from "../../src/live/run-lock.ts";
import { skipUnlessNative } from "../support/native.ts";
import { NotifySocket } from "../support/notify-socket.ts";
import { RedisServer, redisMissing } from "../support/services.ts";
import { broken } from "./handover/drill.ts";
import { Host } from "./handover/host.ts";

const skipped = await skipUnlessNative("a handover with the cpu engine");
let host: Host;

/** As after a while of running: a server that has only just come grants nothing for as long as a lease lasts. */
async function knowsItself(redis: RedisServer): Promise<void> {
  const url = new URL(redis.url);
  url.password = encodeURIComponent(redis.password);
  const client = new RedisClient(url.href);
  const run = /run_id:(\w+)/.exec(String(await client.send("INFO", ["server"])))?.[1] ?? "";
  await client.set("keel:{keel}:server", run);
  client.close();
}

beforeEach(async () => {
  host = new Host();
  if (!skipped) await host.start();
}, 120_000);
afterEach(() => host.stop(), 120_000);

test.skipIf(skipped)(
  "a new process takes the running one's place: no fill is lost, no number used twice, and both journals prove themselves",
  async () => {
    const old = host.run("old");
    await host.untilQuoting("old");
    for (let trade = 0; trade < 3; trade += 1) await host.trade();
    const next = host.run("new", ["--handover"]);
    await next.says("prepares to take the place");
    for (let trade = 0; trade < 3; trade += 1) await host.trade();
    expect(await old.exited).toBe(0);
    await host.untilQuoting("new");
    await host.trade();
    expect((await host.peer()).orphans).toBe(0);
    expect(await host.differences()).toEqual([]);
    expect(host.problems()).toEqual([]);
    expect(JSON.parse(old.output.trim().split("\n").at(-1) ?? "").successor).toBe(next.pid);
    await next.end();
    const audit = await host.verb("audit", "verify", "--journal", host.journal);
    expect(audit.output).not.toContain("begins a chain of its own");
    expect(audit.exitCode).toBe(0);
    const replay = await host.verb("replay", host.journal, "--verify");
    expect(replay.output).toContain("identical: true");
  },
  240_000,
);

test.skipIf(skipped)(
  "whichever process ends at whichever stage, one quotes in the end, and nothing was sent twice, lost or left over",
  async () => {
    const rng = new Rng(3);
    let life = host.run("first");
    await host.untilQuoting("first");
    for (const kind of [
      "new-killed-warming",
      "new-killed-taking",
      "old-killed-letting-go",
      "new-killed-after",
    ] as const) {
      const result = await broken(host, life, kind, rng);
      expect({ kind, problems: result.problems }).toEqual({ kind, problems: [] });
      life = result.life;
    }
    await life.end();
    expect((await host.verb("audit", "verify", "--journal", host.journal)).exitCode).toBe(0);
  },
  300_000,
);

test.skipIf(skipped)(
  "a second process on the same state directory does not start",
  async () => {
    const first = host.run("one");
    await first.says("counterparty session is up");
    const second = host.run("two");
    expect(await second.exited).toBe(1);
    expect(second.log).toContain(`process ${first.pid} runs with this state directory`);
    await first.end();
  },
  120_000,
);

test.skipIf(skipped)(
  "a process does not take over from a later version, and says why",
  async () => {
    const stateDir = host.environment.KEEL_STATE_DIR ?? "";
    mkdirSync(stateDir, { recursive: true });
    const path = join(stateDir, HANDOVER_SOCKET);
    const own = ownIdentity();
    const problems: string[] = [];
    for (const [identity, said] of [
      [{ ...own, keel: "99.1.0" }, `keel ${own.keel} may not take over from keel 99.1.0`],
      [
        { ...own, keel: "99.1.0", formats: { ...own.formats, journal: 99 } },
        `journal: the running keel 99.1.0 writes version 99, keel ${own.keel} understands version ${own.formats.journal}`,
      ],
    ] as const) {
      const giver = new HandoverGiver({
        ...{ path, identity, onReady: () => {}, onFollowed: () => {} },
        estate: () => {
          throw new Error("nothing is given");
        },
        fitness: () => ({ unfit: [], live: 0 }),
        onProblem: (problem) => problems.push(problem),
      });
      const life = host.run("earlier", ["--handover"]);
      expect(await life.exited).toBe(1);
      expect(life.log).toContain(said);
      expect(problems.at(-1)).toContain(said);
      giver.stop();
    }
  },
  120_000,
);

test.skipIf(skipped)(
  "a service manager is told of its new main process by the old one, before the new one is ready",
  async () => {
    const path = join(host.folder, "notify.sock");
    const manager = new NotifySocket(path);
    const old = host.run("main", [], { NOTIFY_SOCKET: path, WATCHDOG_USEC: "20000000" });
    await host.untilQuoting("main");
    await manager.until("READY=1", 45_000);
    const reload = host.run("reload", ["--handover", "--detach"]);
    expect(await reload.exited).toBe(0);
    expect(await old.exited).toBe(0);
    const pid = lockHolder(host.environment.KEEL_STATE_DIR ?? "") ?? 0;
    await host.untilQuoting("reload");
    await manager.until(`MAINPID=${pid}`, 45_000);
    for (let attempt = 0; attempt < 600; attempt += 1) {
      manager.drain();
      if (manager.received.filter(({ text }) => text.startsWith("READY=1")).length === 2) break;
      await Bun.sleep(50);
    }
    const told = manager.received.map(({ text }) => text.split("\n")[0]);
    expect(told.filter((each) => each === "READY=1")).toHaveLength(2);
    expect(told.indexOf(`MAINPID=${pid}`)).toBeLessThan(told.lastIndexOf("READY=1"));
    expect(told).not.toContain("STOPPING=1");
    process.kill(pid, "SIGTERM");
    await manager.until("STOPPING=1", 45_000);
    manager.close();
    while (FileLock.take(join(host.environment.KEEL_STATE_DIR ?? "", "run.lock"), () => "") === null)
      await Bun.sleep(20);
  },
  120_000,
);

test.skipIf(skipped || redisMissing() !== null)(
  "where a lease says who leads, it goes on under the same term",
  async () => {
    const redis = new RedisServer();
    const paired = new Host({
      KEEL_LEASE_URL: redis.url,
      // Longer than a busy host may keep its leader from prolonging it.
      KEEL_LEASE_TTL_MS: "20000",
      KEEL_LEASE_PASSWORD_FILE: join(host.folder, "redis-password"),
    });
    writeFileSync(join(host.folder, "redis-password"), redis.password);
    try {
      await redis.start();
      await knowsItself(redis);
      await paired.start();
      const old = paired.run("old");
      await paired.untilQuoting("old");
      const before = await paired.get<{ token: number; holder: string }>("/failover");
      const next = paired.run("new", ["--handover"]);
      expect(await old.exited).toBe(0);
      await paired.untilQuoting("new");
      const after = await paired.get<{ token: number; holder: string; role: string }>("/failover");
      expect(after).toMatchObject({ token: before?.token, holder: before?.holder, role: "leader" });
      await paired.trade();
      expect(await paired.differences()).toEqual([]);
      expect(paired.problems()).toEqual([]);
      await next.end();
    } finally {
      await paired.stop();
      await redis.stop();
      redis.remove();
    }
  },
  120_000,
);
