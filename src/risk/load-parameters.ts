import { describeParameters, type ParameterRow, parameterDefaults } from "../core/parameter.ts";

const ROWS = {
  windowMs: [
    "WINDOW_MS",
    "ms",
    100,
    10,
    10_000,
    "Length of a window: of each measure the least value in it counts, so that a burst or a single pause is no overload",
  ],
  conflateMs: [
    "CONFLATE_MS",
    "ms",
    25,
    1,
    60_000,
    "Lateness of the event loop, of data beyond its usual way, or of what waits in a shard's ring (250 ms at most there) or for a relayed feed, from which on quotes are decided once in 10 ms on the latest state",
  ],
  widenMs: ["WIDEN_MS", "ms", 100, 1, 60_000, "The same, from which on quotes are wider and smaller, too"],
  pullMs: ["PULL_MS", "ms", 500, 1, 60_000, "The same, from which on nothing is quoted"],
  conflateKb: [
    "CONFLATE_KB",
    "KiB",
    512,
    1,
    1_048_576,
    "Bytes of the venues that wait in this host's sockets, from which on quotes are decided once in 10 ms",
  ],
  widenKb: ["WIDEN_KB", "KiB", 2_048, 1, 1_048_576, "The same, from which on quotes are wider and smaller"],
  pullKb: ["PULL_KB", "KiB", 6_144, 1, 1_048_576, "The same, from which on nothing is quoted"],
  conflateRing: [
    "CONFLATE_RING",
    "fraction",
    0.1,
    0.001,
    1,
    "Part of a shard's ring that waits for the quoting thread, from which on quotes are decided once in 10 ms",
  ],
  widenRing: [
    "WIDEN_RING",
    "fraction",
    0.3,
    0.001,
    1,
    "The same, from which on quotes are wider and smaller",
  ],
  pullRing: ["PULL_RING", "fraction", 0.6, 0.001, 1, "The same, from which on nothing is quoted"],
  widenShare: [
    "WIDEN_SHARE",
    "fraction",
    1,
    0,
    1,
    "Share of the defensive widening and cut of sizes that is added beyond capacity",
  ],
  calmShare: [
    "CALM_SHARE",
    "fraction",
    0.5,
    0.05,
    1,
    "A stage may end once every measure is below this part of what began it",
  ],
  calmMs: [
    "CALM_MS",
    "ms",
    1_000,
    10,
    600_000,
    "For this long before it ends; doubled each time that the stage begins again within ten times as long, up to 32 times",
  ],
} as const satisfies Record<string, ParameterRow>;

/** Parameters of load shedding; the meaning and unit of each stand in {@link LOAD_PARAMETERS}. */
export type LoadParameters = Readonly<Record<keyof typeof ROWS, number>>;

/** Every parameter of load shedding with its environment variable `KEEL_SHED_…`. */
export const LOAD_PARAMETERS = describeParameters("SHED", ROWS);

export const DEFAULT_LOAD_PARAMETERS: LoadParameters = parameterDefaults(LOAD_PARAMETERS);
