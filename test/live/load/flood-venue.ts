/**
 * A simulated market in a process of its own whose Binance server can be made to send more than anybody can take. Prints its addresses
 * as JSON, then what it has sent, four times a second; takes a {@link FloodOrder} a line on its standard input.
 *
 * A flood's frames carry the time at which they were due: what the socket does not take at once waits at the venue, as it does at an
 * exchange, and grows older. Once the rate is 0 the venue still sends what is due, and then goes on as before.
 */
import type { Socket } from "bun";
import { systemClock } from "../../../src/core/clock.ts";
import { BinanceFrames } from "../../../src/sim/binance-frames.ts";
import { exchangeInfo } from "../../../src/sim/binance-venue.ts";
import { answerBinanceControl } from "../../../src/sim/protocol/binance-control.ts";
import { Simulation } from "../../../src/sim/simulation.ts";
import { BURST_FRAMES, Burst, type BurstBook } from "./burst.ts";

/** What the venue tells of itself. */
export interface FloodSent {
  /** Frames of the flood that are due and have not been sent. */
  readonly waiting: number;
  readonly sent: number;
  readonly connections: number;
}

/** What it is told to do. */
export interface FloodOrder {
  /** Frames a second beyond the market's own. */
  readonly rate: number;
  /** Connections are cut off, and what was due on them is forgotten. */
  readonly cut?: boolean;
}

