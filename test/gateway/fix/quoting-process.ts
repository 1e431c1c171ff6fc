/**
 * A process that quotes and sends orders as fast as it can until it is killed. Arguments: port, store folder, ledger folder.
 *
 * What it has done stands in two ledgers, a line each, written once it is done: `orders` it has sent, `fills` it has been told of.
 */

import { appendFileSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { systemClock } from "../../../src/core/clock.ts";
import { Rng } from "../../../src/core/rng.ts";
import { Backoff } from "../../../src/gateway/fix/backoff.ts";
import { Connector } from "../../../src/gateway/fix/connector.ts";
import { openSessionStore } from "../../../src/gateway/fix/file-store.ts";
import { FixQuoteGateway } from "../../../src/gateway/fix/quote-gateway.ts";
import { FixSession } from "../../../src/gateway/fix/session.ts";
import { SESSION_DEFAULTS } from "../../../src/gateway/fix/session-options.ts";
import { msgTypeCode } from "../../../src/gateway/fix/tags.ts";
import { TcpPort } from "../../../src/gateway/fix/tcp-port.ts";
import { approve } from "../../risk/approve.ts";
import { instrumentTable, quoteBatch } from "./instruments.ts";

const [port, storeDir, ledgers] = process.argv.slice(2);
const fills = join(ledgers, "fills");
const orders = join(ledgers, "orders");

const instruments = instrumentTable();
const gateway = new FixQuoteGateway({
  host: "127.0.0.1",
  port: Number(port),
  version: "4.4",
  senderCompId: "KEEL",
  targetCompId: "PEER",
  heartbeatSeconds: 30,
  resetOnLogon: false,
  storeDir,
  instruments,
  seed: 1,
  clock: systemClock,
});
gateway.start({
  onSessionUp: () => {},
  onSessionDown: () => {},
  onQuoteAck: () => {},
  onExecution: (id) => appendFileSync(fills, `${id}\n`),
});

const identity = { version: "4.4", senderCompId: "KEEL-ORDERS", targetCompId: "PEER" } as const;
const tcp = new TcpPort(4 << 20);
const session: FixSession = new FixSession(
  { ...SESSION_DEFAULTS, ...identity, role: "initiator" },
  openSessionStore(storeDir, identity),
  tcp,
  { onLogon: () => {}, onLogout: () => {}, onMessage: () => true, onReject: () => {}, onResend: () => {} },
);
const connector = new Connector(
  { host: "127.0.0.1", port: Number(port), tls: false, clock: systemClock },
  tcp,
  new Backoff(20, 200, new Rng(1)),
  {
    onConnected: (timeUs) => session.onConnected(timeUs),
    onBytes: (chunk, timeUs) => session.onBytes(chunk, timeUs),
    onDrain: (timeUs) => {
      if (tcp.flush()) session.onWritable(timeUs);
    },
    onDisconnected: (reason, timeUs) => session.onDisconnected(reason, timeUs),
    onConnectFailed: () => {},
  },
);

function lastOrder(): number {
  try {
    return Number(readFileSync(orders, "utf8").trim().split("\n").at(-1));
  } catch {
    return 0;
  }
}

const batch = quoteBatch([
  { instrument: 1, quoteId: 1, bidTicks: 100, bidLots: 5, askTicks: 110, askLots: 5 },
]);
const quotes = approve(instruments, batch, systemClock.wallUs());
let order = lastOrder();
setInterval(() => {
  const timeUs = systemClock.wallUs();
  gateway.onTimer(timeUs);
  session.onTimer(timeUs);
  connector.onTimer(timeUs);
  for (let i = 0; i < 200 && gateway.ready; i += 1) {
    batch.quoteId[0] += 1;
    gateway.publish(quotes, systemClock.wallUs());
  }
  for (let i = 0; i < 5 && session.established && tcp.pendingBytes === 0; i += 1) {
    order += 1;
    session.begin(msgTypeCode("D"), timeUs).uint(11, order);
    session.send(true);
    appendFileSync(orders, `${order}\n`);
  }
}, 1);
