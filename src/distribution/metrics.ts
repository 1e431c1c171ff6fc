import type { MetricRegistry } from "../monitor/metrics.ts";
import type { CounterName } from "./control.ts";
import type { Distributor } from "./distributor.ts";

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
  metrics.single("keel_distribution_failed", "gauge", "1 when the distribution's thread has died.", () =>
    distributor.failure === null ? 0 : 1,
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
