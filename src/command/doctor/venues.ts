import { urlVariable } from "../../config/variables.ts";
import type { ConfiguredEndpoint } from "../../config.ts";
import { isObject, numeric, parseJson } from "../../feed/decoder.ts";
import { firstLines } from "../../feed/lines.ts";
import { isRelayed } from "../../feed/relay/subscription.ts";
import { VENUE_ENTRIES } from "../../feed/venues.ts";
import type { VenueName } from "../../market/instrument.ts";
import { type Check, type Finding, findings, within } from "./check.ts";
import { openWebSocket, reason } from "./network.ts";

const CLOCK_SAMPLES = 5;
const CLOCK_WARN_MS = 100;
const CLOCK_FAIL_MS = 5_000;
/** A `Date` header counts whole seconds. */
const DATE_HEADER_ERROR_MS = 1_000;

/** Every configured venue answers by WebSocket and by REST, and its clock agrees with the host's. */
export const venues: Check = {
  area: "feed",
  async run({ config, offline }) {
    const { ok, warn } = findings("feed");
    if (config.feeds.length === 0) {
      return [
        warn(
          "KEEL_FEEDS",
          "not set: `keel run` has nothing to subscribe to",
          "e.g. KEEL_FEEDS=deribit:BTC-PERPETUAL",
        ),
      ];
    }
    const perVenue = firstLines(config.feeds).map(async ({ venue, subscriptions }): Promise<Finding[]> => {
      if (subscriptions.every(isRelayed))
        return [ok(venue, `${subscriptions.join(", ")}: from another keel, by KEEL_KAFKA_BROKERS`)];
      if (offline) return [ok(venue, `${subscriptions.join(", ")}; not tried: --offline`)];
      return Promise.all([
        webSocket(venue, config.endpoints[venue], config.timeouts.connectMs),
        rest(venue, config.endpoints[venue], config.timeouts.requestMs),
      ]).then((found) => found.flat());
    });
    return (await Promise.all(perVenue)).flat();
  },
};

async function webSocket(
  venue: VenueName,
  endpoint: ConfiguredEndpoint,
  timeoutMs: number,
): Promise<Finding[]> {
  const { ok, fail } = findings("feed");
  const url = endpoint.webSocketUrl;
  try {
    return [
      ok(`${venue} WebSocket`, `${url} opened in ${(await openWebSocket(url, timeoutMs)).toFixed(1)} ms`),
    ];
  } catch (error) {
    return [
      fail(`${venue} WebSocket`, `${url}: ${reason(error)}`, `check the network and ${urlVariable(venue)}`),
    ];
  }
}

async function rest(venue: VenueName, endpoint: ConfiguredEndpoint, timeoutMs: number): Promise<Finding[]> {
  const { ok, fail } = findings("feed");
  const { path, field } = VENUE_ENTRIES[venue].clock;
  const url = endpoint.restUrl + path;
  let best: ClockSample | undefined;
  try {
    for (let i = 0; i < CLOCK_SAMPLES; i += 1) {
      const sample = await askTime(url, field, timeoutMs);
      if (best === undefined || sample.roundTripMs < best.roundTripMs) best = sample;
    }
  } catch (error) {
    return [fail(`${venue} REST`, `${url}: ${reason(error)}`, `check the network and ${urlVariable(venue)}`)];
  }
  if (best === undefined) return [];
  const reachable = ok(
    `${venue} REST`,
    `${url} answered ${best.status} in ${best.roundTripMs.toFixed(1)} ms`,
  );
  return Number.isNaN(best.offsetMs) ? [reachable] : [reachable, clockOffset(venue, best, endpoint.standIn)];
}

export interface ClockSample {
  readonly status: number;
  readonly roundTripMs: number;
  /** Venue's clock minus ours; NaN when the answer told no time. */
  readonly offsetMs: number;
  /** The offset may be this wrong, either way. */
  readonly errorMs: number;
}

async function askTime(url: string, field: string | null, timeoutMs: number): Promise<ClockSample> {
  const sentMs = Date.now();
  const started = performance.now();
  const response = await within(
    timeoutMs,
    "HTTP",
    fetch(url, { signal: AbortSignal.timeout(timeoutMs), redirect: "manual" }),
  );
  const roundTripMs = performance.now() - started;
  const body = await within(timeoutMs, "HTTP", response.text());
  const middleMs = sentMs + roundTripMs / 2;
  const { status } = response;
  const told = field === null ? Number.NaN : timeIn(body, field);
  if (status === 200 && !Number.isNaN(told)) {
    return { status, roundTripMs, offsetMs: told - middleMs, errorMs: roundTripMs / 2 };
  }
  const dateMs = Date.parse(response.headers.get("date") ?? "") + DATE_HEADER_ERROR_MS / 2;
  return {
    status,
    roundTripMs,
    offsetMs: dateMs - middleMs,
    errorMs: DATE_HEADER_ERROR_MS / 2 + roundTripMs / 2,
  };
}

/** The ms since the epoch, a number or a numeric string, at a path such as `data.0.ts` of a JSON answer; NaN when it is not there. */
function timeIn(body: string, field: string): number {
  let value = parseJson(body);
  for (const key of field.split(".")) {
    if (Array.isArray(value)) value = value[Number(key)];
    else value = isObject(value) ? value[key] : undefined;
  }
  return numeric(value);
}

/** @param standIn the server is not the venue itself; it may play the past */
export function clockOffset(venue: string, sample: ClockSample, standIn: boolean): Finding {
  const { ok, warn, fail } = findings("clock");
  const { offsetMs, errorMs } = sample;
  const sign = offsetMs >= 0 ? "ahead of" : "behind";
  const detail = `${venue} is ${Math.abs(offsetMs).toFixed(1)} ms ${sign} this host (± ${errorMs.toFixed(1)} ms)`;
  const certainMs = Math.abs(offsetMs) - errorMs;
  const advice = "synchronise the clock (chrony, PTP)";
  if (standIn) return ok(venue, `${detail}; a stand-in for the venue`);
  if (certainMs > CLOCK_FAIL_MS) return fail(venue, detail, advice);
  return certainMs > CLOCK_WARN_MS ? warn(venue, detail, advice) : ok(venue, detail);
}
