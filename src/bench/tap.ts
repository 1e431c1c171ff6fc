import { loadConfig } from "../config.ts";
import { Histogram } from "../core/histogram.ts";
import { invariant } from "../core/invariant.ts";
import { type Desk, UNDERLYING_CAPACITY } from "../desk/desk.ts";
import { noTimer } from "../desk/latency.ts";
import { Distributor } from "../distribution/distributor.ts";
import { type KafkaOptions, PUBLICATIONS, type Publication } from "../distribution/options.ts";
import { runDeskPass } from "./desk-pass.ts";
import { startBenchEngine } from "./engine.ts";
import { benchInput } from "./input.ts";
import { type BenchReport, benchHost, ratioOf, rowOf } from "./report.ts";

export interface TapBenchOptions {
  readonly capture: string | undefined;
  readonly seed: number;
  /** Passes of each kind that are measured, after one of each that is not. */
  readonly rounds: number;
  readonly log: (line: string) => void;
}

/** Nobody listens there: messages are made, wait, and are dropped, as with brokers that are away. */
const NOWHERE = "127.0.0.1:1";
const SHUTDOWN_MS = 50;

const DEFAULT = PUBLICATIONS.filter((name) => name !== "feed");
/** What is published beside the desk; null = there is no distribution. */
const KINDS: readonly (readonly [name: string, publish: readonly Publication[] | null])[] = [
  ["off", null],
  ["on", DEFAULT],
  ["feed", PUBLICATIONS],
];

/**
 * What following the desk costs its own thread: a frame in memory until the desk is ready for the next one, without distribution, with what is
 * published by default, and with the whole feed for other keels. Passes take turns over the same capture.
 */
export async function runTapBench(options: TapBenchOptions): Promise<BenchReport> {
  const input = benchInput(options.capture, options.seed);
  const config = loadConfig({});
  const { engine, model } = await startBenchEngine({
    device: "cpu",
    config,
    slots: UNDERLYING_CAPACITY,
    log: options.log,
  });
  try {
    const histograms = KINDS.map(() => new Histogram());
    const checksums = new Set<string>();
    let dropped = 0;
    for (let round = 0; round <= options.rounds; round += 1) {
      for (const [at, [, publish]] of KINDS.entries()) {
        const histogram = histograms[at];
        if (round === 1) histogram.reset();
        for (let slot = 0; slot < engine.slotCount; slot += 1) engine.resetSlot(slot);
        const taps: Distributor[] = [];
        const { checksum } = await runDeskPass({
          ...{ path: input.path, seed: options.seed, engine, config, timer: noTimer },
          onFrame: (desk, feed, text, timeUs) => {
            const before = Bun.nanoseconds();
            desk.onFrame(feed, text, timeUs);
            histogram.record(Bun.nanoseconds() - before);
          },
          ...(publish === null
            ? {}
            : {
                makeTap: (desk) => {
                  const tap = distributorOf(desk, publish, model.card.name);
                  taps.push(tap);
                  return tap;
                },
              }),
        });
        checksums.add(checksum);
        for (const tap of taps) {
          dropped += tap.dropped;
          await tap.ended();
        }
      }
    }
    invariant(checksums.size === 1, "who follows the desk changes nothing of what it decides");
    const rows = KINDS.map(([name], at) => rowOf(`tap/${name}`, histograms[at], "us"));
    const [off, on, feed] = rows;
    return {
      bench: "tap",
      host: benchHost(),
      seed: options.seed,
      checksum: [...checksums].join(),
      input: input.name,
      rows,
      ratios: [
        ratioOf("tap/on:off", on, off),
        ratioOf("tap/on:off/p99", on, off),
        ratioOf("tap/feed:off", feed, off),
        ratioOf("tap/feed:off/p99", feed, off),
      ],
      notes: [
        `${dropped} records did not fit the ring, which a full-speed pass fills faster than its thread empties it`,
        "the copy is made when the quotes have left: it delays the next frame, not these quotes",
      ],
    };
  } finally {
    await engine.dispose();
    input.remove();
  }
}

function distributorOf(desk: Desk, publish: readonly Publication[], model: string): Distributor {
  const { instruments, books, underlyings } = desk.market;
  const kafka: KafkaOptions = {
    brokers: [NOWHERE],
    clientId: "bench",
    topicPrefix: "bench.",
    publish,
    snapshotMs: 2_000,
    lingerMs: 5,
    feedTopic: "bench.feed",
    acks: "leader",
    compression: "none",
    backlogMessages: 50_000,
    signalTopics: [],
    signalStart: "latest",
    tls: undefined,
    sasl: undefined,
  };
  return new Distributor({
    kafka,
    redis: undefined,
    desk: { instruments, books, underlyings, underlyingCapacity: UNDERLYING_CAPACITY, heads: [], model },
    onSignal: () => {},
    onProblem: () => {},
    shutdownMs: SHUTDOWN_MS,
  });
}
