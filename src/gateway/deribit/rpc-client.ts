import type { Clock } from "../../core/clock.ts";
import { Rng } from "../../core/rng.ts";
import { type DeribitCredentials, Login } from "../../feed/deribit/login.ts";
import { Backoff } from "../fix/backoff.ts";
import { type Pool, poolOf, type RequestBudget } from "./credits.ts";
import { isRecord } from "./json.ts";
import { actionOf, RpcError } from "./rpc-error.ts";
import { notSent, WaitingCalls } from "./waiting-calls.ts";

export interface RpcClientOptions {
  readonly url: string;
  readonly credentials: DeribitCredentials;
  readonly clock: Clock;
  readonly seed: number;
  readonly budget: RequestBudget;
  /** A request without an answer for this long is of unknown outcome. */
  readonly timeoutMs: number;
  /** At least 10, which the venue asks for. */
  readonly heartbeatSeconds: number;
  readonly reconnectFirstMs: number;
  readonly reconnectCapMs: number;
  /** Asked right before a request leaves that changes anything at the venue; false = it does not leave. Left out: every one may. */
  readonly mayChange?: () => boolean;
}

/** Exactly one of these is called for every request that was sent. */
export interface AnswerHandler {
  onResult(result: unknown, timeUs: number): void;
  onError(code: number, message: string, timeUs: number): void;
  /**
   * No answer came in time, or the connection broke, or the venue answered `code`, which leaves it open: whether the request has
   * been carried out is not known.
   */
  onUnknown(reason: string, timeUs: number, code?: number): void;
}

export interface RpcClientEvents {
  /** Logged in, with heartbeats on. */
  onLogin(timeUs: number): void;
  /** The connection is gone. Called once for each {@link onLogin}. */
  onLost(reason: string, timeUs: number): void;
  onNotification(channel: string, data: unknown, timeUs: number): void;
  /** A request was held back because this process may change nothing at the venue now. */
  onHeldBack?(timeUs: number): void;
  onProblem(text: string, timeUs: number): void;
}

export interface RpcClientCounters {
  connects: number;
  connectFailures: number;
  logins: number;
  refreshes: number;
  requests: number;
  answers: number;
  errors: number;
  timeouts: number;
  lateAnswers: number;
  badMessages: number;
  heartbeats: number;
}

interface Pending {
  readonly method: string;
  readonly pool: Pool;
  readonly deadlineUs: number;
  readonly handler: AnswerHandler;
}

const MAX_PENDING = 1_024;
const MAX_FRAME_CHARS = 16 * 1_024 * 1_024;
const CONNECT_TIMEOUT_US = 10e6;
/** Heartbeat intervals without a word from the venue after which the connection is dead. */
const SILENT_INTERVALS = 2.5;
const SHOWN_CHARS = 200;
/** Requests that read, or concern the connection alone. */
const CHANGES_NOTHING = /^(public\/|private\/(get_|subscribe$|unsubscribe$))/;

/**
 * JSON-RPC over one WebSocket: connects again and again with a back-off, logs in, refreshes the token before it dies, answers
 * test requests, counts requests against the venue's budget, and gives every request an outcome. What the venue sends and cannot
 * be read may have been a fill: the connection is then cut and begun anew.
 */
