import { afterEach, expect, test } from "bun:test";
import { systemClock } from "../../../src/core/clock.ts";
import { SignalFeed } from "../../../src/feed/signal.ts";
import { FixAcceptor } from "../../../src/gateway/fix/acceptor.ts";
import { writeNews } from "../../../src/gateway/fix/application/news.ts";
import { FixQuoteGateway } from "../../../src/gateway/fix/quote-gateway.ts";
import { SESSION_DEFAULTS } from "../../../src/gateway/fix/session-options.ts";
import { MemoryStore } from "../../../src/gateway/fix/store.ts";
import { MSG } from "../../../src/gateway/fix/tags.ts";
import { EventBatch, TICKER_FIELDS } from "../../../src/market/event-batch.ts";
import { ScriptedPort } from "../../feed/scripted-port.ts";
import { instrumentTable } from "./instruments.ts";

const closers: (() => Promise<void> | void)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});

async function deliver(lines: string[], onSignal: ((frame: string) => void) | undefined) {
  const acceptor = new FixAcceptor({ host: "127.0.0.1", port: 0, clock: systemClock });
  const rejects: string[] = [];
  const session = acceptor.add(
    { ...SESSION_DEFAULTS, role: "acceptor", version: "4.4", senderCompId: "WIRE", targetCompId: "KEEL" },
    new MemoryStore(),
    {
      onLogon: () => {},
      onLogout: () => {},
      onMessage: () => true,
      onReject: (_seq, reason) => rejects.push(reason),
      onResend: () => {},
    },
  );
  const gateway = new FixQuoteGateway({
    ...{
      host: "127.0.0.1",
      port: acceptor.start(),
      version: "4.4",
      senderCompId: "KEEL",
      targetCompId: "WIRE",
    },
    ...{ heartbeatSeconds: 30, resetOnLogon: true, storeDir: null, seed: 1, clock: systemClock },
    instruments: instrumentTable(),
    ...(onSignal === undefined ? {} : { onSignal }),
  });
  gateway.start({
    onSessionUp: () => {},
    onSessionDown: () => {},
    onQuoteAck: () => {},
    onExecution: () => {},
  });
  closers.push(() => acceptor.stop());
  closers.push(() => gateway.stop(200));
  while (!session.established || !gateway.ready) await Bun.sleep(1);
  const timeUs = systemClock.wallUs();
  writeNews(session.begin(MSG.news, timeUs), { headline: "wire", originalUs: timeUs, lines });
  session.send(true);
  while (gateway.counters.news === 0 && rejects.length === 0) await Bun.sleep(1);
  return { gateway, rejects };
}

test("signals in a News message reach the desk's signal feed", async () => {
  const names = ["sentiment.btc", "sentiment.eth"];
  const feed = new SignalFeed({ id: 0, names, port: new ScriptedPort(), seed: 1 });
  const out = new EventBatch(16);
  const { rejects } = await deliver(["Markets calm", "sentiment.eth=0.25", "sentiment.btc=-1"], (frame) =>
    feed.onFrame(frame, out),
  );
  const taken = Array.from({ length: out.count }, (_none, row) => [
    out.code[row],
    out.values[row * TICKER_FIELDS],
  ]);
  expect(taken).toEqual([
    [1, 0.25],
    [0, -1],
  ]);
  expect(rejects).toEqual([]);
});

test("a desk without signals says that it does not take News", async () => {
  const { rejects } = await deliver(["sentiment.btc=1"], undefined);
  expect(rejects).toEqual(["Unsupported Message Type"]);
});
