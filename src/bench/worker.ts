/** The thread outside keel in the wire benchmark: a venue's WebSocket, a counterparty's FIX socket, and a relay's sink. */
import type { Clock } from "../core/clock.ts";
import { systemClock } from "../core/clock.ts";
import { FixAcceptor } from "../gateway/fix/acceptor.ts";
import type { FixMessage } from "../gateway/fix/message.ts";
import type { FixSession } from "../gateway/fix/session.ts";
import { SESSION_DEFAULTS, type SessionApplication } from "../gateway/fix/session-options.ts";
import { MemoryStore } from "../gateway/fix/store.ts";
import { MSG, TAG } from "../gateway/fix/tags.ts";
import {
  RELAY_ACK_BYTES,
  RELAY_BYTES,
  WIRE_SYMBOL,
  type WireReply,
  type WireRequest,
  type WireRound,
} from "./wire-protocol.ts";

declare const self: Worker;

const HOST = "127.0.0.1";
const BURST_MS = 1;
const TIMER_MS = 5;
/** QuoteStatus (297). */
const ACCEPTED = 0;
const CANCELLED = 4;
const SETTLE_MS = 300;
/** For so long a round waits for messages of the relay that are under way: the next round would take them for its own. */
const DRAIN_MS = 30_000;
/** Answers to the client and depth frames that a round may hold beside its own. */
const UNMEASURED_MAX = 1_024;
const DEPTH_FRAME_MS = 100;
const START_TICKS = 545_000;
/** Each frame moves the market by 30 bp, more than any spread and hysteresis, so that every quote must follow. */
const STEP_TICKS = 1_800;
/** No burst is long enough to end where the one before it did. */
const STEPS = 61;

let readNs = 0;
/** Notes when bytes were read: the acceptor asks for the time as soon as it has them. */
const arrivalClock: Clock = {
  wallUs: () => {
    readNs = systemClock.monotonicNs();
    return systemClock.wallUs();
  },
  monotonicNs: systemClock.monotonicNs,
};

let sentNs = new Float64Array(0);
let arrivedNs = new Float64Array(0);
let arrivedId = new Float64Array(0);
let arrived = 0;
/** Frames of the round so far: those it measures and what else the venue has sent keel meanwhile. */
let sent = 0;
/** Frames that keel was sent since it connected, as its desk counts them. */
let sentToKeel = 0;
let path: WireRound["path"] = "keel";
let depthTimer: Timer | undefined;
let updateId = 1_000;
let depthId = updateId;
let frameNumber = 0;
let relayedBytes = 0;
const sockets: Record<WireRound["path"], Bun.ServerWebSocket<WireRound["path"]> | null> = {
  keel: null,
  relay: null,
};

/** A counterparty that does no more than FIX asks of it: it parses, notes the arrival, and acknowledges. */
class Peer implements SessionApplication {
  readonly acceptor = new FixAcceptor({ host: HOST, port: 0, clock: arrivalClock });
  readonly #session: FixSession;

  constructor() {
    this.#session = this.acceptor.add(
      { ...SESSION_DEFAULTS, role: "acceptor", version: "4.4", senderCompId: "PAPER", targetCompId: "KEEL" },
      new MemoryStore(),
      this,
    );
  }

  onLogon(): void {}
  onLogout(): void {}
  onReject(): void {}
  onResend(): void {}

  onMessage(message: FixMessage, timeUs: number): boolean {
    if (message.msgType === MSG.massQuote) note("keel", readNs, message.uint(TAG.quoteId));
    else if (message.msgType !== MSG.quoteCancel) return false;
    const status = message.msgType === MSG.massQuote ? ACCEPTED : CANCELLED;
    this.#session
      .begin(MSG.massQuoteAck, timeUs)
      .uint(TAG.quoteId, message.uint(TAG.quoteId))
      .uint(TAG.quoteStatus, status);
    this.#session.send(false);
    return true;
  }
}

const peer = new Peer();

function note(from: WireRound["path"], atNs: number, id: number): void {
  if (from !== path || arrived === arrivedNs.length) return;
  arrivedNs[arrived] = atNs;
  arrivedId[arrived] = id;
  arrived += 1;
}

self.onmessage = ({ data }: MessageEvent<WireRequest>) => {
  if (data.ask === "start") reply(start());
  else if (data.ask === "round") void round(data);
  else process.exit(0);
};

function reply(message: WireReply): void {
  self.postMessage(message);
}

function start(): WireReply {
  const venue = serve("keel");
  const relay = serve("relay");
  const acknowledgement = new Uint8Array(RELAY_ACK_BYTES).fill(66);
  const sink = Bun.listen({
    hostname: HOST,
    port: 0,
    socket: {
      data: (socket, chunk) => {
        const atNs = systemClock.monotonicNs();
        relayedBytes += chunk.length;
        for (; relayedBytes >= RELAY_BYTES; relayedBytes -= RELAY_BYTES) note("relay", atNs, 0);
        if (arrived === sent) socket.write(acknowledgement);
      },
    },
  });
  const fixPort = peer.acceptor.start();
  setInterval(() => peer.acceptor.onTimer(systemClock.wallUs()), TIMER_MS);
  return {
    say: "listening",
    venueUrl: `ws://${HOST}:${venue.port}`,
    relayUrl: `ws://${HOST}:${relay.port}/stream`,
    relayPort: sink.port,
    fixPort,
  };
}

