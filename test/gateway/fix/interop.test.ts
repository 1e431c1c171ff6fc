import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { systemClock } from "../../../src/core/clock.ts";
import { FixAcceptor } from "../../../src/gateway/fix/acceptor.ts";
import { Dictionary } from "../../../src/gateway/fix/dictionary/dictionary.ts";
import { openSessionStore } from "../../../src/gateway/fix/file-store.ts";
import type { FixMessage } from "../../../src/gateway/fix/message.ts";
import { FixQuoteGateway } from "../../../src/gateway/fix/quote-gateway.ts";
import { SESSION_DEFAULTS } from "../../../src/gateway/fix/session-options.ts";
import { type FixVersion, MSG, TAG } from "../../../src/gateway/fix/tags.ts";
import { approve } from "../../risk/approve.ts";
import { freePort } from "../../support/services.ts";
import { instrumentTable, quoteBatch } from "./instruments.ts";
import { LossyProxy } from "./lossy-proxy.ts";
import { QuickFixPeer, whyNoQuickFix } from "./quickfix.ts";

const missing = whyNoQuickFix();
if (missing !== null) console.log(`skipped: FIX with QuickFIX at the other end: ${missing}`);

const VERSIONS: readonly FixVersion[] = ["4.2", "4.4"];

async function until(done: () => boolean, what: () => string): Promise<void> {
  const deadline = performance.now() + 45_000;
  while (!done()) {
    if (performance.now() > deadline) throw new Error(`waited in vain: ${what()}`);
    await Bun.sleep(2);
  }
}

