import { afterAll, describe, expect, test } from "bun:test";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DEFAULT_LATENCY, FeedLatency } from "../../src/backtest/latency.ts";
import { DEFAULT_MATCHING } from "../../src/backtest/matching.ts";
import { PlainBacktest } from "../../src/backtest/plain.ts";
import { queueModel } from "../../src/backtest/queue.ts";
import { openRecording } from "../../src/backtest/recording.ts";
import { Tape } from "../../src/backtest/tape.ts";
import { VenueReader } from "../../src/backtest/venue-reader.ts";
import { formatKeelHeader, formatKeelLine } from "../../src/feed/capture-format.ts";
import { bitstampMarket } from "../feed/fake-bitstamp.ts";
import { sharedPath, skipUnless, skipUnlessShared } from "../support/shared-data.ts";

const FILE = "data/bitstamp-l3/2015-05-01.log.xz";
const skip =
  skipUnlessShared(FILE) || skipUnless(Bun.which("xz") !== null, "no xz to unpack the Bitstamp day");
const LINES = 12_000;
const REST = "https://www.bitstamp.net";

const folder = mkdtempSync(join(tmpdir(), "keel-l3-"));
afterAll(() => rmSync(folder, { recursive: true }));

interface OrderMessage {
  readonly id: number;
  readonly price: string;
  readonly amount: string;
  readonly order_type: 0 | 1;
}

/** The first hour of the recorded day as keel's recorder would have written it: markets, a snapshot by order, every order. */
function session(): string {
  const { stdout } = Bun.spawnSync(["xz", "-dc"], {
    stdin: readFileSync(sharedPath(FILE)),
    maxBuffer: 1 << 30,
  });
  const day = stdout.toString("utf8").split("\n").slice(0, LINES);
  const orders = day.flatMap((line) => {
    const [ms, event = ""] = line.split(" ", 2);
    if (!event.startsWith("order_") || event === "order_book") return [];
    const json = line.slice((ms?.length ?? 0) + event.length + 2);
    return [{ ms: Number(ms), event, order: JSON.parse(json) as OrderMessage }];
  });
  const created = new Set<number>();
  const older = new Map<number, OrderMessage>();
  for (const { event, order } of orders) {
    if (event === "order_created") created.add(order.id);
    else if (!created.has(order.id) && !older.has(order.id)) older.set(order.id, order);
  }
  const resting = [...older.values()].filter(({ amount }) => Number(amount) > 0);
  const forgotten = new Set(
    [...older.values()].filter(({ amount }) => !(Number(amount) > 0)).map(({ id }) => id),
  );
  const side = (type: number) =>
    resting
      .filter(({ order_type }) => order_type === type)
      .map(({ price, amount, id }) => [price, amount, String(id)]);
  const startUs = ((orders[0]?.ms ?? 0) - 1) * 1_000;
  const lines: string[] = [];
  const add = (kind: "http" | "connect" | "frame", timeUs: number, text: string, url = "") => {
    lines.push(formatKeelLine({ kind, timeUs, text, url, connection: 0, status: kind === "http" ? 200 : 0 }));
  };
  const frame = (timeUs: number, event: string, data: object) =>
    add("frame", timeUs, JSON.stringify({ data, channel: "live_orders_btcusd", event }));
  add("http", startUs, JSON.stringify([bitstampMarket("btcusd", 2)]), `${REST}/api/v2/markets/`);
  add("connect", startUs, "", "wss://ws.bitstamp.net");
  const nothing = { id_str: "1", price: "1", amount: "0", order_type: 0, microtimestamp: String(startUs) };
  frame(startUs, "order_created", nothing);
  const snapshot = { microtimestamp: String(startUs), bids: side(0), asks: side(1) };
  add("http", startUs, JSON.stringify(snapshot), `${REST}/api/v2/order_book/btcusd/?group=2`);
  for (const [at, { ms, event, order }] of orders.entries()) {
    if (forgotten.has(order.id)) continue;
    const timeUs = ms * 1_000 + (at % 1_000);
    frame(timeUs, event, { ...order, id_str: String(order.id), microtimestamp: String(timeUs) });
  }
  const header = formatKeelHeader({ venue: "bitstamp", subscriptions: ["orders:btcusd"], startUs });
  const path = join(folder, "bitstamp.cap");
  writeFileSync(path, header + lines.join(""));
  return path;
}

/** The matching with a simple quoter over the session. The middle is some ticks wide: it is the market of 2015. */
async function play(path: string, queue: "conservative" | "front"): Promise<PlainBacktest> {
  const recording = await openRecording([path]);
  const [venue, local] = [new Tape(), new Tape()];
  let localUs = 0;
  const reader = new VenueReader({
    ...{ recording, capacity: 4, seed: 1, silenceMs: Number.MAX_SAFE_INTEGER, tape: venue },
    latency: new FeedLatency({ ...DEFAULT_LATENCY, feed: 1_000 }, []),
    onRead: (batch, row) => local.push(batch, row, localUs),
  });
  await reader.begin();
  for await (const entries of recording.entries()) {
    for (const entry of entries) {
      localUs = recording.timeUs(entry);
      const settled = reader.read(entry, localUs);
      if (settled !== null) await settled;
    }
  }
  const run = new PlainBacktest({
    ...{ instruments: reader.instruments, venue, local, orderUs: 5_000, responseUs: 5_000 },
    matching: { ...DEFAULT_MATCHING, queue: queueModel(queue) },
    strategy: { offsetTicks: 8, lots: 10_000_000, everyUs: 1_000_000 },
  });
  run.run();
  return run;
}

describe("a recording by order", () => {
  test.skipIf(skip)("needs no estimate of the queue: every model gives the same fills", async () => {
    const path = session();
    const [conservative, front] = [await play(path, "conservative"), await play(path, "front")];
    expect(conservative.fills.length).toBeGreaterThan(20);
    expect(front.fills).toEqual(conservative.fills);
  });
});
