import type { Socket, TCPSocketListener, TLSOptions } from "bun";
import type { Clock } from "../../core/clock.ts";
import { KeelError } from "../../core/errors.ts";
import type { AddressList } from "./address-list.ts";
import { FixMessage } from "./message.ts";
import { FixParser, PARSE } from "./parser.ts";
import { FixSession } from "./session.ts";
import type { SessionApplication, SessionOptions } from "./session-options.ts";
import type { SessionStore } from "./store.ts";
import { BEGIN_STRING, MSG, TAG } from "./tags.ts";
import { TcpPort } from "./tcp-port.ts";

export interface FixAcceptorOptions {
  readonly host: string;
  /** 0 = the host chooses. */
  readonly port: number;
  readonly clock: Clock;
  /** With `requestCert`, a peer without a certificate that `ca` vouches for is cut before it can say anything. */
  readonly tls?: TLSOptions;
  /** When there are as many, a new one takes the place of the oldest that has not logged on, and is refused where all have. */
  readonly maxConnections?: number;
  /** Connections from one address at a time. */
  readonly maxConnectionsPerAddress?: number;
  /** Only peers at these addresses may connect; absent = all. */
  readonly allowed?: AddressList;
  /** A connection that has not logged on after this long is cut. */
  readonly logonTimeoutMs?: number;
  /**
   * The logon of a session that has a connection takes its place; otherwise it is refused until that one has ended. Only for peers that
   * cannot be anybody else: a logon is not looked at before.
   */
  readonly replaces?: boolean;
  /** Bytes that may wait for a session's socket before its connection is cut. */
  readonly maxPendingBytes?: number;
  /** A session's connection was cut because its peer did not read. */
  readonly onCut?: (session: FixSession, reason: string) => void;
}

/** A Logon is not longer than this. */
const MAX_LOGON_BYTES = 4 << 10;

/** One connection: unknown until its first message, a Logon, names the session it belongs to. */
interface Connection {
  readonly sinceUs: number;
  readonly address: string;
  held: Uint8Array | null;
  heldBytes: number;
  member: Member | null;
}

interface Member {
  readonly session: FixSession;
  readonly port: TcpPort;
  readonly allowed: AddressList | null;
}

/**
 * Listens for FIX connections and leads each to its session by the comp ids of its Logon. A connection whose first message is
 * anything else, that names no known session, or whose session is connected already, is cut without an answer and without
 * touching any other (FIX session test cases 1b, 1c, 1e).
 */
export class FixAcceptor {
  readonly #options: FixAcceptorOptions;
  readonly #members = new Map<string, Member>();
  readonly #connections = new Map<Socket<Connection>, Connection>();
  readonly #parser = new FixParser(MAX_LOGON_BYTES);
  readonly #logon = new FixMessage(128);
  #listener: TCPSocketListener<Connection> | null = null;
  /** As configured; once the host has chosen a port, that one. */
  #boundPort: number;
  bytesReceived = 0;
  /** Monotonic time at which the bytes now being handled were read. */
  receivedNs = 0;
  accepted = 0;
  refused = 0;

  constructor(options: FixAcceptorOptions) {
    this.#options = options;
    this.#boundPort = options.port;
  }

