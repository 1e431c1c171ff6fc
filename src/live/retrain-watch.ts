import { type RetrainStatus, readRetrainStatus } from "../learn/retrain-status.ts";
import type { MetricRegistry } from "../monitor/metrics.ts";

const LOOK_MS = 10_000;

/** Looks at how the latest retraining on this host ended, so that its failure is told by the desk's own alerts. */
export class RetrainWatch {
  #status: RetrainStatus | null = null;
  readonly #timer: ReturnType<typeof setInterval>;

  constructor(stateDir: string, metrics: MetricRegistry) {
    const look = async (): Promise<void> => {
      this.#status = await readRetrainStatus(stateDir);
    };
    void look();
    this.#timer = setInterval(() => void look(), LOOK_MS);
    this.#timer.unref();
    metrics.single(
      "keel_retrain_failed",
      "gauge",
      "1 when the latest keel retrain on this host failed; 0 when its candidate was registered, or was refused by the gate.",
      () => (this.#status?.result === "failed" ? 1 : 0),
    );
    metrics.single(
      "keel_retrain_ended_timestamp_seconds",
      "gauge",
      "When the latest keel retrain on this host ended, seconds since the epoch; NaN before the first.",
      () => (this.#status?.endedMs ?? Number.NaN) / 1_000,
    );
  }

  stop(): void {
    clearInterval(this.#timer);
  }
}
