import type { MetricRegistry } from "../monitor/metrics.ts";
import type { CounterName } from "./control.ts";
import type { Distributor } from "./distributor.ts";
import type { KafkaFeedSource } from "./feed/source.ts";
import { THREAD_LOSSES, type ThreadLoss } from "./kept-thread.ts";

/** Registers what the distribution has to tell. Names are listed in `docs/metrics.md`. */
export function registerDistributionMetrics(metrics: MetricRegistry, distributor: Distributor): void {
  const read = (name: CounterName) => (): number => distributor.counter(name);
  const results = (name: string, help: string, counters: Readonly<Record<string, CounterName>>): void =>
    metrics.add({
      name,
      type: "counter",
      help,
      collect: (emit) => {
        for (const [result, counter] of Object.entries(counters))
          emit(distributor.counter(counter), { result });
      },
    });
  metrics.single(
    "keel_distribution_dropped_total",
    "counter",
    "Records that did not fit the ring to the distribution's thread.",
    () => distributor.dropped,
  );
  metrics.single(
    "keel_distribution_failed",
    "gauge",
    "1 while the distribution's thread is gone and no other one has turned.",
    () => (distributor.failure === null ? 0 : 1),
  );
  registerLosses(metrics, "keel_distribution_losses_total", () => distributor.losses);
  metrics.single(
    "keel_distribution_discarded_bytes_total",
    "counter",
    "What lay in the rings of threads that were lost.",
    () => distributor.discardedBytes,
  );
  results("keel_kafka_messages_total", "Messages for Kafka, by what became of them.", {
    sent: "kafkaSent",
    failed: "kafkaFailed",
    dropped: "kafkaDropped",
    conflated: "kafkaConflated",
  });
  metrics.single(
    "keel_kafka_backlog_messages",
    "gauge",
    "Messages that wait for Kafka.",
    read("kafkaBacklog"),
  );
  metrics.single("keel_kafka_up", "gauge", "1 when the last request to Kafka went well.", read("kafkaUp"));
  results("keel_kafka_signals_total", "External signals from Kafka.", {
    received: "signalsReceived",
    dropped: "signalsDropped",
  });
  metrics.single(
    "keel_kafka_signals_up",
    "gauge",
    "1 while signals are taken from Kafka.",
    read("signalsUp"),
  );
  results("keel_redis_rows_total", "Feature rows for Redis, by what became of them.", {
    written: "redisWritten",
    failed: "redisFailed",
    skipped: "redisSkipped",
  });
  metrics.single("keel_redis_up", "gauge", "1 when the last write to Redis went well.", read("redisUp"));
}

/** Registers what is to be told of the thread that reads another keel's feeds. */
export function registerRelayMetrics(metrics: MetricRegistry, relay: KafkaFeedSource): void {
  metrics.single("keel_relay_up", "gauge", "1 while another keel's feeds are read from Kafka.", () =>
    relay.isUp ? 1 : 0,
  );
  registerLosses(metrics, "keel_relay_losses_total", () => relay.losses);
}

function registerLosses(
  metrics: MetricRegistry,
  name: string,
  losses: () => Readonly<Record<ThreadLoss, number>>,
): void {
  metrics.add({
    name,
    type: "counter",
    help: "Threads given up and begun anew, by cause.",
    collect: (emit) => {
      for (const cause of THREAD_LOSSES) emit(losses()[cause], { cause });
    },
  });
}
