/**
 * A FIX counterparty as a process of its own: `bun test/live/failover/peer.ts`. Prints its ports as a line of JSON. `GET /` tells what
 * stands and what was traded, `POST /trade` trades one of the quotes.
 */
import { systemClock } from "../../../src/core/clock.ts";
import { FixCounterparty } from "../../../src/sim/counterparty.ts";
import { inexact } from "../../../src/sim/counterparty-books.ts";

const counterparty = new FixCounterparty({
  ...{ host: "127.0.0.1", port: 0, version: "4.4", senderCompId: "PEER", targetCompId: "KEEL" },
  ...{ clock: systemClock, seed: 7, flow: null, replaces: process.argv.includes("--replaces") },
});
const fixPort = counterparty.start();
let logonUs = 0;
const onLogon = counterparty.onLogon.bind(counterparty);
counterparty.onLogon = () => {
  logonUs = systemClock.wallUs();
  onLogon();
};
setInterval(() => counterparty.onTimer(systemClock.wallUs()), 5);
let traded = 0;

const server = Bun.serve({
  hostname: "127.0.0.1",
  port: 0,
  fetch: (request) => {
    const quotes = [...counterparty.liveQuotes];
    if (request.method === "POST") {
      const [key, quote] = quotes[(traded * 7) % Math.max(1, quotes.length)] ?? [];
      const side = quote !== undefined && Number(quote.bidSize) > 0 ? 0 : 1;
      const done = key !== undefined && counterparty.execute(key, side, systemClock.wallUs());
      if (done) traded += 1;
      return Response.json({ done });
    }
    return Response.json({
      standing: quotes.length,
      /** Quotes older than the session that is there: nobody answers for them. */
      orphans: quotes.filter(([, { timeUs }]) => !counterparty.session.established || timeUs < logonUs)
        .length,
      established: counterparty.session.established,
      executions: counterparty.counters.executions,
      positions: Object.fromEntries(
        counterparty.books.all().map(({ key, size }) => [key.replace(/#\d+$/, ""), inexact(size)]),
      ),
    });
  },
});
console.log(JSON.stringify({ fixPort, httpPort: server.port }));
process.on("SIGTERM", () => process.exit(0));
