import type { Server, ServerWebSocket } from "bun";
import type { Clock } from "../../core/clock.ts";
import { KeelError } from "../../core/errors.ts";
import { Rng } from "../../core/rng.ts";
import { FaultInjector } from "./faults.ts";

/** Answer to an HTTP request; the body is JSON text. */
export interface HttpAnswer {
  readonly status: number;
  readonly body: string;
}

/** What a venue does; {@link VenueServer} does the sockets. Times are local, µs since the epoch. */
export interface VenueHandler {
  /** Whether a WebSocket may be opened at this URL. */
  accepts(url: URL): boolean;
  onOpen(client: VenueClient, timeUs: number): void;
  onMessage(client: VenueClient, text: string, timeUs: number): void;
  onClose(client: VenueClient): void;
  onRequest(url: URL, timeUs: number): HttpAnswer;
}

export interface VenueServerOptions {
  readonly hostname: string;
  /** 0 = any free port. */
  readonly port: number;
  readonly clock: Clock;
  /** Seeds the noise of garbled frames. */
  readonly seed: number;
}

type Socket = ServerWebSocket<VenueClient>;

/** A client that does not read is closed when this much waits for it. */
const BACKPRESSURE_BYTES = 64 * 1_024 * 1_024;
const MESSAGE_BYTES = 1_024 * 1_024;
const CLIENTS_MAX = 64;
const IDLE_SECONDS = 960;
const ABNORMAL = 1_006;

/** One connected client. What is sent passes through the venue's faults first. */
export class VenueClient {
  readonly url: URL;
  readonly #server: VenueServer;
  #socket: Socket | null = null;

  constructor(url: URL, server: VenueServer) {
    this.url = url;
    this.#server = server;
  }

  /** Sends a data frame of a channel. */
  send(channel: string, text: string): void {
    this.#server.faults.onFrame(channel, text, this.#server.timeUs(), (frame) => this.#socket?.send(frame));
  }

  /** Sends an answer or a heartbeat. */
  control(text: string): void {
    this.#server.faults.onControl("", text, this.#server.timeUs(), (frame) => this.#socket?.send(frame));
  }

  /** Closes the connection; 1006, which no close frame may carry, cuts it off without one. */
  close(code: number, reason: string): void {
    if (code === ABNORMAL) this.#socket?.terminate();
    else this.#socket?.close(code, reason);
  }

  /** Called by the server when the handshake is done, and with null when the socket has gone. */
  attach(socket: Socket | null): void {
    this.#socket = socket;
  }
}

/**
 * WebSocket and HTTP on one port, as a venue has them, over `Bun.serve`. Bounded in clients and in what may wait for one. Every
 * frame and request passes through {@link VenueServer.faults}.
 */
export class VenueServer {
  readonly faults: FaultInjector;
  readonly #clock: Clock;
  readonly #server: Server<VenueClient>;
  readonly #clients = new Set<VenueClient>();

  /** @throws KeelError when the port cannot be had. */
  constructor(options: VenueServerOptions, handler: VenueHandler) {
    this.#clock = options.clock;
    this.faults = new FaultInjector(new Rng(options.seed), (code, reason) => {
      for (const client of [...this.#clients]) client.close(code, reason);
    });
    this.#server = this.#listen(options, handler);
  }

  get port(): number {
    return this.#server.port ?? 0;
  }

  /** `host:port`, without a scheme. */
  get address(): string {
    const { hostname } = this.#server;
    return `${hostname === undefined || hostname === "0.0.0.0" ? "127.0.0.1" : hostname}:${this.port}`;
  }

  /** Base address without a path; `KEEL_URL_<VENUE>` set to it makes keel connect here, WebSocket and REST. */
  get url(): string {
    return `ws://${this.address}`;
  }

  get clients(): ReadonlySet<VenueClient> {
    return this.#clients;
  }

  timeUs(): number {
    return this.#clock.wallUs();
  }

  async stop(): Promise<void> {
    await this.#server.stop(true);
  }

  #listen(options: VenueServerOptions, handler: VenueHandler): Server<VenueClient> {
    const { hostname, port } = options;
    try {
      return Bun.serve<VenueClient>({
        hostname,
        port,
        fetch: (request, server) => this.#fetch(request, server, handler),
        websocket: {
          open: (socket) => {
            socket.data.attach(socket);
            this.#clients.add(socket.data);
            handler.onOpen(socket.data, this.timeUs());
          },
          message: (socket, message) => {
            handler.onMessage(
              socket.data,
              typeof message === "string" ? message : message.toString(),
              this.timeUs(),
            );
          },
          close: (socket) => {
            socket.data.attach(null);
            this.#clients.delete(socket.data);
            handler.onClose(socket.data);
          },
          backpressureLimit: BACKPRESSURE_BYTES,
          closeOnBackpressureLimit: true,
          maxPayloadLength: MESSAGE_BYTES,
          idleTimeout: IDLE_SECONDS,
        },
      });
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      throw new KeelError("venue-bind", `cannot listen on ${hostname}:${port}: ${reason}`);
    }
  }

  #fetch(request: Request, server: Server<VenueClient>, handler: VenueHandler): Response | undefined {
    const url = new URL(request.url);
    const timeUs = this.timeUs();
    const refusal = this.faults.onRequest(url.pathname, timeUs);
    if (refusal !== null) {
      const headers = { "retry-after": String(refusal.retryAfterSeconds) };
      return new Response("", { status: refusal.status, headers });
    }
    if (request.headers.get("upgrade")?.toLowerCase() === "websocket") {
      if (!handler.accepts(url)) return new Response("no such stream endpoint", { status: 404 });
      if (this.#clients.size >= CLIENTS_MAX) return new Response("too many connections", { status: 429 });
      if (server.upgrade(request, { data: new VenueClient(url, this) })) return undefined;
      return new Response("upgrade failed", { status: 400 });
    }
    const answer = handler.onRequest(url, timeUs);
    return new Response(answer.body, {
      status: answer.status,
      headers: { "content-type": "application/json" },
    });
  }
}
