import { parseStep } from "../../src/core/decimal.ts";
import { Distributor } from "../../src/distribution/distributor.ts";
import { type KafkaOptions, PUBLICATIONS, type RedisOptions } from "../../src/distribution/options.ts";
import { EVENT, EventBatch, SIDE } from "../../src/market/event-batch.ts";
import { InstrumentTable } from "../../src/market/instrument.ts";
import { BOOK_SHAPE, L2Book } from "../../src/market/l2-book.ts";
import { PERPETUAL } from "../support/perpetuals.ts";

export const START_US = 1_700_000_000_000_000;

export async function until(
  what: string,
  condition: () => boolean | Promise<boolean>,
  ms = 45_000,
): Promise<void> {
  const deadline = performance.now() + ms;
  while (!(await condition())) {
    if (performance.now() > deadline) throw new Error(`waited ${ms} ms for ${what}`);
    await Bun.sleep(20);
  }
}

/** A desk of one instrument, as far as the distribution sees one. */
export class ShownDesk {
  readonly instruments = new InstrumentTable(8);
  readonly books = [new L2Book(BOOK_SHAPE.future)];
  readonly events = new EventBatch();
  readonly #rows = new Int32Array(this.events.maxEvents).map((_, row) => row);

  constructor() {
    this.instruments.add({
      ...PERPETUAL,
      tick: parseStep("0.1"),
      lot: parseStep("10"),
      contractSize: 10,
    });
  }

  distributor(options: { kafka?: KafkaOptions; redis?: RedisOptions; ringBytes?: number }) {
    const signals: string[] = [];
    const problems: string[] = [];
    const distributor = new Distributor({
      kafka: options.kafka,
      redis: options.redis,
      desk: {
        instruments: this.instruments,
        books: this.books,
        underlyings: { size: 1, base: () => "BTC" },
        underlyingCapacity: 4,
        heads: ["down", "up"],
        model: "test-model",
      },
      onSignal: (frame) => signals.push(frame),
      onProblem: (problem) => problems.push(problem),
      shutdownMs: 2_000,
      ...(options.ringBytes === undefined ? {} : { ringBytes: options.ringBytes }),
    });
    return { distributor, signals, problems };
  }

  /** Begins an event at ms `i`. */
  begin(kind: number, i: number): number {
    return this.events.begin(kind, 0, START_US + i * 1_000);
  }

  top(i: number, bidTicks: number): void {
    const row = this.begin(EVENT.bookSnapshot, i);
    this.events.level(SIDE.bid, bidTicks, 3);
    this.events.level(SIDE.ask, bidTicks + 5, 4);
    this.books[0].applySnapshot(this.events, row);
  }

  show(distributor: Distributor, i: number): void {
    distributor.onEvents(this.events, this.#rows, this.events.count, START_US + i * 1_000 + 500);
    this.events.clear();
  }
}

/** Options of a publisher that nothing else of the broker knows; `overrides` say what is tried. */
export function kafka(broker: string, overrides: Partial<KafkaOptions> = {}): KafkaOptions {
  return {
    brokers: [broker],
    clientId: "keel-test",
    topicPrefix: `t${crypto.randomUUID().slice(0, 8)}.`,
    publish: PUBLICATIONS.filter((name) => name !== "feed"),
    snapshotMs: 500,
    lingerMs: 5,
    feedTopic: "keel.feed",
    acks: "leader",
    compression: "none",
    backlogMessages: 5_000,
    signalTopics: [],
    signalStart: "earliest",
    tls: undefined,
    sasl: undefined,
    ...overrides,
  };
}
