import { mkdirSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { systemClock } from "../../../src/core/clock.ts";
import { Rng } from "../../../src/core/rng.ts";
import { FixAcceptor } from "../../../src/gateway/fix/acceptor.ts";
import type { FixMessage } from "../../../src/gateway/fix/message.ts";
import type { FixSession } from "../../../src/gateway/fix/session.ts";
import { SESSION_DEFAULTS, type SessionApplication } from "../../../src/gateway/fix/session-options.ts";
import { MemoryStore } from "../../../src/gateway/fix/store.ts";
import { MSG, TAG } from "../../../src/gateway/fix/tags.ts";

export interface CrashReport {
  kills: number;
  quotes: number;
  orders: number;
  executions: number;
  /** Sequence numbers that came twice for different messages. */
  reusedNumbers: number[];
  /** Quotes that came after a logon before everything was cancelled. */
  quotesBeforeCancel: number;
  /** Orders in the process's ledger that never arrived. */
  lostOrders: number[];
  /** Executions sent that the process was never told of. */
  lostExecutions: string[];
  /** Executions that it was told of twice. */
  repeatedExecutions: number;
}

const KEPT = { maxMessages: 1 << 20, maxBytes: 256 << 20 };

/** The peer: checks what comes, and sends an execution for every so many quotes. Its quotes outlive a broken connection. */
class Peer {
  readonly report: CrashReport;
  readonly sent = new Set<string>();
  readonly orders = new Set<number>();
  readonly acceptor = new FixAcceptor({ host: "127.0.0.1", port: 0, clock: systemClock });
  readonly sessions: FixSession[];
  #cancelled = false;
  #lastSeq = 0;
  readonly #contents = new Map<number, number>();

  constructor(report: CrashReport) {
    this.report = report;
    const quotes = this.#add("KEEL", {
      onLogon: () => {
        this.#cancelled = false;
      },
      onMessage: (message, timeUs) => this.#onQuote(quotes, message, timeUs),
    });
    this.sessions = [
      quotes,
      this.#add("KEEL-ORDERS", { onLogon: () => {}, onMessage: (message) => this.#onOrder(message) }),
    ];
  }

  #add(targetCompId: string, application: Pick<SessionApplication, "onLogon" | "onMessage">): FixSession {
    return this.acceptor.add(
      { ...SESSION_DEFAULTS, role: "acceptor", version: "4.4", senderCompId: "PEER", targetCompId },
      new MemoryStore(KEPT),
      { onLogout: () => {}, onReject: () => {}, onResend: () => {}, ...application },
    );
  }

  #onQuote(session: FixSession, message: FixMessage, timeUs: number): boolean {
    const seq = message.uint(TAG.msgSeqNum);
    if (seq <= this.#lastSeq) this.report.reusedNumbers.push(seq);
    this.#lastSeq = seq;
    if (message.msgType === MSG.quoteCancel) this.#cancelled = true;
    if (message.msgType !== MSG.massQuote) return true;
    if (!this.#cancelled) this.report.quotesBeforeCancel += 1;
    this.report.quotes += 1;
    if (this.report.quotes % 50 === 0) this.#execute(session, timeUs);
    return true;
  }

  #onOrder(message: FixMessage): boolean {
    const seq = message.uint(TAG.msgSeqNum);
    const order = message.uint(11);
    const before = this.#contents.get(seq);
    if (before !== undefined && before !== order) this.report.reusedNumbers.push(seq);
    this.#contents.set(seq, order);
    this.orders.add(order);
    return true;
  }

  #execute(session: FixSession, timeUs: number): void {
    const id = `E${this.sent.size + 1}`;
    this.sent.add(id);
    const report = session.begin(MSG.executionReport, timeUs);
    report.text(TAG.orderId, "O").text(TAG.execId, id).text(TAG.execType, "F").text(TAG.ordStatus, "2");
    report.text(TAG.symbol, "BTC-27DEC24-60000-C").text(TAG.securityExchange, "deribit").text(TAG.side, "1");
    report.text(TAG.lastQty, "0.1").text(TAG.lastPx, "0.0500").uint(TAG.leavesQty, 0);
    report.text(TAG.cumQty, "0.1").text(TAG.avgPx, "0.0500").time(TAG.transactTime, timeUs);
    session.send(true);
  }
}

/** Kills a process that quotes and sends orders, again and again at random points, and says what it did wrong. */
export async function runCrashes(kills: number, seed: number): Promise<CrashReport> {
  const folder = mkdtempSync(join(tmpdir(), "keel-crash-"));
  const store = join(folder, "store");
  const ledgers = join(folder, "ledgers");
  mkdirSync(ledgers);
  const report: CrashReport = {
    ...{ kills: 0, quotes: 0, orders: 0, executions: 0, reusedNumbers: [], quotesBeforeCancel: 0 },
    ...{ lostOrders: [], lostExecutions: [], repeatedExecutions: 0 },
  };
  const peer = new Peer(report);
  const port = peer.acceptor.start();
  const timer = setInterval(() => peer.acceptor.onTimer(systemClock.wallUs()), 5);
  const rng = new Rng(seed);
  const ledger = (name: string): string[] => {
    try {
      return readFileSync(join(ledgers, name), "utf8").trim().split("\n");
    } catch {
      return [];
    }
  };
  const spawn = () =>
    Bun.spawn([process.execPath, join(import.meta.dir, "quoting-process.ts"), String(port), store, ledgers], {
      stdout: "ignore",
      stderr: "inherit",
    });
  const waitFor = async (done: () => boolean, what: string): Promise<void> => {
    const deadline = performance.now() + 30_000;
    while (!done()) {
      if (performance.now() > deadline) throw new Error(`crash run: waited in vain for ${what}`);
      await Bun.sleep(1);
    }
  };
  try {
    for (; report.kills < kills; report.kills += 1) {
      const quoter = spawn();
      const wanted = report.quotes + 200 + rng.int(2_000);
      await waitFor(() => report.quotes >= wanted, "quotes");
      await Bun.sleep(rng.int(5));
      quoter.kill("SIGKILL");
      await quoter.exited;
      await waitFor(() => peer.sessions.every(({ state }) => state === "disconnected"), "the disconnect");
    }
    const last = spawn();
    const told = () => new Set(ledger("fills"));
    await waitFor(() => peer.sessions.every(({ established }) => established), "the last logon");
    const due = [...peer.sent];
    const sent = ledger("orders").map(Number);
    const settled = () => {
      const fills = told();
      return due.every((id) => fills.has(id)) && sent.every((order) => peer.orders.has(order));
    };
    const deadline = performance.now() + 10_000;
    while (!settled() && performance.now() < deadline) await Bun.sleep(20);
    last.kill("SIGKILL");
    await last.exited;
    const fills = ledger("fills");
    const known = new Set(fills);
    report.orders = sent.length;
    report.executions = due.length;
    report.lostOrders = sent.filter((order) => !peer.orders.has(order));
    report.lostExecutions = due.filter((id) => !known.has(id));
    report.repeatedExecutions = fills.length - known.size;
    return report;
  } finally {
    clearInterval(timer);
    peer.acceptor.stop();
    rmSync(folder, { recursive: true, force: true });
  }
}
