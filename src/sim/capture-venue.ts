/**
 * A server that plays a recorded capture as the venue itself: the same WebSocket and REST protocol, the same bytes.
 *
 * @module
 */
import { systemClock } from "../core/clock.ts";
import { KeelError } from "../core/errors.ts";
import { Rng } from "../core/rng.ts";
import { type CaptureEntry, captureFiles } from "../feed/capture.ts";
import type { VenueName } from "../market/instrument.ts";
import { BinanceCapture } from "./capture/binance.ts";
import { ChannelsCapture } from "./capture/channels.ts";
import { CaptureClient } from "./capture/client.ts";
import { DeribitCapture } from "./capture/deribit.ts";
import { describeInstruments } from "./capture/deribit-instruments.ts";
import { Playback, type PlaybackSpeed } from "./capture/playback.ts";
import type { CaptureAnswer, CaptureHost, CaptureProtocol } from "./capture/protocol.ts";
import { type CaptureScan, scanCapture } from "./capture/scan.ts";
import { type Fault, type FaultCounters, FaultInjector } from "./protocol/faults.ts";

export type { PlaybackSpeed } from "./capture/playback.ts";

/** Bytes under way to one client at full speed. */
const BACKLOG_BYTES_MAX = 256 * 1024;
/** Unsent bytes after which a client that does not read is cut off. */
const BACKPRESSURE_BYTES_MAX = 64 * 1024 * 1024;
const CLIENTS_MAX = 64;
const TICK_MS = 1_000;
/** Looking again whether there is room; pongs and drains say so earlier. */
const ROOM_CHECK_MS = 10;
/** Quiet time after the last subscription before playback begins, so that a client's first few calls are all heard. */
const START_QUIET_MS = 20;
/** At full speed the market stands still for this long after a REST answer, while it travels. */
const ANSWER_HOLD_MS = 20;
/** The longest that a REST answer waits at full speed for clients to have read what was sent before it. */
const READ_WAIT_MS = 1_000;
/** At full speed a freeze loses one frame in this time, not the rest of the capture. */
const FREEZE_HOLD_MS = 10;
const GOING_AWAY = 1_001;
/** Time for close frames to leave before the server is torn down. */
const CLOSE_MS = 20;

export interface CaptureVenueOptions {
  /** A capture file, or a folder with the parts of one recording. */
  readonly capture: string;
  /** 0 takes a free port. */
  readonly port?: number;
  readonly hostname?: string;
  readonly speed?: PlaybackSpeed;
  /** At the end connections are closed and the next subscription plays the capture from its beginning. */
  readonly loop?: boolean;
  /** Deribit: recorded answers of `get_instruments`, or a JSON document of them. */
  readonly instruments?: string;
  /** Seed of the fault injector's noise. */
  readonly seed?: number;
}

/** What a capture venue has done so far. */
export interface CaptureVenueSummary {
  readonly venue: VenueName;
  /** Market data frames that playback has come to, over all loops. */
  readonly framesPlayed: number;
  /** Frames sent, one count a client. */
  readonly framesSent: number;
  readonly bytesSent: number;
  /** WebSocket connections there have been. */
  readonly clients: number;
  readonly requests: number;
  readonly snapshotsServed: number;
  /** Times that playback came to the end. */
  readonly loops: number;
  readonly ended: boolean;
  readonly faults: FaultCounters;
  /** Why the end of the capture is missing, or why playback stopped; null when all is well. */
  readonly problem: string | null;
}

/** Something that is to happen when playback comes to a frame. */
interface Planned {
  readonly frame: number;
  act(): void;
}

/**
 * Serves one capture. Playback begins when the first client has subscribed. At a numeric speed the market goes on whether
 * anybody listens or not, as markets do; at `max` it waits for its slowest listener, and for one to come back.
 *
 * @example
 * const venue = await CaptureVenue.start({ capture: "usdm-btcusdt.gz", speed: "max" });
 * const socket = new WebSocket(`${venue.url}/stream?streams=btcusdt@depth@0ms`);
 */
export class CaptureVenue {
  readonly scan: CaptureScan;
  readonly faults: FaultInjector;
  readonly #options: CaptureVenueOptions;
  readonly #files: readonly string[];
  readonly #speed: PlaybackSpeed;
  readonly #protocol: CaptureProtocol;
  readonly #server: Bun.Server<CaptureClient>;
  readonly #clients = new Set<CaptureClient>();
  readonly #timer: ReturnType<typeof setInterval>;
  readonly #planned: Planned[] = [];
  #playback: Playback | null = null;
  #starting: ReturnType<typeof setTimeout> | undefined;
  #framesSent = 0;
  #bytesSent = 0;
  #clientCount = 0;
  #requests = 0;
  #loops = 0;
  #problem: string | null;
  #paused = false;
  #holdUntilMs = 0;
  #wakers: (() => void)[] = [];
  #endWaiters: (() => void)[] = [];
  #stopped = false;

