import { afterAll, afterEach, describe, expect, test } from "bun:test";
import { join } from "node:path";
import { CaptureReader } from "../../src/feed/capture.ts";
import {
  ALL_USDM,
  Client,
  closeOpened,
  DATA,
  get,
  PRESENT,
  recorded,
  removeFolder,
  slice,
  USDM,
  until,
  venue,
} from "./capture-venue-bed.ts";

afterAll(removeFolder);
afterEach(closeOpened);

describe.skipIf(!PRESENT)("Binance", () => {
  test("every recorded frame arrives, byte for byte and in order", async () => {
    const capture = slice(USDM, 8_000);
    const served = await venue({ capture });
    const client = await Client.open(`${served.url}/stream`);
    client.subscribe(ALL_USDM);
    const frames = recorded(capture);
    await until("all frames", () => client.messages.length > frames.length);
    await served.end();
    expect(client.messages[0]).toBe('{"result":null,"id":1}');
    expect(client.messages.slice(1)).toEqual(frames);
    expect(served.summary()).toMatchObject({
      venue: "binance-usdm",
      framesSent: frames.length,
      clients: 1,
      ended: true,
    });
  });

  test("only what is subscribed is sent, from the address or by message, until unsubscribed", async () => {
    const capture = slice(USDM, 3_000);
    const served = await venue({ capture });
    const client = await Client.open(`${served.url}/stream?streams=btcusdt@trade`);
    await served.end();
    const trades = recorded(capture).filter((text) => text.includes("@trade"));
    await until("the trades", () => client.frames.length === trades.length);
    expect(client.frames).toEqual(trades);
    client.send({ method: "UNSUBSCRIBE", params: ["btcusdt@trade"], id: 7 });
    client.send({ method: "LIST_SUBSCRIPTIONS", id: 8 });
    await until("answers", () => client.messages.length === trades.length + 2);
    expect(client.messages.slice(-2)).toEqual(['{"result":null,"id":7}', '{"result":[],"id":8}']);
  });

  test("a bare connection gets the payloads, another speed's name gets its own name back", async () => {
    const capture = slice(USDM, 500);
    const served = await venue({ capture });
    served.pause();
    const bare = await Client.open(`${served.url}/ws/btcusdt@bookTicker`);
    const other = await Client.open(`${served.url}/stream?streams=btcusdt@depth@100ms`);
    served.resume();
    await served.end();
    const frames = recorded(capture);
    const tops = frames.filter((text) => text.includes("@bookTicker"));
    const depths = frames.filter((text) => text.includes("@depth"));
    await until(
      "frames",
      () => bare.messages.length === tops.length && other.messages.length === depths.length,
    );
    expect(bare.messages.map((text) => JSON.parse(text))).toEqual(tops.map((text) => JSON.parse(text).data));
    expect(other.messages).toEqual(depths.map((text) => text.replace("@depth@0ms", "@depth@100ms")));
  });

  test("a depth request made at the start gets the recorded snapshot as it was recorded", async () => {
    const capture = slice(USDM, 2_000);
    const served = await venue({ capture });
    const early = get(served, "/fapi/v1/depth?symbol=BTCUSDT&limit=1000");
    const client = await Client.open(`${served.url}/stream`);
    client.subscribe(ALL_USDM);
    const snapshot = [...new CaptureReader(capture).sync()].find(({ kind }) => kind === "snapshot");
    expect((await early).body).toEqual(JSON.parse(snapshot?.text ?? ""));
  });

  test("a depth request that waits when the venue stops is told that there is no book", async () => {
    const served = await venue({ capture: slice(USDM, 500) });
    const waiting = get(served, "/fapi/v1/depth?symbol=BTCUSDT");
    await until("the request", () => served.summary().requests === 1);
    await Bun.sleep(10);
    await served.stop();
    expect(await waiting.catch(() => ({ status: 503 }))).toMatchObject({ status: 503 });
    expect(served.summary().snapshotsServed).toBe(0);
  });

  test("later depth requests join the stream by the strict rule, whenever they are made", async () => {
    const capture = slice(USDM, 12_000);
    const served = await venue({ capture });
    const client = await Client.open(`${served.url}/stream`);
    const events: { U: number; u: number; pu: number }[] = [];
    client.onMessage = (text) => {
      if (text.includes("@depth")) events.push(JSON.parse(text).data);
      client.messages.length = 0;
    };
    client.subscribe(ALL_USDM);
    for (const after of [60, 300, 600]) {
      await until("depth events", () => events.length >= after);
      const { body } = await get(served, "/fapi/v1/depth?symbol=BTCUSDT&limit=50");
      const id = Number(body.lastUpdateId);
      await until("the event that joins", () => (events.at(-1)?.u ?? 0) > id);
      const joining = events.find(({ u }) => u >= id);
      expect(joining?.U).toBeLessThanOrEqual(id);
      expect(body.bids).toHaveLength(50);
    }
    expect(served.summary().snapshotsServed).toBe(3);
  }, 120_000);

  test("the book answered from at the end equals the recorded one rebuilt by hand", async () => {
    const capture = slice(USDM, 12_000);
    const served = await venue({ capture });
    const client = await Client.open(`${served.url}/stream`);
    client.subscribe(["btcusdt@trade"]);
    await served.end();
    const bids = new Map<string, string>();
    let from = 0;
    const depths: { u: number; b: [string, string][] }[] = [];
    for (const { kind, text } of new CaptureReader(capture).sync()) {
      if (kind === "snapshot") {
        const snapshot = JSON.parse(text);
        from = snapshot.lastUpdateId;
        for (const [price, size] of snapshot.bids) bids.set(price, size);
      } else if (text.includes("@depth")) depths.push(JSON.parse(text).data);
    }
    for (const { u, b } of depths) {
      if (u <= from) continue;
      for (const [price, size] of b) Number(size) === 0 ? bids.delete(price) : bids.set(price, size);
    }
    const best = [...bids].sort(([a], [b]) => Number(b) - Number(a)).slice(0, 1_000);
    const { body } = await get(served, "/fapi/v1/depth?symbol=BTCUSDT&limit=1000");
    expect(body.bids).toEqual(best);
    expect(body.lastUpdateId).toBe(depths.at(-1)?.u);
  }, 120_000);

  test("exchangeInfo, time, premiumIndex and ping answer in Binance's shape; what is wrong is refused in it", async () => {
    const served = await venue({ capture: slice(USDM, 500) });
    expect(await get(served, "/fapi/v1/ping")).toEqual({ status: 200, body: {} });
    expect((await get(served, "/fapi/v1/time")).body.serverTime).toBe(1_723_161_255_030);
    const { body } = await get(served, "/fapi/v1/exchangeInfo");
    expect(body.symbols).toMatchObject([
      {
        symbol: "BTCUSDT",
        contractType: "PERPETUAL",
        status: "TRADING",
        baseAsset: "BTC",
        quoteAsset: "USDT",
        marginAsset: "USDT",
        filters: [
          { filterType: "PRICE_FILTER", tickSize: "0.1" },
          { filterType: "LOT_SIZE", stepSize: "0.001" },
        ],
      },
    ]);
    const invalid = { status: 400, body: { code: -1121, msg: "Invalid symbol." } };
    expect(await get(served, "/fapi/v1/depth?symbol=NOPE")).toEqual(invalid);
    expect(await get(served, "/fapi/v1/exchangeInfo?symbol=NOPE")).toEqual(invalid);
    expect((await get(served, "/fapi/v1/depth?symbol=BTCUSDT&limit=0")).status).toBe(400);
    expect((await get(served, "/fapi/v1/nothing")).status).toBe(404);
    const client = await Client.open(`${served.url}/ws`);
    client.socket.send("not json");
    client.send({ method: "DANCE", id: 3 });
    await until("errors", () => client.messages.length === 2);
    expect(client.messages.map((text) => JSON.parse(text).error.code)).toEqual([3, 2]);
    client.subscribe(["btcusdt@trade"]);
    await served.end();
    const premium = (await get(served, "/fapi/v1/premiumIndex?symbol=BTCUSDT")).body;
    expect(Math.abs(Number(premium.markPrice) - 61_800)).toBeLessThan(50);
  });

  const inferred: readonly [string, string, Record<string, unknown>, string, string][] = [
    ["cm-btcusd_perp-20240808.gz", "BTCUSD_PERP", { contractSize: 100, marginAsset: "BTC" }, "0.1", "1"],
    ["cm-ethusd_perp-20240808.gz", "ETHUSD_PERP", { contractSize: 10, marginAsset: "ETH" }, "0.01", "1"],
    ["spot-btcusdt-20240809.gz", "BTCUSDT", { baseAsset: "BTC", quoteAsset: "USDT" }, "0.01", "0.00001"],
  ];
  for (const [file, symbol, fields, tickSize, stepSize] of inferred) {
    test(`tick and lot of ${file} are inferred`, async () => {
      const served = await venue({ capture: slice(join(DATA, "binance", file), 4_000) });
      const path = served.venue === "binance-spot" ? "/api/v3" : "/dapi/v1";
      const { body } = await get(served, `${path}/exchangeInfo`);
      expect(body.symbols).toMatchObject([{ symbol, ...fields, filters: [{ tickSize }, { stepSize }] }]);
    });
  }

  test("a capture without a snapshot answers from the book as far as it is known", async () => {
    const served = await venue({ capture: slice(join(DATA, "binance/spot-btcusdt-20240809.gz"), 2_000) });
    const client = await Client.open(`${served.url}/stream?streams=btcusdt@depth@100ms`);
    await until("a frame", () => client.frames.length > 0);
    const { status, body } = await get(served, "/api/v3/depth?symbol=BTCUSDT&limit=5");
    expect(status).toBe(200);
    expect(body.bids).toHaveLength(5);
  });

  test("recorded pace is kept, and a higher speed divides it", async () => {
    const capture = slice(USDM, 800);
    const times = [...new CaptureReader(capture).sync()].map(({ timeUs }) => timeUs);
    const spanMs = ((times.at(-1) ?? 0) - (times[0] ?? 0)) / 1_000;
    const served = await venue({ capture, speed: 4 });
    await Client.open(`${served.url}/stream?streams=btcusdt@trade`);
    const start = performance.now();
    await served.end();
    expect(performance.now() - start).toBeGreaterThan(spanMs / 4 - 50);
  });

  test("with loop the connections are closed at the end and the next subscription starts it again", async () => {
    const capture = slice(USDM, 300);
    const served = await venue({ capture, loop: true });
    const frames = recorded(capture).filter((text) => text.includes("@bookTicker"));
    for (let loop = 1; loop <= 2; loop += 1) {
      const client = await Client.open(`${served.url}/stream?streams=btcusdt@bookTicker`);
      await until("the close", () => client.closed === 1_001);
      expect(client.frames).toEqual(frames);
      expect(served.summary().loops).toBe(loop);
    }
  });
});
