import { invariant } from "../core/invariant.ts";
import { EVENT, type EventBatch, TICKER_FIELDS } from "../market/event-batch.ts";
import { isObject, parseJson } from "./decoder.ts";
import { type FeedPort, FRAME, type FrameOutcome } from "./feed.ts";
import { ConnectionSupervisor, VERDICT } from "./supervisor.ts";

/** Most signals that a process takes; the desk holds one value for each. */
const MAX_SIGNALS = 64;

export interface SignalCounters {
  frames: number;
  unparsable: number;
  /** Values of names that are not configured. */
  ignored: number;
  overflows: number;
  reconnects: number;
}

export interface SignalFeedOptions {
  /** Dense number of the feed in this process, in the same numbering as the venues' feeds. */
  readonly id: number;
  /** Names in the order of their numbers, e.g. `["sentiment.btc"]`. */
  readonly names: readonly string[];
  readonly port: FeedPort;
  readonly seed: number;
}

/**
 * External signals over a WebSocket, one JSON object a frame: `{"signal":"sentiment.btc","value":0.3,"ts":1723161256172}`, `ts` in ms
 * since the epoch and optional. Each becomes a `signal` event of instrument −1 with the signal's number as `code` and its value as the
 * first value. Signals may be quiet for as long as they like: how old a value is, is for its user to judge.
 */
export class SignalFeed {
  readonly id: number;
  readonly names: readonly string[];
  readonly counters: SignalCounters = { frames: 0, unparsable: 0, ignored: 0, overflows: 0, reconnects: 0 };
  problem = "";
  readonly #numbers: ReadonlyMap<string, number>;
  readonly #connection: ConnectionSupervisor;

  constructor(options: SignalFeedOptions) {
    invariant(options.names.length <= MAX_SIGNALS, `${options.names.length} signals, at most ${MAX_SIGNALS}`);
    this.id = options.id;
    this.names = options.names;
    this.#numbers = new Map(options.names.map((name, number) => [name, number]));
    this.#connection = new ConnectionSupervisor({
      feed: options.id,
      port: options.port,
      seed: options.seed,
      silenceMs: Number.POSITIVE_INFINITY,
    });
  }

  start(timeUs: number): void {
    this.#connection.start(timeUs);
  }

  onOpen(timeUs: number): void {
    if (this.#connection.onOpen(timeUs) && this.#connection.opens > 1) this.counters.reconnects += 1;
  }

  onFrame(frame: string, out: EventBatch): FrameOutcome {
    this.counters.frames += 1;
    const message = parseJson(frame);
    if (!isObject(message) || typeof message.signal !== "string")
      return this.#refuse(frame, "a signal with a name");
    const number = this.#numbers.get(message.signal);
    if (number === undefined) {
      this.counters.ignored += 1;
      return FRAME.ignored;
    }
    const { value, ts } = message;
    if (typeof value !== "number" || !Number.isFinite(value)) return this.#refuse(frame, "a number as value");
    if (ts !== undefined && typeof ts !== "number") return this.#refuse(frame, "ms since the epoch as ts");
    const row = out.begin(EVENT.signal, -1, ts === undefined ? Number.NaN : ts * 1_000);
    if (row < 0) {
      this.counters.overflows += 1;
      return FRAME.overflow;
    }
    out.code[row] = number;
    out.values[row * TICKER_FIELDS] = value;
    return FRAME.ok;
  }

  onClose(code: number, reason: string, timeUs: number): void {
    if (!this.#connection.onClose(timeUs)) return;
    this.problem = `signals: connection closed with code ${code}${reason === "" ? "" : `: ${reason}`}`;
  }

  onTimer(timeUs: number): void {
    if (this.#connection.onTimer(timeUs) !== VERDICT.fine) this.#connection.drop("connect timed out", timeUs);
  }

  #refuse(frame: string, expected: string): FrameOutcome {
    this.counters.unparsable += 1;
    this.problem = `signals: found ${JSON.stringify(frame.slice(0, 80))}, expected ${expected}`;
    return FRAME.unparsable;
  }
}
