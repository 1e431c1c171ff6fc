import type { MetricRegistry } from "../metrics.ts";
import type { Dashboard } from "./routes.ts";

/** Registers what the dashboard has to tell. Names are listed in `docs/metrics.md`. */
export function registerDashboardMetrics(metrics: MetricRegistry, { hub, logins }: Dashboard): void {
  const { counters } = hub;
  metrics.single("keel_dashboard_clients", "gauge", "Pages that look on now.", () => hub.clients);
  for (const [name, counter, help] of [
    ["keel_dashboard_messages_total", "messages", "Updates sent to pages."],
    ["keel_dashboard_sent_bytes_total", "bytes", "Characters of the updates sent to pages."],
    [
      "keel_dashboard_conflated_total",
      "conflated",
      "Updates left out because a page had not read the one before.",
    ],
    ["keel_dashboard_slow_total", "slow", "Pages cut off because they did not read."],
    ["keel_dashboard_refused_total", "refused", "Pages refused because there were too many."],
    ["keel_dashboard_faults_total", "faults", "Pages cut off for what they sent."],
  ] as const) {
    metrics.single(name, "counter", help, () => counters[counter]);
  }
  metrics.add({
    name: "keel_dashboard_update_seconds",
    type: "histogram",
    help: "For how long at a time the event loop was held to bring a page up to date.",
    collect: (_emit, emitHistogram) => emitHistogram(hub.held),
  });
  metrics.add({
    name: "keel_dashboard_logins_total",
    type: "counter",
    help: "Logins and unlockings: let in, with a wrong token, not looked at after too many of those.",
    collect: (emit) => {
      emit(logins.logins, { result: "taken" });
      emit(logins.failed, { result: "failed" });
      emit(logins.limited, { result: "limited" });
    },
  });
}
