import { type CaptureEntry, CaptureReader } from "../../feed/capture.ts";

/** `max`: as fast as clients take it. A number: so many times as fast as recorded. */
export type PlaybackSpeed = number | "max";

/** Entries due this soon are played at once: below what a timer can tell apart. */
const SLACK_MS = 0.5;
/** Longest time without letting the event loop turn. */
const TURN_MS = 4;
/** Text played without letting the event loop turn. */
const TURN_BYTES = 64 * 1024;
/** Longest sleep, so that a stop is noticed. */
const SLEEP_MS_MAX = 250;

/** What playback asks of the server. */
export interface PlaybackHost {
  play(entry: CaptureEntry): void;
  /** Null when the next entry may be played; else resolves when it may: clients lag behind, or playback is paused. */
  room(): Promise<void> | null;
}

/** Plays capture files once, in order, paced by their local receive times. Time spent waiting for room does not count. */
export class Playback {
  readonly #files: readonly string[];
  readonly #speed: PlaybackSpeed;
  readonly #host: PlaybackHost;
  /** Monotonic ms at which `#originUs` is due. */
  #originMs = Number.NaN;
  #originUs = Number.NaN;
  #turnMs = 0;
  #bytes = 0;
  #stopped = false;

  constructor(files: readonly string[], speed: PlaybackSpeed, host: PlaybackHost) {
    this.#files = files;
    this.#speed = speed;
    this.#host = host;
  }

  stop(): void {
    this.#stopped = true;
  }

  /** @throws BadInputError for a malformed capture. */
  async run(): Promise<void> {
    this.#turnMs = performance.now();
    for (const file of this.#files) {
      for await (const batch of new CaptureReader(file).batches()) {
        for (const entry of batch) {
          if (this.#stopped) return;
          const room = this.#host.room();
          if (room !== null) await this.#pause(room);
          const due =
            this.#speed === "max" ? this.#afterTurn(entry) : this.#whenDue(entry.timeUs, this.#speed);
          if (due !== null) await due;
          if (this.#stopped) return;
          this.#host.play(entry);
        }
      }
    }
  }

  async #pause(room: Promise<void>): Promise<void> {
    const fromMs = performance.now();
    await room;
    this.#turnMs = performance.now();
    this.#originMs += this.#turnMs - fromMs;
  }

  #afterTurn(entry: CaptureEntry): Promise<void> | null {
    this.#bytes += entry.text.length;
    if (this.#bytes < TURN_BYTES) return null;
    this.#bytes = 0;
    return turn();
  }

  #whenDue(timeUs: number, speed: number): Promise<void> | null {
    const nowMs = performance.now();
    if (Number.isNaN(this.#originUs)) {
      this.#originUs = timeUs;
      this.#originMs = nowMs;
    }
    const dueMs = this.#originMs + (timeUs - this.#originUs) / 1_000 / speed;
    if (dueMs - nowMs > SLACK_MS) return this.#sleepUntil(dueMs);
    if (nowMs - this.#turnMs <= TURN_MS) return null;
    this.#turnMs = nowMs;
    return turn();
  }

  async #sleepUntil(dueMs: number): Promise<void> {
    for (;;) {
      this.#turnMs = performance.now();
      const leftMs = dueMs - this.#turnMs;
      if (leftMs <= SLACK_MS || this.#stopped) return;
      await Bun.sleep(Math.min(leftMs, SLEEP_MS_MAX));
    }
  }
}

function turn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
