/**
 * Leaders that die, freeze and are cut off, at random times: `bun test/live/failover/drill.ts [faults] [seed] [kind,…] [--deribit]
 * [--etcd] [--networks]`. Two keel processes, a lease's service, simulated venues and who takes the quotes, a FIX counterparty or the simulated
 * Deribit, with a link that can be cut on every way between them, and with `--networks` a network of its own for each keel. What each keel writes to its counterparty is read off its socket. Prints every fault with its time, and fails when two
 * led on the wire, a quote was left that nobody answers for, a sequence number was used twice, or a fill was lost or counted twice.
 */
import { parseArgs } from "node:util";
import { Histogram } from "../../../src/core/histogram.ts";
import { Rng } from "../../../src/core/rng.ts";
import type { TakeoverStages } from "../../../src/live/takeover.ts";
import { CLOCK_FIXED } from "../../support/put-clock.ts";
import { Namespace } from "./namespace.ts";
import { type Node, Pair } from "./pair.ts";

export const FAULTS = [
  "kill",
  "freeze",
  "starve",
  "cut-redis",
  "cut-all",
  "cut-venues",
  "redis-loss",
  "redis-clock",
  "redis-removal",
  "clock",
  "switch",
  "unplug",
  "mute",
  "deafen",
] as const;
export type Fault = (typeof FAULTS)[number];

export interface DrillResult {
  readonly fault: Fault;
  /** From the fault to the first quote of whoever led then; NaN where the leader stayed. */
  readonly toQuoteMs: number;
  /** From the fault to the last message with quotes that the old leader wrote; NaN where that is not looked at. */
  readonly toSilenceMs: number;
  readonly problems: readonly string[];
  /** Of whoever led then. */
  readonly stages: TakeoverStages | null;
}

const TRADES = 3;
/** After these the leader goes on. */
const STAYING: ReadonlySet<Fault> = new Set(["clock", "redis-removal"]);
/** These need a network of its own for each process. */
const NETWORKS: ReadonlySet<Fault> = new Set(["unplug", "mute", "deafen"]);
/** These need Redis. */
const REDIS: ReadonlySet<Fault> = new Set(["redis-loss", "redis-clock", "redis-removal"]);
/** These put the clock of a process. */
const CLOCKS: ReadonlySet<Fault> = new Set(["clock", "redis-clock"]);

