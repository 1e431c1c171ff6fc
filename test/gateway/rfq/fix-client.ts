import type { TLSOptions } from "bun";
import { systemClock } from "../../../src/core/clock.ts";
import { Rng } from "../../../src/core/rng.ts";
import { FieldTree } from "../../../src/gateway/fix/application/field-tree.ts";
import { Backoff } from "../../../src/gateway/fix/backoff.ts";
import type { MessageBuilder } from "../../../src/gateway/fix/builder.ts";
import { Connector } from "../../../src/gateway/fix/connector.ts";
import type { FixMessage } from "../../../src/gateway/fix/message.ts";
import { FixSession } from "../../../src/gateway/fix/session.ts";
import { SESSION_DEFAULTS, type SessionApplication } from "../../../src/gateway/fix/session-options.ts";
import { MemoryStore } from "../../../src/gateway/fix/store.ts";
import { type FixVersion, msgTypeCode } from "../../../src/gateway/fix/tags.ts";
import { TcpPort } from "../../../src/gateway/fix/tcp-port.ts";

/** A message as the client got it. */
export interface Received {
  readonly type: string;
  readonly tree: FieldTree;
}

/** A FIX client on a real socket, for tests of what clients are answered. */
export class TestFixClient implements SessionApplication {
  readonly received: Received[] = [];
  readonly session: FixSession;
  readonly #connector: Connector;
  readonly #timer: ReturnType<typeof setInterval>;
  readonly #version: FixVersion;
  #read = 0;
  loggedOut: string | null = null;

  constructor(options: {
    readonly port: number;
    readonly compId: string;
    readonly version?: FixVersion;
    readonly logonFields?: readonly (readonly [number, string])[];
    readonly tls?: TLSOptions;
  }) {
    this.#version = options.version ?? "4.4";
    const port = new TcpPort(1 << 20);
    this.session = new FixSession(
      {
        ...SESSION_DEFAULTS,
        role: "initiator",
        version: this.#version,
        senderCompId: options.compId,
        targetCompId: "KEEL",
        logonFields: options.logonFields ?? [],
        resetOnLogon: true,
      },
      new MemoryStore(),
      port,
      this,
    );
    const { session } = this;
    this.#connector = new Connector(
      { host: "127.0.0.1", port: options.port, tls: options.tls ?? false, clock: systemClock },
      port,
      new Backoff(60_000, 60_000, new Rng(1)),
      {
        onConnected: (timeUs) => session.onConnected(timeUs),
        onBytes: (chunk, timeUs) => session.onBytes(chunk, timeUs),
        onDrain: () => {},
        onDisconnected: (reason, timeUs) => {
          this.loggedOut ??= reason;
          session.onDisconnected(reason, timeUs);
        },
        onConnectFailed: (reason) => {
          this.loggedOut ??= reason;
        },
      },
    );
    this.#connector.connect(systemClock.wallUs());
    this.#timer = setInterval(() => session.onTimer(systemClock.wallUs()), 20);
  }

  onLogon(): void {}

  onLogout(reason: string): void {
    this.loggedOut = reason;
  }

  onMessage(message: FixMessage): boolean {
    this.received.push({ type: message.textAt(0), tree: FieldTree.read(message, this.#version) });
    return true;
  }

  onResend(): void {}

  onReject(refSeq: number, reason: string): void {
    throw new Error(`message ${refSeq} was refused: ${reason}`);
  }

  send(type: string, write: (builder: MessageBuilder) => void): void {
    write(this.session.begin(msgTypeCode(type), systemClock.wallUs()));
    this.session.send(false);
  }

  /** The next message of one of the types; others are passed over. */
  async next(...types: string[]): Promise<Received> {
    for (const untilMs = Date.now() + 45_000; Date.now() < untilMs; ) {
      while (this.#read < this.received.length) {
        const message = this.received[this.#read];
        this.#read += 1;
        if (message !== undefined && types.includes(message.type)) return message;
      }
      await Bun.sleep(2);
    }
    throw new Error(`no ${types.join(" or ")} came; last: ${this.received.at(-1)?.type}`);
  }

  async close(): Promise<void> {
    if (this.session.established) {
      this.session.logout("bye", systemClock.wallUs());
      await until("the logout to be answered", () => this.session.state === "disconnected");
    }
    clearInterval(this.#timer);
    this.#connector.stop();
  }
}

/** Waits until something holds. */
export async function until(what: string, holds: () => boolean): Promise<void> {
  for (const untilMs = Date.now() + 45_000; Date.now() < untilMs; ) {
    if (holds()) return;
    await Bun.sleep(5);
  }
  throw new Error(`waited in vain for: ${what}`);
}
