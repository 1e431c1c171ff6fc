/** A process that quotes as fast as it can until it is killed. Arguments: port, store folder. */

import { systemClock } from "../../../src/core/clock.ts";
import { FixQuoteGateway } from "../../../src/gateway/fix/quote-gateway.ts";
import { approve } from "../../risk/approve.ts";
import { instrumentTable, quoteBatch } from "./instruments.ts";

const [port, storeDir] = process.argv.slice(2);
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
  onExecution: () => {},
});

const batch = quoteBatch([
  { instrument: 1, quoteId: 1, bidTicks: 100, bidLots: 5, askTicks: 110, askLots: 5 },
]);
const quotes = approve(instruments, batch, systemClock.wallUs());
setInterval(() => {
  gateway.onTimer(systemClock.wallUs());
  for (let i = 0; i < 200 && gateway.ready; i += 1) {
    batch.quoteId[0] += 1;
    gateway.publish(quotes, systemClock.wallUs());
  }
}, 1);
