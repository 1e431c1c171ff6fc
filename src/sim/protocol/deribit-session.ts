import { type RpcAnswer, rpcError, rpcResult } from "./json-rpc.ts";

type Params = Readonly<Record<string, unknown>>;

/** What stands behind a Deribit server: the simulated market or a recorded session. */
export interface DeribitBackend<Session> {
  /** Result of `public/get_instruments`; null = no such currency. */
  instruments(currency: string, kind: string | undefined): readonly unknown[] | null;
  /** Starts a channel for the session. @returns false when there is no such channel; it is then left out of the answer. */
  subscribe(session: Session, channel: string): boolean;
  unsubscribe(session: Session, channel: string): boolean;
  channels(session: Session): string[];
  /**
   * What the backend answers to a method itself, before the session does; null = the session answers, `lost` = nobody does. Left
   * out by backends without accounts.
   */
  call?(session: Session, method: string, params: Params, timeUs: number): RpcAnswer | "lost" | null;
  /** Venue's clock, µs since the epoch. */
  timeUs(): number;
}

/** Deribit's error codes, as documented under "RPC Error Codes". */
export const DERIBIT_ERROR = {
  parse: -32_700,
  invalidRequest: -32_600,
  methodNotFound: -32_601,
  invalidParams: -32_602,
  tooManyRequests: 10_028,
} as const;

const VERSION = "1.2.26";
const MIN_HEARTBEAT_SECONDS = 10;

/**
 * The server's half of one Deribit connection: JSON-RPC calls, heartbeats, the test request that must be answered.
 * No I/O and no clock: texts and times in, texts out. `public/get_time` uses the venue's clock, heartbeats the local one.
 */
export class DeribitSession {
  readonly #backend: DeribitBackend<DeribitSession>;
  #heartbeatUs = 0;
  #nextHeartbeatUs = 0;
  #testRequested = false;

  constructor(backend: DeribitBackend<DeribitSession>) {
    this.#backend = backend;
  }

  /** @returns the answer to one client message; null = it is not answered */
  onMessage(text: string, timeUs: number): string | null {
    let message: unknown;
    try {
      message = JSON.parse(text);
    } catch {
      return this.#write({ error: rpcError(DERIBIT_ERROR.parse, "Parse error") }, null);
    }
    if (typeof message !== "object" || message === null || !("method" in message)) {
      return this.#write({ error: rpcError(DERIBIT_ERROR.invalidRequest, "Invalid Request") }, null);
    }
    const id =
      "id" in message && (typeof message.id === "number" || typeof message.id === "string")
        ? message.id
        : null;
    const params = "params" in message && isParams(message.params) ? message.params : {};
    const method = String(message.method);
    const own = this.#backend.call?.(this, method, params, timeUs) ?? this.call(method, params, timeUs);
    return own === "lost" ? null : this.#write(own, id);
  }

  /** Performs one method; also used for `GET /api/v2/<method>?…`. */
  call(method: string, params: Params, timeUs: number): RpcAnswer {
    switch (method) {
      case "public/hello":
      case "public/test":
        this.#testRequested = false;
        return { result: { version: VERSION } };
      case "public/get_time":
        return { result: Math.floor(this.#backend.timeUs() / 1_000) };
      case "public/set_heartbeat":
        return this.#setHeartbeat(params, timeUs);
      case "public/disable_heartbeat":
        this.#heartbeatUs = 0;
        return { result: "ok" };
      case "public/get_instruments":
        return this.#instruments(params);
      case "public/subscribe":
        return this.#channels(params, (channel) => this.#backend.subscribe(this, channel));
      case "public/unsubscribe":
        return this.#channels(params, (channel) => this.#backend.unsubscribe(this, channel));
      case "public/unsubscribe_all":
        for (const channel of this.#backend.channels(this)) this.#backend.unsubscribe(this, channel);
        return { result: "ok" };
      default:
        return { error: rpcError(DERIBIT_ERROR.methodNotFound, "Method not found") };
    }
  }

  /** Heartbeats that are due. @returns false when a test request went unanswered: the connection must be closed. */
  onTimer(timeUs: number, send: (text: string) => void): boolean {
    if (this.#heartbeatUs === 0 || timeUs < this.#nextHeartbeatUs) return true;
    if (this.#testRequested) return false;
    this.#nextHeartbeatUs = timeUs + this.#heartbeatUs;
    this.#testRequested = true;
    send('{"jsonrpc":"2.0","method":"heartbeat","params":{"type":"heartbeat"}}');
    send('{"jsonrpc":"2.0","method":"heartbeat","params":{"type":"test_request"}}');
    return true;
  }

  #setHeartbeat(params: Params, timeUs: number): RpcAnswer {
    const seconds = params.interval;
    if (typeof seconds !== "number" || !(seconds >= MIN_HEARTBEAT_SECONDS)) {
      return {
        error: rpcError(DERIBIT_ERROR.invalidParams, "Invalid params", "interval", "must be at least 10"),
      };
    }
    this.#heartbeatUs = seconds * 1_000_000;
    this.#nextHeartbeatUs = timeUs + this.#heartbeatUs;
    this.#testRequested = false;
    return { result: "ok" };
  }

  #instruments(params: Params): RpcAnswer {
    const currency = params.currency;
    const kind = params.kind;
    const found =
      typeof currency === "string"
        ? this.#backend.instruments(currency, typeof kind === "string" ? kind : undefined)
        : null;
    if (found === null) {
      return {
        error: rpcError(DERIBIT_ERROR.invalidParams, "Invalid params", "currency", "no such currency"),
      };
    }
    return { result: found };
  }

  #channels(params: Params, act: (channel: string) => boolean): RpcAnswer {
    const channels = params.channels;
    if (!Array.isArray(channels) || !channels.every((channel) => typeof channel === "string")) {
      return {
        error: rpcError(
          DERIBIT_ERROR.invalidParams,
          "Invalid params",
          "channels",
          "must be an array of strings",
        ),
      };
    }
    return { result: channels.filter(act) };
  }

  #write(answer: RpcAnswer, id: number | string | null): string {
    return rpcResult(answer, id, this.#backend.timeUs());
  }
}

function isParams(value: unknown): value is Params {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
