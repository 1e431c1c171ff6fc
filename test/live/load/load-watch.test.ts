import { describe, expect, test } from "bun:test";
import { VenueClock } from "../../../src/feed/venue-clock.ts";
import { LoadWatch } from "../../../src/live/load/load-watch.ts";
import { DEFAULT_LOAD_PARAMETERS } from "../../../src/risk/load-parameters.ts";
import { LOAD_STAGE, TURN_WAIT_MAX_MS } from "../../../src/risk/load-shedder.ts";
import { watchedDesk } from "./watched-desk.ts";

const TIMER_MS = 10;
const SETTINGS = { highest: "pull", parameters: DEFAULT_LOAD_PARAMETERS } as const;

/** A desk of so many feeds, each of which carries the reference of an underlying, driven by hand. */
class Bench {
  readonly clocks: VenueClock[];
  readonly watch: LoadWatch;
  queuedBytes = 0;
  ringFill = Number.NaN;
  ringMs = Number.NaN;
  relayMs = Number.NaN;
  refreshes = 0;
  ms = 1_000_000;
  /** Host's clock minus venue's, ms. */
  offsetMs = 0;

  /** @param primaries first line of each feed */
  constructor(primaries: readonly number[] = [0], quoted = (feed: number) => feed >= 0) {
    this.clocks = primaries.map(() => new VenueClock());
    this.watch = new LoadWatch(watchedDesk(this.clocks, primaries, quoted), SETTINGS, {
      timerMs: TIMER_MS,
      queuedBytes: () => this.queuedBytes,
      refresh: () => {
        this.refreshes += 1;
      },
      ringFill: () => this.ringFill,
      ringMs: () => this.ringMs,
      relayMs: () => this.relayMs,
    });
  }

  /** Runs for a time; each feed brings a message a ms that was on its way for so long. */
  run(forMs: number, delayMs: readonly number[] = this.clocks.map(() => 5), lateMs = 0): void {
    const endMs = this.ms + forMs;
    while (this.ms < endMs) {
      for (let i = 0; i < TIMER_MS + lateMs; i += 1) {
        this.ms += 1;
        for (const [feed, clock] of this.clocks.entries()) {
          const delay = delayMs[feed] ?? Number.NaN;
          clock.observe((this.ms - delay) * 1_000, (this.ms + this.offsetMs) * 1_000);
        }
      }
      this.watch.turn(this.ms * 1e6);
    }
  }

  get stage(): number {
    return this.watch.shedder.stage;
  }
}

describe("lateness of the loop", () => {
  test("of a single turn is no overload, of every turn it is", () => {
    const bench = new Bench();
    bench.run(1_000);
    bench.run(1, undefined, 5_000);
    bench.run(1_000);
    expect(bench.stage).toBe(LOAD_STAGE.normal);
    bench.run(1_000, undefined, 150);
    expect(bench.watch.loopMs).toBeCloseTo(150);
    expect(bench.stage).toBe(LOAD_STAGE.widen);
  });

  test("is not told by turns that are taken between two frames", () => {
    const bench = new Bench();
    bench.run(200);
    for (let i = 0; i < 20; i += 1) {
      bench.ms += 30;
      bench.watch.turn(bench.ms * 1e6, false);
    }
    expect(bench.watch.loopMs).toBeNaN();
    expect(bench.stage).toBe(LOAD_STAGE.normal);
  });
});

describe("age of data", () => {
  test("is what it takes longer than usual, whatever the clocks' offset", () => {
    const bench = new Bench();
    bench.offsetMs = -40_000;
    bench.run(1_000, [7]);
    expect(bench.watch.ageMs).toBeCloseTo(0);
    // A queue grows by half a second a second.
    bench.queuedBytes = 1;
    for (let delay = 7; delay < 207; delay += 5) bench.run(10, [delay]);
    bench.run(400, [207]);
    expect(bench.watch.ageMs).toBeWithin(150, 201);
    expect(bench.stage).toBe(LOAD_STAGE.widen);
  });

  test("of one late message among others is nothing", () => {
    const bench = new Bench();
    bench.run(500);
    for (let i = 0; i < 100; i += 1) {
      bench.clocks[0]?.observe((bench.ms - 60_000) * 1_000, bench.ms * 1_000);
      bench.run(10);
    }
    expect(bench.watch.ageMs).toBeCloseTo(0);
    expect(bench.stage).toBe(LOAD_STAGE.normal);
  });

  test("does not become usual while this host is behind, however long", () => {
    const bench = new Bench();
    bench.run(1_000, [5]);
    bench.queuedBytes = DEFAULT_LOAD_PARAMETERS.pullKb * 1_024;
    for (let delay = 5; delay < 805; delay += 5) bench.run(10, [delay]);
    bench.run(180_000, [805]);
    expect(bench.watch.ageMs).toBeCloseTo(800);
    expect(bench.stage).toBe(LOAD_STAGE.pull);
  });

  test("of a venue that is late while nothing waits here is told, is no load, and becomes usual slowly", () => {
    const bench = new Bench();
    bench.run(1_000, [5]);
    for (let delay = 5; delay < 1_005; delay += 5) bench.run(10, [delay]);
    bench.run(1_000, [1_005]);
    expect(bench.watch.ageMs).toBeGreaterThan(900);
    expect(bench.stage).toBe(LOAD_STAGE.normal);
    bench.run(600_000, [1_005]);
    expect(bench.watch.ageMs).toBeLessThan(1);
  });

  test.each([60_000, -60_000, 400])("does not change when a clock is put by %p ms", (stepMs) => {
    const bench = new Bench();
    bench.queuedBytes = 1;
    bench.run(1_000);
    bench.offsetMs = stepMs;
    bench.run(2_000);
    expect(bench.watch.ageMs).toBeLessThan(1);
    expect(bench.stage).toBe(LOAD_STAGE.normal);
    bench.offsetMs = 0;
    bench.run(2_000);
    expect(bench.watch.ageMs).toBeLessThan(1);
    expect(bench.stage).toBe(LOAD_STAGE.normal);
  });

  test("of a feed with several lines is that of the line which is first", () => {
    const bench = new Bench([0, 0]);
    bench.queuedBytes = 1;
    bench.run(1_000, [5, 5]);
    for (let delay = 5; delay < 905; delay += 5) bench.run(10, [5, delay]);
    bench.run(1_000, [5, 905]);
    expect(bench.stage).toBe(LOAD_STAGE.normal);
  });

  test("of a feed on which no quote rests counts for nothing", () => {
    const bench = new Bench([0, 1], (feed) => feed === 0);
    bench.queuedBytes = 1;
    bench.run(1_000, [5, 5]);
    for (let delay = 5; delay < 905; delay += 5) bench.run(10, [5, delay]);
    bench.run(1_000, [5, 905]);
    expect(bench.stage).toBe(LOAD_STAGE.normal);
  });
});

