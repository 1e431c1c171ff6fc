import type { DeskCounters } from "../../desk/counters.ts";
import type { MetricRegistry } from "../../monitor/metrics.ts";
import { LOAD_STAGES } from "../../risk/load-shedder.ts";
import type { LoadWatch } from "./load-watch.ts";

/** What is known of load and what is done about it. Names are listed in `docs/metrics.md`. */
export function registerLoadMetrics(metrics: MetricRegistry, watch: LoadWatch, counters: DeskCounters): void {
  const { shedder } = watch;
  metrics.single(
    "keel_load_stage",
    "gauge",
    "What is done about load: 0 nothing, 1 conflated, 2 wider too, 3 nothing is quoted.",
    () => shedder.stage,
  );
  metrics.add({
    name: "keel_load_entries_total",
    type: "counter",
    help: "Times that each stage began.",
    collect: (emit) => {
      for (const [at, stage] of LOAD_STAGES.entries()) if (at > 0) emit(shedder.entries[at], { stage });
    },
  });
  metrics.add({
    name: "keel_load_stage_seconds_total",
    type: "counter",
    help: "Time spent in each stage.",
    collect: (emit) => {
      for (const [at, stage] of LOAD_STAGES.entries()) emit(watch.stageNs[at] / 1e9, { stage });
    },
  });
  metrics.single(
    "keel_load_conflated_frames_total",
    "counter",
    "Frames that were answered together with later ones because of load.",
    () => counters.conflatedFrames,
  );
  metrics.add({
    name: "keel_load_lag_seconds",
    type: "gauge",
    help: "Least lateness of the loop, least age of the data and least wait in shards' rings and of relayed feeds in the last window.",
    collect: (emit) => {
      emit(watch.loopMs / 1_000, { of: "loop" });
      emit(watch.ageMs / 1_000, { of: "data" });
      emit(watch.ringMs / 1_000, { of: "ring" });
      emit(watch.relayMs / 1_000, { of: "relay" });
    },
  });
  metrics.single(
    "keel_load_queued_bytes",
    "gauge",
    "Least number of bytes of venues that waited in this host's sockets in the last window.",
    () => watch.queuedBytes,
  );
}
