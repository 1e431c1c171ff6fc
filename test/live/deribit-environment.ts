import { SIMULATED_KEY } from "../../src/sim/deribit-venue.ts";
import type { Simulation } from "../../src/sim/simulation.ts";

/** The variables of a desk that quotes options at the simulated Deribit from the first prices on. @param secretFile of its key */
export function deribitEnvironment(simulation: Simulation, secretFile: string): Record<string, string> {
  const { url } = simulation.deribit.server;
  return {
    KEEL_FEEDS: "binance-usdm:BTCUSDT,deribit:BTC-PERPETUAL,deribit:options:BTC",
    KEEL_URL_BINANCE_USDM: simulation.binance.server.url,
    KEEL_URL_DERIBIT: url,
    KEEL_GATEWAY: "deribit",
    KEEL_DERIBIT_URL: `${url}/ws/api/v2`,
    KEEL_DERIBIT_CLIENT_ID: SIMULATED_KEY.id,
    KEEL_DERIBIT_CLIENT_SECRET_FILE: secretFile,
    KEEL_DERIBIT_MMP_QUANTITY: "400",
    KEEL_DERIBIT_MMP_DELTA: "300",
    KEEL_WARM_UP_MS: "0",
    // A host that is short of processor time is no fault of what is tested.
    KEEL_SHED: "off",
  };
}
