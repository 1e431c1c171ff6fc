/** A simulated market in a process of its own, so that a desk that is slow does not slow its market. Prints its addresses as JSON. */
import { systemClock } from "../../../src/core/clock.ts";
import { Simulation } from "../../../src/sim/simulation.ts";

const simulation = new Simulation({ seed: 7, clock: systemClock, price: 60_000 });
simulation.start();
console.log(
  JSON.stringify({ binance: simulation.binance.server.url, deribit: simulation.deribit.server.url }),
);
process.on("SIGTERM", () => process.exit(0));
