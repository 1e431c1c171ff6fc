import type { MetricRegistry } from "../../src/monitor/metrics.ts";

/** What a scrape would bring, as text. */
export function exposition(metrics: MetricRegistry): string {
  return new TextDecoder().decode(metrics.expose());
}
