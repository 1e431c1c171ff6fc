import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { systemClock } from "../../src/core/clock.ts";
import { Simulation } from "../../src/sim/simulation.ts";

/** A WebSocket whose messages are read one after the other. */
class Client {
  readonly messages: string[] = [];
  closed: { code: number } | null = null;
  readonly #socket: WebSocket;
  #wake: () => void = () => {};

  private constructor(socket: WebSocket) {
    this.#socket = socket;
    socket.onmessage = ({ data }) => {
      this.messages.push(String(data));
      this.#wake();
    };
    socket.onclose = ({ code }) => {
      this.closed = { code };
      this.#wake();
    };
  }

  static open(url: string): Promise<Client> {
    const socket = new WebSocket(url);
    return new Promise((resolve, reject) => {
      const client = new Client(socket);
      socket.onopen = () => resolve(client);
      socket.onerror = () => reject(new Error(`cannot open ${url}`));
    });
  }

  send(message: object): void {
    this.#socket.send(JSON.stringify(message));
  }

  /** The first message that fits, waiting for it if it has not come yet. */
  async until(fits: (text: string) => boolean): Promise<string> {
    for (let i = 0; this.closed === null; ) {
      for (; i < this.messages.length; i += 1) {
        const text = this.messages[i] ?? "";
        if (fits(text)) return text;
      }
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
    throw new Error("closed before the awaited message came");
  }

  close(): void {
    this.#socket.close();
  }
}

let simulation: Simulation;
let binance: string;
let deribit: string;

beforeAll(() => {
  simulation = new Simulation({ seed: 11, clock: systemClock, speed: 3 });
  simulation.start();
  binance = simulation.binance.server.address;
  deribit = simulation.deribit.server.address;
});

afterAll(async () => {
  await simulation.stop();
});

const getJson = async (url: string) => JSON.parse(await (await fetch(url)).text());

describe("the simulated Binance", () => {
  test("serves a book that a client joins to its diffs by the documented rule", async () => {
    const client = await Client.open(`ws://${binance}/stream`);
    client.send({ method: "SUBSCRIBE", params: ["btcusdt@depth@0ms"], id: 7 });
    expect(JSON.parse(await client.until((text) => text.includes('"id"')))).toEqual({ result: null, id: 7 });
    await client.until((text) => text.includes("depthUpdate"));
    const snapshot = await getJson(`http://${binance}/fapi/v1/depth?symbol=BTCUSDT&limit=1000`);
    let joined = 0;
    let previous = Number.NaN;
    await client.until((text) => {
      if (!text.includes("depthUpdate")) return false;
      const { data } = JSON.parse(text);
      if (data.u < snapshot.lastUpdateId) return false;
      if (joined === 0) expect(data.U).toBeLessThanOrEqual(snapshot.lastUpdateId + 1);
      else expect(data.pu).toBe(previous);
      previous = data.u;
      joined += 1;
      return joined === 5;
    });
    expect(snapshot.bids.length).toBeGreaterThan(100);
    expect(Number(snapshot.bids[0][0])).toBeLessThan(Number(snapshot.asks[0][0]));
    client.close();
  });

  test("starts streams named in the URL, wrapped on /stream and bare on /ws", async () => {
    const combined = await Client.open(`ws://${binance}/stream?streams=btcusdt@bookTicker/btcusdt@trade`);
    expect(JSON.parse(await combined.until(() => true)).stream).toMatch(/^btcusdt@(bookTicker|trade)$/);
    const bare = await Client.open(`ws://${binance}/ws/btcusdt@bookTicker`);
    expect(JSON.parse(await bare.until(() => true)).e).toBe("bookTicker");
    combined.close();
    bare.close();
  });

  test("lists and ends subscriptions", async () => {
    const client = await Client.open(`ws://${binance}/stream?streams=btcusdt@trade`);
    client.send({ method: "LIST_SUBSCRIPTIONS", id: 1 });
    const list = await client.until((text) => text.includes('"id":1'));
    expect(JSON.parse(list).result).toEqual(["btcusdt@trade"]);
    client.send({ method: "UNSUBSCRIBE", params: ["btcusdt@trade"], id: 2 });
    await client.until((text) => text.includes('"id":2'));
    client.send({ method: "LIST_SUBSCRIPTIONS", id: 3 });
    expect(JSON.parse(await client.until((text) => text.includes('"id":3'))).result).toEqual([]);
    client.close();
  });

  test("answers REST calls as the exchange does, errors too", async () => {
    const info = await getJson(`http://${binance}/fapi/v1/exchangeInfo`);
    expect(info.symbols[0].symbol).toBe("BTCUSDT");
    expect(info.symbols[0].filters[0].tickSize).toBe("0.10");
    expect(await getJson(`http://${binance}/fapi/v1/ping`)).toEqual({});
    expect((await getJson(`http://${binance}/fapi/v1/time`)).serverTime).toBeGreaterThan(1.7e12);
    expect((await getJson(`http://${binance}/fapi/v1/premiumIndex`)).symbol).toBe("BTCUSDT");
    const wrong = await fetch(`http://${binance}/fapi/v1/depth?symbol=NOPE`);
    expect([wrong.status, JSON.parse(await wrong.text())]).toEqual([
      400,
      { code: -1_121, msg: "Invalid symbol." },
    ]);
    const limit = await fetch(`http://${binance}/fapi/v1/depth?symbol=BTCUSDT&limit=7`);
    expect(JSON.parse(await limit.text()).code).toBe(-4_021);
    expect((await fetch(`http://${binance}/fapi/v1/nonsense`)).status).toBe(404);
  });

  test("meets injected faults: 429 on REST, disconnect on sockets", async () => {
    const { faults } = simulation.binance.server;
    const refuse = {
      kind: "refuse",
      status: 429,
      forMs: 60_000,
      retryAfterSeconds: 3,
      channel: "/fapi/v1/ping",
    };
    faults.inject({ ...refuse, kind: "refuse" }, systemClock.wallUs());
    const refused = await fetch(`http://${binance}/fapi/v1/ping`);
    expect([refused.status, refused.headers.get("retry-after")]).toEqual([429, "3"]);
    const client = await Client.open(`ws://${binance}/stream?streams=btcusdt@bookTicker`);
    await client.until(() => true);
    faults.inject({ kind: "disconnect", code: 1_012, reason: "restart" }, systemClock.wallUs());
    await client.until(() => false).catch(() => {});
    expect(client.closed?.code).toBe(1_012);
    const another = await Client.open(`ws://${binance}/stream?streams=btcusdt@bookTicker`);
    await another.until(() => true);
    faults.inject({ kind: "disconnect", code: 1_006, reason: "" }, systemClock.wallUs());
    await another.until(() => false).catch(() => {});
    expect(another.closed?.code).toBe(1_006);
  });
});

describe("a port that is taken", () => {
  test("is named in the error, and the other venue's port is given back", () => {
    const { port } = simulation.deribit.server;
    const second = () => new Simulation({ seed: 1, clock: systemClock, deribitPort: port });
    expect(second).toThrow(`cannot listen on 127.0.0.1:${port}`);
  });
});

describe("the simulated Deribit", () => {
  test("answers, then sends the snapshot, then changes that continue it", async () => {
    const client = await Client.open(`ws://${deribit}/ws/api/v2`);
    const channel = "book.BTC-PERPETUAL.raw";
    const params = { channels: [channel, "book.NOPE.raw"] };
    client.send({ jsonrpc: "2.0", id: 1, method: "public/subscribe", params });
    const answer = JSON.parse(await client.until((text) => text.includes('"id":1')));
    expect(answer.result).toEqual([channel]);
    expect(client.messages.findIndex((text) => text.includes('"snapshot"'))).not.toBe(0);
    let changeId = Number.NaN;
    let changes = 0;
    await client.until((text) => {
      const message = JSON.parse(text);
      if (message.params?.channel !== channel) return false;
      const { data } = message.params;
      if (Number.isNaN(changeId)) expect(data.type).toBe("snapshot");
      else expect(data.prev_change_id).toBe(changeId);
      changeId = data.change_id;
      changes += 1;
      return changes === 20;
    });
    client.send({ jsonrpc: "2.0", id: 2, method: "public/unsubscribe", params });
    expect(JSON.parse(await client.until((text) => text.includes('"id":2'))).result).toEqual([channel]);
    client.close();
  });

  test("lists instruments over WebSocket and REST alike", async () => {
    const client = await Client.open(`ws://${deribit}/ws/api/v2`);
    const params = { currency: "BTC", kind: "option" };
    client.send({ jsonrpc: "2.0", id: 9, method: "public/get_instruments", params });
    const { result } = JSON.parse(await client.until((text) => text.includes('"id":9')));
    expect(result.length).toBe(152);
    const rest = await getJson(`http://${deribit}/api/v2/public/get_instruments?currency=BTC&kind=option`);
    expect(rest.result).toEqual(result);
    client.close();
  });

  test("carries every option's book and ticker on one connection", async () => {
    const client = await Client.open(`ws://${deribit}/ws/api/v2`);
    const symbols = simulation.market.options.chain.map(({ symbol }) => symbol);
    const channels = symbols.flatMap((symbol) => [`book.${symbol}.100ms`, `ticker.${symbol}.100ms`]);
    client.send({ jsonrpc: "2.0", id: 1, method: "public/subscribe", params: { channels } });
    const missing = new Set(channels);
    await client.until((text) => {
      const channel = JSON.parse(text).params?.channel;
      missing.delete(channel);
      return missing.size === 0;
    });
    expect(missing.size).toBe(0);
    client.close();
  });

  test("keeps a frozen feed silent while it still answers", async () => {
    const client = await Client.open(`ws://${deribit}/ws/api/v2`);
    const { faults } = simulation.deribit.server;
    faults.inject({ kind: "freeze", forMs: 150, control: false }, systemClock.wallUs());
    const params = { channels: ["ticker.BTC-PERPETUAL.raw"] };
    client.send({ jsonrpc: "2.0", id: 1, method: "public/subscribe", params });
    await client.until((text) => text.includes('"id":1'));
    await client.until((text) => text.includes("ticker.BTC-PERPETUAL.raw") && text.includes("index_price"));
    expect(faults.counters.freeze).toBeGreaterThan(0);
    client.close();
  });
});
