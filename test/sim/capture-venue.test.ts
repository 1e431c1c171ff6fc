import { afterAll, afterEach, describe, expect, test } from "bun:test";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { BadInputError } from "../../src/core/errors.ts";
import { CaptureReader } from "../../src/feed/capture.ts";
import { CaptureVenue, type CaptureVenueOptions } from "../../src/sim/capture-venue.ts";
import { sharedPath, skipUnlessShared } from "../support/shared-data.ts";

const DATA = sharedPath("data");
const PRESENT = !skipUnlessShared("data/binance", "data/ws");
const USDM = join(DATA, "binance/usdm-btcusdt-20240808.gz");
const DERIBIT = join(DATA, "ws/DERIBIT.ws.1.0.gz");
const ALL_USDM = ["btcusdt@depth@0ms", "btcusdt@bookTicker", "btcusdt@trade"];
const TIMEOUT_MS = 60_000;

const folder = mkdtempSync(join(tmpdir(), "keel-venue-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const closing: (() => Promise<void> | void)[] = [];
afterEach(async () => {
  for (const close of closing.splice(0)) await close();
});

async function venue(options: CaptureVenueOptions): Promise<CaptureVenue> {
  const started = await CaptureVenue.start({ speed: "max", ...options });
  closing.push(() => started.stop());
  return started;
}

class Client {
  readonly messages: string[] = [];
  readonly socket: WebSocket;
  closed = 0;
  /** Set while the client is to take nothing more into memory. */
  onMessage: ((text: string) => void) | null = null;

  private constructor(url: string) {
    this.socket = new WebSocket(url);
    this.socket.onmessage = ({ data }) => {
      this.messages.push(String(data));
      this.onMessage?.(String(data));
    };
    this.socket.onclose = ({ code }) => {
      this.closed = code;
    };
  }

  static async open(url: string): Promise<Client> {
    const client = new Client(url);
    closing.push(() => client.socket.close());
    await new Promise<void>((opened, failed) => {
      client.socket.onopen = () => opened();
      client.socket.onerror = () => failed(new Error(`no connection to ${url}`));
    });
    return client;
  }

  send(message: object): void {
    this.socket.send(JSON.stringify(message));
  }

  subscribe(streams: readonly string[]): void {
    this.send({ method: "SUBSCRIBE", params: streams, id: 1 });
  }

  /** Frames with market data, acknowledgements left out. */
  get frames(): string[] {
    return this.messages.filter(
      (text) => text.startsWith('{"stream"') || text.includes('"method":"subscription"'),
    );
  }
}

async function until(what: string, holds: () => boolean): Promise<void> {
  const deadline = performance.now() + TIMEOUT_MS;
  while (!holds()) {
    if (performance.now() > deadline) throw new Error(`waited too long for ${what}`);
    await Bun.sleep(2);
  }
}

async function get(
  from: CaptureVenue,
  path: string,
): Promise<{ status: number; body: Record<string, unknown> }> {
  const response = await fetch(from.url.replace("ws:", "http:") + path);
  return { status: response.status, body: (await response.json()) as Record<string, unknown> };
}

const linesOf = new Map<string, string[]>();

/** The first `lines` lines of a capture as a file of its own. */
function slice(path: string, lines: number): string {
  let all = linesOf.get(path);
  if (all === undefined) {
    all = Buffer.from(Bun.gunzipSync(readFileSync(path)))
      .toString("utf8")
      .split("\n");
    linesOf.set(path, all);
  }
  const file = join(folder, `${lines}-${basename(path)}`);
  writeFileSync(file, `${all.slice(0, lines).join("\n")}\n`);
  return file;
}

function recorded(path: string): string[] {
  return [...new CaptureReader(path).sync()]
    .filter(
      ({ kind, text }) => kind === "frame" && (text.startsWith('{"stream"') || text.includes('"channel"')),
    )
    .filter(({ text }) => !text.includes('"result"'))
    .map(({ text }) => text);
}

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

describe.skipIf(!PRESENT)("faults", () => {
  async function served(
    options: Partial<CaptureVenueOptions> = {},
  ): Promise<[CaptureVenue, Client, string[]]> {
    const capture = slice(USDM, 1_500);
    const server = await venue({ capture, ...options });
    const client = await Client.open(`${server.url}/stream`);
    return [server, client, recorded(capture)];
  }

  test("planned drops, duplicates, garbled and half frames hit exactly the frames they are planned for", async () => {
    const [server, client, frames] = await served();
    server.injectAt(10, { kind: "drop", count: 1 });
    server.injectAt(20, { kind: "duplicate", count: 1 });
    server.injectAt(30, { kind: "garble", count: 1 });
    server.injectAt(40, { kind: "half", count: 1 });
    client.subscribe(ALL_USDM);
    await server.end();
    await until("all frames", () => client.messages.at(-1) === frames.at(-1));
    const got = client.messages.slice(1);
    expect(got).toHaveLength(frames.length);
    expect(got[10]).toBe(frames[11] as string);
    expect([got[19], got[20]]).toEqual([frames[20] as string, frames[20] as string]);
    expect(() => JSON.parse(got[30] ?? "")).toThrow();
    expect(got[40]).toBe(frames[40]?.slice(0, (frames[40]?.length ?? 0) >> 1) ?? "");
    expect(server.summary().faults).toMatchObject({ drop: 1, duplicate: 1, garble: 1, half: 1 });
  });

  test("a freeze loses frames and keeps the socket", async () => {
    const [server, client, frames] = await served();
    server.injectAt(100, { kind: "freeze", forMs: 60, control: false });
    client.subscribe(ALL_USDM);
    await server.end();
    await until("the last frame", () => client.messages.at(-1) === frames.at(-1));
    const lost = server.summary().faults.freeze;
    expect(lost).toBeGreaterThan(0);
    expect(client.messages).toHaveLength(1 + frames.length - lost);
    expect(client.closed).toBe(0);
  });

  test("a disconnect cuts everyone off; at full speed the market waits for the client to come back", async () => {
    const [server, client, frames] = await served();
    server.injectAt(200, { kind: "disconnect", code: 1_006, reason: "" });
    client.subscribe(ALL_USDM);
    await until("the cut", () => client.closed !== 0);
    const again = await Client.open(`${server.url}/stream?streams=${ALL_USDM.join("/")}`);
    await server.end();
    await until("the last frame", () => again.messages.at(-1) === frames.at(-1));
    expect(again.messages).toEqual(frames.slice(frames.length - again.messages.length));
    expect(server.summary()).toMatchObject({ clients: 2, faults: { disconnect: 1 } });
  });

  test("requests and connections are refused with Retry-After while it lasts", async () => {
    const [server] = await served();
    server.inject({ kind: "refuse", status: 429, forMs: 60_000, retryAfterSeconds: 3, channel: "/depth" });
    const response = await fetch(`${server.url.replace("ws:", "http:")}/fapi/v1/depth?symbol=BTCUSDT`);
    expect([response.status, response.headers.get("retry-after")]).toEqual([429, "3"]);
    expect(await response.json()).toMatchObject({ code: -1003 });
    expect((await get(server, "/fapi/v1/ping")).status).toBe(200);
    server.inject({ kind: "refuse", status: 503, forMs: 60_000, retryAfterSeconds: 1, channel: "/stream" });
    await expect(Client.open(`${server.url}/stream`)).rejects.toThrow();
    expect(server.summary().faults.refuse).toBe(2);
  });
});

describe.skipIf(!PRESENT)("Deribit", () => {
  const channels = PRESENT
    ? [...new Set(recorded(DERIBIT).map((text) => JSON.parse(text).params.channel as string))]
    : [];
  const answer = (client: Client, id: number): Record<string, unknown> | undefined => {
    return client.messages.map((text) => JSON.parse(text)).find((message) => message.id === id);
  };
  async function call(
    client: Client,
    id: number,
    method: string,
    params: object,
  ): Promise<Record<string, unknown>> {
    client.send({ jsonrpc: "2.0", id, method, params });
    await until(`the answer to ${method}`, () => answer(client, id) !== undefined);
    return answer(client, id) ?? {};
  }

  test("subscribed channels are served byte for byte; others are left out of the answer", async () => {
    const served = await venue({ capture: DERIBIT });
    const client = await Client.open(`${served.url}/ws/api/v2`);
    const { result } = await call(client, 5, "public/subscribe", {
      channels: [...channels, "book.NOPE-1.raw"],
    });
    expect(result).toEqual(channels);
    await served.end();
    const frames = recorded(DERIBIT);
    await until("all frames", () => client.frames.length === frames.length);
    expect(client.frames).toEqual(frames);
  });

  test("channels of events that did not happen are granted and stay quiet", async () => {
    const served = await venue({ capture: DERIBIT });
    const client = await Client.open(`${served.url}/ws/api/v2`);
    const asked = ["trades.ETH-30JUL21-2800-C.raw", "trades.BTC-1JAN30-1-C.raw"];
    expect((await call(client, 1, "public/subscribe", { channels: asked })).result).toEqual(
      asked.slice(0, 1),
    );
    expect((await call(client, 2, "public/unsubscribe", { channels: asked })).result).toEqual(
      asked.slice(0, 1),
    );
  });

  test("a book subscribed in the middle begins with a snapshot that the next change continues", async () => {
    const served = await venue({ capture: DERIBIT });
    const channel = "book.BTC-24SEP21-8000-P.raw";
    const whole = await Client.open(`${served.url}/ws/api/v2`);
    served.at(40, () => served.pause());
    await call(whole, 1, "public/subscribe", { channels });
    await until("a change", () =>
      whole.frames.some((text) => text.includes(channel) && text.includes('"change"')),
    );
    const late = await Client.open(`${served.url}/ws/api/v2`);
    await call(late, 1, "public/subscribe", { channels: [channel] });
    await until("the snapshot", () => late.frames.length > 0);
    served.resume();
    await served.end();
    await until(
      "the end",
      () => late.frames.at(-1) === whole.frames.filter((text) => text.includes(channel)).at(-1),
    );
    const [first, ...changes] = late.frames.map((text) => JSON.parse(text).params.data);
    expect(first.type).toBe("snapshot");
    expect(changes.length).toBeGreaterThan(2);
    let id = first.change_id;
    for (const change of changes) {
      expect(change.prev_change_id).toBe(id);
      id = change.change_id;
    }
    expect(served.summary().snapshotsServed).toBe(1);
    const { result } = await call(late, 2, "public/unsubscribe", { channels: [channel] });
    expect(result).toEqual([channel]);
  });

  test("a channel's other interval is served under its own name", async () => {
    const served = await venue({ capture: DERIBIT });
    const client = await Client.open(`${served.url}/ws/api/v2`);
    const asked = "ticker.BTC-24SEP21-8000-P.100ms";
    expect((await call(client, 1, "public/subscribe", { channels: [asked] })).result).toEqual([asked]);
    await served.end();
    await until("frames", () => client.frames.length > 3);
    expect(new Set(client.frames.map((text) => JSON.parse(text).params.channel))).toEqual(new Set([asked]));
  });

  test("instruments of the capture are described, by currency, kind and name, on both transports", async () => {
    const served = await venue({ capture: DERIBIT });
    const client = await Client.open(`${served.url}/ws/api/v2`);
    const { result } = await call(client, 1, "public/get_instruments", { currency: "ETH", kind: "option" });
    const names = (result as { instrument_name: string }[]).map(({ instrument_name }) => instrument_name);
    expect(names.sort()).toEqual(["ETH-23JUL21-2300-C", "ETH-27AUG21-4000-P", "ETH-30JUL21-2800-C"]);
    const futures = await call(client, 2, "public/get_instruments", { currency: "BTC", kind: "future" });
    expect(futures.result).toEqual([]);
    const one = await call(client, 3, "public/get_instrument", { instrument_name: "ETH-30JUL21-2800-C" });
    expect(one.result).toMatchObject({ tick_size: 0.0005, kind: "option", strike: 2800 });
    const { body } = await get(served, "/api/v2/public/get_instruments?currency=BTC&kind=option");
    expect(body.result).toHaveLength(7);
    expect((await get(served, "/api/v2/public/get_time")).body.result).toBe(1_626_993_723_804);
  });

  test("what is wrong is answered with Deribit's error codes", async () => {
    const served = await venue({ capture: DERIBIT });
    const client = await Client.open(`${served.url}/ws/api/v2`);
    expect((await call(client, 1, "public/fly", {})).error).toMatchObject({ code: -32_601 });
    expect((await call(client, 2, "public/get_instrument", {})).error).toMatchObject({ code: -32_602 });
    expect((await call(client, 3, "public/test", {})).result).toHaveProperty("version");
    expect((await call(client, 4, "public/set_heartbeat", { interval: 10 })).result).toBe("ok");
    expect((await get(served, "/api/v2/public/fly")).status).toBe(400);
  });

  test("without a description of its instruments a capture is refused, saying what to give", async () => {
    const alone = slice(DERIBIT, 139);
    await expect(CaptureVenue.start({ capture: alone })).rejects.toThrow(/--instruments/);
    const served = await venue({ capture: alone, instruments: join(DATA, "ws/DERIBIT.0.gz") });
    expect(served.venue).toBe("deribit");
  });
});

describe("what cannot be served", () => {
  test("an absent file, a capture of another venue, a port in use", async () => {
    await expect(CaptureVenue.start({ capture: join(folder, "none") })).rejects.toThrow(BadInputError);
    const other = join(folder, "other.log");
    writeFileSync(other, 'wss://ws.kraken.com <-> 1618678132.3\n1618678132.8: {"event":"systemStatus"}\n');
    await expect(CaptureVenue.start({ capture: other })).rejects.toThrow(/no market data/);
  });

  test.skipIf(!PRESENT)("a port in use is named", async () => {
    const first = await venue({ capture: DERIBIT });
    await expect(CaptureVenue.start({ capture: DERIBIT, port: first.port })).rejects.toThrow(
      `:${first.port}`,
    );
  });
});
