import type { Rng } from "../../core/rng.ts";

/** Limits a fault to channels (streams, paths) that contain this text; left out, it meets every channel. */
interface FaultScope {
  readonly channel?: string;
}

/** Trouble as real venues make it. Counted faults meet the next `count` data frames in their scope, one fault a frame. */
export type Fault =
  /** The frame never leaves: the client sees a sequence gap. */
  | ({ readonly kind: "drop"; readonly count: number } & FaultScope)
  /** The frame is sent twice. */
  | ({ readonly kind: "duplicate"; readonly count: number } & FaultScope)
  /** Characters in the middle of the frame are replaced by noise: no longer JSON. */
  | ({ readonly kind: "garble"; readonly count: number } & FaultScope)
  /** Only the first half of the frame is sent. */
  | ({ readonly kind: "half"; readonly count: number } & FaultScope)
  /** Nothing is sent for `forMs` and what would have been sent is lost. `control: false` lets heartbeats and answers through. */
  | ({ readonly kind: "freeze"; readonly forMs: number; readonly control: boolean } & FaultScope)
  /** Every socket is closed at once. */
  | { readonly kind: "disconnect"; readonly code: number; readonly reason: string }
  /** Requests (and new connections) are answered with `status` for `forMs`, with a Retry-After header in whole seconds. */
  | ({
      readonly kind: "refuse";
      readonly status: number;
      readonly forMs: number;
      readonly retryAfterSeconds: number;
    } & FaultScope);

export type FaultKind = Fault["kind"];

/** How often each fault has taken effect: frames for the frame faults, frames lost for `freeze`, requests for `refuse`. */
export type FaultCounters = Record<FaultKind, number>;

/** How a request is refused. */
export interface Refusal {
  readonly status: number;
  readonly retryAfterSeconds: number;
}

type CountedFault = Extract<Fault, { readonly count: number }>;
type TimedFault = Extract<Fault, { readonly forMs: number }>;

const MAX_PENDING = 1_024;
/** A raw control character is legal nowhere in JSON, so one of them makes any frame invalid wherever it lands. */
const BREAKER = "\u0001";
const NOISE = '#%~}{]["';

/**
 * Decides what a venue server does to each frame and request. Pure: times come as parameters, noise from the given generator,
 * so a run with the same faults at the same times is the same run.
 */
export class FaultInjector {
  readonly counters: FaultCounters = {
    drop: 0,
    duplicate: 0,
    garble: 0,
    half: 0,
    freeze: 0,
    disconnect: 0,
    refuse: 0,
  };
  readonly #rng: Rng;
  readonly #disconnectAll: (code: number, reason: string) => void;
  readonly #counted: { fault: CountedFault; left: number }[] = [];
  readonly #timed: { fault: TimedFault; untilUs: number }[] = [];

  /** @param disconnectAll closes every client's socket; called from `inject`. */
  constructor(rng: Rng, disconnectAll: (code: number, reason: string) => void) {
    this.#rng = rng;
    this.#disconnectAll = disconnectAll;
  }

  /** Takes effect from `timeUs`. @returns false when too many faults wait already and this one was not taken. */
  inject(fault: Fault, timeUs: number): boolean {
    if (fault.kind === "disconnect") {
      this.counters.disconnect += 1;
      this.#disconnectAll(fault.code, fault.reason);
      return true;
    }
    if (this.#counted.length + this.#timed.length >= MAX_PENDING) return false;
    if (fault.kind === "freeze" || fault.kind === "refuse") {
      this.#timed.push({ fault, untilUs: timeUs + fault.forMs * 1_000 });
    } else if (fault.count > 0) {
      this.#counted.push({ fault, left: fault.count });
    }
    return true;
  }

  /** Ends what lasts. */
  lift(): void {
    this.#timed.length = 0;
  }

  /** True while any fault waits or lasts. */
  active(timeUs: number): boolean {
    this.#expire(timeUs);
    return this.#counted.length > 0 || this.#timed.length > 0;
  }

  /** Passes a data frame of `channel` on to `send`: as it is, altered, twice or not at all. */
  onFrame(channel: string, text: string, timeUs: number, send: (text: string) => void): void {
    if (this.#counted.length === 0 && this.#timed.length === 0) {
      send(text);
      return;
    }
    if (this.#frozen(channel, timeUs, false)) {
      this.counters.freeze += 1;
      return;
    }
    const fault = this.#take(channel);
    if (fault === null) {
      send(text);
      return;
    }
    this.counters[fault] += 1;
    if (fault === "duplicate") {
      send(text);
      send(text);
    } else if (fault === "garble") {
      send(this.#garble(text));
    } else if (fault === "half") {
      send(text.slice(0, text.length >> 1));
    }
  }

  /** Passes a heartbeat or an answer on to `send`; only a freeze that includes control traffic stops it. */
  onControl(channel: string, text: string, timeUs: number, send: (text: string) => void): void {
    if (this.#timed.length > 0 && this.#frozen(channel, timeUs, true)) this.counters.freeze += 1;
    else send(text);
  }

  /** @returns how the request (path, or a new WebSocket's path) is refused, or null when it is served. */
  onRequest(path: string, timeUs: number): Refusal | null {
    this.#expire(timeUs);
    for (const { fault } of this.#timed) {
      if (fault.kind !== "refuse" || !inScope(fault, path)) continue;
      this.counters.refuse += 1;
      return { status: fault.status, retryAfterSeconds: fault.retryAfterSeconds };
    }
    return null;
  }

  #take(channel: string): CountedFault["kind"] | null {
    for (let i = 0; i < this.#counted.length; i += 1) {
      const waiting = this.#counted[i];
      if (waiting === undefined || !inScope(waiting.fault, channel)) continue;
      waiting.left -= 1;
      if (waiting.left === 0) this.#counted.splice(i, 1);
      return waiting.fault.kind;
    }
    return null;
  }

  #frozen(channel: string, timeUs: number, control: boolean): boolean {
    this.#expire(timeUs);
    for (const { fault } of this.#timed) {
      if (fault.kind === "freeze" && (fault.control || !control) && inScope(fault, channel)) return true;
    }
    return false;
  }

  #expire(timeUs: number): void {
    for (let i = this.#timed.length - 1; i >= 0; i -= 1) {
      if ((this.#timed[i]?.untilUs ?? 0) <= timeUs) this.#timed.splice(i, 1);
    }
  }

  #garble(text: string): string {
    const from = 1 + this.#rng.int(Math.max(1, text.length >> 1));
    let noise = BREAKER;
    for (let i = 0; i < 4; i += 1) noise += NOISE[this.#rng.int(NOISE.length)];
    return text.slice(0, from) + noise + text.slice(from + noise.length);
  }
}

function inScope(fault: FaultScope, channel: string): boolean {
  return fault.channel === undefined || channel.includes(fault.channel);
}
