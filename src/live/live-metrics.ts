import packageJson from "../../package.json";
import { BUILD } from "../core/executable.ts";
import type { Distributor } from "../distribution/distributor.ts";
import { registerDistributionMetrics, registerRelayMetrics } from "../distribution/metrics.ts";
import { DeribitGateway } from "../gateway/deribit/gateway.ts";
import { FixQuoteGateway } from "../gateway/fix/quote-gateway.ts";
import { JsonGateway } from "../gateway/json/gateway.ts";
import { FixClients } from "../gateway/rfq/fix-clients.ts";
import {
  registerApiMetrics,
  registerFixClientMetrics,
  registerFixCutMetrics,
  registerRfqMetrics,
} from "../monitor/client-metrics.ts";
import { registerDeribitMetrics } from "../monitor/deribit-metrics.ts";
import { registerDeskMetrics } from "../monitor/desk-metrics.ts";
import type { DiskSpace } from "../monitor/disk-space.ts";
import { LOOP_LAG, MetricRegistry } from "../monitor/metrics.ts";
import { registerRiskMetrics } from "../monitor/risk-metrics.ts";
import { inHours } from "./in-hours.ts";
import type { LiveDesk } from "./live-desk.ts";
import { registerLoadMetrics } from "./load/load-metrics.ts";
import { registerModelMetrics } from "./model-metrics.ts";
import { LiveOutcomes, registerOutcomeMetrics } from "./outcomes.ts";
import { registerResources } from "./process-metrics.ts";
import { registerShardMetrics } from "./shard-metrics.ts";
import { LiveWatch } from "./watch.ts";

/** Everything that a live desk has to tell. Names are listed in `docs/metrics.md`. */
export function liveMetrics(
  live: LiveDesk,
  distributor: Distributor | null,
  disk: DiskSpace,
): MetricRegistry {
  const metrics = new MetricRegistry();
  const { desk } = live;
  registerDeskMetrics(metrics, desk, live.timer);
  if (desk.rfq !== null) registerRfqMetrics(metrics, desk.rfq);
  for (const tap of live.taps) {
    if (tap instanceof FixClients) registerFixClientMetrics(metrics, tap);
    if (tap instanceof JsonGateway) registerApiMetrics(metrics, tap);
    if (tap instanceof LiveOutcomes) registerOutcomeMetrics(metrics, tap);
    if (tap instanceof LiveWatch) tap.register(metrics);
  }
  registerRiskMetrics(metrics, desk, () => live.standsBy);
  if (live.gateway instanceof DeribitGateway) registerDeribitMetrics(metrics, live.gateway);
  if (distributor !== null) registerDistributionMetrics(metrics, distributor);
  if (live.relay !== null) registerRelayMetrics(metrics, live.relay);
  if (live.models !== null) registerModelMetrics(metrics, live.models);
  if (live.shards !== null) registerShardMetrics(metrics, live.shards);
  if (live.load !== null) registerLoadMetrics(metrics, live.load, desk.counters);
  live.clockWatch.register(metrics);
  const { gateway } = live;
  if (gateway instanceof FixQuoteGateway) live.stateWrites.watch(() => gateway.unwritten);
  live.stateWrites.register(metrics);
  live.connections.register(metrics);
  registerResources(metrics);
  registerReloads(metrics, live);
  registerGateway(metrics, live);
  registerFixCutMetrics(metrics, {
    counterparty: live.gateway instanceof FixQuoteGateway ? live.gateway : undefined,
    client: live.taps.find((tap) => tap instanceof FixClients)?.acceptor,
  });
  registerJournal(metrics, live);
  registerProcess(metrics, live, disk);
  return metrics;
}

/** For how long sent quotes have waited for an answer of the counterparty. */
export function unansweredSeconds({ desk, clock }: Pick<LiveDesk, "desk" | "clock">): number {
  const sinceUs = desk.unansweredSinceUs;
  return Number.isNaN(sinceUs) ? 0 : (clock.wallUs() - sinceUs) / 1e6;
}

function registerReloads(metrics: MetricRegistry, live: LiveDesk): void {
  metrics.single(
    "keel_risk_reloads_total",
    "counter",
    "Times that risk limits were read anew.",
    () => live.trading.limitReloads,
  );
  metrics.single(
    "keel_risk_reload_failures_total",
    "counter",
    "Times that risk limits could not be read anew; the old ones stayed in force.",
    () => live.trading.limitReloadFailures,
  );
}

