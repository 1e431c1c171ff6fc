/**
 * The thread that watches over a desk's model. It takes observations out of a ring, by polling, so that whatever it does, the desk's
 * thread neither waits for it nor wakes it.
 *
 * @module
 */
import { Collector, yieldToLine } from "../../core/background.ts";
import { ObservationReader } from "../outcomes/observation-ring.ts";
import type { WatchMessage, WatchReply } from "./control.ts";
import { ModelWatch } from "./watch.ts";

declare const self: Worker;

/** Sleep between looks at the ring. */
const POLL_MS = 10;
/** Observations taken before messages are looked at. */
const BURST = 8_192;
const REPORT_MS = 1_000;
/** Observations after which what they left is collected. */
const COLLECT_OBSERVATIONS = 16_384;

yieldToLine();

class Watch {
  readonly #reader: ObservationReader;
  readonly #watch: ModelWatch;
  readonly #collector = new Collector(COLLECT_OBSERVATIONS);
  #reportedMs = 0;
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor({ ring, options }: Extract<WatchMessage, { do: "start" }>) {
    this.#reader = new ObservationReader(ring);
    this.#watch = new ModelWatch(options, {
      drift: (change) => tell({ is: "drift", change }),
      retrain: (underlying, causes, timeUs) => tell({ is: "retrain", underlying, causes, timeUs }),
      calibration: (slot, head, scaling) => tell({ is: "calibration", slot, head, scaling }),
    });
    this.#poll();
  }

  stop(): void {
    clearTimeout(this.#timer);
    while (this.#drain() === BURST);
    this.#report(true);
  }

  #poll(): void {
    const taken = this.#drain();
    if (performance.now() - this.#reportedMs >= REPORT_MS) this.#report(false);
    if (taken < BURST) this.#collector.worked(taken);
    this.#timer = setTimeout(() => this.#poll(), taken === BURST ? 0 : POLL_MS);
  }

  #drain(): number {
    return this.#reader.drain(this.#watch, BURST);
  }

  #report(ended: boolean): void {
    this.#reportedMs = performance.now();
    tell({ is: "report", text: JSON.stringify(this.#watch.report()), ended });
  }
}

function tell(reply: WatchReply): void {
  self.postMessage(reply);
}

let watch: Watch | null = null;
self.onmessage = ({ data }: MessageEvent<WatchMessage>) => {
  if (data.do === "start") watch = new Watch(data);
  else watch?.stop();
};
