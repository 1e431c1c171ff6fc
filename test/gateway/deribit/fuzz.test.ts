import { afterEach, expect, test } from "bun:test";
import { Rng } from "../../../src/core/rng.ts";
import { openBed, stopBeds, until } from "./deribit-bed.ts";

afterEach(stopBeds);

const VALUES: readonly unknown[] = [
  ...[
    null,
    true,
    false,
    0,
    -1,
    1e308,
    1.5,
    "",
    "x",
    "buy",
    "open",
    "filled",
    "cancelled",
    [],
    {},
    [[]],
    [null],
  ],
  ...[
    { order_id: 1 },
    [{ trade_id: "1" }],
    { errors: "none" },
    { orders: [], trades: [null], errors: [null] },
  ],
];
const KEYS = ["result", "error", "params", "data", "trades", "errors", "order", "code", "message", "price"];
const KEYS_OF_ORDERS = [
  "label",
  "order_state",
  "direction",
  "amount",
  "instrument_name",
  "quote",
  "mmp_group",
];
const CHANNELS = [
  "user.orders.any.any.raw",
  "user.trades.any.any.raw",
  "user.portfolio.btc",
  "user.mmp_trigger.btc_usd",
];

function wild(rng: Rng, symbol: string, depth = 0): unknown {
  if (depth > 3 || rng.int(3) === 0) return rng.int(8) === 0 ? symbol : VALUES[rng.int(VALUES.length)];
  if (rng.int(4) === 0) return Array.from({ length: rng.int(3) }, () => wild(rng, symbol, depth + 1));
  const keys = [...KEYS, ...KEYS_OF_ORDERS];
  const made: Record<string, unknown> = {};
  for (let i = rng.int(5); i > 0; i -= 1) made[keys[rng.int(keys.length)]] = wild(rng, symbol, depth + 1);
  return made;
}

test("whatever the venue sends, nothing is thrown, and the gateway is up again when it is sane", async () => {
  const thrown: unknown[] = [];
  const note = (error: unknown): void => void thrown.push(error);
  process.on("uncaughtException", note);
  process.on("unhandledRejection", note);
  const bed = openBed();
  await bed.start();
  const rng = new Rng(20);
  const option = bed.option();
  const fair = bed.fair(option);
  for (let round = 0; round < 60; round += 1) {
    if (bed.gateway.ready)
      bed.quote([{ instrument: option, bid: [fair - 100 - 5 * round, 5], ask: [fair + 100, 7] }]);
    const next = bed.gateway.client.nextId;
    for (const client of bed.simulation.deribit.server.clients) {
      for (let i = 0; i < 5; i += 1) {
        const answer = {
          jsonrpc: "2.0",
          id: Math.max(1, next - rng.int(4)),
          ...(wild(rng, option.symbol) as object),
        };
        const params = { channel: CHANNELS[rng.int(CHANNELS.length)], data: wild(rng, option.symbol) };
        const notice = { jsonrpc: "2.0", method: "subscription", params };
        client.control(JSON.stringify(rng.int(3) === 0 ? answer : notice));
      }
    }
    await Bun.sleep(4);
  }
  await until(() => bed.gateway.ready && !bed.gateway.held, "a session after the storm");
  const id = bed.quote([{ instrument: option, bid: [fair - 100, 5], ask: [fair + 100, 7] }]);
  await until(() => bed.heard.acks.some(({ quoteId }) => quoteId >= id), "an answer after the storm");
  process.off("uncaughtException", note);
  process.off("unhandledRejection", note);
  expect(thrown).toEqual([]);
  expect(bed.gateway.client.pending).toBeLessThan(10);
}, 120_000);
