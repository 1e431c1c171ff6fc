import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { connect, type Socket } from "node:net";
import { Rng } from "../../../src/core/rng.ts";
import { until } from "../rfq/fix-client.ts";
import { GatewayBed, READ, type TestClient, TRADE } from "./gateway-bed.ts";

const TEXT = 0x1;
const BINARY = 0x2;
const CLOSE = 0x8;
const PING = 0x9;
const PONG = 0xa;
const MASK = Uint8Array.of(1, 2, 3, 4);

interface FrameShape {
  readonly fin?: boolean;
  readonly reserved?: number;
  readonly masked?: boolean;
  /** Said of the payload, whatever it is. */
  readonly length?: bigint;
}

/** A frame as RFC 6455, 5.2 draws it, or as it must not be. */
function frame(opcode: number, payload: string | Uint8Array, shape: FrameShape = {}): Uint8Array {
  const { fin = true, reserved = 0, masked = true } = shape;
  const bytes = typeof payload === "string" ? new TextEncoder().encode(payload) : payload;
  const length = shape.length ?? BigInt(bytes.length);
  const head = [(fin ? 0x80 : 0) | (reserved << 4) | opcode];
  const mask = masked ? 0x80 : 0;
  if (length < 126n) head.push(mask | Number(length));
  else if (length < 65_536n) head.push(mask | 126, Number(length >> 8n), Number(length & 255n));
  else {
    head.push(mask | 127);
    for (let shift = 56n; shift >= 0n; shift -= 8n) head.push(Number((length >> shift) & 255n));
  }
  return Uint8Array.from([
    ...head,
    ...(masked ? MASK : []),
    ...bytes.map((byte, at) => byte ^ (masked ? (MASK[at & 3] ?? 0) : 0)),
  ]);
}

/** A TCP connection that has upgraded, and then says whatever it is told to. */
class RawClient {
  closed = false;
  received = "";
  readonly #socket: Socket;

  static async connect(port: number, token: string): Promise<RawClient> {
    const client = new RawClient(connect(port, "127.0.0.1"));
    client.send(
      `GET / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n` +
        `Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nAuthorization: Bearer ${token}\r\n\r\n`,
    );
    await until("the welcome", () => client.received.includes('"welcome"'));
    return client;
  }

  private constructor(socket: Socket) {
    this.#socket = socket;
    socket.on("data", (chunk) => {
      this.received += chunk.toString("latin1");
    });
    socket.on("error", () => {});
    socket.on("close", () => {
      this.closed = true;
    });
  }

  send(bytes: Uint8Array | string): void {
    if (!this.closed) this.#socket.write(bytes);
  }

  end(): void {
    this.#socket.destroy();
  }
}

const order = JSON.stringify({
  op: "order",
  orderId: "1",
  symbol: "A",
  side: "buy",
  quantity: "1",
  limit: "1",
});

