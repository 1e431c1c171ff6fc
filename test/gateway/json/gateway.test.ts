import { afterEach, describe, expect, test } from "bun:test";
import { connect, type Socket } from "node:net";
import { systemClock } from "../../../src/core/clock.ts";
import { CLOSE } from "../../../src/gateway/json/connection.ts";
import { JsonGateway, type JsonGatewayOptions } from "../../../src/gateway/json/gateway.ts";
import { apiSchema, SERVER_MESSAGE } from "../../../src/gateway/json/messages.ts";
import { InstrumentTable } from "../../../src/market/instrument.ts";
import { DEFAULT_QUOTE_PARAMETERS } from "../../../src/quote/parameters.ts";
import { QuoteBatch } from "../../../src/quote/quote-batch.ts";
import { Quoter } from "../../../src/quote/quoter.ts";
import type { RfqInput } from "../../../src/rfq/message.ts";
import { until } from "../rfq/fix-client.ts";
import { fuzzApi } from "./fuzz-run.ts";

const READ = "reading-token-0001";
const TRADE = "trading-token-0001";
const UNDERLYINGS = 8;

/** A gateway on a real socket, with its updates made by hand. */
class GatewayBed {
  readonly inputs: RfqInput[] = [];
  readonly problems: string[] = [];
  readonly gateway: JsonGateway;
  readonly #timer: ReturnType<typeof setInterval>;
  readonly #clients: WebSocket[] = [];
  open = 0;

  constructor(options: Partial<JsonGatewayOptions> = {}) {
    const instruments = new InstrumentTable(1_024);
    for (let number = 0; number < 600; number += 1) {
      instruments.add({
        venue: "deribit",
        symbol: `BTC-${number}-C`,
        kind: "option",
        base: "BTC",
        quote: "BTC",
        settle: "BTC",
        tick: { mantissa: 1, scale: 4 },
        tickSteps: [],
        lot: { mantissa: 1, scale: 1 },
        minSizeLots: 1,
        inverse: true,
        contractSize: 1,
        expiryMs: 2e12,
        strike: number,
        optionType: "call",
      });
    }
    this.gateway = new JsonGateway({
      host: "127.0.0.1",
      port: 0,
      clients: [
        { name: "risk", role: "read", token: READ },
        { name: "book", role: "trade", token: TRADE },
      ],
      maxConnections: 8,
      maxConnectionsPerClient: 2,
      maxMessagesPerSecond: 1_000,
      maxSubscriptions: 4,
      maxBufferBytes: 256 << 10,
      clock: systemClock,
      desk: {
        instruments,
        quoter: new Quoter({ capacity: 1_024, underlyings: 1, parameters: DEFAULT_QUOTE_PARAMETERS }),
        underlyings: { size: 1, base: () => "BTC" },
        underlyingCapacity: UNDERLYINGS,
        model: { name: "m", heads: ["down50", "up50"] },
        state: () => ({
          ...{ trading: "active", reason: null, counterpartyUp: true, models: [["BTC", 0]] },
          ...{ liveInstruments: { deribit: 1 }, openRfqs: this.open },
        }),
      },
      onInput: (input) => {
        this.inputs.push(input);
      },
      onProblem: (text) => {
        this.problems.push(text);
      },
      ...options,
    });
    this.#timer = setInterval(() => this.gateway.onTimer(systemClock.wallUs()), 10);
  }

  async connect(token: string | null, header = false): Promise<TestClient> {
    const options = header && token !== null ? { headers: { authorization: `Bearer ${token}` } } : undefined;
    const socket = new WebSocket(`ws://127.0.0.1:${this.gateway.port}`, options as never);
    this.#clients.push(socket);
    const client = new TestClient(socket);
    await until("the socket to open or close", () => client.opened || client.closed !== null);
    if (token !== null && !header) client.send({ op: "auth", token });
    return client;
  }

  predict(probability: number): void {
    this.gateway.onPrediction(0, new Float32Array([probability, 0]), 0, 2, 0, systemClock.wallUs());
  }

