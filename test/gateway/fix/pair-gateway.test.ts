import { expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { systemClock } from "../../../src/core/clock.ts";
import { LeaseFence } from "../../../src/failover/fence.ts";
import { FixQuoteGateway } from "../../../src/gateway/fix/quote-gateway.ts";
import { InstrumentTable } from "../../../src/market/instrument.ts";
import { FixCounterparty } from "../../../src/sim/counterparty.ts";

test("connects to nobody before it leads, and takes no quote from the moment in which it gives way", async () => {
  const folder = mkdtempSync(join(tmpdir(), "keel-pair-gateway-"));
  const names = { version: "4.4", senderCompId: "KEEL", targetCompId: "PEER" } as const;
  const peer = new FixCounterparty({
    ...{ host: "127.0.0.1", port: 0, version: "4.4", senderCompId: "PEER", targetCompId: "KEEL" },
    ...{ clock: systemClock, seed: 1, flow: null },
  });
  const fence = new LeaseFence(systemClock.monotonicNs);
  const gateway = new FixQuoteGateway({
    ...{ ...names, host: "127.0.0.1", port: peer.start(), heartbeatSeconds: 30, resetOnLogon: false },
    ...{ storeDir: folder, instruments: new InstrumentTable(4), seed: 1, clock: systemClock },
    pair: { fence, follower: () => {} },
  });
  gateway.start({
    onSessionUp: () => {},
    onSessionDown: () => {},
    onQuoteAck: () => {},
    onExecution: () => {},
  });
  await Bun.sleep(50);
  gateway.onTimer(systemClock.wallUs());
  expect(peer.acceptor.accepted).toBe(0);
  gateway.followOutgoing(40_000);
  expect(gateway.session.store.nextOutgoing).toBe(40_000);
  fence.open(1, Number.POSITIVE_INFINITY, 1_000_000);
  gateway.lead({ outgoing: 900, startedUs: null }, systemClock.wallUs());
  for (const untilMs = performance.now() + 45_000; performance.now() < untilMs && !gateway.ready; )
    await Bun.sleep(5);
  gateway.followOutgoing(80_000);
  expect(gateway.session.store.nextOutgoing).toBeWithin(40_001, 40_100);
  const ended = gateway.follow("the other one leads", systemClock.wallUs());
  expect([gateway.ready, gateway.session.state]).toEqual([false, "logout-sent"]);
  await ended;
  expect(gateway.session.state).toBe("disconnected");
  await gateway.stop(100);
  peer.stop();
  rmSync(folder, { recursive: true, force: true });
});

test("one that is given the lead asks again soon, however often it was refused when it led before", async () => {
  const folder = mkdtempSync(join(tmpdir(), "keel-pair-gateway-"));
  let attempts = 0;
  const refusing = Bun.listen({
    hostname: "127.0.0.1",
    port: 0,
    socket: {
      open: (socket) => {
        attempts += 1;
        socket.end();
      },
      data: () => {},
    },
  });
  let nowUs = systemClock.wallUs();
  const fence = new LeaseFence(systemClock.monotonicNs);
  const gateway = new FixQuoteGateway({
    ...{ version: "4.4", senderCompId: "KEEL", targetCompId: "PEER", host: "127.0.0.1" },
    ...{ port: refusing.port, heartbeatSeconds: 30, resetOnLogon: false, reconnectFirstMs: 200, seed: 1 },
    ...{ storeDir: folder, instruments: new InstrumentTable(4) },
    clock: { ...systemClock, wallUs: () => nowUs },
    pair: { fence, follower: () => {} },
  });
  const refused = async (count: number, stepMs: number): Promise<void> => {
    for (let turn = 0; turn < 4_000 && attempts < count; turn += 1) {
      nowUs += stepMs * 1_000;
      gateway.onTimer(nowUs);
      await Bun.sleep(2);
    }
    expect(attempts).toBe(count);
  };
  gateway.start({ onSessionUp() {}, onSessionDown() {}, onQuoteAck() {}, onExecution() {} });
  fence.open(1, Number.POSITIVE_INFINITY, 1_000_000);
  gateway.lead(null, nowUs);
  await refused(8, 5_000);
  await gateway.follow("the other one leads", nowUs);
  gateway.lead(null, nowUs);
  const startUs = nowUs;
  await refused(10, 10);
  expect((nowUs - startUs) / 1_000).toBeLessThan(10_000);
  await gateway.stop(100);
  refusing.stop(true);
  rmSync(folder, { recursive: true, force: true });
});