  /**
   * Looks through the capture and opens the port.
   *
   * @throws BadInputError when the capture cannot be served; KeelError when the port cannot be opened.
   */
  static async start(options: CaptureVenueOptions): Promise<CaptureVenue> {
    const files = captureFiles(options.capture);
    const scan = await scanCapture(files);
    const instruments =
      scan.venue === "deribit" ? await describeInstruments(scan, files[0] ?? "", options.instruments) : null;
    return new CaptureVenue(options, files, scan, (host) => {
      if (scan.dialect !== null) return new ChannelsCapture(scan, scan.dialect, host);
      return instruments === null
        ? new BinanceCapture(scan, host)
        : new DeribitCapture(scan, instruments, host);
    });
  }

  private constructor(
    options: CaptureVenueOptions,
    files: readonly string[],
    scan: CaptureScan,
    protocol: (host: CaptureHost) => CaptureProtocol,
  ) {
    this.#options = options;
    this.#files = files;
    this.#speed = options.speed ?? 1;
    this.scan = scan;
    this.#problem = scan.truncated;
    this.faults = new FaultInjector(new Rng(options.seed ?? 1), () => {
      for (const client of this.#clients) client.terminate();
    });
    this.#protocol = protocol(this.#host());
    this.#server = this.#listen();
    this.#timer = setInterval(() => this.#protocol.tick(), TICK_MS);
  }

  get venue(): VenueName {
    return this.scan.venue;
  }

  get port(): number {
    return this.#server.port ?? 0;
  }

  /** Base address without a path; `KEEL_URL_<VENUE>` set to it makes keel connect here, WebSocket and REST. */
  get url(): string {
    const { hostname } = this.#server;
    return `ws://${hostname === undefined || hostname === "0.0.0.0" ? "127.0.0.1" : hostname}:${this.port}`;
  }

  /** Channels that clients are subscribed to now, one count a client. */
  get subscriptions(): number {
    return this.#protocol.subscriptions;
  }

  summary(): CaptureVenueSummary {
    return {
      venue: this.venue,
      framesPlayed: this.#protocol.framesPlayed,
      framesSent: this.#framesSent,
      bytesSent: this.#bytesSent,
      clients: this.#clientCount,
      requests: this.#requests,
      snapshotsServed: this.#protocol.snapshotsServed,
      loops: this.#loops,
      ended: this.#loops > 0 && this.#playback === null,
      faults: { ...this.faults.counters },
      problem: this.#problem,
    };
  }

  /** Makes trouble from now on. @returns false when too much of it waits already. */
  inject(fault: Fault): boolean {
    return this.faults.inject(fault, systemClock.wallUs());
  }

  /** Does something just before the frame is played; frames are counted from 0 over all market data frames. */
  at(frame: number, act: () => void): void {
    this.#planned.push({ frame, act });
    this.#planned.sort((a, b) => a.frame - b.frame);
  }

  /** Makes trouble from the frame on. */
  injectAt(frame: number, fault: Fault): void {
    this.at(frame, () => this.inject(fault));
  }

  /** Playback stands still, sockets stay open and are answered; nothing is lost, unlike with a `freeze` fault. */
  pause(): void {
    this.#paused = true;
  }

  resume(): void {
    this.#paused = false;
    this.#wake();
  }

  /** Resolves when playback has come to the end (for the first time, or again after {@link CaptureVenueOptions.loop}). */
  async end(): Promise<void> {
    if (this.#stopped || (this.#loops > 0 && this.#playback === null)) return;
    await new Promise<void>((resolve) => this.#endWaiters.push(resolve));
  }

  async stop(): Promise<void> {
    if (this.#stopped) return;
    this.#stopped = true;
    clearInterval(this.#timer);
    clearTimeout(this.#starting);
    this.#playback?.stop();
    this.#wake();
    this.#protocol.ended();
    for (const waiter of this.#endWaiters.splice(0)) waiter();
    if (this.#clients.size > 0) {
      for (const client of this.#clients) client.close(GOING_AWAY, "the venue stops");
      await Bun.sleep(CLOSE_MS);
    }
    await this.#server.stop(true);
  }

  #listen(): Bun.Server<CaptureClient> {
    const hostname = this.#options.hostname ?? "127.0.0.1";
    const port = this.#options.port ?? 0;
    try {
      return Bun.serve<CaptureClient>({
        hostname,
        port,
        idleTimeout: 60,
        fetch: (request, server) => this.#fetch(request, server),
        websocket: {
          perMessageDeflate: false,
          backpressureLimit: BACKPRESSURE_BYTES_MAX,
          closeOnBackpressureLimit: true,
          open: (socket) => {
            socket.data.opened(socket);
            this.#clients.add(socket.data);
            this.#clientCount += 1;
            this.#protocol.open(socket.data);
          },
          message: (socket, message) => {
            const text = typeof message === "string" ? message : message.toString("utf8");
            this.#protocol.message(socket.data, text);
          },
          pong: (socket, payload) => {
            socket.data.onPong(payload.toString("latin1"));
            this.#wake();
          },
          drain: () => this.#wake(),
          close: (socket) => {
            this.#protocol.close(socket.data);
            socket.data.closed();
            this.#clients.delete(socket.data);
            this.#wake();
          },
        },
      });
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      throw new KeelError("venue-bind", `cannot listen on ${hostname}:${port}: ${reason}`);
    }
  }

  async #fetch(request: Request, server: Bun.Server<CaptureClient>): Promise<Response | undefined> {
    const url = new URL(request.url);
    this.#requests += 1;
    const refusal = this.faults.onRequest(url.pathname, systemClock.wallUs());
    if (refusal !== null) {
      return json(
        { status: refusal.status, body: this.#protocol.refusal(refusal.status) },
        { "retry-after": String(refusal.retryAfterSeconds) },
      );
    }
    if (request.headers.get("upgrade")?.toLowerCase() === "websocket") {
      if (!this.#protocol.accepts(url) || this.#clients.size >= CLIENTS_MAX)
        return new Response(null, { status: 404 });
      const client = new CaptureClient(url, this.#speed === "max");
      return server.upgrade(request, { data: client }) ? undefined : new Response(null, { status: 400 });
    }
    const answer = await this.#protocol.request(url);
    return answer === null
      ? json({ status: 404, body: JSON.stringify({ code: -1000, msg: `nothing at ${url.pathname}` }) })
      : json(answer);
  }

  #host(): CaptureHost {
    return {
      deliver: (channel, text, clients, shape) => {
        const { freeze } = this.faults.counters;
        this.faults.onFrame(channel, text, systemClock.wallUs(), (out) => {
          for (const client of clients) this.#send(client, out === text ? shape(client) : out);
        });
        if (this.faults.counters.freeze > freeze) this.#holdUntilMs = performance.now() + FREEZE_HOLD_MS;
      },
      reply: (client, text) => {
        this.faults.onControl("", text, systemClock.wallUs(), (out) => client.send(out));
      },
      listening: () => this.#startSoon(),
      caughtUp: () => (this.#speed === "max" ? this.#untilRead() : null),
      answering: () => {
        this.#holdUntilMs = performance.now() + ANSWER_HOLD_MS;
      },
      wallUs: () => systemClock.wallUs(),
    };
  }

  #send(client: CaptureClient, text: string): void {
    if (!client.send(text)) return;
    this.#framesSent += 1;
    this.#bytesSent += text.length;
  }

  #startSoon(): void {
    const again = this.#loops === 0 || this.#options.loop === true;
    if (this.#playback !== null || !again || this.#stopped) return;
    clearTimeout(this.#starting);
    this.#starting = setTimeout(() => void this.#play(), START_QUIET_MS);
  }

  async #play(): Promise<void> {
    if (this.#playback !== null || this.#stopped) return;
    if (this.#loops > 0) this.#protocol.restart();
    this.#playback = new Playback(this.#files, this.#speed, {
      play: (entry) => this.#playEntry(entry),
      room: () => this.#room(),
    });
    try {
      await this.#playback.run();
    } catch (error) {
      this.#problem = error instanceof Error ? error.message : String(error);
    }
    this.#playback = null;
    if (this.#stopped) return;
    this.#loops += 1;
    this.#protocol.ended();
    if (this.#options.loop === true) {
      for (const client of this.#clients) client.close(GOING_AWAY, "end of the capture");
    }
    for (const waiter of this.#endWaiters.splice(0)) waiter();
  }

  #playEntry(entry: CaptureEntry): void {
    while ((this.#planned[0]?.frame ?? Number.POSITIVE_INFINITY) <= this.#protocol.framesPlayed) {
      this.#planned.shift()?.act();
    }
    this.#protocol.play(entry);
  }

  #room(): Promise<void> | null {
    return this.#mayPlay() ? null : this.#untilRoom();
  }

  async #untilRoom(): Promise<void> {
    while (!this.#stopped && !this.#mayPlay()) {
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, ROOM_CHECK_MS);
        this.#wakers.push(() => {
          clearTimeout(timer);
          resolve();
        });
      });
      this.#wakers = [];
    }
  }

  async #untilRead(): Promise<void> {
    const untilMs = performance.now() + READ_WAIT_MS;
    for (const client of this.#clients) client.ask();
    const isBehind = (): boolean => [...this.#clients].some((client) => client.isBehind);
    for (; isBehind() && performance.now() < untilMs; await Bun.sleep(1))
      this.#holdUntilMs = performance.now() + ANSWER_HOLD_MS;
  }

  #mayPlay(): boolean {
    if (this.#paused) return false;
    if (this.#speed !== "max") return true;
    if (this.#protocol.subscriptions === 0 || performance.now() < this.#holdUntilMs) return false;
    for (const client of this.#clients) if (client.backlogBytes() > BACKLOG_BYTES_MAX) return false;
    return true;
  }

  #wake(): void {
    for (const waker of this.#wakers.splice(0)) waker();
  }
}

function json(answer: CaptureAnswer, headers: Record<string, string> = {}): Response {
  return new Response(answer.body, {
    status: answer.status,
    headers: { "content-type": "application/json", ...headers },
  });
}
