import { afterAll, describe, expect, test } from "bun:test";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gunzipSync } from "node:zlib";
import { formatKeelHeader, formatKeelLine } from "../../src/feed/capture-format.ts";
import type { VenueName } from "../../src/market/instrument.ts";
import { BybitRewording } from "../feed/bybit-v1.ts";
import { readV1, TextBook, toV2 } from "../feed/kraken-v1.ts";
import { sharedPath, skipUnless, skipUnlessShared } from "../support/shared-data.ts";
import {
  BINANCE_FUTURES,
  BINANCE_SPOT,
  BitstampOrdersReader,
  BYBIT,
  COINBASE,
  DERIBIT,
  KRAKEN,
  OKX,
} from "./naive-readers.ts";
import { playThrough } from "./served-capture.ts";

/** Lines of the long captures that are played; `KEEL_TEST_CAPTURE_LINES=all` plays them whole. */
const LINES = process.env.KEEL_TEST_CAPTURE_LINES ?? "6000";
const folder = mkdtempSync(join(tmpdir(), "keel-served-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const path = (name: string): string => sharedPath(`data/${name}`);

/** The beginning of a capture as a file of its own. */
function beginning(name: string): string {
  if (LINES === "all") return path(name);
  const lines = gunzipSync(readFileSync(path(name)))
    .toString("utf8")
    .split("\n", Number(LINES));
  const file = join(folder, name.replaceAll("/", "-").replace(/\.gz$/, ".log"));
  writeFileSync(file, `${lines.join("\n")}\n`);
  return file;
}

/** What a session received, reworded, as keel records it. */
function reworded(name: string, venue: VenueName, reword: (text: string) => string | null): string {
  const text = gunzipSync(readFileSync(path(name))).toString("utf8");
  const lines = [formatKeelHeader({ venue })];
  for (const [, epoch, frame] of text.matchAll(/^(\d+\.\d+): (.*)$/gm)) {
    const said = reword(frame ?? "");
    if (said === null) continue;
    const timeUs = Math.round(Number(epoch) * 1e6);
    lines.push(formatKeelLine({ kind: "frame", timeUs, text: said, url: "", connection: 0, status: 0 }));
  }
  const file = join(folder, `${venue}.log`);
  writeFileSync(file, lines.join(""));
  return file;
}

function symbolsIn(name: string, pattern: RegExp): string[] {
  const text = gunzipSync(readFileSync(path(name))).toString("utf8");
  return [...new Set([...text.matchAll(pattern)].map((match) => match[1] ?? ""))];
}

async function expectEqual(
  capture: string,
  venue: VenueName,
  subscriptions: readonly string[],
  reader: Parameters<typeof playThrough>[3],
): Promise<{ readonly compared: number; readonly ignored: number }> {
  const { served, venue: server } = await playThrough(capture, venue, subscriptions, reader);
  const { tally, feed } = served;
  expect(tally.differences).toEqual([]);
  expect([feed.problem, tally.bad, server.summary().problem]).toEqual(["", 0, null]);
  // At full speed the market may run further than a feed keeps before its first book; it begins anew then, and nothing else is lost.
  expect(feed.counters.overflows).toBeLessThanOrEqual(1);
  expect(feed.counters).toMatchObject({ gaps: 0, checksums: 0, unparsable: 0, resyncs: 0 });
  expect(tally.live.size).toBe(subscriptions.length);
  return tally;
}

describe.skipIf(skipUnlessShared("data/binance", "data/ws"))(
  "a recorded capture, served as its venue to keel's own feed, keeps the naive book at every message",
  () => {
    test.each([
      ["binance/usdm-btcusdt-20240808.gz", "binance-usdm", "BTCUSDT"],
      ["binance/usdm-ethusdt-20240808.gz", "binance-usdm", "ETHUSDT"],
      ["binance/cm-btcusd_perp-20240808.gz", "binance-coinm", "BTCUSD_PERP"],
      ["binance/cm-ethusd_perp-20240808.gz", "binance-coinm", "ETHUSD_PERP"],
      ["binance/spot-btcusdt-20240808.gz", "binance-spot", "BTCUSDT"],
      ["binance/spot-btcusdt-20240809.gz", "binance-spot", "BTCUSDT"],
      ["binance/spot-ethusdt-20240808.gz", "binance-spot", "ETHUSDT"],
    ] as const)(
      "%s",
      async (name, venue, symbol) => {
        const { compared } = await expectEqual(
          beginning(name),
          venue,
          [symbol],
          venue === "binance-spot" ? BINANCE_SPOT : BINANCE_FUTURES,
        );
        expect(compared).toBeGreaterThan(2_000);
      },
      120_000,
    );

    test("Binance futures session", async () => {
      const name = "ws/BINANCE_FUTURES.ws.1.0.gz";
      const symbols = ["SUSHIUSDT", "AKROUSDT", "KEEPUSDT", "CTKUSDT"];
      const { compared } = await expectEqual(path(name), "binance-usdm", symbols, BINANCE_FUTURES);
      // How many depends on when the books are joined; all of them are equal.
      expect(compared).toBeGreaterThan(200);
    });

    test("Deribit session", async () => {
      const name = "ws/DERIBIT.ws.1.0.gz";
      const symbols = symbolsIn(name, /"book\.([A-Z0-9-]+)\.raw"/g);
      expect((await expectEqual(path(name), "deribit", symbols, DERIBIT)).compared).toBe(46);
    });

    test("OKX session, with checksums", async () => {
      const name = "ws/OKX.ws.1.0.gz";
      const symbols = symbolsIn(name, /"channel":"books","instId":"([A-Z0-9-]+)"/g);
      expect((await expectEqual(path(name), "okx", symbols, OKX)).compared).toBeGreaterThan(200);
    });

    test("Coinbase session", async () => {
      const name = "ws/COINBASE.ws.28.0.gz";
      const symbols = symbolsIn(name, /"type":"snapshot","product_id":"([A-Z0-9-]+)"/g);
      const { compared } = await expectEqual(path(name), "coinbase", symbols, COINBASE);
      expect(compared).toBe(9_729);
    });

    test("Kraken session in today's words, with every checksum", async () => {
      const name = "ws/KRAKEN.ws.50.0.gz";
      const texts = new Map<string, TextBook>();
      const capture = reworded(name, "kraken", (text) => {
        const book = readV1(text);
        if (book === null) return null;
        const own = texts.get(book.symbol) ?? new TextBook();
        texts.set(book.symbol, own);
        own.apply(book);
        return toV2(book, own.checksum());
      });
      const { compared } = await expectEqual(capture, "kraken", [...texts.keys()], KRAKEN);
      expect(compared).toBe(4_279);
    });

    test("Bybit session in today's words", async () => {
      const rewording = new BybitRewording();
      const capture = reworded("ws/BYBIT.ws.26.0.gz", "bybit-inverse", (text) => rewording.book(text));
      const { compared } = await expectEqual(capture, "bybit-inverse", ["BTCUSD", "EOSUSD"], BYBIT);
      expect(compared).toBe(1_018);
    });
  },
);

const DAY = "bitstamp-l3/2015-05-01.log.xz";
const noDay =
  skipUnlessShared(`data/${DAY}`) || skipUnless(Bun.which("xz") !== null, "no xz to unpack the Bitstamp day");

test.skipIf(noDay)(
  "Bitstamp's day by order, served as the venue, keeps the naive book at every message",
  async () => {
    const { stdout } = Bun.spawnSync(["xz", "-dc"], { stdin: readFileSync(path(DAY)), maxBuffer: 1 << 30 });
    const day = stdout
      .toString("utf8")
      .split("\n", LINES === "all" ? undefined : 8_000)
      .flatMap((line) => {
        const match = /^(\d+) (order_created|order_changed|order_deleted) (.*)$/.exec(line);
        return match === null
          ? []
          : [{ ms: Number(match[1]), event: match[2] ?? "", order: JSON.parse(match[3] ?? "") }];
      });
    const created = new Set<number>();
    const older = new Map<number, { price: string; amount: string; order_type: number }>();
    for (const { event, order } of day) {
      if (event === "order_created") created.add(order.id);
      else if (!created.has(order.id) && !older.has(order.id)) older.set(order.id, order);
    }
    const resting = [...older].filter(([, { amount }]) => Number(amount) > 0);
    const orders = (type: number): string[][] =>
      resting
        .filter(([, { order_type }]) => order_type === type)
        .map(([id, { price, amount }]) => [price, amount, String(id)]);
    const startUs = (day[0]?.ms ?? 0) * 1_000;
    const known = new Set([...created, ...resting.map(([id]) => id)]);
    const rest = { microtimestamp: String(startUs), bids: orders(0), asks: orders(1) };
    const first = { id: 1, price: "1", amount: "0", order_type: 0, microtimestamp: String(startUs - 1_000) };
    const frame = (timeUs: number, event: string, data: object): string =>
      formatKeelLine({
        kind: "frame",
        timeUs,
        text: JSON.stringify({ data, channel: "live_orders_btcusd", event }),
        url: "",
        connection: 0,
        status: 0,
      });
    const lines = [
      formatKeelHeader({ venue: "bitstamp" }),
      frame(startUs - 1_000, "order_created", first),
      formatKeelLine({
        kind: "http",
        timeUs: startUs,
        text: JSON.stringify(rest),
        url: "https://www.bitstamp.net/api/v2/order_book/btcusd/?group=2",
        connection: 0,
        status: 200,
      }),
    ];
    for (const [at, { ms, event, order }] of day.entries()) {
      if (!known.has(order.id)) continue;
      const microtimestamp = String(ms * 1_000 + (at % 999) + 1);
      lines.push(frame(ms * 1_000, event, { ...order, id_str: String(order.id), microtimestamp }));
    }
    const capture = join(folder, "bitstamp.log");
    writeFileSync(capture, lines.join(""));
    const { compared } = await expectEqual(
      capture,
      "bitstamp",
      ["orders:btcusd"],
      new BitstampOrdersReader(),
    );
    expect(compared).toBeGreaterThan(4_000);
  },
);