describe("turns that wait for the quoting thread", () => {
  test("begin the stages in order, pull before they are too old, and end them once they are taken in time", () => {
    const bench = new Bench();
    bench.run(1_000);
    const stages = [bench.stage];
    const waitedMs: number[] = [];
    // The thread takes two turns where five come.
    for (bench.ringMs = 0; bench.ringMs < 2_000; bench.ringMs += 6) {
      bench.run(10);
      if (stages.at(-1) === bench.stage) continue;
      stages.push(bench.stage);
      waitedMs.push(bench.ringMs);
      expect(bench.watch.shedder.cause).toBe("ringMs");
    }
    expect(stages).toEqual([LOAD_STAGE.normal, LOAD_STAGE.conflate, LOAD_STAGE.widen, LOAD_STAGE.pull]);
    expect(waitedMs.at(-1)).toBeLessThan(TURN_WAIT_MAX_MS);
    bench.ringMs = 0;
    bench.run(10_000);
    expect(bench.stage).toBe(LOAD_STAGE.normal);
  });

  test("are a queue on this host: what is old counts then", () => {
    const bench = new Bench();
    bench.ringMs = 0;
    bench.run(1_000, [5]);
    for (let delay = 5; delay < 205; delay += 5) bench.run(10, [delay]);
    bench.run(400, [205]);
    expect(bench.stage).toBe(LOAD_STAGE.normal);
    bench.ringMs = DEFAULT_LOAD_PARAMETERS.conflateMs - 1;
    bench.run(400, [205]);
    expect([bench.stage, bench.watch.shedder.cause]).toEqual([LOAD_STAGE.widen, "ageMs"]);
  });
});

test("relayed messages that wait begin the stages in order, and what is old counts meanwhile", () => {
  const bench = new Bench();
  bench.relayMs = 0;
  bench.run(1_000, [5]);
  for (let delay = 5; delay < 205; delay += 5) bench.run(10, [delay]);
  bench.run(1_000, [205]);
  expect([bench.stage, bench.watch.relayMs]).toEqual([LOAD_STAGE.normal, 0]);
  bench.relayMs = DEFAULT_LOAD_PARAMETERS.conflateMs - 1;
  bench.run(400, [205]);
  expect([bench.stage, bench.watch.shedder.cause]).toEqual([LOAD_STAGE.widen, "ageMs"]);
  bench.relayMs = DEFAULT_LOAD_PARAMETERS.pullMs;
  bench.run(400, [5]);
  expect([bench.stage, bench.watch.shedder.cause]).toEqual([LOAD_STAGE.pull, "relayMs"]);
  bench.relayMs = 0;
  bench.run(10_000, [5]);
  expect(bench.stage).toBe(LOAD_STAGE.normal);
});

test("queues and rings count by what never left them in a window", () => {
  const bench = new Bench();
  bench.run(1_000);
  for (let i = 0; i < 100; i += 1) {
    bench.queuedBytes = i % 5 === 0 ? 0 : 1e9;
    bench.ringFill = i % 5 === 0 ? 0 : 1;
    bench.run(10);
  }
  expect(bench.stage).toBe(LOAD_STAGE.normal);
  bench.queuedBytes = 0;
  bench.ringFill = 0.2;
  bench.run(1_000);
  expect([bench.stage, bench.watch.shedder.cause]).toEqual([LOAD_STAGE.conflate, "ringFill"]);
  expect(bench.refreshes).toBeWithin(3, 5);
  const seconds = bench.watch.stageNs.reduce((sum, ns) => sum + ns / 1e9, 0);
  expect(seconds).toBeWithin(2.9, 3.1);
});
