import type { Clock } from "../../core/clock.ts";
import type { Logger } from "../../core/log.ts";
import type { MetricRegistry } from "../metrics.ts";
import { type Alert, Alerter } from "./alerter.ts";
import { ALERT_RULES } from "./rules.ts";
import { Webhook, type WebhookOptions } from "./webhook.ts";

const LOOK_MS = 2_000;

export interface AlertWatchOptions {
  readonly metrics: MetricRegistry;
  readonly clock: Clock;
  readonly log: Logger;
  /** Null tells the log alone. */
  readonly webhook: WebhookOptions | null;
}

/** Looks at the rules every two seconds; what begins and what ends goes to the log and, where one is configured, to a receiver. */
export class AlertWatch {
  readonly webhook: Webhook | null;
  readonly #options: AlertWatchOptions;
  readonly #alerter: Alerter;
  readonly #interval: ReturnType<typeof setInterval>;
  readonly #logged = new Set<string>();
  #problem: string | null = null;

  constructor(options: AlertWatchOptions) {
    this.#options = options;
    this.#alerter = new Alerter(options.metrics, ALERT_RULES);
    this.webhook = options.webhook === null ? null : new Webhook(options.webhook);
    this.#interval = setInterval(() => this.#look(), LOOK_MS);
    this.#interval.unref();
    register(options.metrics, this);
  }

  /** What fires now. */
  firing(): Alert[] {
    return this.#alerter.firing();
  }

  stop(): void {
    clearInterval(this.#interval);
  }

  #look(): void {
    const { clock, log } = this.#options;
    const timeUs = clock.wallUs();
    const alerts = this.#alerter.look(timeUs);
    for (const alert of alerts) this.#tell(alert);
    this.webhook?.take(alerts, timeUs);
    const problem = this.webhook?.problem ?? null;
    if (problem !== null && problem !== this.#problem) log.warn("alerts cannot be told", { problem });
    this.#problem = problem;
  }

  #tell({ name, severity, summary, labels, value, endsUs }: Alert): void {
    const key = `${name} ${JSON.stringify(labels)}`;
    if (endsUs === null && this.#logged.has(key)) return;
    const level = endsUs !== null ? "info" : severity === "critical" ? "error" : "warn";
    this.#options.log[level](endsUs === null ? "alert" : "alert has ended", {
      alert: name,
      summary,
      ...labels,
      value,
    });
    if (endsUs === null) this.#logged.add(key);
    else this.#logged.delete(key);
  }
}

function register(metrics: MetricRegistry, watch: AlertWatch): void {
  metrics.add({
    name: "keel_alert_firing",
    type: "gauge",
    help: "1 for each alert of this process that fires.",
    collect: (emit) => {
      for (const { name, severity, labels } of watch.firing()) emit(1, { ...labels, alert: name, severity });
    },
  });
  const { webhook } = watch;
  if (webhook === null) return;
  metrics.add({
    name: "keel_alert_requests_total",
    type: "counter",
    help: "Requests to the receiver of alerts, by whether it took them.",
    collect: (emit) => {
      emit(webhook.sent, { result: "taken" });
      emit(webhook.failed, { result: "failed" });
    },
  });
  metrics.add({
    name: "keel_alert_dropped_total",
    type: "counter",
    help: "Alerts let go because too many waited for the receiver.",
    collect: (emit) => emit(webhook.dropped),
  });
}
