import type { Socket, TLSOptions } from "bun";
import type { Clock } from "../../core/clock.ts";
import type { Backoff } from "./backoff.ts";
import type { TcpPort } from "./tcp-port.ts";

export interface ConnectorOptions {
  readonly host: string;
  readonly port: number;
  /** true or options = TLS, with the peer's certificate verified unless the options say otherwise. */
  readonly tls: boolean | TLSOptions;
  readonly clock: Clock;
}

/** Who is told of the connection. Only the present one speaks; what is left of earlier ones is silent. */
export interface ConnectionEvents {
  onConnected(timeUs: number): void;
  onBytes(chunk: Uint8Array, timeUs: number): void;
  /** The socket takes bytes again. */
  onDrain(timeUs: number): void;
  onDisconnected(reason: string, timeUs: number): void;
  onConnectFailed(reason: string, timeUs: number): void;
}

const CONNECT_TIMEOUT_US = 10e6;

/**
 * Connects a session's port to its counterparty, again and again with a back-off. With TLS nothing is sent, a password least of
 * all, before the counterparty's certificate has been verified.
 */
export class Connector {
  readonly #options: ConnectorOptions;
  readonly #port: TcpPort;
  readonly #backoff: Backoff;
  readonly #events: ConnectionEvents;
  #attempt = 0;
  #connecting = false;
  #sinceUs = 0;
  #retryAtUs = 0;
  #pending: Socket | null = null;

  constructor(options: ConnectorOptions, port: TcpPort, backoff: Backoff, events: ConnectionEvents) {
    this.#options = options;
    this.#port = port;
    this.#backoff = backoff;
    this.#events = events;
  }

  /** Logged on, or of a pair given the lead: the next break is answered with the first delay again. */
  forgetFailures(): void {
    this.#backoff.reset();
  }

  /** The connection has ended: the next attempt comes after the back-off. */
  retryLater(timeUs: number): void {
    this.#retryAtUs = timeUs + this.#backoff.nextDelayUs();
  }

  /** Gives up an attempt that the network swallowed; starts the next one when it is due. */
  onTimer(timeUs: number): void {
    if (this.#connecting) {
      if (timeUs - this.#sinceUs >= CONNECT_TIMEOUT_US) this.#fail(this.#attempt, "no answer");
    } else if (!this.#port.attached && timeUs >= this.#retryAtUs) this.connect(timeUs);
  }

  /** Whatever still comes of an attempt under way is ignored. */
  stop(): void {
    this.#attempt += 1;
    this.#connecting = false;
    this.#pending?.terminate();
    this.#pending = null;
  }

  connect(timeUs: number): void {
    const attempt = this.#attempt + 1;
    this.#attempt = attempt;
    this.#connecting = true;
    this.#sinceUs = timeUs;
    const { host, port, tls, clock } = this.#options;
    const verified = typeof tls === "boolean" || tls.rejectUnauthorized !== false;
    const current = (socket: Socket): boolean => this.#port.isAttachedTo(socket);
    const ended = (socket: Socket, reason: string): void => {
      if (!current(socket)) {
        this.#fail(attempt, reason);
        return;
      }
      const why = this.#port.cutReason ?? reason;
      this.#port.detach();
      this.#events.onDisconnected(why, clock.wallUs());
    };
    Bun.connect({
      hostname: host,
      port,
      ...(tls === false ? {} : { tls }),
      socket: {
        open: (socket) => {
          if (this.#attempt !== attempt || !this.#connecting) socket.terminate();
          else if (tls === false) this.#established(socket);
          else this.#pending = socket;
        },
        handshake: (socket, success, error) => {
          if (this.#pending !== socket) return;
          if (success && (error === null || !verified)) this.#established(socket);
          else this.#fail(attempt, `TLS: ${error?.message ?? "handshake failed"}`);
        },
        data: (socket, chunk) => {
          if (current(socket)) this.#events.onBytes(chunk, clock.wallUs());
        },
        drain: (socket) => {
          if (current(socket)) this.#events.onDrain(clock.wallUs());
        },
        close: (socket) => ended(socket, "connection closed"),
        error: (socket, error) => ended(socket, `connection failed: ${error.message}`),
        connectError: (_socket, error) => this.#fail(attempt, error.message),
      },
    }).catch((error: unknown) => this.#fail(attempt, error instanceof Error ? error.message : String(error)));
  }

  #established(socket: Socket): void {
    this.#connecting = false;
    this.#pending = null;
    this.#port.attach(socket);
    this.#events.onConnected(this.#options.clock.wallUs());
  }

  #fail(attempt: number, reason: string): void {
    if (this.#attempt !== attempt || !this.#connecting) return;
    const { host, port, clock } = this.#options;
    this.stop();
    this.retryLater(clock.wallUs());
    this.#events.onConnectFailed(`cannot connect to ${host}:${port}: ${reason}`, clock.wallUs());
  }
}