  /**
   * Adds a session that its peer may log on to, from the `allowed` addresses only if they are given.
   *
   * @throws KeelError when there is one with the same comp ids already.
   */
  add(
    options: SessionOptions,
    store: SessionStore,
    application: SessionApplication,
    allowed: AddressList | null = null,
  ): FixSession {
    const key = sessionKey(BEGIN_STRING[options.version], options.senderCompId, options.targetCompId);
    if (this.#members.has(key))
      throw new KeelError("duplicate-session", `FIX acceptor: session ${key} exists`);
    const port = new TcpPort(this.#options.maxPendingBytes ?? 4 << 20);
    const session = new FixSession(options, store, port, application);
    this.#members.set(key, { session, port, allowed });
    return session;
  }

  /** Bytes handed to sockets so far, those still waiting included. */
  get bytesSent(): number {
    let total = 0;
    for (const { port } of this.#members.values()) total += port.bytesWritten;
    return total;
  }

  /** Connections of sessions that were cut because their peer did not read. */
  get unreadCuts(): number {
    let total = 0;
    for (const { port } of this.#members.values()) total += port.unreadCuts;
    return total;
  }

  /** As configured; once listening on a port of the host's choice, that one. */
  get port(): number {
    return this.#boundPort;
  }

  get connections(): number {
    return this.#connections.size;
  }

  /** @returns the port listened on; after {@link stop} the same one again. */
  start(): number {
    const clock = this.#options.clock;
    const listener = Bun.listen<Connection>({
      hostname: this.#options.host,
      port: this.#boundPort,
      ...(this.#options.tls === undefined ? {} : { tls: this.#options.tls }),
      socket: {
        open: (socket) => this.#opened(socket),
        handshake: (socket, success) => {
          if (!success || (this.#options.tls?.requestCert === true && !socket.authorized))
            this.#refuse(socket);
        },
        data: (socket, chunk) => this.#received(socket, chunk, clock.wallUs()),
        drain: (socket) => {
          const member = socket.data.member;
          if (member?.port.isAttachedTo(socket) && member.port.flush())
            member.session.onWritable(clock.wallUs());
        },
        close: (socket) => this.#closed(socket, "connection closed"),
        error: (socket, error) => this.#closed(socket, `connection failed: ${error.message}`),
      },
    });
    this.#listener = listener;
    this.#boundPort = listener.port;
    return listener.port;
  }

  onTimer(timeUs: number): void {
    const limitUs = (this.#options.logonTimeoutMs ?? 10_000) * 1_000;
    for (const [socket, connection] of this.#connections) {
      if (connection.member === null && timeUs - connection.sinceUs >= limitUs) this.#refuse(socket);
    }
    for (const { session, port } of this.#members.values()) {
      port.flush();
      session.onTimer(timeUs);
    }
  }

  /** Stops the reading of every connection, so that peers see a dead counterparty; or takes it up again. */
  setFrozen(frozen: boolean): void {
    for (const socket of this.#connections.keys()) {
      if (frozen) socket.pause();
      else socket.resume();
    }
  }

  /** Closes every connection without logout; the listener stays. */
  disconnectAll(): void {
    for (const socket of this.#connections.keys()) socket.end();
  }

  /** Cuts every connection and closes the listener. */
  stop(): void {
    this.#listener?.stop(true);
    this.#listener = null;
    for (const socket of [...this.#connections.keys()]) {
      socket.terminate();
      this.#closed(socket, "stopped");
    }
  }

  #opened(socket: Socket<Connection>): void {
    const address = socket.remoteAddress;
    socket.data = {
      sinceUs: this.#options.clock.wallUs(),
      address,
      held: null,
      heldBytes: 0,
      member: null,
    };
    if (!this.#admits(address)) {
      this.#refuse(socket);
      return;
    }
    this.accepted += 1;
    this.#connections.set(socket, socket.data);
  }

  #admits(address: string): boolean {
    const { allowed, maxConnections = 256, maxConnectionsPerAddress = 64 } = this.#options;
    if (allowed?.has(address) === false) return false;
    let sameAddress = 0;
    for (const connection of this.#connections.values()) if (connection.address === address) sameAddress += 1;
    if (sameAddress >= maxConnectionsPerAddress) return false;
    return this.#connections.size < maxConnections || this.#refuseOldestUnknown();
  }

  /** Peers that connect from many addresses and say nothing keep nobody out. @returns false when every connection has its session */
  #refuseOldestUnknown(): boolean {
    for (const [socket, { member }] of this.#connections) {
      if (member !== null) continue;
      this.#refuse(socket);
      return true;
    }
    return false;
  }

  #received(socket: Socket<Connection>, chunk: Uint8Array, timeUs: number): void {
    this.receivedNs = this.#options.clock.monotonicNs();
    this.bytesReceived += chunk.length;
    const connection = this.#connections.get(socket);
    if (connection === undefined) return;
    const member = connection.member;
    if (member !== null) {
      if (member.port.isAttachedTo(socket)) member.session.onBytes(chunk, timeUs);
      return;
    }
    const first = this.#collect(connection, chunk);
    const result = this.#parser.parse(first, 0, first.length, this.#logon);
    if (result === PARSE.partial && first.length < MAX_LOGON_BYTES) return;
    const found = result === PARSE.complete ? this.#route(this.#logon) : undefined;
    if (
      found !== undefined &&
      this.#options.replaces === true &&
      found.allowed?.has(connection.address) !== false
    ) {
      found.port.cut();
      found.session.onDisconnected("replaced by a later connection", timeUs);
    }
    if (
      found === undefined ||
      found.allowed?.has(connection.address) === false ||
      found.session.state !== "disconnected" ||
      found.port.attached
    ) {
      this.#refuse(socket);
      return;
    }
    connection.member = found;
    connection.held = null;
    found.port.attach(socket);
    found.session.onConnected(timeUs);
    found.session.onBytes(first, timeUs);
  }

  /** What the connection has sent so far, this chunk included. */
  #collect(connection: Connection, chunk: Uint8Array): Uint8Array {
    if (connection.heldBytes === 0 && chunk.length >= MAX_LOGON_BYTES) return chunk;
    const held = connection.held ?? new Uint8Array(MAX_LOGON_BYTES * 2);
    if (connection.heldBytes + chunk.length > held.length) {
      const whole = new Uint8Array(connection.heldBytes + chunk.length);
      whole.set(held.subarray(0, connection.heldBytes));
      whole.set(chunk, connection.heldBytes);
      return whole;
    }
    held.set(chunk, connection.heldBytes);
    connection.held = held;
    connection.heldBytes += chunk.length;
    return held.subarray(0, connection.heldBytes);
  }

  #route(logon: FixMessage): Member | undefined {
    if (logon.msgType !== MSG.logon) return undefined;
    const ours = logon.text(TAG.targetCompId) ?? "";
    const theirs = logon.text(TAG.senderCompId) ?? "";
    return this.#members.get(sessionKey(logon.beginString(), ours, theirs));
  }

  #refuse(socket: Socket<Connection>): void {
    this.refused += 1;
    this.#connections.delete(socket);
    socket.terminate();
  }

  #closed(socket: Socket<Connection>, reason: string): void {
    const connection = this.#connections.get(socket);
    if (connection === undefined) return;
    this.#connections.delete(socket);
    const member = connection.member;
    if (member === null || !member.port.isAttachedTo(socket)) return;
    const { cutReason } = member.port;
    member.port.detach();
    if (cutReason !== null) this.#options.onCut?.(member.session, cutReason);
    member.session.onDisconnected(cutReason ?? reason, this.#options.clock.wallUs());
  }
}

function sessionKey(beginString: string, senderCompId: string, targetCompId: string): string {
  return `${beginString}:${senderCompId}->${targetCompId}`;
}
