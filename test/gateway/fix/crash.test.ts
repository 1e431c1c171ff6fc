import { expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { systemClock } from "../../../src/core/clock.ts";
import { Rng } from "../../../src/core/rng.ts";
import { FixAcceptor } from "../../../src/gateway/fix/acceptor.ts";
import type { FixMessage } from "../../../src/gateway/fix/message.ts";
import { SESSION_DEFAULTS } from "../../../src/gateway/fix/session-options.ts";
import { MemoryStore } from "../../../src/gateway/fix/store.ts";
import { MSG, TAG } from "../../../src/gateway/fix/tags.ts";

const KILLS = 6;

test("a process killed while it quotes never uses a sequence number again, and cancels before it quotes again", async () => {
  const folder = mkdtempSync(join(tmpdir(), "keel-crash-"));
  const acceptor = new FixAcceptor({ host: "127.0.0.1", port: 0, clock: systemClock });
  const reasons: string[] = [];
  let quotes = 0;
  let first = 0;
  let lastSeq = 0;
  const firstOfRun: number[] = [];
  const reused: number[] = [];
  const session = acceptor.add(
    { ...SESSION_DEFAULTS, role: "acceptor", version: "4.4", senderCompId: "PEER", targetCompId: "KEEL" },
    new MemoryStore(),
    {
      onLogon: () => {
        first = 0;
      },
      onLogout: (reason) => reasons.push(reason),
      onMessage: (message: FixMessage) => {
        if (first === 0) {
          first = message.msgType;
          firstOfRun.push(first);
        }
        const seq = message.uint(TAG.msgSeqNum);
        if (seq <= lastSeq) reused.push(seq);
        lastSeq = seq;
        if (message.msgType === MSG.massQuote) quotes += 1;
        return true;
      },
      onReject: () => {},
      onResend: () => {},
    },
  );
  const port = acceptor.start();
  const timer = setInterval(() => acceptor.onTimer(systemClock.wallUs()), 10);
  const rng = new Rng(5);
  try {
    for (let kill = 0; kill < KILLS; kill += 1) {
      const quoter = Bun.spawn(
        [process.execPath, join(import.meta.dir, "quoting-process.ts"), String(port), join(folder, "store")],
        { stdout: "ignore", stderr: "inherit" },
      );
      const wanted = quotes + 1_000 + rng.int(2_000);
      const deadline = performance.now() + 15_000;
      while (quotes < wanted && performance.now() < deadline) await Bun.sleep(1);
      quoter.kill("SIGKILL");
      await quoter.exited;
      expect(quotes).toBeGreaterThanOrEqual(wanted);
      while (session.state !== "disconnected") await Bun.sleep(1);
    }
  } finally {
    clearInterval(timer);
    acceptor.stop();
    rmSync(folder, { recursive: true, force: true });
  }
  expect(reused).toEqual([]);
  expect(reasons).toEqual(new Array(KILLS).fill("connection closed"));
  expect(firstOfRun).toEqual(new Array(KILLS).fill(MSG.quoteCancel));
}, 60_000);
