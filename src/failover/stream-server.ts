import { createHash, timingSafeEqual } from "node:crypto";
import type { Server, ServerWebSocket, TLSOptions } from "bun";
import { KeelError } from "../core/errors.ts";
import type { Secret } from "../core/secret.ts";
import { serverDefaults } from "../core/server-defaults.ts";
import {
  followerMessage,
  type LeaderMessage,
  readMessage,
  STREAM_CLOSE,
  STREAM_VERSION,
  type StreamRecord,
  type StreamSnapshot,
} from "./stream.ts";

export interface StreamServerOptions {
  readonly host: string;
  /** 0 = the host chooses. */
  readonly port: number;
  readonly token: Secret;
  readonly tls?: TLSOptions;
  /** Names this run of this process. */
  readonly run: string;
  /** This process leads now, as far as it may act on it. */
  readonly leading: () => boolean;
  readonly snapshot: () => StreamSnapshot;
  /** Outgoing numbers of the session below this one may be used soon. */
  readonly outgoing: () => number;
  readonly onProblem: (text: string) => void;
}

/** A follower, as its leader knows it. */
export interface FollowerState {
  readonly holder: string;
  readonly address: string;
  /** Records that it has. */
  readonly number: number;
  /** Why it could not quote; null until it has said so. */
  readonly unfit: readonly string[] | null;
}

interface Connection {
  readonly address: string;
  holder: string;
  following: boolean;
  number: number;
  unfit: readonly string[] | null;
}

/** Records kept for followers that come back. */
const KEPT_RECORDS = 65_536;
/** What may wait for a follower that does not read. */
const WAITING_BYTES_MAX = 32 << 20;
const FOLLOWERS_MAX = 8;
const HELLO_BYTES_MAX = 64 << 10;

/** Serves what happens to this process to those that are ready to take its place. Bounded: a follower too slow is cut off. */
export class StreamServer {
  readonly #options: StreamServerOptions;
  readonly #digest: Buffer;
  readonly #server: Server<Connection>;
  readonly #followers = new Set<ServerWebSocket<Connection>>();
  readonly #kept: (string | undefined)[] = new Array<string | undefined>(KEPT_RECORDS);
  #number = 0;
  refused = 0;

  /** @throws KeelError when the address cannot be bound. */
  constructor(options: StreamServerOptions) {
    this.#options = options;
    this.#digest = sha256(options.token.reveal());
    const { host, port, tls } = options;
    try {
      this.#server = Bun.serve<Connection>({
        ...{ hostname: host, port, reusePort: false },
        ...(tls === undefined ? {} : { tls }),
        ...serverDefaults((error) => options.onProblem(`a request could not be answered: ${String(error)}`)),
        fetch: (request, server) => this.#admit(request, server),
        websocket: {
          maxPayloadLength: HELLO_BYTES_MAX,
          backpressureLimit: WAITING_BYTES_MAX,
          closeOnBackpressureLimit: true,
          message: (socket, text) => this.#onMessage(socket, text),
          close: (socket) => void this.#followers.delete(socket),
        },
      });
    } catch (error) {
      const why = error instanceof Error ? error.message : String(error);
      throw new KeelError("peer-bind", `KEEL_PEER_LISTEN: cannot listen on ${host}:${port}: ${why}`);
    }
  }

  get port(): number {
    return this.#server.port ?? 0;
  }

  /** Records so far. */
  get number(): number {
    return this.#number;
  }

  followers(): FollowerState[] {
    const states: FollowerState[] = [];
    for (const { data } of this.#followers) {
      const { holder, address, number, unfit } = data;
      if (data.following) states.push({ holder, address, number, unfit });
    }
    return states;
  }

  /** Off the line: called after what it tells of has left. */
  add(record: StreamRecord): void {
    this.#number += 1;
    const text = JSON.stringify({
      type: "record",
      number: this.#number,
      record,
    } satisfies LeaderMessage);
    this.#kept[this.#number % KEPT_RECORDS] = text;
    for (const socket of this.#followers) if (socket.data.following) this.#send(socket, text);
  }

  /** To be called about every 100 ms. */
  beat(): void {
    if (this.#followers.size === 0) return;
    if (!this.#options.leading()) {
      for (const socket of this.#followers) socket.close(STREAM_CLOSE.notLeading, "not leading");
      return;
    }
    const text = JSON.stringify({
      type: "beat",
      number: this.#number,
      outgoing: this.#options.outgoing(),
    } satisfies LeaderMessage);
    for (const socket of this.#followers) if (socket.data.following) this.#send(socket, text);
  }

  async stop(): Promise<void> {
    await this.#server.stop(true);
  }

  #admit(request: Request, server: Server<Connection>): Response | undefined {
    const given = /^Bearer (.+)$/.exec(request.headers.get("authorization") ?? "")?.[1] ?? "";
    if (!timingSafeEqual(sha256(given), this.#digest) || request.headers.has("origin")) {
      this.refused += 1;
      return new Response("a bearer token is needed\n", { status: 401 });
    }
    const address = server.requestIP(request)?.address ?? "";
    const data: Connection = { address, holder: "", following: false, number: 0, unfit: null };
    if (this.#followers.size < FOLLOWERS_MAX && server.upgrade(request, { data })) return undefined;
    this.refused += 1;
    return new Response("only WebSockets, and not more of them\n", { status: 503 });
  }

  #onMessage(socket: ServerWebSocket<Connection>, text: string | Buffer): void {
    const message = readMessage(followerMessage, text);
    const { data } = socket;
    if (message === null || (message.type === "follow") === data.following) {
      this.refused += 1;
      this.#options.onProblem(`${data.address}: not a message of a follower`);
      socket.close(STREAM_CLOSE.badMessage, "not a message of a follower");
      return;
    }
    if (message.type === "state") {
      data.number = message.number;
      data.unfit = message.unfit;
      return;
    }
    if (!this.#options.leading()) {
      socket.close(STREAM_CLOSE.notLeading, "not leading");
      return;
    }
    data.holder = message.holder;
    data.following = true;
    this.#followers.add(socket);
    const { run, snapshot } = this.#options;
    const after = message.after;
    const missed = after?.run === run ? this.#number - after.number : Number.POSITIVE_INFINITY;
    if (after !== null && missed >= 0 && missed < KEPT_RECORDS) {
      this.#send(socket, JSON.stringify({ type: "resumed", run } satisfies LeaderMessage));
      for (let number = after.number + 1; number <= this.#number; number += 1) {
        this.#send(socket, this.#kept[number % KEPT_RECORDS] ?? "");
      }
      return;
    }
    const whole = { type: "snapshot", version: STREAM_VERSION, run, number: this.#number } as const;
    this.#send(socket, JSON.stringify({ ...whole, snapshot: snapshot() } satisfies LeaderMessage));
  }

  #send(socket: ServerWebSocket<Connection>, text: string): void {
    if (socket.send(text) !== 0) return;
    this.#followers.delete(socket);
    this.#options.onProblem(`${socket.data.address}: a follower that reads too slowly is cut off`);
    socket.close(STREAM_CLOSE.slow, "too slow");
  }
}

function sha256(text: string): Buffer {
  return createHash("sha256").update(text).digest();
}
