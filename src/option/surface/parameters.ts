import { describeParameters, type ParameterRow, parameterDefaults } from "../../core/parameter.ts";

const ROWS = {
  stickiness: [
    "STICKINESS",
    "1",
    0,
    0,
    1,
    "How the smile moves with the underlying between refits: 0 keeps each strike's volatility (sticky strike), 1 each moneyness's (sticky delta).",
  ],
  refitMs: [
    "REFIT_MS",
    "ms",
    250,
    1,
    600_000,
    "Least time between the beginnings of two refits of a surface.",
  ],
  stepUnits: [
    "STEP_UNITS",
    "units",
    16,
    1,
    100_000,
    "Work on a refit that is done at each tick of the desk's timer; a unit is one iteration of a fit or eight options made ready, a few µs.",
  ],
  quoteMaxAgeMs: [
    "QUOTE_MAX_AGE_MS",
    "ms",
    60_000,
    1,
    3_600_000,
    "Age of an option's prices beyond which a refit leaves them out.",
  ],
  maxAgeMs: [
    "MAX_AGE_MS",
    "ms",
    10_000,
    1,
    3_600_000,
    "Age of a surface beyond which options rest on the venue's volatility instead.",
  ],
} as const satisfies Record<string, ParameterRow>;

type Key = keyof typeof ROWS;

/** Parameters of the volatility surface; the meaning and unit of each stand in {@link SURFACE_PARAMETERS}. */
export type SurfaceParameters = Readonly<Record<Key, number>>;

/** Every parameter with its environment variable `KEEL_SURFACE_…`, unit, default, bounds and description. */
export const SURFACE_PARAMETERS = describeParameters("SURFACE", ROWS, ["stepUnits"]);

export const DEFAULT_SURFACE_PARAMETERS: SurfaceParameters = parameterDefaults(SURFACE_PARAMETERS);
