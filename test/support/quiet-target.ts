import type { HttpTarget } from "../../src/monitor/http.ts";
import { MetricRegistry } from "../../src/monitor/metrics.ts";

/** What an HTTP server shows where there is nothing to show; a test says what it is about. */
export function quietTarget(about: Partial<HttpTarget> = {}): HttpTarget {
  return {
    metrics: new MetricRegistry(),
    unhealthy: () => [],
    unready: () => [],
    alerts: () => [],
    status: () => null,
    kill: () => {},
    resetKill: () => false,
    fix: () => null,
    resetFix: () => false,
    positions: () => null,
    quotes: () => [],
    reduce: () => {},
    adoptPositions: () => false,
    ...about,
  };
}
