/** What {@link Liveness.due} asks for. */
export const DUE = { nothing: 0, heartbeat: 1, testRequest: 2, timeout: 3 } as const;

/** A peer is asked for a sign of life after this many heartbeat intervals of silence, and given up after twice as many. */
const SILENCE_INTERVALS = 1.2;

/**
 * When to send a heartbeat, when to ask for one, when to give the peer up (FIX 4.4 volume 2, Heartbeat and Test Request).
 * While a test request is unanswered no heartbeat goes out (acceptance test 6).
 */
export class Liveness {
  #intervalUs = 0;
  #lastSentUs = 0;
  #lastReceivedUs = 0;
  #asked = false;

  /** `heartbeatSeconds` 0 = never anything due. */
  start(heartbeatSeconds: number, timeUs: number): void {
    this.#intervalUs = heartbeatSeconds * 1e6;
    this.#lastSentUs = timeUs;
    this.#lastReceivedUs = timeUs;
    this.#asked = false;
  }

  sent(timeUs: number): void {
    this.#lastSentUs = timeUs;
  }

  received(timeUs: number): void {
    this.#lastReceivedUs = timeUs;
    this.#asked = false;
  }

  /** The test request that was due has gone out. */
  asked(): void {
    this.#asked = true;
  }

  /** @returns one of {@link DUE}, the gravest first. */
  due(timeUs: number): number {
    const interval = this.#intervalUs;
    if (interval === 0) return DUE.nothing;
    const silenceUs = timeUs - this.#lastReceivedUs;
    if (silenceUs >= interval * SILENCE_INTERVALS * 2) return DUE.timeout;
    if (this.#asked) return DUE.nothing;
    if (silenceUs >= interval * SILENCE_INTERVALS) return DUE.testRequest;
    return timeUs - this.#lastSentUs >= interval ? DUE.heartbeat : DUE.nothing;
  }
}
