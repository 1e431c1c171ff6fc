import { LOG_FORMATS, LOG_LEVELS } from "../core/log.ts";
import { HEDGE_PARAMETERS } from "../hedge/parameters.ts";
import { CHALLENGE_PARAMETERS } from "../learn/challenge/policy.ts";
import { DRIFT_PARAMETERS } from "../learn/drift/parameters.ts";
import { VENUES, type VenueName } from "../market/instrument.ts";
import { SURFACE_PARAMETERS } from "../option/surface/parameters.ts";
import { FEE_PARAMETERS } from "../position/fees.ts";
import { QUOTE_PARAMETERS } from "../quote/parameters.ts";
import { RFQ_PARAMETERS } from "../rfq/parameters.ts";
import { RISK_LIMITS } from "../risk/limits.ts";
import { LOAD_PARAMETERS } from "../risk/load-parameters.ts";
import { MISMATCH_RULES } from "../risk/reconciliation.ts";
import { CLIENT_VARIABLES } from "./client-variables.ts";
import { DERIBIT_VARIABLES } from "./deribit-variables.ts";
import { DISTRIBUTION_VARIABLES } from "./distribution-variables.ts";
import { FAILOVER_VARIABLES } from "./failover-variables.ts";
import { FIX_VARIABLES } from "./fix-variables.ts";
import { HTTP_VARIABLES } from "./http-variables.ts";
import { JOURNAL_VARIABLES } from "./journal-variables.ts";
import { MODEL_VARIABLES } from "./model-variables.ts";
import { REGISTRY_VARIABLES } from "./registry-variables.ts";
import {
  endpointUrl,
  feedList,
  flag,
  hedgeList,
  integerIn,
  numberIn,
  oneOf,
  path,
  powerOfTwo,
  sharedMemoryName,
} from "./types.ts";
import { type Variable, variable } from "./variable.ts";

export type { Variable };

/** `binance-usdm` → `KEEL_URL_BINANCE_USDM`. */
export function urlVariable(venue: VenueName): string {
  return `KEEL_URL_${venue.toUpperCase().replaceAll("-", "_")}`;
}

/** The last thing that is done about load beyond capacity. */
const SHED_LIMITS = ["off", "conflate", "widen", "pull"] as const;

/** Threads that feeds may be spread over. */
const SHARDS_MAX = 16;

/** One per venue. */
const VENUE_URLS: Readonly<Record<string, Variable<string>>> = Object.fromEntries(
  VENUES.map((venue) => [
    urlVariable(venue),
    variable(endpointUrl, null, `Serves ${venue} instead of the venue itself, for WebSocket and REST`),
  ]),
);