/** What there is to tell of the counterparty's session. */
export function registerGateway(
  metrics: MetricRegistry,
  live: Pick<LiveDesk, "gateway" | "standsBy" | "desk" | "clock" | "positionChecks">,
): void {
  metrics.add({
    name: "keel_gateway_session_up",
    type: "gauge",
    help: "1 while the counterparty's session is established; without a sample while it is down on purpose: outside of its schedule, or while the other one of a pair leads.",
    collect: (emit) => {
      if (!live.standsBy && inHours(live)) emit(live.gateway.ready ? 1 : 0);
    },
  });
  metrics.single(
    "keel_gateway_unanswered_seconds",
    "gauge",
    "For how long sent quotes have waited for an answer of the counterparty.",
    () => unansweredSeconds(live),
  );
  metrics.add({
    name: "keel_position_checks_total",
    type: "counter",
    help: "Times that positions were held against the counterparty's during a session.",
    collect: (emit) => {
      const { agreed, differed, unanswered } = live.positionChecks;
      for (const [result, count] of Object.entries({ agreed, differed, unanswered })) emit(count, { result });
    },
  });
  metrics.single(
    "keel_position_mismatches_total",
    "counter",
    "Times that the counterparty held other positions than the books for good, and quotes were pulled.",
    () => live.positionChecks.confirmed,
  );
}

function registerJournal(metrics: MetricRegistry, live: LiveDesk): void {
  metrics.single(
    "keel_journal_dropped_total",
    "counter",
    "Records that did not fit the journal's ring.",
    () => live.journalDropped,
  );
  const { journal } = live;
  if (journal === null) return;
  metrics.single(
    "keel_journal_ring_used_ratio",
    "gauge",
    "Share of the journal's ring that waits for its thread.",
    () => journal.backlogBytes / journal.ringBytes,
  );
  metrics.single("keel_journal_stalled", "gauge", "1 while the journal's disk has no room.", () =>
    journal.stalled ? 1 : 0,
  );
  metrics.single("keel_journal_failed", "gauge", "1 when the journal can write no more.", () =>
    journal.failed ? 1 : 0,
  );
  metrics.single(
    "keel_journal_unretired_total",
    "counter",
    "Times that files stayed that retention should have removed.",
    () => journal.unretired,
  );
}

function registerProcess(metrics: MetricRegistry, live: LiveDesk, disk: DiskSpace): void {
  metrics.single("keel_process_resident_bytes", "gauge", "Resident memory.", () => process.memoryUsage.rss());
  metrics.add({
    name: "keel_process_loop_lag_seconds",
    type: "histogram",
    help: "How much later than asked for the event loop came back to the desk's timer.",
    collect: (_emit, emitHistogram) => emitHistogram(live.loopLag.histogram, {}, LOOP_LAG),
  });
  metrics.add({
    name: "keel_process_collection_lag_seconds",
    type: "histogram",
    help: "How late the event loop came back to the desk's timer where garbage was collected meanwhile.",
    collect: (_emit, emitHistogram) => emitHistogram(live.loopLag.collecting, {}, LOOP_LAG),
  });
  metrics.add({
    name: "keel_process_disk_free_bytes",
    type: "gauge",
    help: "Space left in the folders that keel writes to.",
    collect: (emit) => {
      for (const [folder, bytes] of disk.free()) emit(bytes, { folder });
    },
  });
  const startedSeconds = (Date.now() - performance.now()) / 1_000;
  metrics.single(
    "keel_process_start_time_seconds",
    "gauge",
    "Start of the process, seconds since the epoch.",
    () => startedSeconds,
  );
  metrics.add({
    name: "keel_process_info",
    type: "gauge",
    help: "1, with the build.",
    collect: (emit) =>
      emit(1, { version: packageJson.version, commit: BUILD?.commit ?? "", bun: Bun.version }),
  });
  metrics.add({
    name: "keel_inference_info",
    type: "gauge",
    help: "1, with the model in force and the engine that runs it.",
    collect: (emit) => {
      const { name, version, onnxSha256 } = live.model.card;
      emit(1, { model: name, version, sha256: onnxSha256, engine: live.engineName });
    },
  });
}
