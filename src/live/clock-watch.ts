import type { Clock } from "../core/clock.ts";
import type { Logger } from "../core/log.ts";
import type { MetricRegistry } from "../monitor/metrics.ts";

const LOOK_NS = 250_000_000;
/** Beyond that the host's clock was put: discipline that only changes its rate takes keel's time along. */
const STEP_US = 20_000;

/**
 * Notices that the host's clock was put. keel's own time goes on evenly from where it was at the start ({@link Clock}): no age, no
 * timer and no number of the journal jumps, and the times that it writes are off by as much as the host's clock was put.
 */
export class ClockWatch {
  /** Times that the host's clock was put. */
  steps = 0;
  /** Host's clock minus keel's time, µs. */
  offsetUs = 0;
  readonly #clock: Clock;
  readonly #hostUs: () => number;
  readonly #log: Logger;
  readonly #startUs: number;
  #lookedNs = Number.NEGATIVE_INFINITY;

  constructor(clock: Clock, log: Logger, hostUs: () => number = () => Date.now() * 1_000) {
    this.#clock = clock;
    this.#log = log;
    this.#hostUs = hostUs;
    this.#startUs = hostUs() - clock.wallUs();
  }

  /** To be called with every turn of the desk's timer. @param nowNs monotonic */
  turn(nowNs: number): void {
    if (nowNs - this.#lookedNs < LOOK_NS) return;
    this.#lookedNs = nowNs;
    const before = this.#clock.wallUs();
    const hostUs = this.#hostUs();
    const after = this.#clock.wallUs();
    // Held up between the two readings: nothing can be told from them.
    if (after - before > STEP_US / 2) return;
    const offsetUs = hostUs - before - this.#startUs;
    const byUs = offsetUs - this.offsetUs;
    if (Math.abs(byUs) < STEP_US) return;
    this.offsetUs = offsetUs;
    this.steps += 1;
    this.#log.warn("the host's clock was put; the desk's time goes on as it was", {
      byMs: Math.round(byUs / 1_000),
      apartMs: Math.round(offsetUs / 1_000),
    });
  }

  /** Registers what is known of steps. Names are listed in `docs/metrics.md`. */
  register(metrics: MetricRegistry): void {
    metrics.single(
      "keel_clock_steps_total",
      "counter",
      "Times that the host's clock was put.",
      () => this.steps,
    );
    metrics.single(
      "keel_clock_apart_seconds",
      "gauge",
      "How far the host's clock was put away from the desk's time since the start, either way.",
      () => Math.abs(this.offsetUs) / 1e6,
    );
  }
}
