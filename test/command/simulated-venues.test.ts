import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { instruments } from "../../src/command/doctor/instruments.ts";
import { simulate } from "../../src/command/venue/simulate.ts";
import { urlVariable } from "../../src/config/variables.ts";
import { loadConfig } from "../../src/config.ts";
import { systemClock } from "../../src/core/clock.ts";
import { FURTHER_VENUES, SIMULATED_SYMBOLS } from "../../src/sim/further-venues.ts";
import { Simulation } from "../../src/sim/simulation.ts";

const UNLISTED = {
  "bybit-linear": "NOSUCHUSDT",
  okx: "NOSUCH-USDT-SWAP",
  kraken: "NOSUCH/USD",
  coinbase: "NOSUCH-USD",
  bitstamp: "nosuchusd",
} as const;

let simulation: Simulation;
beforeAll(() => {
  simulation = new Simulation({ seed: 5, clock: systemClock, venues: FURTHER_VENUES });
  simulation.start();
});
afterAll(() => simulation.stop());

function look(feeds: string) {
  const env: Record<string, string> = { KEEL_FEEDS: feeds };
  for (const [venue, { url }] of simulation.servers) env[urlVariable(venue)] = url;
  return instruments.run({ config: loadConfig(env), env, offline: false });
}

describe.each(FURTHER_VENUES.map((venue) => ({ venue })))("doctor looks up $venue", ({ venue }) => {
  test("what the venue lists is found", async () => {
    const [found, ...others] = await look(`${venue}:${SIMULATED_SYMBOLS[venue]}`);
    expect(others).toEqual([]);
    expect(found).toMatchObject({ subject: `${venue} instruments`, status: "ok" });
    expect(found?.detail).toBe(`1 listed for ${SIMULATED_SYMBOLS[venue]}`);
  });

  test("what it does not list fails by name", async () => {
    const [found] = await look(`${venue}:${SIMULATED_SYMBOLS[venue]},${venue}:${UNLISTED[venue]}`);
    expect(found).toMatchObject({ status: "fail", detail: `not listed by the venue: ${UNLISTED[venue]}` });
  });
});

test("a book by order is looked up by its product", async () => {
  const [found] = await look("coinbase:orders:BTC-USD");
  expect(found).toMatchObject({ status: "ok", detail: "1 listed for orders:BTC-USD" });
});

test("venues are simulated as KEEL_FEEDS names them", async () => {
  const lines: string[] = [];
  let result: object = {};
  const out = {
    ...{ json: false, columns: 0, rows: 0, raw: () => {} },
    line: (text = "") => lines.push(text),
    result: (value: object) => {
      result = value;
    },
  };
  const env = { KEEL_FEEDS: "kraken:BTC/USD,deribit:options:BTC" };
  const common = { env, seed: 1, hostname: "127.0.0.1", speed: 1, seconds: 0.01, out };
  const shutdown = new AbortController().signal;
  await simulate({ ...common, names: "feeds", shutdown });
  expect(lines.map((line) => line.split("=")[0])).toEqual(["KEEL_URL_DERIBIT", "KEEL_URL_KRAKEN"]);
  expect(Object.keys((result as { servers: object }).servers)).toEqual(["deribit", "kraken"]);
  expect(simulate({ ...common, names: "binance-coinm", shutdown })).rejects.toThrow("expected feeds, or of");
});
