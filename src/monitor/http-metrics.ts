import type { HttpServer } from "./http.ts";
import type { MetricRegistry } from "./metrics.ts";

/** Registers what the HTTP side refused. Names are listed in `docs/metrics.md`. */
export function registerHttpMetrics(metrics: MetricRegistry, server: HttpServer): void {
  metrics.add({
    name: "keel_http_refused_total",
    type: "counter",
    help: "Requests not answered, by status: 400 not understood, 401 without the right token, 403 from where none is let in, 500 a fault of ours.",
    collect: (emit) => {
      const { refusals, faults } = server;
      emit(refusals.malformed, { status: "400" });
      emit(refusals.unauthorised, { status: "401" });
      emit(refusals.forbidden, { status: "403" });
      emit(faults, { status: "500" });
    },
  });
}
