/**
 * What desks of a soak need around them, as a process of its own: `bun test/live/soak/surroundings.ts DESKS`. A simulated Deribit
 * whose price begins where the recordings of Binance do, and a FIX counterparty for each desk, which trades. Prints where they are
 * as a line of JSON.
 */
import { systemClock } from "../../../src/core/clock.ts";
import { FixCounterparty } from "../../../src/sim/counterparty.ts";
import { Simulation } from "../../../src/sim/simulation.ts";

const PRICE = 61_800;
const TRADE_MS = 500;
const TIMER_MS = 5;

const desks = Number(process.argv[2] ?? 1);
const simulation = new Simulation({ seed: 11, clock: systemClock, price: PRICE });
const peers = Array.from({ length: desks }, () => {
  return new FixCounterparty({
    ...{ host: "127.0.0.1", port: 0, version: "4.4", senderCompId: "PEER", targetCompId: "KEEL" },
    ...{ clock: systemClock, seed: 7, flow: { meanIntervalMs: TRADE_MS } },
  });
});
const fixPorts = peers.map((peer) => peer.start());
simulation.start();
setInterval(() => {
  for (const peer of peers) peer.onTimer(systemClock.wallUs());
}, TIMER_MS);
console.log(JSON.stringify({ deribit: simulation.deribit.server.url, fixPorts }));
process.on("SIGTERM", () => process.exit(0));