describe.skipIf(missing !== null)("with QuickFIX at the other end", () => {
  let folder = "";
  let peer: QuickFixPeer;
  const closers: (() => Promise<void> | void)[] = [];

  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), "keel-interop-"));
  });

  afterEach(async () => {
    for (const close of closers.splice(0).reverse()) await close();
    rmSync(folder, { recursive: true, force: true });
  });

  const seen = () => JSON.stringify(peer.events.slice(-12), null, 1);

  test.each(VERSIONS)("keel initiates and quotes, FIX %s", async (version) => {
    const port = freePort();
    peer = new QuickFixPeer("acceptor", version, port, folder);
    closers.push(() => peer.stop());
    await until(() => peer.find("ready").length > 0, seen);
    const proxy = await LossyProxy.listen(port);
    closers.push(() => proxy.stop());
    const events: string[] = [];
    const problems: string[] = [];
    const instruments = instrumentTable();
    const gateway = new FixQuoteGateway({
      ...{ host: "127.0.0.1", port: proxy.port, version, senderCompId: "KEEL", targetCompId: "QF" },
      ...{ heartbeatSeconds: 5, resetOnLogon: false, storeDir: join(folder, "keel"), instruments, seed: 1 },
      clock: systemClock,
      dictionary: new Dictionary(version),
      reconnectFirstMs: 20,
      reconnectCapMs: 200,
      onProblem: (text) => problems.push(text),
    });
    gateway.start({
      onSessionUp: () => events.push("up"),
      onSessionDown: () => events.push("down"),
      onQuoteAck: (quoteId, status, text) => events.push(`ack ${quoteId} ${status} ${text}`.trim()),
      onExecution: (id, instrument, side, ticks, lots) =>
        events.push(`fill ${id} ${instrument} ${side} ${ticks} ${lots}`),
    });
    const timer = setInterval(() => gateway.onTimer(systemClock.wallUs()), 5);
    closers.push(async () => {
      clearInterval(timer);
      await gateway.stop(1_000);
    });
    const has = (event: string) =>
      until(
        () => events.includes(event),
        () => `${event}\n${events}\n${seen()}`,
      );

    await has("up");
    await until(() => peer.find("app", "35=Z", "298=4").length === 1, seen);

    const rows = [1, 2, 3].map((instrument) => ({
      ...{ instrument, quoteId: 100 + instrument, bidTicks: 100, bidLots: 5, askTicks: 110, askLots: 0 },
    }));
    const batch = quoteBatch(rows);
    gateway.publish(approve(instruments, batch, systemClock.wallUs()), systemClock.wallUs());
    await until(() => peer.find("app", "35=i", "117=103").length === 1, seen);
    const [massQuote = ""] = peer.find("app", "35=i");
    expect(massQuote).toContain(
      "|296=2|302=BTC|311=BTC|304=1|295=1|299=101|55=BTC-27DEC24-60000-C|207=deribit|",
    );

    peer.send(`35=b|117=103|297=0|296=1|302=ETH|304=2|295=1|299=102|55=ETH-PERPETUAL|368=8`);
    await has("ack 102 1 invalid price");
    await has("ack 103 0");

    const execution = (id: string, lots: string) =>
      `35=8|37=O1|17=${id}|${version === "4.2" ? "20=0|150=2" : "150=F"}|39=2|55=BTC-27DEC24-60000-C|207=deribit|54=1|` +
      `38=${lots}|32=${lots}|31=0.0500|151=0|14=${lots}|6=0.0500|60=20260105-12:00:00`;
    peer.send(execution("E1", "0.3"));
    await has("fill E1 1 0 100 3");

    proxy.losing = true;
    peer.send(execution("E2", "0.1"));
    await until(() => proxy.lostBytes > 0, seen);
    proxy.cut();
    peer.send(execution("E3", "0.2"));
    await until(() => events.includes("down"), seen);
    proxy.losing = false;
    await has("fill E2 1 0 100 1");
    await has("fill E3 1 0 100 2");
    expect(events.filter((event) => event.startsWith("fill"))).toHaveLength(3);
    await until(() => peer.find("app", "35=Z", "298=4").length >= 2, seen);

    proxy.losing = true;
    batch.quoteId[0] = 201;
    batch.count = 1;
    gateway.publish(approve(instruments, batch, systemClock.wallUs()), systemClock.wallUs());
    await until(() => proxy.lostBytes > 400, seen);
    proxy.losing = false;
    batch.quoteId[0] = 202;
    gateway.publish(approve(instruments, batch, systemClock.wallUs()), systemClock.wallUs());
    await has("ack 202 2 not delivered");
    await until(() => peer.find("admin-in", "35=4", "123=Y").length > 0, seen);
    expect(peer.find("app", "35=i", "117=201")).toEqual([]);
    expect(
      peer.find("admin-out", "35=3").concat(problems.filter((text) => text.includes("rejected"))),
    ).toEqual([]);
    expect(gateway.session.counters.rejectsSent).toBe(0);
  });

  test.each(VERSIONS)("keel accepts, FIX %s", async (version) => {
    const received: string[] = [];
    const acceptor = new FixAcceptor({ host: "127.0.0.1", port: 0, clock: systemClock });
    const store = openSessionStore(join(folder, "keel"), {
      ...{ version, senderCompId: "KEEL", targetCompId: "QF" },
    });
    const session = acceptor.add(
      {
        ...SESSION_DEFAULTS,
        ...{ role: "acceptor", version, senderCompId: "KEEL", targetCompId: "QF" },
        dictionary: new Dictionary(version),
      },
      store,
      {
        onLogon: () => received.push("logon"),
        onLogout: () => received.push("logout"),
        onMessage: (message: FixMessage, timeUs) => {
          const dup = message.isYes(TAG.possDupFlag) ? " again" : "";
          received.push(`${message.textAt(0)} ${message.text(TAG.quoteId) ?? message.text(11)}${dup}`);
          if (message.msgType === MSG.massQuote) {
            const ack = session.begin(MSG.massQuoteAck, timeUs);
            ack.text(TAG.quoteId, message.text(TAG.quoteId) ?? "").uint(TAG.quoteStatus, 0);
            session.send(true);
          }
          return true;
        },
        onReject: (_seq, reason) => received.push(`reject ${reason}`),
        onResend: () => {},
      },
    );
    const proxy = await LossyProxy.listen(acceptor.start());
    closers.push(() => acceptor.stop());
    closers.push(() => store.close());
    closers.push(() => proxy.stop());
    const timer = setInterval(() => acceptor.onTimer(systemClock.wallUs()), 5);
    closers.push(() => clearInterval(timer));
    peer = new QuickFixPeer("initiator", version, proxy.port, folder);
    closers.push(() => peer.stop());
    await until(() => session.established && peer.find("logon").length === 1, seen);

    peer.send(`35=S|117=Q1|55=BTC-PERPETUAL|132=60000.5|133=60001|134=10|135=10`);
    await until(
      () => received.includes("S Q1"),
      () => `${received}`,
    );
    peer.send(
      "35=i|117=Q2|296=1|302=BTC|311=BTC|304=2|295=2|299=1|55=A|132=1.5|134=2|299=2|55=B|133=2.5|135=1",
    );
    await until(
      () => peer.find("app", "35=b", "117=Q2", "297=0").length === 1,
      () => `${received}\n${seen()}`,
    );

    const execute = (id: string): void => {
      const timeUs = systemClock.wallUs();
      const report = session.begin(MSG.executionReport, timeUs);
      report.text(TAG.orderId, "O1").text(TAG.execId, id);
      if (version === "4.2") report.uint(TAG.execTransType, 0);
      report.text(TAG.execType, version === "4.2" ? "2" : "F").text(TAG.ordStatus, "2");
      report.text(TAG.symbol, "A").text(TAG.side, "1").text(TAG.lastQty, "2").text(TAG.lastPx, "1.5");
      report
        .uint(TAG.leavesQty, 0)
        .text(TAG.cumQty, "2")
        .text(TAG.avgPx, "1.5")
        .time(TAG.transactTime, timeUs);
      session.send(true);
    };
    execute("E1");
    await until(() => peer.find("app", "35=8", "17=E1").length === 1, seen);

    proxy.losing = true;
    execute("E2");
    execute("E3");
    await until(() => proxy.lostBytes > 0, seen);
    await Bun.sleep(20);
    proxy.cut();
    peer.send("35=S|117=Q3|55=BTC-PERPETUAL|132=60000.5|134=10");
    await until(
      () => received.includes("logout"),
      () => `${received}`,
    );
    proxy.losing = false;
    await until(() => received.filter((event) => event === "logon").length === 2, seen);
    await until(() => peer.find("app", "35=8", "17=E3", "43=Y").length === 1, seen);
    expect(peer.find("app", "35=8", "17=E2", "43=Y")).toHaveLength(1);
    await until(
      () => received.some((event) => event.startsWith("S Q3")),
      () => `${received}`,
    );
    execute("E4");
    await until(() => peer.find("app", "35=8", "17=E4").length === 1, seen);
    expect(received.filter((event) => event.startsWith("reject"))).toEqual([]);
    expect(peer.find("admin-out", "35=3")).toEqual([]);
    expect(session.counters.rejectsSent).toBe(0);
  });
});
