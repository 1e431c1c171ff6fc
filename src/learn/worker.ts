/**
 * The thread that finds out what came of the desk's predictions, quotes and fills: takes observations out of the ring, follows them
 * and writes outcomes to files. It polls, so that the desk's thread never has to wake it.
 *
 * @module
 */
import { RING_NONE, RingConsumer } from "../core/ring.ts";
import { OBSERVATION_HEAD_BYTES, type OutcomeReport, type OutcomeStart } from "./control.ts";
import { OutcomeWriter } from "./outcomes/file.ts";
import { OBSERVED_VALUES_MAX, type ObservedKind } from "./outcomes/observation.ts";
import { OutcomeSummary } from "./outcomes/summary.ts";
import { OutcomeTracker } from "./outcomes/tracker.ts";

declare const self: Worker;

/** Sleep between looks at the ring. */
const POLL_MS = 10;
/** Records taken before messages are looked at. */
const BURST = 8_192;
const REPORT_MS = 1_000;

class Outcomes {
  readonly #ring: RingConsumer;
  readonly #writer: OutcomeWriter;
  readonly #summary = new OutcomeSummary();
  readonly #tracker: OutcomeTracker;
  readonly #values = new Float64Array(OBSERVED_VALUES_MAX);
  #failure: string | null = null;
  #reportedMs = 0;
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor({ ring, heads, files }: OutcomeStart) {
    this.#ring = new RingConsumer(ring);
    this.#writer = new OutcomeWriter(files);
    this.#tracker = new OutcomeTracker(heads, {
      outcome: (table, row) => {
        this.#summary.outcome(table, row);
        if (this.#failure === null) this.#writer.outcome(table, row);
      },
    });
    this.#poll();
  }

  /** @param timeUs time of the desk's end */
  stop(timeUs: number): void {
    clearTimeout(this.#timer);
    this.#guard(() => {
      while (this.#drain() === BURST);
      this.#tracker.finish(timeUs);
      this.#writer.close();
    });
    this.#report(true);
  }

  #poll(): void {
    let taken = 0;
    this.#guard(() => {
      taken = this.#drain();
      this.#writer.flush(performance.now());
    });
    if (performance.now() - this.#reportedMs >= REPORT_MS) this.#report(false);
    this.#timer = setTimeout(() => this.#poll(), taken === BURST ? 0 : POLL_MS);
  }

  /** A full disk ends the recording, not the following: sums go on. */
  #guard(work: () => void): void {
    try {
      work();
    } catch (error) {
      this.#failure ??= error instanceof Error ? error.message : String(error);
    }
  }

  #drain(): number {
    const ring = this.#ring;
    let taken = 0;
    while (taken < BURST) {
      const at = ring.peek();
      if (at === RING_NONE) break;
      const word = at >> 2;
      const kind = ring.u32[word] as ObservedKind;
      const subject = ring.u32[word + 1] | 0;
      const timeUs = ring.f64[(at >> 3) + 2];
      const from = at + OBSERVATION_HEAD_BYTES;
      const end = at + ring.length;
      if (ring.u32[word + 2] === 1) {
        const text = ring.bytes.toString("utf8", from, end);
        ring.release();
        this.#tracker.describe(kind, subject, timeUs, text);
      } else {
        const count = (end - from) >> 3;
        for (let at8 = 0; at8 < count; at8 += 1) this.#values[at8] = ring.f64[(from >> 3) + at8];
        ring.release();
        this.#tracker.observe(kind, subject, timeUs, this.#values, count);
      }
      taken += 1;
    }
    return taken;
  }

  #report(ended: boolean): void {
    this.#reportedMs = performance.now();
    const report: OutcomeReport = {
      counters: this.#tracker.counters,
      waitingFills: this.#tracker.waitingFills,
      rows: this.#writer.rows,
      deletedParts: this.#writer.deletedParts,
      view: this.#summary.view(),
      failure: this.#failure,
      ended,
    };
    self.postMessage(report);
  }
}

let outcomes: Outcomes | null = null;
self.onmessage = ({ data }: MessageEvent<{ start: OutcomeStart } | { stop: number }>) => {
  if ("start" in data) outcomes = new Outcomes(data.start);
  else outcomes?.stop(data.stop);
};
