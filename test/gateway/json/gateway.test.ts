import { afterEach, describe, expect, test } from "bun:test";
import { connect, type Socket } from "node:net";
import { systemClock } from "../../../src/core/clock.ts";
import { CLOSE } from "../../../src/gateway/json/connection.ts";
import { apiSchema, SERVER_MESSAGE } from "../../../src/gateway/json/messages.ts";
import { QuoteBatch } from "../../../src/quote/quote-batch.ts";
import { until } from "../rfq/fix-client.ts";
import { fuzzApi } from "./fuzz-run.ts";
import { GatewayBed, READ, TRADE } from "./gateway-bed.ts";

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

  test("a web page connects from an allowed origin only; a program has none", async () => {
    bed = new GatewayBed({ origins: ["https://desk.example"] });
    const allowed = await bed.connect(READ, false, { origin: "https://desk.example" });
    expect(await allowed.next("welcome")).toMatchObject({ client: "risk" });
    for (const origin of ["https://evil.example", "null", "https://desk.example:8443"]) {
      const refused = await bed.connect(READ, true, { origin });
      await until("the upgrade to be refused", () => refused.closed !== null);
      expect(refused.opened).toBe(false);
    }
    expect(bed.gateway.counters.refused).toBe(3);
  });

  test("does not read long messages of those who have not said who they are", async () => {
    bed = new GatewayBed();
    const client = await bed.connect(null);
    client.send({ op: "auth", token: READ, padding: "[".repeat(60_000) });
    await client.closedWith(CLOSE.unauthorised);
    expect(bed.gateway.counters.faults).toBe(0);
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

  test("connections that do not say who they are keep nobody out who does", async () => {
    bed = new GatewayBed({ maxConnections: 3 });
    const silent = [await bed.connect(null), await bed.connect(null), await bed.connect(null)];
    const [reader, trader] = [await bed.connect(READ, true), await bed.connect(TRADE)];
    expect(await reader.next("welcome")).toMatchObject({ client: "risk" });
    expect(await trader.next("welcome")).toMatchObject({ client: "book" });
    await silent[0].closedWith(CLOSE.unauthorised);
    await silent[1].closedWith(CLOSE.unauthorised);
    expect(bed.gateway.connections).toBe(3);
    await (await bed.connect(READ)).next("welcome");
    await silent[2].closedWith(CLOSE.unauthorised);
    expect(bed.gateway.connections).toBe(3);
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
