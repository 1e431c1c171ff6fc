import type { Liveness } from "./liveness.ts";
import type { MessageLog } from "./message-log.ts";
import type { SessionCounters, SessionPort } from "./session-options.ts";

/** A session's port that counts what goes out and notes when, so that heartbeats fall due only in silence. */
export class Outgoing implements SessionPort {
  /** Time of the input being handled. */
  timeUs = 0;
  readonly #port: SessionPort;
  readonly #liveness: Liveness;
  readonly #counters: SessionCounters;
  readonly #log: MessageLog | null;

  constructor(port: SessionPort, liveness: Liveness, counters: SessionCounters, log: MessageLog | null) {
    this.#port = port;
    this.#liveness = liveness;
    this.#counters = counters;
    this.#log = log;
  }

  get pendingBytes(): number {
    return this.#port.pendingBytes;
  }

  write(bytes: Uint8Array, start: number, end: number): void {
    this.#counters.messagesOut += 1;
    this.#liveness.sent(this.timeUs);
    this.#log?.outgoing(bytes, start, end, this.timeUs);
    this.#port.write(bytes, start, end);
  }

  disconnect(reason: string): void {
    this.#port.disconnect(reason);
  }
}
