import { heapStats } from "bun:jsc";
import { afterAll, expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { runDeskPass } from "../../src/bench/desk-pass.ts";
import { simulatedCapture } from "../../src/bench/input.ts";
import { loadConfig } from "../../src/config.ts";
import { RING_NONE, RingConsumer, ringMemory } from "../../src/core/ring.ts";
import { type Desk, UNDERLYING_CAPACITY } from "../../src/desk/desk.ts";
import { noTimer } from "../../src/desk/latency.ts";
import { FEATURE_COUNT, SCHEMA_HASH } from "../../src/feature/schema.ts";
import { JoinedTaps } from "../../src/gateway/joined-taps.ts";
import type { DeskTap } from "../../src/gateway/tap.ts";
import { CpuEngine } from "../../src/inference/cpu.ts";
import { loadModel } from "../../src/inference/model.ts";
import { watchedOf } from "../../src/learn/drift/monitor.ts";
import { OBSERVED } from "../../src/learn/outcomes/observation.ts";
import { ObservationWriter } from "../../src/learn/outcomes/observation-ring.ts";
import { OutcomeTap } from "../../src/learn/outcomes/tap.ts";
import { WatchTap } from "../../src/live/watch-tap.ts";
import { skipUnlessNative } from "../support/native.ts";

const noEngine = await skipUnlessNative("a desk whose model answers in the same turn");
const folder = mkdtempSync(join(tmpdir(), "keel-taps-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** So many calls of a kind are made before it is looked at, and so many then. */
const COMPILED = 20_000;
const MEASURED = 50_000;
const TRIES = 5;
/** Calls of the desk's own before. */
const SEEN = 200;
const RING_BYTES = 1 << 22;

/** Makes one of the desk's calls again and again, and keeps by how much the heap grew. */
class Repeated implements DeskTap {
  readonly grownBytes = new Map<string, number>();
  readonly #taps: DeskTap;
  readonly #emptied: () => void;
  readonly #seen = new Map<string, number>();

  constructor(taps: DeskTap, emptied: () => void) {
    this.#taps = taps;
    this.#emptied = emptied;
  }

  onPrediction(...shown: Parameters<NonNullable<DeskTap["onPrediction"]>>): void {
    const [underlying, probabilities, offset, heads, status, timeUs, book] = shown;
    this.#repeat(status === 0 ? "predictions" : "", () =>
      this.#taps.onPrediction?.(underlying, probabilities, offset, heads, status, timeUs, book),
    );
  }

  onQuotes(...[quotes, timeUs]: Parameters<DeskTap["onQuotes"]>): void {
    this.#repeat("quotes", () => this.#taps.onQuotes(quotes, timeUs), 5);
  }

  onEvents(...[events, rows, count, timeUs]: Parameters<NonNullable<DeskTap["onEvents"]>>): void {
    this.#repeat("events", () => this.#taps.onEvents?.(events, rows, count, timeUs));
  }

  onFeatures(...[underlying, features, offset]: Parameters<NonNullable<DeskTap["onFeatures"]>>): void {
    let timeUs = 0;
    this.#repeat("features", () => {
      // Each is told, however seldom rows are sampled.
      timeUs += 1e6;
      this.#taps.onFeatures?.(underlying, features, offset, timeUs);
    });
  }

  onCancelAll(timeUs: number): void {
    this.#taps.onCancelAll(timeUs);
  }

  onTimer(timeUs: number): void {
    this.#taps.onTimer(timeUs);
  }

  close(): void {
    this.#taps.close();
  }

  #repeat(name: string, call: () => void, from = SEEN): void {
    call();
    const seen = (this.#seen.get(name) ?? 0) + 1;
    this.#seen.set(name, seen);
    if (name === "" || seen !== from) return;
    this.#run(call, COMPILED);
    let grown = Number.POSITIVE_INFINITY;
    // On a busy host the code may still be waiting for its compilation at first.
    for (let tries = 0; tries < TRIES && grown >= MEASURED; tries += 1) {
      Bun.gc(true);
      const before = heapStats().heapCapacity;
      this.#run(call, MEASURED);
      grown = heapStats().heapCapacity - before;
    }
    this.grownBytes.set(name, grown);
  }

  #run(call: () => void, times: number): void {
    for (let at = 0; at < times; at += 1) {
      call();
      if (at % 1_000 === 0) this.#emptied();
    }
    this.#emptied();
  }
}

test.skipIf(noEngine)(
  "telling outcomes, drift and challengers what a desk does allocates nothing",
  async () => {
    const capture = join(folder, "simulated.txt");
    writeFileSync(capture, simulatedCapture(1, 10));
    const model = await loadModel("lstm-residual-int8", {
      schemaHash: SCHEMA_HASH,
      featureCount: FEATURE_COUNT,
    });
    const engine = await CpuEngine.start(model, UNDERLYING_CAPACITY, UNDERLYING_CAPACITY);
    const rings: RingConsumer[] = [];
    const writers: ObservationWriter[] = [];
    const writer = (): ObservationWriter => {
      const memory = ringMemory(RING_BYTES);
      rings.push(new RingConsumer(memory));
      const made = new ObservationWriter(memory);
      writers.push(made);
      return made;
    };
    class Challengers extends OutcomeTap {
      readonly #writer: ObservationWriter;
      constructor({ market }: Desk, sink: ObservationWriter) {
        super(market, null, "", sink);
        this.#writer = sink;
      }
      onFeatures(underlying: number, features: Float32Array, offset: number, timeUs: number): void {
        this.#writer.observeSingles(OBSERVED.features, underlying, timeUs, features, offset, FEATURE_COUNT);
      }
    }
    let repeated: Repeated | undefined;
    await runDeskPass({
      ...{ path: capture, seed: 1, engine, config: loadConfig({}), timer: noTimer },
      onFrame: (desk, feed, text, timeUs) => desk.onFrame(feed, text, timeUs),
      makeTap: (desk) => {
        const taps = new JoinedTaps([
          new OutcomeTap(desk.market, desk.predictions, "model", writer()),
          new WatchTap(writer(), watchedOf(model.card), UNDERLYING_CAPACITY),
          new Challengers(desk, writer()),
        ]);
        repeated = new Repeated(taps, () => {
          for (const ring of rings) while (ring.peek() !== RING_NONE) ring.release();
        });
        return repeated;
      },
    });
    await engine.dispose();
    expect(writers.map(({ dropped }) => dropped)).toEqual([0, 0, 0]);
    const grown = repeated?.grownBytes ?? new Map<string, number>();
    expect([...grown.keys()].sort()).toEqual(["events", "features", "predictions", "quotes"]);
    for (const [name, bytes] of grown) expect([name, bytes < MEASURED]).toEqual([name, true]);
  },
  300_000,
);
