import type { Config } from "../../config.ts";
import { ReceiveQueues } from "../../core/receive-queues.ts";
import type { Desk } from "../../desk/desk.ts";
import type { LiveShards } from "../live-shards.ts";
import { LoadWatch } from "./load-watch.ts";

/** The watch over a live desk's load, as configured; null when nothing is shed. */
export function loadWatchOf(
  config: Config,
  desk: Desk,
  shards: LiveShards | null,
  timerMs: number,
): LoadWatch | null {
  if (config.shedding === null) return null;
  const queues = new ReceiveQueues(feedPorts(config));
  return new LoadWatch(desk, config.shedding, {
    timerMs,
    queuedBytes: () => queues.waitingBytes(),
    refresh: () => queues.refresh(),
    ringFill: () => (shards === null ? Number.NaN : Math.max(...shards.shards.map(({ fill }) => fill))),
    ringMs: () => shards?.waitedMs() ?? Number.NaN,
  });
}

/** Ports that the feeds connect to. */
function feedPorts({ feeds, endpoints }: Config): Set<number> {
  const ports = new Set<number>();
  for (const { venue } of feeds) {
    const { port, protocol } = new URL(endpoints[venue].webSocketUrl);
    ports.add(port === "" ? (protocol === "wss:" ? 443 : 80) : Number(port));
  }
  return ports;
}
