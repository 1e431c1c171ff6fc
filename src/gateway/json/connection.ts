import type { ServerWebSocket } from "bun";
import { TokenBucket } from "../fix/token-bucket.ts";
import type { ApiIdentity } from "./clients.ts";
import type { Channel, ServerMessage } from "./messages.ts";

/** Close codes of the gateway, in the range for applications (RFC 6455, 7.4.2). */
export const CLOSE = {
  badMessages: 4_000,
  unauthorised: 4_001,
  tooMany: 4_003,
  rate: 4_008,
  slow: 4_009,
} as const;

/** Faulty messages in a row after which a connection is closed. */
const FAULTS_MAX = 16;

/**
 * One WebSocket of the gateway. Updates are conflated: per name only the latest is kept, and none is written while earlier bytes
 * still wait for the socket, so what a connection can make us hold is bounded by what it subscribed to.
 */
export class ApiConnection {
  readonly socket: ServerWebSocket<unknown>;
  readonly openedUs: number;
  identity: ApiIdentity | null = null;
  /** Since when bytes have waited for the socket, µs; NaN while none do. */
  waitingSinceUs = Number.NaN;
  /** Updates that a later one of the same name replaced before they were sent. */
  conflated = 0;
  readonly #rate: TokenBucket;
  readonly #names = new Map<Channel, Set<string> | "all">();
  readonly #dirty = new Set<string>();
  #faultsInRow = 0;

  constructor(socket: ServerWebSocket<unknown>, messagesPerSecond: number, timeUs: number) {
    this.socket = socket;
    this.openedUs = timeUs;
    this.#rate = new TokenBucket(messagesPerSecond);
    this.#rate.reset(timeUs);
  }

  /** @returns false when it has sent too much. */
  admit(timeUs: number): boolean {
    return this.#rate.take(timeUs);
  }

  /** @returns false when it has sent nothing but faulty messages for too long. */
  onFault(): boolean {
    this.#faultsInRow += 1;
    return this.#faultsInRow < FAULTS_MAX;
  }

  onSound(): void {
    this.#faultsInRow = 0;
  }

  /** Names subscribed to; all of a channel count as one. */
  get subscriptions(): number {
    let count = 0;
    for (const names of this.#names.values()) count += names === "all" ? 1 : names.size;
    return count;
  }

  /** @returns false when that would be more than `most` names; nothing is subscribed to then. */
  subscribe(channel: Channel, names: readonly string[] | undefined, most: number): boolean {
    const held = this.#names.get(channel);
    if (names === undefined || held === "all") {
      if (held === undefined && this.subscriptions >= most) return false;
      this.#names.set(channel, "all");
      return true;
    }
    const wanted = new Set([...(held ?? []), ...names]);
    if (this.subscriptions - (held?.size ?? 0) + wanted.size > most) return false;
    this.#names.set(channel, wanted);
    return true;
  }

  unsubscribe(channel: Channel, names: readonly string[] | undefined): void {
    const held = this.#names.get(channel);
    if (held === undefined) return;
    if (names === undefined || held === "all") this.#names.delete(channel);
    else for (const name of names) held.delete(name);
  }

  wants(channel: Channel, name: string): boolean {
    const names = this.#names.get(channel);
    return names !== undefined && (names === "all" || names.has(name));
  }

  /** An update of the name is there to be sent. @param key channel and name */
  touch(channel: Channel, name: string, key: string): void {
    if (!this.wants(channel, name)) return;
    if (this.#dirty.has(key)) this.conflated += 1;
    else this.#dirty.add(key);
  }

  /** Sends what is due, unless the socket still has earlier bytes. @param textOf the update of a key as it is now */
  flush(textOf: (key: string) => string | null, timeUs: number): void {
    if (this.socket.getBufferedAmount() > 0) {
      if (Number.isNaN(this.waitingSinceUs)) this.waitingSinceUs = timeUs;
      return;
    }
    this.waitingSinceUs = Number.NaN;
    for (const key of this.#dirty) {
      this.#dirty.delete(key);
      const text = textOf(key);
      if (text === null) continue;
      this.socket.send(text);
      if (this.socket.getBufferedAmount() > 0) return;
    }
  }

  send(message: ServerMessage): void {
    this.socket.send(JSON.stringify(message));
  }
}
