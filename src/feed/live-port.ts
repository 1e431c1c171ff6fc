import type { FeedPort } from "./feed.ts";
import type { VenueLogin, VenueLogins } from "./venue-login.ts";

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

/** A way for frames to come that is no venue's WebSocket. It calls back as a connection would. */
export interface FeedSource {
  connect(feed: number, callbacks: LiveFeedCallbacks): void;
  disconnect(feed: number): void;
  /** Nothing is called back afterwards. */
  close(): void;
}

export interface LiveFeedPortOptions {
  /** By feed number. Null: never connected, because what comes for this feed comes another way. */
  readonly endpoints: ReadonlyMap<number, FeedEndpoint | FeedSource | null>;
  readonly callbacks: LiveFeedCallbacks;
  readonly requestTimeoutMs?: number;
  /** Of feeds whose venue asks for a login, by feed number. */
  readonly logins?: VenueLogins;
}

const REQUEST_TIMEOUT_MS = 10_000;
const LOGIN_TIMEOUT_MS = 10_000;
/** Close code that the feed is told of a connection whose login came to nothing; 4xxx: private use. */
const LOGIN_REFUSED = 4_003;
/** The largest REST answer that is read; exchangeInfo of USDⓈ-M has about 1 MB. */
const MAX_BODY_BYTES = 64 * 1_024 * 1_024;

/**
 * The network behind feeds: Bun's WebSocket client (without permessage-deflate, which costs 128 kB and a copy per message)
 * and fetch. A feed has at most one socket; one that was given up is detached first, so nothing of it reaches the feed.
 */
export class LiveFeedPort implements FeedPort {
  readonly #endpoints: ReadonlyMap<number, FeedEndpoint | FeedSource | null>;
  readonly #callbacks: LiveFeedCallbacks;
  readonly #requestTimeoutMs: number;
  readonly #logins: VenueLogins;
  readonly #sockets = new Map<number, WebSocket>();
  readonly #loginOf = new Map<number, VenueLogin>();
  readonly #loggedIn = new Set<number>();
  readonly #loginTimers = new Map<number, ReturnType<typeof setTimeout>>();
  readonly #requests = new Set<AbortController>();
  #closed = false;

  constructor(options: LiveFeedPortOptions) {
    this.#endpoints = options.endpoints;
    this.#callbacks = options.callbacks;
    this.#logins = options.logins ?? new Map();
    this.#requestTimeoutMs = options.requestTimeoutMs ?? REQUEST_TIMEOUT_MS;
  }

  connect(feed: number): void {
    this.disconnect(feed, "replaced by a new connection");
    const endpoint = this.#endpoints.get(feed);
    if (endpoint === null) return;
    if (endpoint === undefined || this.#closed) {
      const why = this.#closed ? "the port is closed" : `feed ${feed} has no endpoint`;
      queueMicrotask(() => this.#callbacks.onClose(feed, 1_006, why));
      return;
    }
    if ("connect" in endpoint) {
      endpoint.connect(feed, this.#callbacks);
      return;
    }
    const socket = new WebSocket(endpoint.webSocketUrl, { perMessageDeflate: false });
    this.#sockets.set(feed, socket);
    const isCurrent = (): boolean => this.#sockets.get(feed) === socket;
    socket.binaryType = "nodebuffer";
    const login = this.#logins.get(feed)?.();
    if (login !== undefined) this.#loginOf.set(feed, login);
    socket.onopen = () => {
      if (!isCurrent()) return;
      const hello = login?.hello(Date.now()) ?? null;
      if (hello === null) this.#callbacks.onOpen(feed);
      else {
        socket.send(hello);
        this.#after(feed, LOGIN_TIMEOUT_MS, () => this.#refused(feed, "the login was not answered"));
      }
    };
    socket.onmessage = ({ data }: MessageEvent<string | Buffer>) => {
      if (!isCurrent()) return;
      const frame = typeof data === "string" ? data : data.toString("utf8");
      if (login === undefined || !this.#isLogins(feed, login, frame)) this.#callbacks.onFrame(feed, frame);
    };
    socket.onclose = ({ code, reason }) => {
      if (!isCurrent()) return;
      this.#forget(feed);
      this.#callbacks.onClose(feed, code, reason);
    };
  }

  send(feed: number, text: string): void {
    const socket = this.#sockets.get(feed);
    if (socket?.readyState !== WebSocket.OPEN) return;
    socket.send(this.#loginOf.get(feed)?.outgoing(text, Date.now()) ?? text);
  }

  /** Drops the connection at once, without waiting for a peer that may be gone. */
  disconnect(feed: number, _reason: string): void {
    const endpoint = this.#endpoints.get(feed);
    if (endpoint !== undefined && endpoint !== null && "connect" in endpoint) endpoint.disconnect(feed);
    const socket = this.#sockets.get(feed);
    if (socket === undefined) return;
    this.#forget(feed);
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
    for (const endpoint of this.#endpoints.values())
      if (endpoint !== null && "connect" in endpoint) endpoint.close();
  }

  /** @returns whether the frame is the login's own: then nobody else sees it */
  #isLogins(feed: number, login: VenueLogin, frame: string): boolean {
    const word = login.onFrame(frame);
    if (word === "pass") return false;
    if (word === "granted") {
      const isFirst = !this.#loggedIn.has(feed);
      this.#loggedIn.add(feed);
      this.#after(feed, login.dueMs - Date.now(), () => {
        this.#sockets.get(feed)?.send(login.refresh(Date.now()));
        this.#after(feed, LOGIN_TIMEOUT_MS, () => this.#refused(feed, "the login was not answered"));
      });
      if (isFirst) this.#callbacks.onOpen(feed);
    } else if (word !== "kept") this.#refused(feed, word.refused);
    return true;
  }

  /** The feed is told as of any connection that was lost, and comes back after its own delay. */
  #refused(feed: number, reason: string): void {
    this.disconnect(feed, reason);
    this.#callbacks.onClose(feed, LOGIN_REFUSED, reason);
  }

  #after(feed: number, delayMs: number, act: () => void): void {
    clearTimeout(this.#loginTimers.get(feed));
    if (Number.isFinite(delayMs)) this.#loginTimers.set(feed, setTimeout(act, Math.max(0, delayMs)));
  }

  #forget(feed: number): void {
    this.#sockets.delete(feed);
    this.#loginOf.delete(feed);
    this.#loggedIn.delete(feed);
    clearTimeout(this.#loginTimers.get(feed));
    this.#loginTimers.delete(feed);
  }

  async #fetch(feed: number, request: number, path: string): Promise<void> {
    const abort = new AbortController();
    const timer = setTimeout(() => abort.abort(), this.#requestTimeoutMs);
    this.#requests.add(abort);
    let status = 0;
    let body = "";
    let retryAfterMs = Number.NaN;
    try {
      const endpoint = this.#endpoints.get(feed) ?? null;
      const base = endpoint !== null && "restUrl" in endpoint ? endpoint.restUrl : undefined;
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