/** Brings one fault about on a pair that is ready, waits until it is over, and says what was wrong. */
export async function drill(pair: Pair, fault: Fault, rng: Rng): Promise<DrillResult> {
  let leader = await pair.untilReady();
  const problems: string[] = [];
  for (let trade = 0; trade < TRADES; trade += 1) await pair.trade();
  await Bun.sleep(rng.next() * 500);
  // On a busy host the lead may have changed by itself meanwhile.
  while ((await leader.report())?.role !== "leader") leader = await pair.untilReady();
  const other = pair.other(leader.name);
  const atMs = performance.now();
  const healMs = 1_200 + rng.next() * 1_500;
  const takenOver = (): boolean => pair.wire.leader === other.name && pair.wire.firstQuoteMs > atMs;
  const untilTaken = () => pair.until(`${other.name} quotes after ${fault}`, async () => takenOver());
  let silence = Number.NaN;
  const silenced = (): void => {
    silence = Math.max(0, (pair.wire.lastQuoteMs.get(leader.name) ?? 0) - atMs);
  };
  const stays = async (forMs: number): Promise<void> => {
    await Bun.sleep(forMs);
    const quotes = async () => (pair.wire.lastQuoteMs.get(leader.name) ?? 0) > atMs + 1_000;
    await pair.until(`the leader quotes on after ${fault}`, quotes);
    if (pair.wire.leader !== leader.name) problems.push(`the lead changed\n${leader.log.slice(-1_500)}`);
  };
  switch (fault) {
    case "kill":
      await Promise.all([leader.kill(), pair.trade()]);
      await untilTaken();
      break;
    case "freeze":
      leader.signal("SIGSTOP");
      await Promise.all([pair.trade(), untilTaken()]);
      await Bun.sleep(rng.next() * 1_000);
      leader.signal("SIGCONT");
      break;
    case "starve": {
      // The one that stands by gets no processor for longer than a lease lasts, and its leader dies at some time of that.
      const startsMs = rng.next() * 400;
      other.signal("SIGSTOP");
      await Bun.sleep(startsMs);
      await leader.kill();
      await Bun.sleep(900 - startsMs + rng.next() * 200);
      other.signal("SIGCONT");
      await untilTaken();
      break;
    }
    case "cut-redis":
      leader.links.lease.cut();
      await untilTaken();
      silenced();
      await Bun.sleep(rng.next() * 500);
      leader.links.lease.heal();
      break;
    case "cut-all":
      for (const link of links(leader)) link.cut();
      other.links.peer.cut();
      await untilTaken();
      silenced();
      await Bun.sleep(rng.next() * 500);
      for (const link of links(leader)) link.heal();
      other.links.peer.heal();
      break;
    case "unplug":
    case "mute":
    case "deafen":
      // The network itself is gone, the feeds with it, and TCP delivers late what it has kept.
      if (fault === "unplug") leader.network?.unplug();
      else if (fault === "mute") leader.network?.mute();
      else leader.network?.deafen();
      await untilTaken();
      await Bun.sleep(rng.next() * 500);
      leader.network?.plug();
      break;
    case "cut-venues":
      leader.links.binance.cut();
      leader.links.deribit.cut();
      await untilTaken();
      leader.links.binance.heal();
      leader.links.deribit.heal();
      break;
    case "redis-loss":
      await pair.lease.stop();
      await Bun.sleep(healMs);
      silenced();
      if ((await pair.peer()).standing > 0) problems.push("quotes stand without a lease");
      await pair.lease.start();
      await pair.until(
        "somebody quotes again",
        async () => pair.wire.firstQuoteMs > atMs + healMs || takenOver(),
      );
      break;
    case "redis-clock":
      pair.redisClock?.put(Math.round(10 + rng.next() * 3_600));
      await pair.until("somebody quotes again", async () => pair.wire.firstQuoteMs > atMs);
      pair.redisClock?.put(0);
      break;
    case "redis-removal":
      await pair.removeLease();
      await stays(healMs);
      break;
    case "clock":
      // Leadership reads the monotonic clock alone: the leader stays, and goes on quoting.
      leader.putClock(Math.round((rng.next() - 0.5) * 7_200));
      await stays(healMs);
      leader.putClock(0);
      break;
    case "switch": {
      const answer = await leader.get<{ switched: boolean }>("/failover/switch", { method: "POST" }, 10_000);
      if (answer?.switched !== true) problems.push(`not switched: ${JSON.stringify(answer)}`);
      await untilTaken();
    }
  }
  const toQuoteMs = STAYING.has(fault) ? Number.NaN : pair.wire.firstQuoteMs - atMs;
  const now = pair.node(pair.wire.leader);
  const stages = Number.isNaN(toQuoteMs) ? null : ((await now.report())?.takeover ?? null);
  await Bun.sleep(100);
  let { orphans } = await pair.peer();
  // What the network kept reaches the venue late, and is taken away once the leader has heard of it.
  for (let attempt = 0; pair.by === "deribit" && orphans > 0 && attempt < 100; attempt += 1) {
    await Bun.sleep(50);
    orphans = (await pair.peer()).orphans;
  }
  if (orphans > 0) problems.push(`${orphans} quotes that nobody answers for`);
  for (const { who, type, seq, madeMs, sinceMs } of pair.wire.late.splice(0)) {
    // The network, where it is real, delivers late what was sent in time.
    if (NETWORKS.has(fault) && !(madeMs >= sinceMs)) continue;
    problems.push(`${who} sent ${type} ${seq} after its term`);
  }
  for (const { who, type, seq } of pair.wire.reused.splice(0))
    problems.push(`${who} used ${seq} again for ${type}`);
  if (!leader.running) leader.start();
  const differences = await settled(pair, now);
  problems.push(...differences);
  return { fault, toQuoteMs, toSilenceMs: silence, problems, stages };
}

/** A JSON number, of which NaN is null. */
function ms(value: number | null): string {
  return value?.toFixed(0) ?? "–";
}

