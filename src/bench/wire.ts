import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Config, loadConfig } from "../config.ts";
import { systemClock } from "../core/clock.ts";
import { KeelError } from "../core/errors.ts";
import { workerUrl } from "../core/executable.ts";
import { Logger } from "../core/log.ts";
import { type LoopPlacement, PlacedLoop } from "../core/placed-loop.ts";
import { allowedCpus } from "../core/threads.ts";
import { endpointAt } from "../feed/registry.ts";
import { FixQuoteGateway } from "../gateway/fix/quote-gateway.ts";
import type { QuoteGateway } from "../gateway/gateway.ts";
import { LiveDesk } from "../live/live-desk.ts";
import { type BenchReport, benchHost } from "./report.ts";
import {
  RELAY_BYTES,
  WIRE_SYMBOL,
  type WireDone,
  type WireListening,
  type WireReply,
  type WireRequest,
} from "./wire-protocol.ts";
import { DecidedQuotes, type WirePaths, WireRounds } from "./wire-rounds.ts";

export interface WireBenchOptions {
  readonly seed: number;
  /** Rounds of each path, by turns. */
  readonly rounds: number;
  readonly framesPerRound: number;
  readonly perSecond: number;
  /**
   * Events come for so long on each path before the first measured one. The model's features are warm within two seconds; the code
   * that runs once a batch takes longer to be compiled as far as in a process that has run for a while.
   */
  readonly warmUpMs: number;
  /** Measures both paths once more with a loop that spins on a processor of its own, where there is one. */
  readonly spin: boolean;
}

const READY_TIMEOUT_MS = 20_000;
/** What runs is compiled by then. */
const SPIN_WARM_UP_MS = 3_000;
/** The venue's last depth frame has come by then. */
const SETTLE_MS = 800;

/**
 * Venue WebSocket frame → FIX quote on the counterparty's socket, over loopback, with the whole live desk between; and by turns
 * a bare relay in the same process, which writes a message of the same length to a TCP socket for every frame. A burst is
 * acknowledged on both paths. Both ends are one other thread, so one clock times both ways.
 */
export async function runWireBench(options: WireBenchOptions): Promise<BenchReport> {
  const outside = await Outside.start();
  const stateDir = mkdtempSync(join(tmpdir(), "keel-wire-"));
  const decided = new DecidedQuotes(options.framesPerRound * 2);
  const config = wireConfig(outside.address, stateDir);
  const live = await LiveDesk.prepare({
    config,
    log: new Logger({ format: "text", level: "error" }),
    clock: systemClock,
    gateway: (desk) => {
      const gateway = new FixQuoteGateway({
        host: "127.0.0.1",
        port: outside.address.fixPort,
        version: "4.4",
        senderCompId: "KEEL",
        targetCompId: "PAPER",
        heartbeatSeconds: 30,
        resetOnLogon: true,
        storeDir: null,
        instruments: desk.market.instruments,
        seed: options.seed,
        clock: systemClock,
      });
      return noteQuotes(gateway, (quoteId) => decided.note(quoteId, desk.counters.frames));
    },
  });
  const relay = await Relay.start(outside.address);
  let placed: PlacedLoop | null = null;
  try {
    // One loop runs both paths: where it is and whether it sleeps is the same for both.
    placed = new PlacedLoop(config.placement);
    live.start();
    await ready(live);
    const asleep = new WireRounds(outside, decided, options.perSecond);
    await asleep.warmUp(options.warmUpMs);
    await asleep.run(options.rounds, options.framesPerRound);
    const all = [asleep.report("wire")];
    const notes = [
      `engine ${live.engineName}; ${asleep.quotes} quotes answered ${asleep.keel.count} frames; ${asleep.unanswered} frames were answered by none`,
      "a frame is answered by the first quote that was decided after it; KEEL_CONFLATE=off decides one for each frame",
      "frames leave in bursts a millisecond apart, so a burst's own queue is in both figures",
    ];
    placed.stop();
    const spinning = options.spin ? spinningLoop(config.placement) : null;
    if (typeof spinning === "string") notes.push(`wire/spin was not measured: ${spinning}`);
    else if (spinning !== null) {
      placed = spinning;
      const awake = new WireRounds(outside, decided, options.perSecond);
      await awake.warmUp(Math.min(options.warmUpMs / 2, SPIN_WARM_UP_MS));
      await awake.run(options.rounds, options.framesPerRound);
      all.push(awake.report("wire/spin"));
      notes.push(
        "wire/spin: both paths once more with a loop that never sleeps (KEEL_SPIN), on the last processor",
      );
    }
    return {
      bench: "wire",
      host: benchHost(),
      seed: options.seed,
      checksum: String(asleep.keel.count),
      input: `${options.rounds} × ${options.framesPerRound} bookTicker frames at ${options.perSecond}/s, each moves the market`,
      rows: all.flatMap(({ rows }) => rows),
      ratios: all.flatMap(({ ratios }) => ratios),
      notes,
    };
  } finally {
    placed?.stop();
    await live.stop();
    relay.stop();
    outside.stop();
    rmSync(stateDir, { recursive: true, force: true });
  }
}

