import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { systemClock } from "../../src/core/clock.ts";
import { EXIT } from "../../src/core/errors.ts";
import { MessageBuilder } from "../../src/gateway/fix/builder.ts";
import { openSessionStore } from "../../src/gateway/fix/file-store.ts";
import { openMessageLog } from "../../src/gateway/fix/message-log.ts";
import { FixQuoteGateway } from "../../src/gateway/fix/quote-gateway.ts";
import { msgTypeCode } from "../../src/gateway/fix/tags.ts";
import { HttpServer } from "../../src/monitor/http.ts";
import { FixCounterparty } from "../../src/sim/counterparty.ts";
import { instrumentTable } from "../gateway/fix/instruments.ts";
import { quietTarget } from "../support/quiet-target.ts";

const main = join(import.meta.dir, "../../src/main.ts");
const IDENTITY = { version: "4.4", senderCompId: "KEEL", targetCompId: "DESK-1" } as const;
const SESSION = "FIX.4.4-KEEL-DESK%2D1";
const TIME_US = Date.UTC(2026, 0, 5, 12) * 1_000;

let folder = "";
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "keel-console-"));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

async function keel(...args: string[]) {
  const child = Bun.spawn([process.execPath, main, "fix", ...args], {
    env: { KEEL_STATE_DIR: folder },
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
  });
  const [stdout, stderr, exitCode] = await Promise.all([
    child.stdout.text(),
    child.stderr.text(),
    child.exited,
  ]);
  const last = stdout.trimEnd().split("\n").at(-1) ?? "";
  return { stdout, stderr, exitCode, result: last.startsWith("{") ? JSON.parse(last) : null };
}

/** A store with orders 1 … `orders`, and a message log with a logon and the same orders. */
function fill(orders: number): void {
  const store = openSessionStore(join(folder, "fix"), IDENTITY);
  const log = openMessageLog(join(folder, "log"), IDENTITY);
  const builder = new MessageBuilder(IDENTITY, 4_096);
  const end = (): void => {
    builder.finish();
    const { bytes, start, at } = builder.writer;
    log.outgoing(bytes, start, at, TIME_US);
  };
  builder
    .begin(msgTypeCode("A"), 1_000, TIME_US)
    .uint(98, 0)
    .uint(108, 30)
    .text(553, "desk")
    .text(554, "hush");
  end();
  store.reset(TIME_US);
  for (let i = 1; i <= orders; i += 1) {
    const seq = store.claimOutgoing();
    builder.begin(msgTypeCode("D"), seq, TIME_US).text(11, `order-${i}`).text(55, "BTC").decimal(44, 15, 1);
    end();
    store.keep(seq, TIME_US, builder.writer.bytes, builder.writer.start, builder.writer.at);
  }
  store.setNextIncoming(7);
  store.close();
  log.close();
}