/** Fills under way are waited for. */
async function settled(pair: Pair, node: Node): Promise<string[]> {
  let differences: string[] = [];
  for (let attempt = 0; attempt < 400; attempt += 1) {
    differences = await pair.differences(node);
    if (differences.length === 0) break;
    await Bun.sleep(50);
  }
  return differences;
}

function links({ links: { lease, counterparty, peer } }: Node) {
  return [lease, counterparty, peer];
}

if (import.meta.main) {
  // Networks that were made are taken away at any end.
  process.once("SIGTERM", () => process.exit(1));
  process.once("SIGINT", () => process.exit(1));
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      deribit: { type: "boolean", default: false },
      etcd: { type: "boolean", default: false },
      networks: { type: "boolean", default: false },
    },
  });
  const count = Number(positionals[0] ?? "20");
  const seed = Number(positionals[1] ?? Math.floor(Math.random() * 1e9));
  const noNetworks = values.networks ? Namespace.missing() : "without --networks";
  if (noNetworks !== null) console.log(`both processes are in one network: ${noNetworks}`);
  if (CLOCK_FIXED !== null) console.log(CLOCK_FIXED);
  const possible = FAULTS.filter(
    (fault) =>
      (CLOCK_FIXED === null || !CLOCKS.has(fault)) &&
      (noNetworks === null || !NETWORKS.has(fault)) &&
      (!values.etcd || !REDIS.has(fault)),
  );
  const named = positionals[2]?.split(",") ?? possible;
  const kinds = possible.filter((fault) => named.includes(fault));
  const rng = new Rng(seed);
  const pair = new Pair({
    by: values.deribit ? "deribit" : "fix",
    service: values.etcd ? "etcd" : "redis",
    putsClocks: CLOCK_FIXED === null,
    hasNetworks: noNetworks === null,
    // etcd counts leases in whole seconds.
    environment: values.etcd ? { KEEL_LEASE_TTL_MS: "3000" } : {},
  });
  const quotes = new Map<string, Histogram>();
  const silences = new Map<string, Histogram>();
  let failed = 0;
  console.log(`seed ${seed}`);
  const record = (of: Map<string, Histogram>, fault: string, ms: number): void => {
    if (Number.isNaN(ms)) return;
    const histogram = of.get(fault) ?? new Histogram();
    of.set(fault, histogram);
    histogram.record(ms * 1_000);
  };
  try {
    await pair.start();
    for (let number = 1; number <= count; number += 1) {
      const fault = kinds[Math.floor(rng.next() * kinds.length)] ?? "kill";
      const { toQuoteMs, toSilenceMs, problems, stages } = await drill(pair, fault, rng).catch(
        (error: unknown): DrillResult => {
          pair.mend();
          return {
            fault,
            toQuoteMs: Number.NaN,
            toSilenceMs: Number.NaN,
            problems: [String(error)],
            stages: null,
          };
        },
      );
      record(quotes, fault, toQuoteMs);
      record(silences, fault, toSilenceMs);
      if (problems.length > 0) failed += 1;
      const silent = Number.isNaN(toSilenceMs) ? "" : `, silent ${toSilenceMs.toFixed(0)} ms`;
      const parts =
        stages === null
          ? ""
          : ` (lease ${ms(stages.leaseMs)}, session ${ms(stages.sessionMs)}, quote ${ms(stages.quoteMs)})`;
      if (toQuoteMs > 1_200 && process.env.DRILL_LOGS === "1") console.log(await pair.state());
      console.log(
        `${number} ${fault}: quotes after ${ms(toQuoteMs)} ms${parts}${silent} ${problems.join("; ")}`,
      );
    }
    const rows = (title: string, of: Map<string, Histogram>): void => {
      for (const [fault, histogram] of [...of].sort()) {
        const ms = (p: number): string => (histogram.quantile(p) / 1_000).toFixed(0);
        console.log(`${title} ${fault}: n ${histogram.count} p50 ${ms(0.5)} p99 ${ms(0.99)} max ${ms(1)} ms`);
      }
    };
    rows("to the first new quote,", quotes);
    rows("to silence,", silences);
    console.log(
      `${count} faults, ${failed} failed, ${pair.wire.messages} messages, ${pair.wire.changes} leaders`,
    );
  } finally {
    await pair.stop();
  }
  process.exit(failed === 0 ? 0 : 1);
}