  close(): void {
    clearInterval(this.#timer);
    for (const socket of this.#clients) socket.close();
    this.gateway.close();
  }
}

class TestClient {
  readonly messages: Record<string, unknown>[] = [];
  opened = false;
  closed: { readonly code: number; readonly reason: string } | null = null;
  readonly #socket: WebSocket;

  constructor(socket: WebSocket) {
    this.#socket = socket;
    socket.onopen = () => {
      this.opened = true;
    };
    socket.onmessage = ({ data }) => this.messages.push(JSON.parse(String(data)));
    socket.onclose = ({ code, reason }) => {
      this.closed = { code, reason };
    };
  }

  send(message: object | string): void {
    this.#socket.send(typeof message === "string" ? message : JSON.stringify(message));
  }

  close(): void {
    this.#socket.close();
  }

  got(type: string): Record<string, unknown> | undefined {
    return this.messages.findLast((message) => message.type === type);
  }

  /** Of the first head, as last told. */
  get probability(): unknown {
    const { probabilities = {} } = this.got("prediction") ?? {};
    return Object.values(probabilities as Record<string, number>)[0];
  }

  async next(type: string): Promise<Record<string, unknown>> {
    await until(`a message of type ${type}`, () => this.got(type) !== undefined);
    return this.got(type) ?? {};
  }

  async closedWith(code: number): Promise<void> {
    await until("the connection to be closed", () => this.closed !== null);
    expect(this.closed?.code).toBe(code);
  }
}

describe("the JSON gateway", () => {
  let bed: GatewayBed;

  afterEach(() => bed.close());

  test("lets in who has a token, by header or by the first message, and nobody else", async () => {
    bed = new GatewayBed();
    expect(await (await bed.connect(READ)).next("welcome")).toMatchObject({ client: "risk", role: "read" });
    expect(await (await bed.connect(TRADE, true)).next("welcome")).toMatchObject({ client: "book" });
    await (await bed.connect("wrong-token-000000")).closedWith(CLOSE.unauthorised);
    const silent = await bed.connect(null);
    silent.send({ op: "ping" });
    await silent.closedWith(CLOSE.unauthorised);
    const refused = await bed.connect("wrong-token-000000", true);
    await until("the upgrade to be refused", () => refused.closed !== null);
    expect(refused.messages).toEqual([]);
    expect(bed.gateway.counters.refused).toBe(3);
  });

  test("answers plain HTTP in words", async () => {
    bed = new GatewayBed();
    expect((await fetch(`http://127.0.0.1:${bed.gateway.port}/`)).status).toBe(426);
  });

  test("tells a new subscriber what there is, then what changes, and only of what was asked for", async () => {
    bed = new GatewayBed();
    bed.predict(0.25);
    const client = await bed.connect(READ);
    client.send({ op: "subscribe", id: 7, channel: "predictions", names: ["BTC"] });
    expect(await client.next("prediction")).toMatchObject({
      underlying: "BTC",
      probabilities: { down50: 0.25, up50: 0 },
    });
    expect(client.got("ok")).toEqual({ type: "ok", id: 7 });
    bed.predict(0.5);
    await until("the change", () => client.probability === 0.5);
    expect(client.got("quote")).toBeUndefined();
    client.send({ op: "unsubscribe", channel: "predictions" });
    client.send({ op: "ping", id: "after" });
    await until("the ping", () => client.got("ok")?.id === "after");
    const before = client.messages.length;
    bed.predict(0.75);
    await Bun.sleep(40);
    expect(client.messages.length).toBe(before);
  });

  test("states are sent when they change", async () => {
    bed = new GatewayBed();
    const client = await bed.connect(READ);
    client.send({ op: "subscribe", channel: "states" });
    expect(await client.next("state")).toMatchObject({ trading: "active", openRfqs: 0 });
    bed.open = 3;
    await until("the change", () => client.got("state")?.openRfqs === 3);
  });

  test("what it sends is what the schema says", async () => {
    bed = new GatewayBed();
    bed.predict(0.25);
    const batch = new QuoteBatch(1);
    batch.count = 1;
    bed.gateway.onQuotes(batch, systemClock.wallUs());
    const client = await bed.connect(TRADE);
    for (const channel of ["predictions", "quotes", "states"]) client.send({ op: "subscribe", channel });
    for (const type of ["prediction", "quote", "state"]) await client.next(type);
    client.send({ op: "nonsense" });
    await client.next("error");
    for (const message of client.messages) expect(SERVER_MESSAGE.safeParse(message).error).toBeUndefined();
    expect(Object.keys(apiSchema())).toEqual(["title", "version", "client", "server"]);
  });

  test("a faulty message is answered with its field and what was expected, and changes nothing", async () => {
    bed = new GatewayBed();
    const client = await bed.connect(TRADE);
    const rfq = { op: "rfq", requestId: "1", quantity: "1", legs: [{ symbol: "A" }] };
    for (const [message, field] of [
      ["{", ""],
      ["[]", ""],
      [{ op: "fly" }, "op"],
      [{ ...rfq, quantity: 1 }, "quantity"],
      [{ ...rfq, legs: [{ symbol: "A", ratio: "-1" }] }, "legs.0.ratio"],
      [{ ...rfq, surprise: 1 }, ""],
      [{ ...rfq, legs: [] }, "legs"],
      [{ op: "subscribe", channel: "secrets" }, "channel"],
    ] as const) {
      const before = client.messages.length;
      client.send(message);
      await until("the answer", () => client.messages.length > before && client.got("error") !== undefined);
      const error = client.messages.at(-1);
      expect([message, error?.type, error?.field]).toEqual([message, "error", field]);
      expect(String(error?.expected).length).toBeGreaterThan(0);
    }
    expect(bed.inputs).toEqual([]);
  });

  test("a reading token does not trade", async () => {
    bed = new GatewayBed();
    const client = await bed.connect(READ);
    client.send({ op: "order", orderId: "1", symbol: "A", side: "buy", quantity: "1", limit: "1" });
    expect(await client.next("error")).toMatchObject({ field: "op" });
    expect(bed.inputs).toEqual([]);
  });

  test("requests reach the desk under the token's name, and are withdrawn with the last connection", async () => {
    bed = new GatewayBed();
    const first = await bed.connect(TRADE);
    const second = await bed.connect(TRADE);
    await second.next("welcome");
    first.send({ op: "rfq", requestId: "r", quantity: "1", legs: [{ symbol: "A", side: "sell" }] });
    await until("the request", () => bed.inputs.length === 1);
    expect(bed.inputs[0]).toMatchObject({ on: "request", channel: "json", client: "book", side: null });
    first.close();
    await until("the first to be gone", () => bed.gateway.connections === 1);
    expect(bed.inputs.length).toBe(1);
    second.close();
    await until("the withdrawal", () => bed.inputs.length === 2);
    expect(bed.inputs[1]).toMatchObject({ on: "withdraw", client: "book", requestId: null });
  });

  test("answers go to their client alone", async () => {
    bed = new GatewayBed();
    const reader = await bed.connect(READ);
    const trader = await bed.connect(TRADE);
    await reader.next("welcome");
    await trader.next("welcome");
    const about = { channel: "json", client: "book", orderId: "o" } as const;
    bed.gateway.onAnswer(
      { do: "order-reject", ...about, reason: "no-market", text: "no", cause: "limit:delta" },
      1,
    );
    expect(await trader.next("order-reject")).toEqual({
      type: "order-reject",
      ...{ orderId: "o", reason: "no-market", text: "no", timeUs: 1 },
    });
    expect(reader.got("order-reject")).toBeUndefined();
  });

  test("connections, subscriptions, rate and faults are bounded", async () => {
    bed = new GatewayBed({ maxMessagesPerSecond: 20 });
    const [one, two] = [await bed.connect(READ), await bed.connect(READ)];
    await one.next("welcome");
    await two.next("welcome");
    await (await bed.connect(READ)).closedWith(CLOSE.tooMany);
    one.send({ op: "subscribe", channel: "quotes", names: ["A", "B", "C", "D", "E"] });
    expect(await one.next("error")).toMatchObject({ field: "names", expected: "at most 4 names in all" });
    for (let sent = 0; sent < 30; sent += 1) one.send({ op: "ping" });
    await one.closedWith(CLOSE.rate);
    for (let sent = 0; sent < 17; sent += 1) two.send("{");
    await two.closedWith(CLOSE.badMessages);
    expect(bed.gateway.counters.cutOff).toBe(2);
  });

  test("a message beyond the bound closes its connection and touches no other", async () => {
    bed = new GatewayBed();
    const [good, bad] = [await bed.connect(READ), await bed.connect(TRADE)];
    await bad.next("welcome");
    bad.send("x".repeat(70_000));
    await until("the connection to be closed", () => bad.closed !== null);
    good.send({ op: "ping", id: 1 });
    expect(await good.next("ok")).toEqual({ type: "ok", id: 1 });
  });

  test("a client that does not read holds a bounded amount and is cut off, others go on", async () => {
    bed = new GatewayBed({ maxBufferBytes: 32 << 10 });
    const stalled = await rawClient(bed.gateway.port, TRADE);
    const good = await bed.connect(READ);
    good.send({ op: "subscribe", channel: "predictions" });
    await until("both to be in", () => bed.gateway.connections === 2);
    const text = "x".repeat(30_000);
    const answer = { do: "order-reject", channel: "json", client: "book", orderId: "o" } as const;
    for (let sent = 0; sent < 2_000 && bed.gateway.counters.slow === 0; sent += 1) {
      bed.gateway.onAnswer({ ...answer, reason: "other", text, cause: "" }, sent);
    }
    expect(bed.gateway.counters.slow).toBe(1);
    await until("the slow one to be gone", () => bed.gateway.connections === 1);
    expect(bed.problems).toEqual(["book reads too slowly and is cut off"]);
    bed.predict(0.125);
    expect(await good.next("prediction")).toMatchObject({ underlying: "BTC" });
    stalled.destroy();
  });

  test("for a slow reader updates are conflated", async () => {
    bed = new GatewayBed();
    const client = await bed.connect(READ);
    client.send({ op: "subscribe", channel: "predictions" });
    await client.next("ok");
    for (let made = 0; made < 100; made += 1) bed.predict(made / 128);
    await until("the last", () => client.got("prediction") !== undefined);
    await until("the last", () => client.probability === 99 / 128);
    expect(client.messages.filter(({ type }) => type === "prediction").length).toBeLessThan(10);
  });

  test("random and mutated messages are read or refused in words", () => {
    bed = new GatewayBed();
    const { read, slowestMs } = fuzzApi(11, 5_000);
    expect(read).toBeGreaterThan(100);
    expect(slowestMs).toBeLessThan(2_000);
  });
});

/** A WebSocket that never reads after its handshake. */
async function rawClient(port: number, token: string): Promise<Socket> {
  const socket = connect(port, "127.0.0.1");
  socket.write(
    `GET / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n` +
      `Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nAuthorization: Bearer ${token}\r\n\r\n`,
  );
  await new Promise((resolve) => socket.once("data", resolve));
  socket.pause();
  return socket;
}
