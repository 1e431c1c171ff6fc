/**
 * The thread that finds out what came of the desk's predictions, quotes and fills: takes observations out of the ring, follows them
 * and writes outcomes to files. It polls, so that the desk's thread never has to wake it.
 *
 * @module
 */
import { Collector, yieldToLine } from "../core/background.ts";
import type { OutcomeReport, OutcomeStart } from "./control.ts";
import { OutcomeWriter } from "./outcomes/file.ts";
import { ObservationReader } from "./outcomes/observation-ring.ts";
import { OutcomeSummary } from "./outcomes/summary.ts";
import { OutcomeTracker } from "./outcomes/tracker.ts";

declare const self: Worker;

/** Sleep between looks at the ring. */
const POLL_MS = 10;
/** Records taken before messages are looked at. */
const BURST = 8_192;
const REPORT_MS = 1_000;
/** Observations after which what they left is collected. */
const COLLECT_OBSERVATIONS = 16_384;

yieldToLine();

class Outcomes {
  readonly #ring: ObservationReader;
  readonly #writer: OutcomeWriter;
  readonly #summary = new OutcomeSummary();
  readonly #tracker: OutcomeTracker;
  readonly #collector = new Collector(COLLECT_OBSERVATIONS);
  #failure: string | null = null;
  #reportedMs = 0;
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor({ ring, heads, files }: OutcomeStart) {
    this.#ring = new ObservationReader(ring);
    this.#writer = new OutcomeWriter(files);
    this.#tracker = new OutcomeTracker(heads, files.header.model, {
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
    if (taken < BURST) this.#collector.worked(taken);
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
    return this.#ring.drain(this.#tracker, BURST);
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
