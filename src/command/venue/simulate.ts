import { urlVariable } from "../../config/variables.ts";
import { systemClock } from "../../core/clock.ts";
import { parseFeedList } from "../../feed/registry.ts";
import type { VenueName } from "../../market/instrument.ts";
import { FURTHER_VENUES, isFurtherVenue, SIMULATED_SYMBOLS } from "../../sim/further-venues.ts";
import { Simulation } from "../../sim/simulation.ts";
import { type Environment, type Output, UsageError } from "../command.ts";
import { aborted } from "./aborted.ts";

/** Venues that every simulation has. */
const ALWAYS = ["binance-usdm", "deribit"] as const satisfies readonly VenueName[];
/** Stands for the venues of `KEEL_FEEDS`. */
const FEEDS = "feeds";

export interface SimulateOptions {
  /** Comma-separated venues, or `feeds`. */
  readonly names: string;
  readonly env: Environment;
  readonly seed: number;
  readonly hostname: string;
  readonly speed: number;
  readonly seconds: number | undefined;
  readonly out: Output;
  readonly shutdown: AbortSignal;
}

/**
 * Runs simulated venues until it is told to end.
 *
 * @throws UsageError when a venue is none that can be simulated; KeelError when a port cannot be had.
 */
export async function simulate(options: SimulateOptions): Promise<void> {
  const { seed, hostname, speed, seconds, out, shutdown } = options;
  const wanted = readVenues(options.names, options.env);
  const simulation = new Simulation({
    ...{ seed, hostname, speed, clock: systemClock },
    venues: wanted.filter(isFurtherVenue),
  });
  const servers = [...simulation.servers].filter(([venue]) => wanted.includes(venue));
  const urls = Object.fromEntries(servers.map(([venue, { url }]) => [venue, url]));
  simulation.start();
  for (const [venue, server] of servers) {
    const lists = isFurtherVenue(venue) ? `  # lists ${SIMULATED_SYMBOLS[venue]}` : "";
    out.line(`${urlVariable(venue)}=${server.url}${lists}`);
  }
  const ends = [aborted(shutdown)];
  if (seconds !== undefined) ends.push(Bun.sleep(seconds * 1_000));
  await Promise.race(ends);
  const { skippedUs } = simulation;
  await simulation.stop();
  out.result({ servers: urls, skippedMs: Math.round(skippedUs / 1_000) });
}

function readVenues(names: string, env: Environment): readonly VenueName[] {
  const known: readonly VenueName[] = [...ALWAYS, ...FURTHER_VENUES];
  const wanted =
    names === FEEDS
      ? parseFeedList(env.KEEL_FEEDS ?? "").map(({ venue }) => venue)
      : names.split(",").map((name) => name.trim());
  return wanted.map((name) => {
    const venue = known.find((other) => other === name);
    if (venue !== undefined) return venue;
    throw new UsageError(`--simulate ${name}: expected ${FEEDS}, or of ${known.join(", ")}`);
  });
}
