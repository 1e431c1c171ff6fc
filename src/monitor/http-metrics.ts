import type { HttpServer } from "./http.ts";
import type { MetricRegistry } from "./metrics.ts";

/** Registers what the HTTP side refused. Names are listed in `docs/metrics.md`. */
export function registerHttpMetrics(metrics: MetricRegistry, { refusals }: HttpServer): void {
  metrics.add({
    name: "keel_http_refused_total",
    type: "counter",
    help: "Requests refused, by status: 401 without the right token, 403 from where none is let in.",
    collect: (emit) => {
      emit(refusals.unauthorised, { status: "401" });
      emit(refusals.forbidden, { status: "403" });
    },
  });
}