/** Variables that are read one by one by name. */
const NAMED = {
  KEEL_FEEDS: variable(
    feedList,
    null,
    "What to subscribe to, e.g. `binance-usdm:BTCUSDT,deribit:BTC-PERPETUAL,deribit:options:BTC`",
  ),
  KEEL_LINES: variable(
    integerIn(1, 4),
    "1",
    "Connections to each venue, made one feed: the first arrival of an event counts, and a dead one is not noticed",
  ),
  KEEL_SHARDS: variable(
    integerIn(1, SHARDS_MAX),
    "1",
    "Threads over which the venues' connections, decoding, books and features are spread; 1: all on the quoting thread",
  ),
  KEEL_REFERENCE: variable(
    oneOf("first", "next"),
    "first",
    "Book that leads an underlying: the first of `KEEL_FEEDS` only, or the next live one while that is lost",
  ),
  ...MODEL_VARIABLES,
  KEEL_FAIR_VALUE: variable(
    oneOf("surface", "venue"),
    "surface",
    "Volatility that options are valued at: of a surface fitted to their books (the venue's own where that has none), or the venue's own",
  ),
  KEEL_SEED: variable(
    integerIn(0, 4_294_967_295),
    "1",
    "Seed of all randomness: back-off jitter, simulation",
  ),
  KEEL_WARM_UP_MS: variable(
    integerIn(0, 60_000),
    "500",
    "Time for which the line is run on simulated data before the first real frame, so that its code is compiled by then",
    "ms",
  ),
  KEEL_CONFLATE: variable(
    flag,
    "on",
    "Decides quotes once for all frames that came in together, of which only the last could have left; off: for each frame",
  ),
  KEEL_SHED: variable(
    oneOf(...SHED_LIMITS),
    "pull",
    "How far the desk goes when more comes in than it can take: conflate, then widen, then pull; off: nothing is shed",
  ),
  KEEL_LOOP_CPU: variable(
    integerIn(0, 1_023),
    null,
    "Processor that the event loop has to itself: it is pinned there and every other thread kept off it",
  ),
  KEEL_LOOP_PRIORITY: variable(
    integerIn(1, 99),
    null,
    "Real-time priority (SCHED_FIFO) of the event loop; wants a processor of its own",
  ),
  KEEL_SPIN: variable(
    flag,
    "off",
    "The event loop never sleeps: it asks for what has come in place of being woken; wants KEEL_LOOP_CPU",
  ),
  KEEL_COLLECT_SECONDS: variable(
    integerIn(0, 3_600),
    "60",
    "Time between collections of the quoting thread's garbage, s; 0 leaves them to the engine",
  ),
  ...FIX_VARIABLES,
  ...DERIBIT_VARIABLES,
  ...CLIENT_VARIABLES,
  ...REGISTRY_VARIABLES,
  ...FAILOVER_VARIABLES,
  KEEL_SHM: variable(
    sharedMemoryName,
    null,
    "Shared memory under `/dev/shm` in which predictions and quotes are published for processes on this host; without it none",
  ),
  KEEL_SHM_RING: variable(
    powerOfTwo(1_024, 1_048_576),
    "65536",
    "Updates that a reader of the shared memory may lag behind before it loses some",
  ),
  ...JOURNAL_VARIABLES,
  KEEL_RISK_FILE: variable(
    path,
    null,
    "JSON file with risk limits by name, which go before those of the environment; read again on SIGHUP",
  ),
  KEEL_POSITIONS_FILE: variable(
    path,
    null,
    "JSON file with opening positions, which replace those kept in the state directory in the instruments it names: once, until what it says changes; not for a pair, nor at Deribit, which is asked",
  ),
  KEEL_POSITION_MISMATCH: variable(
    oneOf(...MISMATCH_RULES),
    "adopt",
    "What is done when a counterparty that can be asked holds other positions than the desk's books: take them over, or quote nothing until an operator has them taken over",
  ),
  KEEL_POSITION_CHECK_SECONDS: variable(
    integerIn(0, 3_600),
    "30",
    "How often a counterparty that can be asked is asked for its positions during a session; what differs for good has quotes pulled, and KEEL_POSITION_MISMATCH decides; 0 = never",
    "s",
  ),
  KEEL_HEDGE_INSTRUMENTS: variable(
    hedgeList,
    null,
    "Perpetuals or futures with which the delta of their underlyings is hedged, e.g. `deribit:BTC-PERPETUAL`; without it nothing is hedged",
  ),
  KEEL_STATE_DIR: variable(
    path,
    ".keel",
    "Kill switch, books and sequence numbers; systemd's STATE_DIRECTORY goes before the default",
  ),
  ...HTTP_VARIABLES,
  ...DISTRIBUTION_VARIABLES,
  KEEL_SILENCE_MS: variable(
    integerIn(100, 600_000),
    "5000",
    "A connection without data for this long is stale",
    "ms",
  ),
  KEEL_CONNECT_TIMEOUT_MS: variable(integerIn(100, 120_000), "10000", "Wait for a connection to open", "ms"),
  KEEL_REQUEST_TIMEOUT_MS: variable(
    integerIn(100, 120_000),
    "10000",
    "Wait for the answer to a REST request",
    "ms",
  ),
  KEEL_SHUTDOWN_TIMEOUT_MS: variable(
    integerIn(100, 120_000),
    "5000",
    "Wait for cancels and the logout at the end",
    "ms",
  ),
  KEEL_HANDOVER_WAIT_MS: variable(
    integerIn(1_000, 3_600_000),
    "120000",
    "With `keel run --handover`, for how long the new process may prepare itself before it gives up and the running one goes on",
    "ms",
  ),
  KEEL_LOG: variable(oneOf(...LOG_FORMATS), "text", "Form of the log on stderr"),
  KEEL_LOG_LEVEL: variable(oneOf(...LOG_LEVELS), "info", "Least severe level that is logged"),
} as const;

/** Quoting parameters, risk limits, hedging, fees, drift and load shedding: numbers whose table stands in their own room. */
const PARAMETERS: Readonly<Record<string, Variable<number>>> = Object.fromEntries(
  [
    ...QUOTE_PARAMETERS,
    ...SURFACE_PARAMETERS,
    ...RISK_LIMITS,
    ...RFQ_PARAMETERS,
    ...HEDGE_PARAMETERS,
    ...FEE_PARAMETERS,
    ...CHALLENGE_PARAMETERS,
    ...DRIFT_PARAMETERS,
    ...LOAD_PARAMETERS,
  ].map((parameter) => [
    parameter.variable,
    variable(
      numberIn({ min: parameter.minimum, max: parameter.maximum, integer: parameter.integer }),
      String(parameter.default),
      parameter.description.replace(/\.$/, ""),
      parameter.unit === "1" ? undefined : parameter.unit,
    ),
  ]),
);

type Named = typeof NAMED;

/** What {@link VARIABLES} read to, by name: the type's value, undefined where there is neither a value nor a default. */
export type NamedValues = {
  readonly [K in keyof Named]: Named[K] extends Variable<infer T>
    ? Named[K] extends { readonly default: string }
      ? T
      : T | undefined
    : never;
};

/** Every environment variable keel knows, in the order of the README's table. */
export const VARIABLES: Readonly<Record<string, Variable>> = {
  ...NAMED,
  ...VENUE_URLS,
  ...PARAMETERS,
};
