import type { MetricRegistry } from "../monitor/metrics.ts";
import { SHARD_LOSSES } from "../shard/shard.ts";
import type { LiveShards } from "./live-shards.ts";

/** What is known of the threads that keep feeds. */
export function registerShardMetrics(metrics: MetricRegistry, { shards, set }: LiveShards): void {
  metrics.add({
    name: "keel_shard_up",
    type: "gauge",
    help: "1 while the thread that keeps a shard's feeds is there.",
    collect: (emit) => {
      for (const [shard, { running }] of shards.entries()) emit(running ? 1 : 0, { shard: String(shard) });
    },
  });
  metrics.add({
    name: "keel_shard_ring_fill_ratio",
    type: "gauge",
    help: "Part of a shard's ring to the quoting thread that is in use.",
    collect: (emit) => {
      for (const [shard, { fill }] of shards.entries()) emit(fill, { shard: String(shard) });
    },
  });
  metrics.add({
    name: "keel_shard_waits_total",
    type: "counter",
    help: "Times that a shard slept 0.2 ms because its ring was full.",
    collect: (emit) => {
      for (const [shard, { waits }] of shards.entries()) emit(waits, { shard: String(shard) });
    },
  });
  metrics.add({
    name: "keel_shard_restarts_total",
    type: "counter",
    help: "Threads begun anew for a shard.",
    collect: (emit) => {
      for (const [shard, { restarts }] of shards.entries()) emit(restarts, { shard: String(shard) });
    },
  });
  metrics.add({
    name: "keel_shard_losses_total",
    type: "counter",
    help: "Threads given up, and all of their books with them, by cause.",
    collect: (emit) => {
      for (const loss of SHARD_LOSSES) emit(set?.losses[loss] ?? 0, { cause: loss });
    },
  });
  metrics.add({
    name: "keel_shard_discarded_bytes_total",
    type: "counter",
    help: "What lay in the rings of threads that were given up.",
    collect: (emit) => emit(set?.discardedBytes ?? 0),
  });
  metrics.add({
    name: "keel_shard_turns_total",
    type: "counter",
    help: "Inputs of feeds taken from shards.",
    collect: (emit) => emit(set?.turns ?? 0),
  });
  metrics.add({
    name: "keel_shard_late_turns_total",
    type: "counter",
    help: "Inputs taken after one with a later receive time.",
    collect: (emit) => emit(set?.late ?? 0),
  });
}
