import type { DeribitGateway } from "../gateway/deribit/gateway.ts";
import type { MetricRegistry } from "./metrics.ts";

/** Registers what the session at Deribit has to tell. Names are listed in `docs/metrics.md`. */
export function registerDeribitMetrics(metrics: MetricRegistry, gateway: DeribitGateway): void {
  const total = (name: string, help: string, counters: () => object): void => {
    metrics.add({
      name,
      type: "counter",
      help,
      collect: (emit) => {
        for (const [event, count] of Object.entries(counters())) emit(Number(count), { event });
      },
    });
  };
  total(
    "keel_deribit_events_total",
    "Quotes, executions, cancellations and recoveries at Deribit, by kind.",
    () => gateway.counters,
  );
  total(
    "keel_deribit_requests_total",
    "Connections, logins and requests to Deribit, by what became of them.",
    () => gateway.client.counters,
  );
  metrics.single(
    "keel_deribit_pending_requests",
    "gauge",
    "Requests to Deribit without an answer so far.",
    () => gateway.client.pending,
  );
  metrics.single(
    "keel_deribit_deferred_quotes",
    "gauge",
    "Instruments whose newest quote waits for the venue's budget.",
    () => gateway.writer.deferred,
  );
  metrics.single(
    "keel_deribit_conflated_quotes_total",
    "counter",
    "Quotes that a newer one replaced before they could be sent.",
    () => gateway.writer.conflated,
  );
  metrics.add({
    name: "keel_deribit_frozen",
    type: "gauge",
    help: "1 while the venue's protection freezes the quotes of an index.",
    collect: (emit) => {
      for (const index of gateway.indexes) emit(gateway.isFrozen(index) ? 1 : 0, { index });
    },
  });
  const { blockRfqs } = gateway;
  if (blockRfqs === null) return;
  total(
    "keel_deribit_block_rfq_events_total",
    "What happened in block RFQs, by kind.",
    () => blockRfqs.counters,
  );
  metrics.single("keel_deribit_block_rfqs_open", "gauge", "Block RFQs that are open.", () => blockRfqs.open);
  metrics.single(
    "keel_deribit_block_rfq_quotes",
    "gauge",
    "Sides of block RFQ quotes that stand at the venue.",
    () => blockRfqs.standing,
  );
}
