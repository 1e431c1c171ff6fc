import type { FeedPort } from "./feed.ts";

/** What the runtime does with what comes in from the network. */
export interface LiveFeedCallbacks {
  onOpen(feed: number): void;
  onFrame(feed: number, text: string): void;
  /** The connection was lost or could not be made. Not called for a connection that the feed itself gave up. */
  onClose(feed: number, code: number, reason: string): void;
  /** `status` 0 = no answer came, `body` says why; `retryAfterMs` NaN = the answer carried no Retry-After. */
  onResponse(feed: number, request: number, status: number, body: string, retryAfterMs: number): void;
}

/** Where a feed is connected to. */
export interface FeedEndpoint {
  readonly webSocketUrl: string;
  readonly restUrl: string;
}

export interface LiveFeedPortOptions {
  /** By feed number. */
  readonly endpoints: ReadonlyMap<number, FeedEndpoint>;
  readonly callbacks: LiveFeedCallbacks;
  readonly requestTimeoutMs?: number;
}

const REQUEST_TIMEOUT_MS = 10_000;
/** The largest REST answer that is read; exchangeInfo of USDⓈ-M has about 1 MB. */
const MAX_BODY_BYTES = 64 * 1_024 * 1_024;

/**
 * The network behind feeds: Bun's WebSocket client (without permessage-deflate, which costs 128 kB and a copy per message)
 * and fetch. A feed has at most one socket; one that was given up is detached first, so nothing of it reaches the feed.
 */
export class LiveFeedPort implements FeedPort {
  readonly #endpoints: ReadonlyMap<number, FeedEndpoint>;
  readonly #callbacks: LiveFeedCallbacks;
  readonly #requestTimeoutMs: number;
  readonly #sockets = new Map<number, WebSocket>();
  readonly #requests = new Set<AbortController>();
  #closed = false;

  constructor(options: LiveFeedPortOptions) {
    this.#endpoints = options.endpoints;
    this.#callbacks = options.callbacks;
    this.#requestTimeoutMs = options.requestTimeoutMs ?? REQUEST_TIMEOUT_MS;
  }

  connect(feed: number): void {
    this.disconnect(feed, "replaced by a new connection");
    const endpoint = this.#endpoints.get(feed);
    if (endpoint === undefined || this.#closed) {
      const why = this.#closed ? "the port is closed" : `feed ${feed} has no endpoint`;
      queueMicrotask(() => this.#callbacks.onClose(feed, 1_006, why));
      return;
    }
    const socket = new WebSocket(endpoint.webSocketUrl, { perMessageDeflate: false });
    this.#sockets.set(feed, socket);
    const isCurrent = (): boolean => this.#sockets.get(feed) === socket;
    socket.binaryType = "nodebuffer";
    socket.onopen = () => {
      if (isCurrent()) this.#callbacks.onOpen(feed);
    };
    socket.onmessage = ({ data }: MessageEvent<string | Buffer>) => {
      if (isCurrent()) this.#callbacks.onFrame(feed, typeof data === "string" ? data : data.toString("utf8"));
    };
    socket.onclose = ({ code, reason }) => {
      if (!isCurrent()) return;
      this.#sockets.delete(feed);
      this.#callbacks.onClose(feed, code, reason);
    };
  }

  send(feed: number, text: string): void {
    const socket = this.#sockets.get(feed);
    if (socket?.readyState === WebSocket.OPEN) socket.send(text);
  }

  /** Drops the connection at once, without waiting for a peer that may be gone. */
  disconnect(feed: number, _reason: string): void {
    const socket = this.#sockets.get(feed);
    if (socket === undefined) return;
    this.#sockets.delete(feed);
    socket.terminate();
  }

  request(feed: number, request: number, path: string): void {
    void this.#fetch(feed, request, path);
  }

  /** Drops every connection and request; nothing is called back afterwards. */
  close(): void {
    this.#closed = true;
    for (const feed of [...this.#sockets.keys()]) this.disconnect(feed, "shutdown");
    for (const request of this.#requests) request.abort();
  }

  async #fetch(feed: number, request: number, path: string): Promise<void> {
    const abort = new AbortController();
    const timer = setTimeout(() => abort.abort(), this.#requestTimeoutMs);
    this.#requests.add(abort);
    let status = 0;
    let body = "";
    let retryAfterMs = Number.NaN;
    try {
      const base = this.#endpoints.get(feed)?.restUrl;
      if (base === undefined) throw new Error(`feed ${feed} has no endpoint`);
      const response = await fetch(base + path, { signal: abort.signal, redirect: "error" });
      const length = Number(response.headers.get("content-length") ?? "0");
      if (length > MAX_BODY_BYTES)
        throw new Error(`an answer of ${length} bytes, expected at most ${MAX_BODY_BYTES}`);
      body = await response.text();
      retryAfterMs = readRetryAfter(response.headers.get("retry-after"));
      status = response.status;
    } catch (error) {
      status = 0;
      body = abort.signal.aborted ? `no answer within ${this.#requestTimeoutMs} ms` : String(error);
    } finally {
      clearTimeout(timer);
      this.#requests.delete(abort);
    }
    if (!this.#closed) this.#callbacks.onResponse(feed, request, status, body, retryAfterMs);
  }
}

/** Seconds of a Retry-After header as milliseconds; NaN when there is none. Both venues send seconds, never dates. */
export function readRetryAfter(header: string | null): number {
  return header !== null && /^\d{1,7}$/.test(header.trim()) ? Number(header) * 1_000 : Number.NaN;
}
