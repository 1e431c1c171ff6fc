/**
 * A thousand lost connections over real sockets: `bun test/feed/reconnect-run.ts [TIMES [VENUE]]`, default 1000 times for every venue.
 * Tells how much memory and how many sockets were there after a tenth and at the end; exit code 1 when they have grown.
 *
 * @module
 */
import { readdirSync } from "node:fs";
import { FAKE_VENUES } from "./fake-venues.ts";
import { ReconnectSession } from "./reconnect-session.ts";

/** What the allocator and the collector may hold on to. */
const SLACK_MB = 24;
/** HTTP connections that are kept for the next request. */
const SLACK_FILES = 16;
const HASTE = 250;
/** A connection that lived this long is followed by the next without growing delays. */
const SETTLED_MS = 5_500;

const times = Number(process.argv[2] ?? 1_000);
const wanted = process.argv[3] ?? "";

interface Holdings {
  readonly rssMb: number;
  readonly files: number;
}

function holdings(): Holdings {
  Bun.gc(true);
  return { rssMb: process.memoryUsage.rss() / 1_048_576, files: readdirSync("/proc/self/fd").length };
}

let failures = 0;
for (const [name, makeVenue] of FAKE_VENUES) {
  if (!name.includes(wanted)) continue;
  const session = new ReconnectSession(makeVenue(), HASTE);
  await session.untilLive();
  let early = holdings();
  for (let i = 1; i <= times; i += 1) {
    await session.pass(SETTLED_MS);
    await session.reconnect(i % 2 === 0);
    if (i === Math.ceil(times / 10)) early = holdings();
  }
  const late = holdings();
  const grown = late.rssMb > early.rssMb + SLACK_MB || late.files > early.files + SLACK_FILES;
  failures += Number(grown);
  console.log(
    `${grown ? "GROWN" : "ok"} ${name}: ${session.feed.counters.reconnects} reconnects, ${early.rssMb.toFixed(1)} MB then ${late.rssMb.toFixed(1)} MB, ${early.files} open files then ${late.files}, healing p99 ${(session.feed.healingUs.quantile(0.99) / (1_000 * HASTE)).toFixed(1)} ms`,
  );
  await session.stop();
}
process.exitCode = failures > 0 ? 1 : 0;
