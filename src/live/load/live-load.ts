import type { Config } from "../../config.ts";
import { ReceiveQueues } from "../../core/receive-queues.ts";
import { isRelayed } from "../../feed/relay/subscription.ts";
import type { LiveShards } from "../live-shards.ts";
import type { WatchedDesk } from "./load-age.ts";
import { LoadWatch } from "./load-watch.ts";

/** Where what comes in may wait besides the sockets; null where nothing comes that way. */
export interface LoadQueues {
  readonly shards: Pick<LiveShards, "shards" | "waitedMs"> | null;
  readonly relay: { waitedMs(nowNs: number): number } | null;
}

/** The watch over a live desk's load, as configured; null when nothing is shed. */
export function loadWatchOf(
  config: Config,
  desk: WatchedDesk,
  { shards, relay }: LoadQueues,
  timerMs: number,
): LoadWatch | null {
  if (config.shedding === null) return null;
  const ports = feedPorts(config);
  const queues = new ReceiveQueues(ports);
  return new LoadWatch(desk, config.shedding, {
    timerMs,
    // Without a feed that connects to its venue nothing of one can wait in a socket.
    queuedBytes: () => (ports.size === 0 ? 0 : queues.waitingBytes()),
    refresh: () => queues.refresh(),
    ringFill: () => (shards === null ? Number.NaN : Math.max(...shards.shards.map(({ fill }) => fill))),
    ringMs: () => shards?.waitedMs() ?? Number.NaN,
    relayMs: (nowNs) => relay?.waitedMs(nowNs) ?? Number.NaN,
  });
}

/** Ports that the feeds connect to. Relayed ones connect to nobody. */
function feedPorts({ feeds, endpoints }: Config): Set<number> {
  const ports = new Set<number>();
  for (const { venue, subscriptions } of feeds) {
    if (subscriptions.every(isRelayed)) continue;
    const { port, protocol } = new URL(endpoints[venue].webSocketUrl);
    ports.add(port === "" ? (protocol === "wss:" ? 443 : 80) : Number(port));
  }
  return ports;
}