describe("keel fix", () => {
  test("lists the sessions of a store and shows one", async () => {
    fill(3);
    const { result } = await keel("ls", "--json");
    expect(result.sessions.map(({ session }: { session: string }) => session)).toEqual([SESSION]);
    const shown = await keel("show");
    expect(shown.stdout).toMatch(/next out +4\n/);
    expect(shown.stdout).toMatch(/next in +7\n/);
    expect(shown.stdout).toMatch(/run by +no process\n/);
    expect(shown.stdout).toMatch(/started at 1 +2026-01-05T12:00:00.000Z\n/);
  });

  test("replays a range of kept messages in readable form", async () => {
    fill(5);
    const { stdout, result } = await keel("replay", SESSION, "--from", "2", "--to", "3", "--json");
    expect(stdout).toContain("out      2  20260105-12:00:00.000  NewOrderSingle (D)\n");
    expect(stdout).toMatch(/ClOrdID \(11\) +order-2\n/);
    expect(stdout).toMatch(/Price \(44\) +1\.5\n/);
    expect(result.messages.map(({ seq }: { seq: number }) => seq)).toEqual([2, 3]);
  });

  test("replays a message log, without its secrets", async () => {
    fill(2);
    const { stdout } = await keel("replay", "--log", join(folder, "log"), "--brief");
    const lines = stdout.trim().split("\n");
    expect(lines).toHaveLength(3);
    expect(lines[0]).toContain("Logon (A)  52=20260105-12:00:00.000 98=0 108=30 553=desk 554=***");
    expect(stdout).not.toContain("hush");
  });

  test("sets numbers, and our own backwards only by force", async () => {
    fill(3);
    const refused = await keel("set", SESSION, "--next-out", "2");
    expect(refused.exitCode).toBe(EXIT.badConfiguration);
    expect(refused.stderr).toContain("numbers below 4 may have been used");
    const { result } = await keel("set", SESSION, "--next-out", "2", "--next-in", "9", "--force", "--json");
    expect([result.nextOutgoing, result.outgoingExact, result.nextIncoming]).toEqual([2, true, 9]);
  });

  test("resets a store, but not one that a process runs", async () => {
    fill(3);
    const store = openSessionStore(join(folder, "fix"), IDENTITY);
    const held = await keel("reset");
    expect(held.exitCode).toBe(EXIT.failed);
    expect(held.stderr).toContain("is held by a running process");
    expect((await keel("show")).stdout).toContain(`run by        process ${process.pid}\n`);
    store.close();
    const { result } = await keel("reset", "--json");
    expect([result.nextOutgoing, result.nextIncoming, result.keptMessages]).toEqual([1, 1, 0]);
  });

  test("names the sessions there are when it is asked for another", async () => {
    fill(1);
    const { stderr, exitCode } = await keel("show", "FIX.4.2-A-B");
    expect(exitCode).toBe(EXIT.badInputFile);
    expect(stderr).toContain(`expected one of ${SESSION}`);
    expect((await keel("dance")).stderr).toContain("expected one of ls, show, replay, set, reset");
  });

  test("does not make up numbers for a store in which nothing is valid, and lists the others beside it", async () => {
    fill(1);
    const damaged = "FIX.4.4-KEEL-OTHER";
    mkdirSync(join(folder, "fix", damaged));
    writeFileSync(join(folder, "fix", damaged, "session.log"), new Uint8Array(3_000).fill(7));
    const { stdout } = await keel("ls");
    expect(stdout).toMatch(/DESK%2D1 {2}out 2 {2}in 7 /);
    expect(stdout).toMatch(/KEEL-OTHER {2}out not known {2}in not known /);
    const shown = await keel("show", damaged, "--json");
    expect([shown.result.nextOutgoing, shown.result.nextIncoming]).toEqual([null, null]);
    expect(shown.stdout).toMatch(/next out +not known: no valid record in the log/);
  });

  test("says what is no keel at the address that it is given", async () => {
    const other = Bun.serve({ hostname: "127.0.0.1", port: 0, fetch: () => new Response("<html>") });
    const { exitCode, stderr } = await keel("show", "--url", `http://127.0.0.1:${other.port}`);
    expect([exitCode, stderr]).toEqual([
      EXIT.failed,
      expect.stringContaining("/fix: the answer is not that of keel"),
    ]);
    await other.stop(true);
  });

  test("shows and resets the session of a running process", async () => {
    const peer = new FixCounterparty({
      ...{ host: "127.0.0.1", port: 0, version: "4.4", senderCompId: "DESK-1", targetCompId: "KEEL" },
      ...{ clock: systemClock, seed: 1, flow: null },
    });
    const gateway = new FixQuoteGateway({
      ...IDENTITY,
      ...{ host: "127.0.0.1", port: peer.start(), heartbeatSeconds: 30, resetOnLogon: false, seed: 1 },
      ...{ storeDir: join(folder, "fix"), instruments: instrumentTable(), clock: systemClock },
      reconnectFirstMs: 10,
    });
    const quiet = {
      onSessionUp: () => {},
      onSessionDown: () => {},
      onQuoteAck: () => {},
      onExecution: () => {},
    };
    gateway.start(quiet);
    const timer = setInterval(() => {
      gateway.onTimer(systemClock.wallUs());
      peer.onTimer(systemClock.wallUs());
    }, 5);
    const server = new HttpServer(
      { hostname: "127.0.0.1", port: 0, token: null },
      quietTarget({
        fix: () => gateway.describe(),
        resetFix: () => {
          gateway.resetSession(systemClock.wallUs());
          return true;
        },
      }),
    );
    const url = `http://127.0.0.1:${server.port}`;
    try {
      while (!gateway.ready) await Bun.sleep(1);
      for (let i = 0; i < 5; i += 1) gateway.cancelAll(systemClock.wallUs());
      const { result } = await keel("show", "--url", url, "--json");
      expect([result.session, result.state, result.nextOutgoing]).toEqual([SESSION, "active", 8]);
      expect((await keel("reset", "--url", url)).exitCode).toBe(EXIT.ok);
      while (!(gateway.ready && peer.counters.logons === 2)) await Bun.sleep(1);
      expect(gateway.session.store.nextOutgoing).toBe(3);
      expect(peer.session.store.nextIncoming).toBe(3);
      expect((await keel("show", "--url", "http://127.0.0.1:1")).exitCode).toBe(EXIT.unreachable);
    } finally {
      clearInterval(timer);
      await gateway.stop(500);
      peer.stop();
      await server.stop();
    }
  });
});
