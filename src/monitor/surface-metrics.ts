import type { Desk } from "../desk/desk.ts";
import { SURFACE_SOURCE_NAMES } from "../option/surface/slices.ts";
import type { SurfaceCounters, VolatilitySurface } from "../option/surface/surface.ts";
import type { MetricRegistry } from "./metrics.ts";

const COUNTERS: readonly (readonly [string, keyof SurfaceCounters, number, string])[] = [
  ["keel_surface_fits_total", "passes", 1, "Surfaces that came into force."],
  ["keel_surface_fit_units_total", "units", 1, "Units of work that they took."],
  [
    "keel_surface_fit_seconds_total",
    "passUs",
    1e-6,
    "Event time from the beginning of their fits until they came into force.",
  ],
  ["keel_surface_abandoned_total", "abandoned", 1, "Fits begun anew because an expiry was added."],
  [
    "keel_surface_refused_slices_total",
    "refusedSlices",
    1,
    "Slices that could not be made free of arbitrage or missed their quotes.",
  ],
  [
    "keel_surface_bad_rows_total",
    "refusedRows",
    1,
    "Options with an ask that fits left out: crossed, too old, or without a volatility.",
  ],
];

/** Registers what the surfaces have to tell, by underlying. */
export function registerSurfaces(metrics: MetricRegistry, desk: Desk): void {
  const { surfaces } = desk.quoter;
  const each = (tell: (surface: VolatilitySurface, underlying: string) => void): void => {
    if (surfaces === null) return;
    const { underlyings } = desk.market;
    for (let underlying = 0; underlying < underlyings.size; underlying += 1) {
      const surface = surfaces.of(underlying);
      if (surface !== null) tell(surface, underlyings.base(underlying));
    }
  };
  for (const [name, counter, unit, help] of COUNTERS) {
    metrics.add({
      name,
      type: "counter",
      help,
      collect: (emit) =>
        each((surface, underlying) => emit(surface.counters[counter] * unit, { underlying })),
    });
  }
  metrics.add({
    name: "keel_surface_age_seconds",
    type: "gauge",
    help: "Age of the surface in force, by event time; none before the first.",
    collect: (emit) =>
      each((surface, underlying) => {
        if (surface.version > 0) emit((surface.seenUs - surface.fittedUs) * 1e-6, { underlying });
      }),
  });
  metrics.add({
    name: "keel_surface_expiries",
    type: "gauge",
    help: "Expiries by where their volatilities come from: svi, ssvi, neighbours, none.",
    collect: (emit) =>
      each((surface, underlying) => {
        for (const [source, name] of SURFACE_SOURCE_NAMES.entries()) {
          let count = 0;
          for (let slot = 0; slot < surface.expiries; slot += 1) {
            if (surface.source(slot) === source) count += 1;
          }
          emit(count, { underlying, source: name });
        }
      }),
  });
}
