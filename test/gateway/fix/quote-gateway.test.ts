import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { cpSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { FixQuoteGateway } from "../../../src/gateway/fix/quote-gateway.ts";
import type { FixQuoteGatewayOptions } from "../../../src/gateway/fix/quote-gateway-options.ts";
import { QUOTE_STATUS } from "../../../src/gateway/gateway.ts";
import type { QuoteBatch } from "../../../src/quote/quote-batch.ts";
import { FixCounterparty, type FixCounterpartyOptions } from "../../../src/sim/counterparty.ts";
import { approve } from "../../risk/approve.ts";
import { ManualClock } from "../../support/manual-clock.ts";
import { instrumentTable, LISTED, quoteBatch } from "./instruments.ts";
import { LossyProxy } from "./lossy-proxy.ts";

const START_US = Date.UTC(2026, 0, 5, 12) * 1_000;
const STATUS_NAMES = ["accepted", "rejected", "cancelled"];
const KEY = "deribit:BTC-27DEC24-60000-C";

let folder = "";
let clock = new ManualClock(START_US);
const closers: (() => Promise<void> | void)[] = [];

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "keel-fix-"));
  clock = new ManualClock(START_US);
});

afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
  rmSync(folder, { recursive: true, force: true });
});

function counterparty(options: Partial<FixCounterpartyOptions> = {}): {
  peer: FixCounterparty;
  port: number;
} {
  const peer = new FixCounterparty({
    host: "127.0.0.1",
    port: 0,
    version: "4.4",
    senderCompId: "PEER",
    targetCompId: "KEEL",
    clock,
    seed: 1,
    flow: null,
    ...options,
  });
  const port = peer.start();
  closers.push(() => peer.stop());
  return { peer, port };
}

interface Quoter {
  /** Publishes rows as the desk would: through a risk gate. */
  readonly publish: (batch: QuoteBatch) => number;
  readonly gateway: FixQuoteGateway;
  readonly events: string[];
  readonly problems: string[];
}

function quoter(port: number, options: Partial<FixQuoteGatewayOptions> = {}): Quoter {
  const events: string[] = [];
  const problems: string[] = [];
  const instruments = instrumentTable();
  const gateway = new FixQuoteGateway({
    host: "127.0.0.1",
    port,
    version: "4.4",
    senderCompId: "KEEL",
    targetCompId: "PEER",
    heartbeatSeconds: 10,
    resetOnLogon: false,
    storeDir: null,
    instruments,
    seed: 1,
    clock,
    onProblem: (text) => problems.push(text),
    ...options,
  });
  gateway.start({
    onSessionUp: () => events.push("up"),
    onSessionDown: (reason) => events.push(`down: ${reason}`),
    onQuoteAck: (id, status, text) => events.push(`${STATUS_NAMES[status]} ${id} ${text}`.trim()),
    onExecution: (_id, instrument, side, ticks, lots) =>
      events.push(`fill ${instrument} ${side} ${ticks} ${lots}`),
  });
  closers.push(() => gateway.stop(200));
  const publish = (batch: QuoteBatch): number => {
    const timeUs = clock.wallUs();
    return gateway.publish(approve(instruments, batch, timeUs), timeUs);
  };
  return { publish, gateway, events, problems };
}

/** Lets sockets work until the condition holds; `stepUs` moves the clock at every turn. */
async function until(
  what: string,
  done: () => boolean,
  parts: readonly { onTimer(timeUs: number): void }[] = [],
  stepUs = 0,
): Promise<void> {
  const deadline = performance.now() + 45_000;
  while (!done()) {
    if (performance.now() > deadline) throw new Error(`did not come to pass: ${what}`);
    clock.advanceUs(stepUs);
    for (const part of parts) part.onTimer(clock.wallUs());
    await Bun.sleep(1);
  }
}

function quote(
  quoteId: number,
  bidTicks = 120,
  askTicks = 130,
  bidLots = 5,
  askLots = 7,
): ReturnType<typeof quoteBatch> {
  return quoteBatch([{ instrument: 1, quoteId, bidTicks, bidLots, askTicks, askLots }]);
}