export class RpcClient {
  readonly counters: RpcClientCounters = {
    connects: 0,
    connectFailures: 0,
    logins: 0,
    refreshes: 0,
    requests: 0,
    answers: 0,
    errors: 0,
    timeouts: 0,
    lateAnswers: 0,
    badMessages: 0,
    heartbeats: 0,
  };
  readonly #options: RpcClientOptions;
  readonly #events: RpcClientEvents;
  readonly #login: Login;
  readonly #backoff: Backoff;
  readonly #pending = new Map<number, Pending>();
  readonly #waiting = new WaitingCalls((method, params, handler, timeUs) => {
    if (!this.allows(method, timeUs)) return "noCredit";
    return this.send(method, null, params, handler, timeUs) ? "sent" : "heldBack";
  });
  #socket: WebSocket | null = null;
  #open = false;
  #loggedIn = false;
  #stopped = false;
  #nextId = 1;
  #sinceUs = 0;
  #heardUs = 0;
  #retryAtUs = Number.POSITIVE_INFINITY;

  constructor(options: RpcClientOptions, events: RpcClientEvents) {
    this.#options = options;
    this.#events = events;
    this.#login = new Login(options.credentials);
    this.#backoff = new Backoff(options.reconnectFirstMs, options.reconnectCapMs, new Rng(options.seed));
  }

  get loggedIn(): boolean {
    return this.#loggedIn;
  }

  /** Requests without an answer so far. */
  get pending(): number {
    return this.#pending.size;
  }

  connect(timeUs: number): void {
    if (this.#socket !== null || this.#stopped) return;
    this.#retryAtUs = Number.POSITIVE_INFINITY;
    this.#sinceUs = timeUs;
    const socket = new WebSocket(this.#options.url, { perMessageDeflate: false });
    this.#socket = socket;
    const now = (): number => this.#options.clock.wallUs();
    socket.onopen = () => {
      if (this.#socket === socket) this.#onOpen(now());
    };
    socket.onmessage = ({ data }: MessageEvent<string | ArrayBuffer | Buffer>) => {
      if (this.#socket === socket) this.#onMessage(data, now());
    };
    socket.onclose = ({ code, reason }) => {
      if (this.#socket === socket)
        this.#lost(`connection closed (${code}${reason === "" ? "" : ` ${reason}`})`, now());
    };
  }

  /** Ends the connection at once; the next one follows after the back-off. */
  cut(reason: string, timeUs: number): void {
    this.#lost(reason, timeUs);
  }

  onTimer(timeUs: number): void {
    if (this.#stopped) return;
    if (this.#socket === null) {
      if (timeUs >= this.#retryAtUs) this.connect(timeUs);
      return;
    }
    if (!this.#loggedIn) {
      if (timeUs - this.#sinceUs >= CONNECT_TIMEOUT_US) this.cut("no login within 10 s", timeUs);
      return;
    }
    if (timeUs - this.#heardUs > this.#options.heartbeatSeconds * SILENT_INTERVALS * 1e6) {
      this.cut(`nothing was heard for ${this.#options.heartbeatSeconds * SILENT_INTERVALS} s`, timeUs);
      return;
    }
    if (timeUs >= this.#login.refreshUs) this.#authenticate(timeUs);
    this.#expire(timeUs);
    this.flush(timeUs);
  }

  /** Connects at once where the next attempt would wait. */
  hurry(timeUs: number): void {
    if (this.#socket === null) this.connect(timeUs);
  }

  /** The budget of the method's pool has room for a request now. */
  allows(method: string, timeUs: number): boolean {
    return (
      this.#loggedIn && this.#pending.size < MAX_PENDING && this.#options.budget.has(poolOf(method), timeUs)
    );
  }

  /** The id that the next request will carry, for texts that are prepared before. */
  get nextId(): number {
    return this.#nextId;
  }

  /**
   * Sends a request at once.
   *
   * @param text the whole message, which carries {@link nextId}; null = written from `params`
   * @returns false when it was not sent, for certain: no login, no credit, or held back
   */
  send(
    method: string,
    text: string | null,
    params: Readonly<Record<string, unknown>>,
    handler: AnswerHandler,
    timeUs: number,
  ): boolean {
    if (!this.allows(method, timeUs) || this.#heldBack(method, timeUs)) return false;
    this.#options.budget.take(poolOf(method), timeUs);
    this.#write(method, text, params, handler, timeUs);
    return true;
  }

  /**
   * Sends a request as soon as there is credit for it.
   *
   * @throws RpcError when the venue refuses it, UnknownOutcomeError when no answer came, KeelError when it was not sent
   */
  call(method: string, params: Readonly<Record<string, unknown>>, timeUs: number): Promise<unknown> {
    if (!this.#loggedIn) return Promise.reject(notSent(method, "no login"));
    const answer = this.#waiting.add(method, params, timeUs + this.#options.timeoutMs * 1_000);
    this.flush(timeUs);
    return answer;
  }

  /** Sends what waits for credit, in order within each pool. */
  flush(timeUs: number): void {
    this.#waiting.flush(timeUs);
  }

  #heldBack(method: string, timeUs: number): boolean {
    const { mayChange } = this.#options;
    if (mayChange === undefined || CHANGES_NOTHING.test(method) || mayChange()) return false;
    this.#events.onHeldBack?.(timeUs);
    return true;
  }

  /** Closes for good. Requests under way end as unknown. */
  stop(timeUs: number): void {
    this.#stopped = true;
    this.#lost("stopped", timeUs);
  }

  redact(text: string): string {
    return this.#login.redact(text);
  }

  #onOpen(timeUs: number): void {
    this.#open = true;
    this.#heardUs = timeUs;
    this.counters.connects += 1;
    this.#authenticate(timeUs);
  }

  #authenticate(timeUs: number): void {
    const params = this.#login.params(timeUs);
    const isRefresh = params.grant_type === "refresh_token";
    this.#login.asked();
    const failed = (why: string, atUs: number): void => {
      this.#events.onProblem(`login refused: ${this.redact(why)}`, atUs);
      if (isRefresh) {
        this.#login.forget();
        this.#authenticate(atUs);
      } else this.cut("login refused", atUs);
    };
    this.#write(
      "public/auth",
      null,
      params,
      {
        onResult: (result, atUs) => {
          if (!this.#login.granted(result, atUs)) failed("the answer is no grant", atUs);
          else if (isRefresh || this.#loggedIn) this.counters.refreshes += 1;
          else this.#onGranted(atUs);
        },
        onError: (code, message, atUs) => failed(`${code} ${message}`, atUs),
        onUnknown: (_reason, atUs) => this.cut("the login was not answered", atUs),
      },
      timeUs,
    );
  }

  #onGranted(timeUs: number): void {
    this.#loggedIn = true;
    this.counters.logins += 1;
    this.#backoff.reset();
    const interval = this.#options.heartbeatSeconds;
    this.call("public/set_heartbeat", { interval }, timeUs).catch((error: unknown) => {
      if (this.#loggedIn && error instanceof RpcError) this.cut(error.message, this.#options.clock.wallUs());
    });
    this.#events.onLogin(timeUs);
  }

  #write(
    method: string,
    text: string | null,
    params: Readonly<Record<string, unknown>>,
    handler: AnswerHandler,
    timeUs: number,
  ): void {
    const id = this.#nextId;
    this.#nextId += 1;
    this.counters.requests += 1;
    const deadlineUs = timeUs + this.#options.timeoutMs * 1_000;
    this.#pending.set(id, { method, pool: poolOf(method), deadlineUs, handler });
    this.#socket?.send(text ?? JSON.stringify({ jsonrpc: "2.0", id, method, params }));
  }

  #onMessage(data: string | ArrayBuffer | Buffer, timeUs: number): void {
    this.#heardUs = timeUs;
    if (typeof data !== "string") this.#garbage("a binary frame", timeUs);
    else if (data.length > MAX_FRAME_CHARS) this.#garbage(`a frame of ${data.length} characters`, timeUs);
    else if (!this.#read(data, timeUs)) this.#garbage(JSON.stringify(data.slice(0, SHOWN_CHARS)), timeUs);
  }

  /** @returns false when the frame is nothing that the venue should send */
  #read(frame: string, timeUs: number): boolean {
    let message: unknown;
    try {
      message = JSON.parse(frame);
    } catch {
      return false;
    }
    if (!isRecord(message)) return false;
    if (typeof message.id === "number") this.#onAnswer(message.id, message, timeUs);
    else if (message.method === "heartbeat") this.#onHeartbeat(message.params);
    else {
      const { method, params } = message;
      if (method !== "subscription" || !isRecord(params) || typeof params.channel !== "string") return false;
      this.#events.onNotification(params.channel, params.data, timeUs);
    }
    return true;
  }

  #onHeartbeat(params: unknown): void {
    this.counters.heartbeats += 1;
    if (!isRecord(params) || params.type !== "test_request") return;
    this.#socket?.send('{"jsonrpc":"2.0","id":0,"method":"public/test","params":{}}');
  }

  #onAnswer(id: number, message: Readonly<Record<string, unknown>>, timeUs: number): void {
    const pending = this.#pending.get(id);
    if (pending === undefined) {
      if (id !== 0) this.counters.lateAnswers += 1;
      return;
    }
    this.#pending.delete(id);
    this.counters.answers += 1;
    const { budget } = this.#options;
    if (!isRecord(message.error)) {
      if (!("result" in message)) {
        pending.handler.onUnknown("an answer with neither result nor error", timeUs);
        return;
      }
      budget.succeeded(pending.pool);
      pending.handler.onResult(message.result, timeUs);
      return;
    }
    this.counters.errors += 1;
    const code = typeof message.error.code === "number" ? message.error.code : 0;
    const text = this.redact(errorText(message.error));
    const action = actionOf(code);
    if (action === "retry" || action === "unknown") budget.refused(pending.pool, timeUs);
    if (action === "login" && pending.method !== "public/auth" && Number.isFinite(this.#login.refreshUs)) {
      this.#login.forget();
      this.#authenticate(timeUs);
    }
    if (action === "unknown") pending.handler.onUnknown(`${code} ${text}`, timeUs, code);
    else pending.handler.onError(code, text, timeUs);
  }

  #garbage(shown: string, timeUs: number): void {
    this.counters.badMessages += 1;
    this.#events.onProblem(`found ${this.redact(shown)}, expected a JSON-RPC message`, timeUs);
    this.cut("the venue sent what cannot be read", timeUs);
  }

  #expire(timeUs: number): void {
    for (const [id, pending] of this.#pending) {
      if (timeUs < pending.deadlineUs) continue;
      this.#pending.delete(id);
      this.counters.timeouts += 1;
      pending.handler.onUnknown(`no answer within ${this.#options.timeoutMs} ms`, timeUs);
    }
  }

  #lost(reason: string, timeUs: number): void {
    const socket = this.#socket;
    if (socket === null) return;
    const wasUp = this.#loggedIn;
    this.#socket = null;
    this.#loggedIn = false;
    if (!this.#open) {
      this.counters.connectFailures += 1;
      this.#events.onProblem(`cannot connect to ${this.#options.url}: ${reason}`, timeUs);
    }
    this.#open = false;
    this.#login.forget();
    this.#retryAtUs = this.#stopped ? Number.POSITIVE_INFINITY : timeUs + this.#backoff.nextDelayUs();
    socket.terminate();
    const pending = [...this.#pending.values()];
    this.#pending.clear();
    for (const { method, handler } of pending) {
      if (method !== "public/auth") handler.onUnknown(reason, timeUs);
    }
    this.#waiting.end(reason);
    if (wasUp) this.#events.onLost(reason, timeUs);
  }
}

function errorText(error: Readonly<Record<string, unknown>>): string {
  const message = typeof error.message === "string" ? error.message : "no message";
  const reason =
    isRecord(error.data) && typeof error.data.reason === "string" ? `: ${error.data.reason}` : "";
  return `${message}${reason}`.slice(0, SHOWN_CHARS);
}
