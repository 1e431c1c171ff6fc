import type { Socket } from "bun";
import type { WireFence } from "../wire-fence.ts";
import { FencedSocket } from "./fenced-socket.ts";
import type { SessionPort } from "./session-options.ts";
import { SocketWriter } from "./socket-writer.ts";

/** A closed connection that does not go away by itself is cut after this long. */
const LINGER_MS = 1_000;

/** A session's side of a TCP or TLS connection, from one connection to the next. */
export class TcpPort implements SessionPort {
  readonly #writer: SocketWriter;
  #socket: Socket<unknown> | null = null;
  #overflowed = false;
  bytesWritten = 0;
  /** Connections that were cut because the peer did not read. */
  unreadCuts = 0;
  readonly #maxPendingBytes: number;
  readonly #fence: WireFence | null;

  /** @param fence asked before every write to the socket; a connection that it refuses is cut */
  constructor(maxPendingBytes: number, fence: WireFence | null = null) {
    this.#writer = new SocketWriter(maxPendingBytes);
    this.#maxPendingBytes = maxPendingBytes;
    this.#fence = fence;
  }

  get attached(): boolean {
    return this.#socket !== null;
  }

  isAttachedTo(socket: Socket<unknown>): boolean {
    return this.#socket === socket;
  }

  get pendingBytes(): number {
    return this.#writer.pendingBytes;
  }

  /** Why the present connection is cut from this side; null when it is not. */
  get cutReason(): string | null {
    return this.#overflowed
      ? `the peer does not read: no room for more beyond the ${this.#maxPendingBytes} bytes that may wait for it`
      : null;
  }

  attach(socket: Socket<unknown>): void {
    socket.setNoDelay(true);
    this.#socket = socket;
    this.#overflowed = false;
    const cut = (): void => queueMicrotask(() => void socket.terminate());
    this.#writer.attach(this.#fence === null ? socket : new FencedSocket(socket, this.#fence, cut));
  }

  detach(): void {
    this.#socket = null;
    this.#writer.attach(null);
  }

  /** When the peer reads so slowly that the buffer is full, the connection is cut after this turn. */
  write(bytes: Uint8Array, start: number, end: number): void {
    const socket = this.#socket;
    if (socket === null || this.#overflowed) return;
    if (this.#writer.write(bytes, start, end)) {
      this.bytesWritten += end - start;
      return;
    }
    this.#overflowed = true;
    this.unreadCuts += 1;
    queueMicrotask(() => socket.terminate());
  }

  /** @returns true when nothing waits any more. */
  flush(): boolean {
    return this.#writer.flush();
  }

  disconnect(): void {
    const socket = this.#socket;
    if (socket === null) return;
    this.#writer.flush();
    this.detach();
    socket.end();
    setTimeout(() => socket.terminate(), LINGER_MS).unref();
  }

  /** Cuts the connection without sending what waits. */
  cut(): void {
    const socket = this.#socket;
    this.detach();
    socket?.terminate();
  }
}