describe.each(["4.4", "4.2"] as const)("quote gateway, FIX %s", (version) => {
  test("quotes, is acknowledged, trades and logs out", async () => {
    const { peer, port } = counterparty({ version });
    const { publish, gateway, events } = quoter(port, { version });
    expect(publish(quote(1))).toBe(0);
    await until("session up", () => gateway.ready);
    expect(publish(quote(2))).toBe(1);
    await until("quote live", () => events.includes("accepted 2"));
    expect(peer.liveQuotes.get(KEY)).toMatchObject({
      bidPx: "0.0600",
      bidSize: "0.5",
      offerPx: "0.0650",
      offerSize: "0.7",
    });
    expect(peer.execute(KEY, 0, clock.wallUs())).toBe(true);
    expect(peer.execute(KEY, 1, clock.wallUs())).toBe(true);
    await until("both fills", () => gateway.counters.executions === 2);
    expect(events).toEqual(["up", "cancelled 0", "accepted 2", "fill 1 0 120 5", "fill 1 1 130 7"]);
    publish(quote(3));
    await gateway.stop(1_000);
    expect(peer.counters).toMatchObject({ cancels: 2, logouts: 1, sessionRejects: 0 });
    expect(peer.liveQuotes.size).toBe(0);
    expect(events.at(-1)).toBe("down: logged out");
  });

  test("pulls one side with size 0", async () => {
    const { peer, port } = counterparty({ version });
    const { publish, gateway } = quoter(port, { version });
    await until("session up", () => gateway.ready);
    publish(quote(1));
    publish(quote(2, -1, 130, 0, 7));
    await until("acknowledged", () => gateway.counters.acks >= 3);
    expect(peer.liveQuotes.get(KEY)).toMatchObject({ bidPx: "", bidSize: "0", offerPx: "0.0650" });
    publish(quote(3, -1, -1, 0, 0));
    await until("acknowledged", () => gateway.counters.acks >= 4);
    expect(peer.liveQuotes.size).toBe(0);
  });
});

