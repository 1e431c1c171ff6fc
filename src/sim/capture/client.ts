import type { ServerWebSocket } from "bun";

/** Bytes between two pings while a client is being paced by its acknowledgements. */
const PING_EVERY_BYTES = 64 * 1024;
/** A client that has not answered a ping for this long is no longer waited for. */
const PONG_TIMEOUT_MS = 2_000;

/**
 * One connected client. With `paced`, pings travel among the frames; the pong tells how far the client has really read, past
 * the megabytes that kernel buffers would swallow (RFC 6455, 5.5.3: a pong echoes its ping).
 */
export class CaptureClient {
  readonly url: URL;
  /** Recorded channel → the name under which the client asked for it. */
  readonly asked = new Map<string, string>();
  /** Binance: frames come wrapped with their stream's name. */
  combined = false;
  readonly #paced: boolean;
  #socket: ServerWebSocket<CaptureClient> | null = null;
  #sentBytes = 0;
  #pingedBytes = 0;
  #readBytes = 0;
  #pongDueMs = Number.POSITIVE_INFINITY;
  #answersPings = true;

  constructor(url: URL, paced: boolean) {
    this.url = url;
    this.#paced = paced;
  }

  opened(socket: ServerWebSocket<CaptureClient>): void {
    this.#socket = socket;
  }

  closed(): void {
    this.#socket = null;
    this.asked.clear();
  }

  /** @returns false when the connection is gone. */
  send(text: string): boolean {
    const socket = this.#socket;
    if (socket === null || socket.send(text) === 0) return false;
    this.#sentBytes += text.length;
    if (this.#sentBytes - this.#pingedBytes >= PING_EVERY_BYTES) this.ask();
    return true;
  }

  /** Asks a paced client to say how far it has read, unless it has been asked since the last frame. */
  ask(): void {
    const asksNothing = !this.#paced || !this.#answersPings || this.#pingedBytes === this.#sentBytes;
    if (this.#socket === null || asksNothing) return;
    this.#pingedBytes = this.#sentBytes;
    this.#socket.ping(String(this.#sentBytes));
    if (this.#pongDueMs === Number.POSITIVE_INFINITY) this.#pongDueMs = performance.now() + PONG_TIMEOUT_MS;
  }

  /** The client has not said yet that it has read all that was sent. */
  get isBehind(): boolean {
    return this.#socket !== null && this.#paced && this.#answersPings && this.#readBytes < this.#sentBytes;
  }

  onPong(payload: string): void {
    const bytes = Number(payload);
    if (!Number.isSafeInteger(bytes) || bytes <= this.#readBytes || bytes > this.#sentBytes) return;
    this.#readBytes = bytes;
    const caughtUp = bytes === this.#pingedBytes;
    this.#pongDueMs = caughtUp ? Number.POSITIVE_INFINITY : performance.now() + PONG_TIMEOUT_MS;
  }

  /** Bytes that the client has not been seen to read; up to a ping's interval of them are normal. */
  backlogBytes(): number {
    const socket = this.#socket;
    if (socket === null) return 0;
    if (performance.now() > this.#pongDueMs) this.#answersPings = false;
    const unread = this.#paced && this.#answersPings ? this.#pingedBytes - this.#readBytes : 0;
    return Math.max(unread, socket.getBufferedAmount());
  }

  close(code: number, reason: string): void {
    this.#socket?.close(code, reason);
  }

  /** Drops the connection without a close handshake, as a network does. */
  terminate(): void {
    this.#socket?.terminate();
  }
}
