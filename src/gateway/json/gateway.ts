/**
 * A WebSocket gateway for in-house systems: predictions, quotes and states to subscribe to; requests for quotes and orders to
 * trade with the desk. Messages are JSON and defined in `messages.ts`; `keel print api` shows them as JSON Schema.
 *
 * @module
 */
import type { Server, ServerWebSocket, TLSOptions } from "bun";
import type { Clock } from "../../core/clock.ts";
import { KeelError } from "../../core/errors.ts";
import { serverDefaults } from "../../core/server-defaults.ts";
import type { QuoteBatch } from "../../quote/quote-batch.ts";
import type { RfqAction, RfqInput } from "../../rfq/message.ts";
import type { DeskTap } from "../tap.ts";
import { answerMessage } from "./answers.ts";
import { type ApiClient, ApiClients, type ApiIdentity } from "./clients.ts";
import { ApiConnection, CLOSE } from "./connection.ts";
import {
  API_VERSION,
  type Channel,
  type ClientMessage,
  readClientMessageText,
  type ServerMessage,
} from "./messages.ts";
import { rfqInput } from "./requests.ts";
import { type ApiDesk, Updates } from "./updates.ts";

export interface JsonGatewayOptions {
  readonly host: string;
  /** 0 = the host chooses. */
  readonly port: number;
  /** Absent = plain TCP. With `requestCert` a client without a certificate that `ca` vouches for does not get as far as a request. */
  readonly tls?: TLSOptions;
  /** Origins (RFC 6454) of web pages that may connect. Programs send no Origin and are not held to it. */
  readonly origins: readonly string[];
  readonly clients: readonly ApiClient[];
  readonly maxConnections: number;
  readonly maxConnectionsPerClient: number;
  readonly maxMessagesPerSecond: number;
  readonly maxSubscriptions: number;
  /** Bytes that may wait for one socket. */
  readonly maxBufferBytes: number;
  readonly clock: Clock;
  readonly desk: ApiDesk;
  /** Takes what clients say. It must journal it before the desk sees it. */
  readonly onInput: (input: RfqInput) => void;
  readonly onProblem: (text: string) => void;
}

export interface JsonGatewayCounters {
  accepted: number;
  /** Connections refused: too many, of a page that may not, or not authenticated. */
  refused: number;
  messages: number;
  faults: number;
  /** Connections closed because they sent too much or nothing but faults. */
  cutOff: number;
  /** Connections closed because they did not read. */
  slow: number;
  /** Updates replaced by later ones before they were sent, over connections that have ended. */
  conflated: number;
}

interface SocketData {
  /** Of the token in the request's header; null when there was none. */
  readonly identity: ApiIdentity | null;
  connection: ApiConnection | null;
}

type Socket = ServerWebSocket<SocketData>;

const MAX_MESSAGE_BYTES = 64 << 10;
/** Of who has not said who he is: more than any authentication needs. */
const MAX_UNKNOWN_CHARACTERS = 2 << 10;
const AUTH_TIMEOUT_US = 5_000_000;
/** A socket that takes nothing for so long is not read from. */
const STALL_US = 5_000_000;
const STATE_INTERVAL_US = 100_000;
const STATE = "state";
const NOT_AUTHENTICATED = 'authentication: {"op":"auth","token":…} first';

export class JsonGateway implements DeskTap {
  readonly counters: JsonGatewayCounters = {
    accepted: 0,
    refused: 0,
    messages: 0,
    faults: 0,
    cutOff: 0,
    slow: 0,
    conflated: 0,
  };
  readonly #options: JsonGatewayOptions;
  readonly #clients: ApiClients;
  readonly #server: Server<SocketData>;
  readonly #connections = new Set<ApiConnection>();
  readonly #updates: Updates;
  #stateText = "";
  #stateUs = Number.NEGATIVE_INFINITY;