function serve(role: WireRound["path"]) {
  return Bun.serve<WireRound["path"]>({
    hostname: HOST,
    port: 0,
    fetch: (request, server) => {
      const url = new URL(request.url);
      if (url.pathname === "/stream" && server.upgrade(request, { data: role })) return undefined;
      return Response.json(rest(url.pathname));
    },
    websocket: {
      perMessageDeflate: false,
      open: (socket) => {
        sockets[role] = socket;
      },
      message: (socket, text) => {
        const { id } = JSON.parse(String(text)) as { id: number };
        unmeasured(socket, JSON.stringify({ result: null, id }));
        if (depthTimer !== undefined) return;
        // The client joins diffs to a snapshot, and asks anew for a stream that has gone silent.
        unmeasured(socket, depthFrame());
        depthTimer = setInterval(() => unmeasured(socket, depthFrame()), DEPTH_FRAME_MS);
      },
    },
  });
}

/** A frame that no quote has to answer; the client counts it all the same. */
function unmeasured(socket: Bun.ServerWebSocket<WireRound["path"]>, text: string): void {
  sentToKeel += 1;
  if (path === "keel" && sent < sentNs.length) {
    sentNs[sent] = Number.NaN;
    sent += 1;
  }
  socket.send(text);
}

function rest(pathname: string): unknown {
  if (pathname.endsWith("/exchangeInfo")) {
    return {
      timezone: "UTC",
      serverTime: Date.now(),
      symbols: [
        {
          symbol: WIRE_SYMBOL,
          pair: WIRE_SYMBOL,
          contractType: "PERPETUAL",
          deliveryDate: 4_133_404_800_000,
          baseAsset: "BTC",
          quoteAsset: "USDT",
          marginAsset: "USDT",
          status: "TRADING",
          filters: [
            { filterType: "PRICE_FILTER", minPrice: "0.10", maxPrice: "1000000", tickSize: "0.10" },
            { filterType: "LOT_SIZE", minQty: "0.001", maxQty: "1000", stepSize: "0.001" },
          ],
        },
      ],
    };
  }
  if (pathname.endsWith("/premiumIndex")) {
    const price = "60000.00";
    return {
      symbol: WIRE_SYMBOL,
      markPrice: price,
      indexPrice: price,
      lastFundingRate: "0.00010000",
      nextFundingTime: Date.now() + 3_600_000,
      time: Date.now(),
    };
  }
  return {
    lastUpdateId: depthId,
    E: Date.now(),
    T: Date.now(),
    bids: [["50000.00", "1.000"]],
    asks: [["70000.00", "1.000"]],
  };
}

function depthFrame(): string {
  const previous = depthId;
  updateId += 1;
  depthId = updateId;
  const time = Date.now();
  return `{"stream":"btcusdt@depth@0ms","data":{"e":"depthUpdate","E":${time},"T":${time},"s":"${WIRE_SYMBOL}","U":${previous + 1},"u":${depthId},"pu":${previous},"b":[["50000.00","1.000"]],"a":[["70000.00","1.000"]]}}`;
}

/** The best prices go up step by step and then all the way down, so that one side of every quote is through the market until it is moved. */
function topFrame(): string {
  frameNumber += 1;
  updateId += 1;
  const ticks = START_TICKS + (frameNumber % STEPS) * STEP_TICKS;
  const time = Date.now();
  return `{"stream":"btcusdt@bookTicker","data":{"e":"bookTicker","u":${updateId},"s":"${WIRE_SYMBOL}","b":"${(ticks / 10).toFixed(2)}","B":"2.507","a":"${((ticks + 1) / 10).toFixed(2)}","A":"2.510","T":${time},"E":${time}}}`;
}

async function round(request: WireRound): Promise<void> {
  const socket = sockets[request.path];
  if (socket === null)
    return reply({ say: "failed", message: `nobody is connected to the ${request.path} venue` });
  path = request.path;
  sentNs = new Float64Array(request.frames + UNMEASURED_MAX);
  arrivedNs = new Float64Array(request.frames * 2);
  arrivedId = new Float64Array(request.frames * 2);
  arrived = 0;
  sent = 0;
  let measured = 0;
  const sentBefore = sentToKeel;
  const startNs = systemClock.monotonicNs();
  while (measured < request.frames) {
    const dueBy = ((systemClock.monotonicNs() - startNs) / 1e9) * request.perSecond;
    for (const until = Math.min(dueBy, request.frames); measured < until; measured += 1) {
      const text = topFrame();
      sentNs[sent] = systemClock.monotonicNs();
      sent += 1;
      if (path === "keel") sentToKeel += 1;
      socket.send(text);
    }
    await Bun.sleep(BURST_MS);
  }
  const drainedByNs = systemClock.monotonicNs() + DRAIN_MS * 1e6;
  while (path === "relay" && arrived < sent) {
    if (systemClock.monotonicNs() > drainedByNs)
      return reply({
        say: "failed",
        message: `${sent - arrived} of ${sent} relayed messages did not arrive`,
      });
    await Bun.sleep(BURST_MS);
  }
  await Bun.sleep(SETTLE_MS);
  reply({ say: "done", sentNs, arrivedNs, arrivedId, arrived, sent, sentBefore });
}