function wireConfig(address: WireListening, stateDir: string): Config {
  const config = loadConfig(process.env);
  return {
    ...config,
    fix: undefined,
    http: undefined,
    signals: undefined,
    stateDir,
    feeds: [{ venue: "binance-usdm", subscriptions: [WIRE_SYMBOL] }],
    endpoints: {
      ...config.endpoints,
      "binance-usdm": { ...endpointAt("binance-usdm", address.venueUrl), standIn: true },
    },
    // Every frame has to be answered, so the budgets of messages and load shedding are out of the way.
    shedding: null,
    quote: { ...config.quote, messagesPerSecond: 1e6, messageBurst: 1e6, minQuoteLifeMs: 0 },
    risk: { ...config.risk, maxMessagesPerSecond: 1e6, maxMessageBurst: 1e6 },
  };
}

function noteQuotes(gateway: FixQuoteGateway, note: (quoteId: number) => void): QuoteGateway {
  return {
    get ready() {
      return gateway.ready;
    },
    start: (events) => gateway.start(events),
    publish: (quotes, timeUs) => {
      const { batch } = quotes;
      let highest = 0;
      for (let row = 0; row < batch.count; row += 1) highest = Math.max(highest, batch.quoteId[row]);
      note(highest);
      return gateway.publish(quotes, timeUs);
    },
    cancelAll: (timeUs) => gateway.cancelAll(timeUs),
    flush: () => gateway.flush(),
    onTimer: (timeUs) => gateway.onTimer(timeUs),
    stop: (timeoutMs) => gateway.stop(timeoutMs),
  };
}

async function ready(live: LiveDesk): Promise<void> {
  const untilNs = Bun.nanoseconds() + READY_TIMEOUT_MS * 1e6;
  while (!live.gateway.ready || !live.desk.market.referenceLive(0)) {
    if (Bun.nanoseconds() > untilNs) throw new Error("the desk was not ready in time");
    await Bun.sleep(20);
  }
  await Bun.sleep(SETTLE_MS);
}

/** A loop that spins on the last processor; why there is none on this host; null where the environment has said where the loop is. */
function spinningLoop({ cpu, priority }: LoopPlacement): PlacedLoop | string | null {
  if (cpu !== null || priority !== null) return null;
  const cpus = allowedCpus(process.pid);
  if (cpus.length === 1) return "there is one processor for everything";
  try {
    return new PlacedLoop({ cpu: cpus.at(-1) ?? null, priority: null, spin: true });
  } catch (error) {
    if (error instanceof KeelError) return error.message;
    throw error;
  }
}

/** The other thread. */
class Outside implements WirePaths {
  readonly address: WireListening;
  readonly #worker: Worker;

  static async start(): Promise<Outside> {
    const worker = new Worker(workerUrl("bench"));
    const reply = await ask(worker, { ask: "start" });
    if (reply.say !== "listening") throw new Error("the outside thread did not start");
    return new Outside(worker, reply);
  }

  private constructor(worker: Worker, address: WireListening) {
    this.#worker = worker;
    this.address = address;
  }

  async round(path: "keel" | "relay", frames: number, perSecond: number): Promise<WireDone> {
    const reply = await ask(this.#worker, { ask: "round", path, frames, perSecond });
    if (reply.say !== "done") throw new Error(reply.say === "failed" ? reply.message : "unexpected reply");
    return reply;
  }

  stop(): void {
    this.#worker.terminate();
  }
}

function ask(worker: Worker, request: WireRequest): Promise<WireReply> {
  return new Promise((resolve, reject) => {
    worker.onmessage = ({ data }: MessageEvent<WireReply>) => resolve(data);
    worker.onerror = (event) => reject(new Error(event.message));
    worker.postMessage(request);
  });
}

/** The control: Bun's WebSocket client, and a TCP write for every frame. */
class Relay {
  readonly #socket: WebSocket;
  readonly #tcp: Bun.Socket;

  static async start(address: WireListening): Promise<Relay> {
    const tcp = await Bun.connect({
      hostname: "127.0.0.1",
      port: address.relayPort,
      socket: { data: () => {} },
    });
    tcp.setNoDelay(true);
    const socket = new WebSocket(address.relayUrl, { perMessageDeflate: false });
    const message = new Uint8Array(RELAY_BYTES).fill(65);
    await new Promise<void>((resolve, reject) => {
      socket.onopen = () => resolve();
      socket.onerror = () => reject(new Error("the relay's WebSocket did not open"));
    });
    socket.onmessage = () => {
      tcp.write(message);
    };
    return new Relay(socket, tcp);
  }

  private constructor(socket: WebSocket, tcp: Bun.Socket) {
    this.#socket = socket;
    this.#tcp = tcp;
  }

  stop(): void {
    this.#socket.terminate();
    this.#tcp.terminate();
  }
}