describe("quote gateway", () => {
  test("tells refused entries one by one", async () => {
    const symbols = new Set(
      LISTED.map(({ symbol }) => symbol).filter((symbol) => symbol !== "BTC-27DEC24-60000-C"),
    );
    const { port } = counterparty({ symbols });
    const { publish, gateway, events } = quoter(port);
    await until("session up", () => gateway.ready);
    const rows = [0, 2, 1, 3].map((instrument, row) => ({
      instrument,
      quoteId: row + 1,
      bidTicks: 10,
      bidLots: 1,
      askTicks: 20,
      askLots: 1,
    }));
    publish(quoteBatch(rows));
    await until("acknowledged", () => events.includes("accepted 4"));
    expect(events.slice(2)).toEqual(["accepted 2", "rejected 3 unknown symbol", "accepted 4"]);
  });

  test("keeps the session alive by heartbeats", async () => {
    const { peer, port } = counterparty();
    const { gateway } = quoter(port);
    await until("session up", () => gateway.ready);
    const parts = [gateway, peer];
    await until("heartbeats", () => gateway.session.counters.heartbeatsSent >= 3, parts, 500_000);
    expect(peer.session.counters.heartbeatsSent).toBeGreaterThanOrEqual(2);
    expect(gateway.ready).toBe(true);
  });

  test("gives up a peer that is dead and comes back when it lives", async () => {
    const { peer, port } = counterparty();
    const { gateway, events } = quoter(port);
    await until("session up", () => gateway.ready);
    peer.freeze();
    await until("session down", () => !gateway.ready, [gateway], 500_000);
    expect(events.at(-1)).toBe("down: peer silent: no answer to the test request");
    peer.thaw();
    await until("session up", () => gateway.ready, [gateway, peer], 50_000);
    expect(events.filter((event) => event === "up")).toHaveLength(2);
  });

  test("cancels what was left behind before it quotes again", async () => {
    const { peer, port } = counterparty();
    const { publish, gateway, events } = quoter(port);
    await until("session up", () => gateway.ready);
    publish(quote(1));
    await until("quote live", () => peer.liveQuotes.size === 1);
    peer.disconnect();
    await until("session down", () => !gateway.ready);
    expect(events.at(-1)).toBe("down: connection closed");
    await until("session up", () => gateway.ready, [gateway], 50_000);
    await until("cancelled", () => peer.counters.cancels === 2);
    expect(peer.liveQuotes.size).toBe(0);
  });

  test("backs off while nobody listens", async () => {
    const { peer, port } = counterparty();
    peer.kill();
    const { gateway, problems } = quoter(port, { reconnectFirstMs: 100, reconnectCapMs: 1_000 });
    await until("failures", () => gateway.counters.connectFailures >= 6, [gateway], 20_000);
    expect(problems[0]).toStartWith(`cannot connect to 127.0.0.1:${port}`);
    expect(clock.wallUs() - START_US).toBeGreaterThan(1_500_000);
  });

  test("receives a lost execution again after a cut, once", async () => {
    const { peer, port } = counterparty();
    const proxy = await LossyProxy.listen(port);
    closers.push(() => proxy.stop());
    const { publish, gateway, events } = quoter(proxy.port);
    await until("session up", () => gateway.ready);
    publish(quote(1));
    await until("quote live", () => events.includes("accepted 1"));
    proxy.losing = true;
    peer.execute(KEY, 0, clock.wallUs());
    await until("bytes lost", () => proxy.lostBytes > 0);
    proxy.cut();
    await until("session down", () => !gateway.ready);
    proxy.losing = false;
    await until("fill", () => events.includes("fill 1 0 120 5"), [gateway], 50_000);
    expect(gateway.session.counters.resendRequestsSent).toBe(1);
    expect(peer.session.counters.resent).toBe(1);
    expect(gateway.counters).toMatchObject({ executions: 1, duplicateExecutions: 0 });
  });

  test("never sends a quote again that was lost", async () => {
    const { peer, port } = counterparty();
    const proxy = await LossyProxy.listen(port);
    closers.push(() => proxy.stop());
    const { publish, gateway, events } = quoter(proxy.port);
    await until("session up", () => events.includes("cancelled 0"));
    proxy.losing = true;
    for (let id = 1; id <= 20; id += 1) publish(quote(id));
    await until("bytes lost", () => proxy.lostBytes > 2_000);
    proxy.cut();
    await until("session down", () => !gateway.ready);
    proxy.losing = false;
    await until("gap filled", () => events.includes("cancelled 20 not delivered"), [gateway], 50_000);
    publish(quote(21));
    await until("quote live", () => events.includes("accepted 21"));
    expect(gateway.session.counters.gapFills).toBe(1);
    expect(peer.counters).toMatchObject({ massQuotes: 1, cancels: 2 });
    expect(peer.liveQuotes.size).toBe(1);
    expect(peer.session.store.nextIncoming).toBe(gateway.session.store.nextOutgoing);
  });

  test("quotes anew when the peer missed quotes of this connection", async () => {
    const { peer, port } = counterparty();
    const { publish, gateway, events } = quoter(port);
    await until("session up", () => gateway.ready);
    publish(quote(1));
    await until("quote live", () => events.includes("accepted 1"));
    peer.session.begin(0x32, clock.wallUs()).uint(7, 3).uint(16, 0);
    peer.session.send(false);
    await until("withdrawn", () => events.includes("cancelled 1 not delivered"));
    await until("cancelled", () => peer.counters.cancels === 2);
    expect(peer.liveQuotes.size).toBe(0);
  });

  test("goes on with its numbers after a restart", async () => {
    const { peer, port } = counterparty();
    const first = quoter(port, { storeDir: folder });
    await until("session up", () => first.gateway.ready);
    first.publish(quote(1));
    await until("quote live", () => peer.liveQuotes.size === 1);
    await first.gateway.stop(1_000);
    const { gateway } = quoter(port, { storeDir: folder });
    await until("session up", () => gateway.ready);
    expect(gateway.session.store.nextOutgoing).toBe(8);
    expect(peer.session.counters.resendRequestsSent).toBe(0);
  });

  test("goes on after a crash without using a number again", async () => {
    const { peer, port } = counterparty();
    const first = quoter(port, { storeDir: join(folder, "a") });
    await until("session up", () => first.gateway.ready);
    for (let id = 1; id <= 20; id += 1) first.publish(quote(id));
    await until("quotes acknowledged", () => first.events.includes("accepted 20"));
    cpSync(join(folder, "a"), join(folder, "b"), { recursive: true });
    peer.disconnect();
    await until("session down", () => !first.gateway.ready);
    const second = quoter(port, { storeDir: join(folder, "b") });
    await until("session up", () => second.gateway.ready);
    second.publish(quote(21));
    await until("quote live", () => second.events.includes("accepted 21"));
    expect(second.gateway.session.counters.gapFills).toBe(1);
    expect(peer.session.store.nextIncoming).toBe(second.gateway.session.store.nextOutgoing);
  });

  test("lets the newest quote of each instrument win while the peer does not read", async () => {
    const { peer, port } = counterparty();
    const { publish, gateway, events } = quoter(port, { heartbeatSeconds: 0 });
    await until("session up", () => gateway.ready);
    peer.freeze();
    let id = 0;
    while (gateway.conflated < 1_000) {
      id += 1;
      const ticks = 100 + (id % 100);
      const rows = [0, 1, 2, 3].map((instrument) => ({
        instrument,
        quoteId: id * 4 + instrument,
        bidTicks: ticks,
        bidLots: 1,
        askTicks: ticks + 1,
        askLots: 1,
      }));
      expect(publish(quoteBatch(rows))).toBe(4);
      if (id % 1_000 === 0) await Bun.sleep(1);
    }
    expect(gateway.deferred).toBe(4);
    const lastId = id * 4 + 3;
    peer.thaw();
    await until("the last quote", () => events.includes(`accepted ${lastId}`), [gateway, peer], 0);
    expect([...peer.liveQuotes.values()].map((live) => live.quoteId).sort()).toEqual(
      [0, 1, 2, 3].map((instrument) => id * 4 + instrument).sort(),
    );
    expect(gateway.ready).toBe(true);
  }, 120_000);

  test("drops waiting quotes when it cancels", async () => {
    const { peer, port } = counterparty();
    const { publish, gateway } = quoter(port, { heartbeatSeconds: 0 });
    await until("session up", () => gateway.ready);
    peer.freeze();
    for (let id = 1; gateway.deferred === 0; id += 1) publish(quote(id));
    expect(gateway.cancelAll(clock.wallUs())).toBe(true);
    expect(gateway.deferred).toBe(0);
    peer.thaw();
    await until("cancelled", () => peer.counters.cancels === 2, [gateway, peer], 0);
    expect(peer.liveQuotes.size).toBe(0);
  }, 120_000);

  test("takes an execution that cannot be attributed as a problem, not as a fill", async () => {
    const { peer, port } = counterparty();
    const { gateway, problems } = quoter(port);
    await until("session up", () => gateway.ready);
    const report = peer.session.begin(0x38, clock.wallUs());
    report
      .text(37, "o")
      .text(17, "x1")
      .text(150, "F")
      .text(55, "DOGE")
      .text(54, "1")
      .text(32, "1")
      .text(31, "1");
    peer.session.send(true);
    await until("problem", () => problems.length > 0);
    expect(problems).toEqual(["execution x1: unknown Symbol (55) DOGE"]);
    expect(gateway.counters.executions).toBe(0);
  });

  test("tells a session-level reject as a rejected quote", async () => {
    const { peer, port } = counterparty();
    const { publish, gateway, events } = quoter(port);
    await until("session up", () => gateway.ready);
    publish(quote(7));
    const report = peer.session.begin(0x33, clock.wallUs());
    report.uint(45, gateway.session.store.nextOutgoing - 1).text(58, "bad quote");
    peer.session.send(false);
    await until("rejected", () => events.includes(`${STATUS_NAMES[QUOTE_STATUS.rejected]} 7 bad quote`));
  });
});

describe("counterparty", () => {
  test("trades against live quotes at random, the same for the same seed", async () => {
    const fills: string[][] = [];
    for (let run = 0; run < 2; run += 1) {
      clock = new ManualClock(START_US);
      const { peer, port } = counterparty({ flow: { meanIntervalMs: 50 }, seed: 3 });
      const { publish, gateway, events } = quoter(port);
      await until("session up", () => gateway.ready);
      for (let id = 1; id <= 10; id += 1) {
        publish(quote(id));
        await until("quote live", () => events.includes(`accepted ${id}`));
        clock.advanceUs(40_000);
        peer.onTimer(clock.wallUs());
        const made = peer.counters.executions;
        await until("fills", () => gateway.counters.executions === made);
      }
      expect(peer.counters.executions).toBeGreaterThan(0);
      fills.push(events.filter((event) => event.startsWith("fill")));
      await gateway.stop(500);
      peer.stop();
    }
    expect(fills[0]).toEqual(fills[1]);
  });
});