const SYMBOL = "BTCUSDT";
const DEPTH = "btcusdt@depth@0ms";
const TICKER = "btcusdt@bookTicker";
const NUMBERS = /"(U|u|pu)":(\d+)/g;
/** Of events and trades; of mark prices `T` is the next funding. */
const TIMES = /"(E|T)":(?=\d{13},"[sT])\d+/g;
const TELL_MS = 250;
const TICK_MS = 1;
/** Bursts that are written before the market gets its turn. */
const BURSTS_MAX = 64;
/** Bytes of the market's own frames that wait for a client who does not read; then it is cut off. */
const WAITING_BYTES_MAX = 64 * 1_024 * 1_024;

interface Client {
  readonly streams: Set<string>;
  /** Bytes in order that the socket has not taken. */
  rest: Buffer[];
  restBytes: number;
  received: Buffer;
  upgraded: boolean;
}

const simulation = new Simulation({ seed: 7, clock: systemClock, price: 60_000 });
const clients = new Set<Socket<Client>>();
/** How far this server's numbers are ahead of the market's, because of its own frames between. */
let ahead = 0;
let lastId = 0;
const numbers = { updateId: 0, tradeId: 4_000_000_000 };
let rate = 0;
/** Time at which the next burst is due, ms since the epoch. */
let dueMs = 0;
/** Once the rate is 0: what was due before that is still sent. */
let untilMs = 0;
let lastRate = 0;
let sent = 0;
let burst: Burst | null = null;

const frames = new BinanceFrames(
  simulation.market,
  {
    wanted: (channel) => [...clients].some(({ data }) => data.streams.has(channel)),
    emit: (channel, data) => {
      const isDepth = channel === DEPTH;
      // A burst has tickers of its own, of the book as it last told it.
      if (isFlooding() && channel === TICKER) return;
      let text = isDepth || channel === TICKER ? renumbered(data, isDepth) : data;
      if (isFlooding()) text = text.replace(TIMES, `"$1":${Math.floor(dueMs)}`);
      for (const socket of clients) {
        if (socket.data.streams.has(channel))
          write(socket, textFrame(`{"stream":"${channel}","data":${text}}`));
      }
      if (isDepth) burst = new Burst(SYMBOL, bookNow());
    },
  },
  11,
);

/** A message of the market behind whatever the flood has sent. A depth event says its levels anew, so the book is the market's again. */
function renumbered(data: string, isDepth: boolean): string {
  const shifted = data.replace(NUMBERS, (_, name, id) =>
    name === "pu" && lastId > 0 ? `"pu":${lastId}` : `"${name}":${Number(id) + ahead}`,
  );
  if (isDepth) lastId = Number(/"u":(\d+)/.exec(shifted)?.[1]);
  return shifted;
}

/** There are frames due that no client has yet. */
function isFlooding(): boolean {
  return rate > 0 || dueMs < untilMs;
}

function flood(): void {
  if (!isFlooding() || burst === null) return;
  const endMs = rate > 0 ? Date.now() : untilMs;
  const takers = [...clients].filter(({ data }) => data.streams.has(DEPTH));
  for (let bursts = 0; bursts < BURSTS_MAX && dueMs < endMs; bursts += 1) {
    if (takers.length === 0) dueMs = endMs;
    if (takers.some(({ data }) => data.restBytes > 0)) return;
    numbers.updateId = lastId;
    burst.stamp(Math.floor(dueMs), numbers);
    ahead += numbers.updateId - lastId;
    lastId = numbers.updateId;
    for (const socket of takers) write(socket, burst.bytes);
    sent += BURST_FRAMES;
    dueMs += (BURST_FRAMES * 1_000) / (rate > 0 ? rate : lastRate);
  }
}

function bookNow(): BurstBook {
  const { bids, asks } = JSON.parse(frames.snapshot(5)) as BurstBook;
  return { bids, asks };
}

function textFrame(text: string): Buffer {
  const body = Buffer.from(text);
  const head =
    body.length < 126
      ? [0x81, body.length]
      : body.length < 65_536
        ? [0x81, 126, body.length >> 8, body.length & 255]
        : [
            0x81,
            127,
            0,
            0,
            0,
            0,
            body.length >>> 24,
            (body.length >> 16) & 255,
            (body.length >> 8) & 255,
            body.length & 255,
          ];
  return Buffer.concat([Buffer.from(head), body]);
}

function write(socket: Socket<Client>, bytes: Buffer): void {
  const { data } = socket;
  const taken = data.rest.length > 0 ? 0 : Math.max(socket.write(bytes), 0);
  if (taken === bytes.length) return;
  const left = Buffer.from(bytes.subarray(taken));
  data.rest.push(left);
  data.restBytes += left.length;
  if (data.restBytes > WAITING_BYTES_MAX) socket.terminate();
}

function drain(socket: Socket<Client>): void {
  const { data } = socket;
  while (data.rest.length > 0) {
    const [first] = data.rest;
    const taken = Math.max(socket.write(first), 0);
    data.restBytes -= taken;
    if (taken < first.length) {
      data.rest[0] = first.subarray(taken);
      return;
    }
    data.rest.shift();
  }
}

function onHttp(socket: Socket<Client>, head: string): void {
  const url = new URL(head.split(" ")[1] ?? "/", "http://venue");
  const key = /^sec-websocket-key: *(\S+)/im.exec(head)?.[1];
  if (key !== undefined) {
    const accept = new Bun.CryptoHasher("sha1")
      .update(`${key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`)
      .digest("base64");
    write(
      socket,
      Buffer.from(
        `HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ${accept}\r\n\r\n`,
      ),
    );
    socket.data.upgraded = true;
    clients.add(socket);
    return;
  }
  const body = Buffer.from(rest(url));
  const answer = `HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: ${body.length}\r\nConnection: close\r\n\r\n`;
  write(socket, Buffer.concat([Buffer.from(answer), body]));
  socket.end();
}

function rest(url: URL): string {
  const ms = Date.now();
  if (url.pathname.endsWith("/exchangeInfo")) return JSON.stringify(exchangeInfo(ms, SYMBOL));
  if (url.pathname.endsWith("/premiumIndex")) return frames.premiumIndex();
  return frames
    .snapshot(Number(url.searchParams.get("limit") ?? 500))
    .replace(/"lastUpdateId":(\d+)/, (_, id) => `"lastUpdateId":${Number(id) + ahead}`);
}

/** Takes what a client has sent: its request, then masked frames. */
function onData(socket: Socket<Client>, chunk: Buffer): void {
  const { data } = socket;
  data.received = Buffer.concat([data.received, chunk]);
  if (!data.upgraded) {
    const end = data.received.indexOf("\r\n\r\n");
    if (end < 0) return;
    const head = data.received.toString("latin1", 0, end);
    data.received = data.received.subarray(end + 4);
    onHttp(socket, head);
  }
  while (data.upgraded && data.received.length >= 6) {
    const short = data.received[1] & 127;
    const headBytes = short === 126 ? 8 : 6;
    if (data.received.length < headBytes) return;
    const length = short === 126 ? data.received.readUInt16BE(2) : short;
    if (data.received.length < headBytes + length) return;
    const mask = data.received.subarray(headBytes - 4, headBytes);
    const body = Buffer.from(data.received.subarray(headBytes, headBytes + length));
    for (let at = 0; at < length; at += 1) body[at] ^= mask[at & 3];
    const opcode = data.received[0] & 15;
    data.received = data.received.subarray(headBytes + length);
    if (opcode === 8) socket.end();
    else if (opcode === 9) write(socket, Buffer.concat([Buffer.from([0x8a, length]), body]));
    else if (opcode === 1) {
      const answer = answerBinanceControl(body.toString(), {
        subscribe: (stream) => data.streams.add(stream) !== undefined,
        unsubscribe: (stream) => void data.streams.delete(stream),
        list: () => [...data.streams],
      });
      write(socket, textFrame(answer));
    }
  }
}

const server = Bun.listen<Client>({
  hostname: "127.0.0.1",
  port: 0,
  socket: {
    open: (socket) => {
      socket.data = {
        streams: new Set(),
        rest: [],
        restBytes: 0,
        received: Buffer.alloc(0),
        upgraded: false,
      };
    },
    data: onData,
    drain,
    close: (socket) => void clients.delete(socket),
    error: (socket) => void clients.delete(socket),
  },
});

simulation.start();
console.log(
  JSON.stringify({ binance: `ws://127.0.0.1:${server.port}`, deribit: simulation.deribit.server.url }),
);
setInterval(flood, TICK_MS);
setInterval(() => {
  const at = rate > 0 ? rate : lastRate;
  const behindMs = Math.max((rate > 0 ? Date.now() : untilMs) - dueMs, 0);
  const told: FloodSent = { waiting: Math.round((behindMs * at) / 1_000), sent, connections: clients.size };
  console.log(JSON.stringify(told));
}, TELL_MS);
process.on("SIGTERM", () => process.exit(0));
for await (const line of console) {
  if (line === "") continue;
  const asked = JSON.parse(line) as FloodOrder;
  const nowMs = Date.now();
  if (asked.cut === true) {
    dueMs = nowMs;
    for (const socket of clients) socket.terminate();
  }
  if (asked.rate === 0) {
    lastRate = rate;
    untilMs = nowMs;
  } else if (!isFlooding()) dueMs = nowMs;
  rate = asked.rate;
}
process.exit(0);