describe("frames that are none, after a sound login", () => {
  let bed: GatewayBed;
  let honest: TestClient;

  beforeEach(async () => {
    bed = new GatewayBed();
    honest = await bed.connect(READ);
    honest.send({ op: "subscribe", channel: "predictions" });
    await honest.next("ok");
  });

  afterEach(async () => {
    await until("the hostile one to be gone", () => bed.gateway.connections === 1);
    bed.predict(0.375);
    await until("the update of the honest one", () => honest.probability === 0.375);
    expect(honest.closed).toBeNull();
    bed.close();
  });

  const ENDS: Readonly<Record<string, readonly Uint8Array[]>> = {
    "that are not masked": [frame(TEXT, order, { masked: false })],
    "with an opcode that is reserved": [frame(0x3, order)],
    "with reserved bits": [frame(TEXT, order, { reserved: 0x4 })],
    "that continue nothing": [frame(0x0, order)],
    "that begin a message within another": [
      frame(TEXT, order.slice(0, 9), { fin: false }),
      frame(TEXT, order.slice(9)),
    ],
    "of control longer than 125 bytes": [frame(PING, "x".repeat(126))],
    "of control in parts": [frame(PING, "x", { fin: false })],
    "with text that is no UTF-8": [frame(TEXT, Uint8Array.of(0x22, 0xc3, 0x28, 0x22))],
    "said to be longer than memory": [frame(TEXT, "x", { length: 1n << 62n })],
    "with a length beyond 63 bits": [frame(TEXT, "x", { length: (1n << 64n) - 1n })],
    "of a message too long in parts each short enough": [
      frame(TEXT, "[".repeat(40_000), { fin: false }),
      frame(0x0, "[".repeat(40_000)),
    ],
  };

  test.each(Object.keys(ENDS))("%s end their connection", async (what) => {
    const bad = await RawClient.connect(bed.gateway.port, TRADE);
    for (const bytes of ENDS[what] ?? []) bad.send(bytes);
    await until("the connection to be cut", () => bad.closed);
    expect(bed.inputs.filter(({ on }) => on === "order")).toEqual([]);
  });

  test("a message in parts of one byte each, with pings between, is read as one", async () => {
    const slow = await RawClient.connect(bed.gateway.port, TRADE);
    const parts = [...order].map((letter, at) =>
      frame(at === 0 ? TEXT : 0x0, letter, { fin: at === order.length - 1 }),
    );
    for (const part of parts) {
      slow.send(frame(PING, "p"));
      slow.send(part);
    }
    await until("the order", () => bed.inputs.some(({ on }) => on === "order"));
    slow.end();
  });

  test("parts that never end hold no more than a message may, and a flood of pongs nothing", async () => {
    const bad = await RawClient.connect(bed.gateway.port, TRADE);
    const before = bed.gateway.counters.messages;
    bad.send(frame(TEXT, "[", { fin: false }));
    const pong = frame(PONG, "x".repeat(125));
    for (let sent = 0; sent < 200 && !bad.closed; sent += 1) {
      for (let at = 0; at < 20; at += 1) bad.send(pong);
      bad.send(frame(0x0, "[".repeat(1_000), { fin: false }));
      await Bun.sleep(0);
    }
    await until("the connection to be cut", () => bad.closed);
    expect(bed.gateway.counters.messages).toBe(before);
  });

  test("binary ones are answered, and close the connection when nothing else comes", async () => {
    const bad = await RawClient.connect(bed.gateway.port, TRADE);
    for (let sent = 0; sent < 16; sent += 1) bad.send(frame(BINARY, Uint8Array.of(0, 255)));
    await until("the connection to be closed", () => bad.closed);
    expect(bad.received).toContain("a text message");
    expect(bed.gateway.counters).toMatchObject({ faults: 16, cutOff: 1 });
  });

  test("random bytes, alone or among sound frames, end it or are answered", async () => {
    const rng = new Rng(31);
    const opcodes = [TEXT, BINARY, 0x0, CLOSE, PING, PONG, 0x7];
    for (let round = 0; round < 40; round += 1) {
      const bad = await RawClient.connect(bed.gateway.port, TRADE);
      for (let sent = rng.int(6); sent >= 0; sent -= 1) {
        const noise = Uint8Array.from({ length: 1 + rng.int(600) }, () => rng.int(256));
        const shape = {
          fin: rng.int(4) > 0,
          reserved: rng.int(6) === 0 ? rng.int(8) : 0,
          masked: rng.int(8) > 0,
        };
        bad.send(rng.int(3) === 0 ? noise : frame(opcodes[rng.int(opcodes.length)] ?? TEXT, noise, shape));
      }
      await Bun.sleep(2);
      bad.end();
      await until("the connection to be gone", () => bed.gateway.connections === 1);
    }
    expect(bed.inputs.every(({ on }) => on === "withdraw")).toBe(true);
  });
});

test("an upgrade that is dribbled, endless or no HTTP does not hold up who comes after", async () => {
  const bed = new GatewayBed();
  const raw = (text: string) => {
    const socket = connect(bed.gateway.port, "127.0.0.1");
    const seen = { closed: false, received: "" };
    socket.on("data", (chunk) => {
      seen.received += chunk.toString("latin1");
    });
    socket.on("error", () => {});
    socket.on("close", () => {
      seen.closed = true;
    });
    socket.write(text);
    return { socket, seen };
  };
  const dribbled = raw("GET / HTTP/1.1\r\nHost: x\r\nUpgr");
  const noise = raw("\x16\x03\x01\u00ff\r\n\r\n");
  const endless = raw(`GET / HTTP/1.1\r\nHost: x\r\nX: ${"x".repeat(200_000)}`);
  await until("what is no HTTP to be cut off", () => noise.seen.closed && endless.seen.closed);
  expect((await (await bed.connect(READ, true)).next("welcome")).client).toBe("risk");
  expect(bed.gateway.connections).toBe(1);
  dribbled.socket.destroy();
  bed.close();
});