  /** @throws KeelError when the address cannot be bound. */
  constructor(options: JsonGatewayOptions) {
    this.#options = options;
    this.#updates = new Updates(options.desk);
    this.#clients = new ApiClients(options.clients);
    try {
      this.#server = Bun.serve<SocketData>({
        hostname: options.host,
        port: options.port,
        reusePort: false,
        ...(options.tls === undefined ? {} : { tls: options.tls }),
        ...serverDefaults(() => {
          this.counters.faults += 1;
        }),
        fetch: (request, server) => this.#onRequest(request, server),
        websocket: {
          maxPayloadLength: MAX_MESSAGE_BYTES,
          backpressureLimit: options.maxBufferBytes,
          closeOnBackpressureLimit: false,
          idleTimeout: 120,
          perMessageDeflate: false,
          open: (socket) => this.#onOpen(socket),
          message: (socket, message) => this.#onMessage(socket, message),
          close: (socket) => this.#onClose(socket),
        },
      });
    } catch (error) {
      const why = error instanceof Error ? error.message : String(error);
      throw new KeelError("api-bind", `KEEL_API: cannot listen on ${options.host}:${options.port}: ${why}`);
    }
  }

  get port(): number {
    return this.#server.port ?? 0;
  }

  get connections(): number {
    return this.#connections.size;
  }

  onPrediction(
    underlying: number,
    probabilities: Float32Array,
    offset: number,
    _heads: number,
    status: number,
    timeUs: number,
  ): void {
    this.#updates.onPrediction(underlying, probabilities, offset, status, timeUs);
    if (this.#connections.size === 0) return;
    const base = this.#options.desk.underlyings.base(underlying);
    for (const connection of this.#connections) {
      connection.touch("predictions", base, `p${underlying}`);
    }
  }

  onQuotes(quotes: QuoteBatch, timeUs: number): void {
    for (let row = 0; row < quotes.count; row += 1) this.#touchQuote(quotes.instrument[row], timeUs);
  }

  onCancelAll(timeUs: number): void {
    for (const instrument of this.#updates.quoted()) this.#touchQuote(instrument, timeUs);
  }

  /** Hands an answer of the RFQ desk to all connections of its client. Those of other channels are passed over. */
  onAnswer(action: RfqAction, timeUs: number): void {
    if (action.channel !== "json") return;
    const text = JSON.stringify(answerMessage(action, timeUs));
    for (const connection of this.#connections) {
      const { identity } = connection;
      if (identity?.name === action.client && identity.role === "trade") this.#send(connection, text);
    }
  }

  onTimer(timeUs: number): void {
    if (this.#connections.size === 0) return;
    if (timeUs - this.#stateUs >= STATE_INTERVAL_US) this.#refreshState(timeUs);
    const texts = new Map<string, string>();
    const textOf = (key: string): string => {
      const known = texts.get(key);
      if (known !== undefined) return known;
      const text = JSON.stringify(this.#update(key, timeUs));
      texts.set(key, text);
      return text;
    };
    for (const connection of [...this.#connections]) {
      if (connection.identity === null) {
        if (timeUs - connection.openedUs > AUTH_TIMEOUT_US) this.#refuse(connection, NOT_AUTHENTICATED);
        continue;
      }
      connection.flush(textOf, timeUs);
      if (timeUs - connection.waitingSinceUs > STALL_US) this.#slow(connection);
    }
  }

  close(): void {
    for (const { socket } of this.#connections) socket.close(1_001, "the desk stops");
    void this.#server.stop(true);
  }

  #touchQuote(instrument: number, timeUs: number): void {
    this.#updates.onQuote(instrument, timeUs);
    if (this.#connections.size === 0) return;
    const { symbol } = this.#options.desk.instruments.get(instrument);
    for (const connection of this.#connections) connection.touch("quotes", symbol, `q${instrument}`);
  }

  #update(key: string, timeUs: number): ServerMessage {
    if (key === STATE) return this.#updates.state(timeUs);
    const number = Number(key.slice(1));
    return key.startsWith("p") ? this.#updates.prediction(number) : this.#updates.quote(number);
  }

  #refreshState(timeUs: number): void {
    this.#stateUs = timeUs;
    const text = JSON.stringify({ ...this.#updates.state(timeUs), timeUs: 0 });
    if (text === this.#stateText) return;
    this.#stateText = text;
    for (const connection of this.#connections) connection.touch("states", STATE, STATE);
  }

  #onRequest(request: Request, server: Server<SocketData>): Response | undefined {
    if (request.headers.get("upgrade")?.toLowerCase() !== "websocket") {
      return new Response("a WebSocket is expected; `keel print api` shows the messages\n", { status: 426 });
    }
    const origin = request.headers.get("origin");
    if (origin !== null && !this.#options.origins.includes(origin)) {
      this.counters.refused += 1;
      return new Response("this origin is not allowed (KEEL_API_ORIGINS)\n", { status: 403 });
    }
    const header = request.headers.get("authorization");
    const identity = header === null ? null : this.#clients.identify(header.replace(/^Bearer /i, ""));
    if (header !== null && identity === null) {
      this.counters.refused += 1;
      return new Response("unknown token\n", { status: 401, headers: { "www-authenticate": "Bearer" } });
    }
    if (this.#connections.size >= this.#options.maxConnections && !this.#refuseOldestUnknown()) {
      this.counters.refused += 1;
      return new Response("too many connections\n", { status: 503 });
    }
    return server.upgrade(request, { data: { identity, connection: null } })
      ? undefined
      : new Response("the upgrade failed\n", { status: 400 });
  }

  /** Those who connect and do not say who they are keep nobody out. @returns false when everybody has */
  #refuseOldestUnknown(): boolean {
    for (const connection of this.#connections) {
      if (connection.identity !== null) continue;
      this.#connections.delete(connection);
      this.#refuse(connection, NOT_AUTHENTICATED);
      return true;
    }
    return false;
  }

  #onOpen(socket: Socket): void {
    const timeUs = this.#options.clock.wallUs();
    const connection = new ApiConnection(socket, this.#options.maxMessagesPerSecond, timeUs);
    socket.data.connection = connection;
    this.#connections.add(connection);
    this.counters.accepted += 1;
    if (socket.data.identity !== null) this.#welcome(connection, socket.data.identity);
  }

  #onClose({ data: { connection } }: Socket): void {
    if (connection === null || !this.#connections.delete(connection)) return;
    this.counters.conflated += connection.conflated;
    const { identity } = connection;
    if (identity?.role !== "trade") return;
    for (const other of this.#connections) if (other.identity?.name === identity.name) return;
    const client = { channel: "json", client: identity.name } as const;
    this.#options.onInput({ on: "withdraw", ...client, requestId: null, reason: "connection closed" });
  }

  #onMessage({ data: { connection } }: Socket, message: string | Buffer): void {
    if (connection === null || !this.#connections.has(connection)) return;
    this.counters.messages += 1;
    if (!connection.admit(this.#options.clock.wallUs())) {
      this.counters.cutOff += 1;
      this.#drop(connection, CLOSE.rate, "too many messages");
      return;
    }
    if (typeof message !== "string") {
      this.#fault(connection, "", "a text message", undefined);
      return;
    }
    if (connection.identity === null && message.length > MAX_UNKNOWN_CHARACTERS) {
      this.#refuse(connection, NOT_AUTHENTICATED);
      return;
    }
    const read = readClientMessageText(message);
    if ("fault" in read) {
      this.#fault(connection, read.fault.field, read.fault.expected, read.fault.id);
      return;
    }
    if (read.op === "auth") this.#onAuth(connection, read.token);
    else if (connection.identity === null) this.#refuse(connection, NOT_AUTHENTICATED);
    else {
      connection.onSound();
      this.#carryOut(connection, connection.identity, read);
    }
  }

  #onAuth(connection: ApiConnection, token: string): void {
    const identity = this.#clients.identify(token);
    if (connection.identity !== null) this.#fault(connection, "op", "no second authentication", undefined);
    else if (identity === null) this.#refuse(connection, "unknown token");
    else this.#welcome(connection, identity);
  }

  #welcome(connection: ApiConnection, identity: ApiIdentity): void {
    let others = 0;
    for (const other of this.#connections) if (other.identity?.name === identity.name) others += 1;
    if (others >= this.#options.maxConnectionsPerClient) {
      this.counters.refused += 1;
      this.#drop(connection, CLOSE.tooMany, "too many connections of this client");
      return;
    }
    connection.identity = identity;
    this.#send(
      connection,
      message({ type: "welcome", version: API_VERSION, client: identity.name, role: identity.role }),
    );
  }

  #carryOut(
    connection: ApiConnection,
    identity: ApiIdentity,
    request: Exclude<ClientMessage, { op: "auth" }>,
  ): void {
    switch (request.op) {
      case "ping":
        this.#send(connection, message({ type: "ok", id: request.id }));
        return;
      case "subscribe":
        if (!connection.subscribe(request.channel, request.names, this.#options.maxSubscriptions)) {
          const expected = `at most ${this.#options.maxSubscriptions} names in all`;
          this.#fault(connection, "names", expected, request.id);
          return;
        }
        this.#send(connection, message({ type: "ok", id: request.id }));
        this.#touchAll(connection, request.channel);
        return;
      case "unsubscribe":
        connection.unsubscribe(request.channel, request.names);
        this.#send(connection, message({ type: "ok", id: request.id }));
        return;
      default:
        break;
    }
    if (identity.role !== "trade") {
      this.#fault(connection, "op", "a trading token, for this one only reads", undefined);
      return;
    }
    this.#options.onInput(rfqInput(request, identity.name, this.#options.clock.wallUs()));
    if (request.op === "withdraw") this.#send(connection, message({ type: "ok", id: request.id }));
  }

  /** A new subscriber is told what there is. */
  #touchAll(connection: ApiConnection, channel: Channel): void {
    const { underlyings, instruments } = this.#options.desk;
    if (channel === "states") connection.touch("states", STATE, STATE);
    else if (channel === "predictions") {
      for (const underlying of this.#updates.predicted()) {
        connection.touch("predictions", underlyings.base(underlying), `p${underlying}`);
      }
    } else {
      for (const instrument of this.#updates.quoted()) {
        connection.touch("quotes", instruments.get(instrument).symbol, `q${instrument}`);
      }
    }
  }

  #fault(connection: ApiConnection, field: string, expected: string, id: string | number | undefined): void {
    this.counters.faults += 1;
    this.#send(connection, message({ type: "error", id, field, expected }));
    if (connection.onFault()) return;
    this.counters.cutOff += 1;
    this.#drop(connection, CLOSE.badMessages, "nothing but faulty messages");
  }

  #refuse(connection: ApiConnection, why: string): void {
    this.counters.refused += 1;
    this.#drop(connection, CLOSE.unauthorised, why);
  }

  #slow(connection: ApiConnection): void {
    this.counters.slow += 1;
    this.#options.onProblem(`${connection.identity?.name ?? "a client"} reads too slowly and is cut off`);
    this.#drop(connection, CLOSE.slow, "too slow");
  }

  /** A connection that is dropped is forgotten at once; one that does not take the close frame is cut. */
  #drop(connection: ApiConnection, code: number, reason: string): void {
    const { socket } = connection;
    if (socket.getBufferedAmount() > 0) socket.terminate();
    else socket.close(code, reason);
  }

  #send(connection: ApiConnection, text: string): void {
    connection.socket.send(text);
    if (connection.socket.getBufferedAmount() >= this.#options.maxBufferBytes) this.#slow(connection);
  }
}

function message(content: ServerMessage): string {
  return JSON.stringify(content);
}
