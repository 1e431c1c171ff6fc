/** More comes in than a live desk can take: what it sheds, in which order, that it says so, and that it comes back. */
import { afterEach, beforeEach, describe, expect, setDefaultTimeout, test } from "bun:test";
import { join } from "node:path";
import { decodeDecision } from "../../../src/desk/decision.ts";
import { JournalReader } from "../../../src/journal/reader.ts";
import { RECORD } from "../../../src/journal/record.ts";
import { replay } from "../../../src/journal/replay.ts";
import { showDecision } from "../../../src/journal/show.ts";
import { DecisionComparer } from "../../../src/journal/verify.ts";
import { unready } from "../../../src/live/http-target.ts";
import { liveMetrics } from "../../../src/live/live-metrics.ts";
import type { LoadWatch } from "../../../src/live/load/load-watch.ts";
import { engineForReplay } from "../../../src/live/replay-engine.ts";
import { DiskSpace } from "../../../src/monitor/disk-space.ts";
import type { MetricRegistry } from "../../../src/monitor/metrics.ts";
import { LOAD_STAGE, type LoadStageName } from "../../../src/risk/load-shedder.ts";
import { exposition } from "../../support/exposition.ts";
import { Harness } from "../harness.ts";

setDefaultTimeout(120_000);
const MIB = 1_048_576;

let venues: Bun.Subprocess<"ignore", "pipe", "inherit">;
let urls: { readonly binance: string; readonly deribit: string };
const started: Harness[] = [];

beforeEach(async () => {
  venues = Bun.spawn([process.execPath, join(import.meta.dir, "venue-process.ts")], {
    stdin: "ignore",
    stdout: "pipe",
    stderr: "inherit",
  });
  const { value } = await venues.stdout.getReader().read();
  urls = JSON.parse(new TextDecoder().decode(value));
});
afterEach(async () => {
  for (const harness of started.splice(0)) {
    await harness.stop();
    harness.remove();
  }
  venues.kill();
  await venues.exited;
});

/** A quoting desk whose venues are a process of their own. */
async function quoting(
  environment: Record<string, string>,
  logged: ((line: string) => void) | null = null,
): Promise<{ harness: Harness; load: LoadWatch }> {
  const addresses = [urls.binance, urls.deribit];
  const harness = await Harness.start(
    { KEEL_SHED: "pull", ...environment },
    {},
    (url) => addresses.shift() ?? url,
    logged,
  );
  started.push(harness);
  await harness.untilQuoting();
  const { load } = harness.live;
  if (load === null) throw new Error("load is shed by default");
  return { harness, load };
}

/** A sample of the metrics as Prometheus reads them. */
function sample(metrics: MetricRegistry, name: string): number {
  const line = exposition(metrics)
    .split("\n")
    .find((text) => text.startsWith(`${name} `));
  if (line === undefined) throw new Error(`no sample ${name}`);
  return Number(line.slice(name.length + 1));
}

function spin(us: number): void {
  const endNs = Bun.nanoseconds() + us * 1_000;
  while (Bun.nanoseconds() < endNs);
}

interface LoadRecord {
  readonly at: number;
  readonly stage: LoadStageName;
  readonly cause: string | null;
}

/** Replays a journal. @returns its stages of load, and what was quoted in each: rows with a price, and those that gave the reason */
async function replayed(folder: string) {
  const comparer = new DecisionComparer(showDecision);
  const reader = new JournalReader(join(folder, "journal"));
  const stages: LoadRecord[] = [];
  const quoted = { normal: 0, conflate: 0, widen: 0, pull: 0 };
  const overloaded = { ...quoted };
  let stage: LoadStageName = "normal";
  let batches = 0;
  let frames = 0;
  const { desk } = await replay(reader.records(), {
    engineFor: (start) => engineForReplay(start, undefined, { info: () => {}, warn: () => {} }),
    decisions: comparer,
    onRecord: (record) => {
      comparer.recorded(record);
      if (record.type === RECORD.load) {
        const told = JSON.parse(new TextDecoder().decode(record.payload)) as LoadRecord;
        stage = told.stage;
        stages.push({ at: record.timeUs, stage, cause: told.cause });
      } else if (record.type === RECORD.quote) {
        // What was decided in the turn of a change of stage is written behind it.
        for (const { reasons, bidLots, askLots } of decodeDecision(record.payload).quotes) {
          if (bidLots > 0 || askLots > 0) quoted[stage] += 1;
          if (reasons.includes("overload")) overloaded[stage] += 1;
        }
      } else if (stage !== "normal") {
        if (record.type === RECORD.batchEnd) batches += 1;
        if (record.type === RECORD.feedFrame) frames += 1;
      }
    },
    stop: () => comparer.differs,
  });
  expect(reader.damage).toBeNull();
  return { verification: comparer.finish(), stages, quoted, overloaded, batches, frames, desk };
}

describe("a desk whose market brings more than it can take", () => {
  test("conflates, widens and pulls in that order, keeps its memory, comes back by itself, and replays the same", async () => {
    const logged: { message: string; level: string; stage?: string; cause?: string }[] = [];
    const { harness, load } = await quoting({ KEEL_SHED_CALM_MS: "300" }, (line) => {
      if (line.includes("load ")) logged.push(JSON.parse(line));
    });
    const { desk, live, counterparty } = harness;
    const metrics = liveMetrics(live, null, new DiskSpace(new Map(), () => 0));
    const inStage = (stage: string) => sample(metrics, `keel_load_stage_seconds_total{stage="${stage}"}`);
    let pulledStage = Number.NaN;
    expect(load.shedder.stage).toBeLessThan(LOAD_STAGE.pull);
    const onFrame = desk.onFrame.bind(desk);
    let slowUs = 4_000;
    let queuedMax = 0;
    let pulledFrames = 0;
    let waiting: readonly string[] = [];
    const residentBefore = process.memoryUsage.rss();
    // Some 350 frames a second come: at 4 ms each the desk is at 140 % and falls further behind with every frame.
    desk.onFrame = (feed, frame, timeUs) => {
      onFrame(feed, frame, timeUs);
      spin(slowUs);
      if (load.queuedBytes > queuedMax) queuedMax = load.queuedBytes;
      if (load.shedder.stage === LOAD_STAGE.pull) pulledFrames += 1;
      if (pulledFrames === 100) {
        waiting = unready(live);
        pulledStage = sample(metrics, "keel_load_stage");
        slowUs = 0;
      }
    };
    await harness.until("quotes are pulled", () => pulledFrames > 0);
    await harness.until("the counterparty holds none", () => counterparty.liveQuotes.size === 0);
    await harness.until("it is over", () => load.shedder.stage === LOAD_STAGE.normal);
    await harness.untilQuoting();
    expect(waiting).toContain("more comes in than can be taken: quotes are pulled");
    expect(process.memoryUsage.rss() - residentBefore).toBeLessThan(128 * MIB);
    expect(queuedMax).toBeGreaterThan(0);
    expect(queuedMax).toBeLessThan(32 * MIB);
    expect(harness.violations).toEqual([]);
    const { entries } = load.shedder;
    expect(entries[LOAD_STAGE.pull]).toBeGreaterThan(0);
    expect(pulledStage).toBe(LOAD_STAGE.pull);
    for (const stage of ["conflate", "widen", "pull"] as const) {
      expect(sample(metrics, `keel_load_entries_total{stage="${stage}"}`)).toBe(entries[LOAD_STAGE[stage]]);
      expect(inStage(stage)).toBeGreaterThan(0);
    }
    expect(sample(metrics, "keel_load_conflated_frames_total")).toBe(desk.counters.conflatedFrames);
    expect(desk.counters.conflatedFrames).toBeGreaterThan(0);
    const summary = await harness.stop();
    expect(summary.journal?.dropped).toBe(0);
    expect(summary.killed).toBeNull();

    const again = await replayed(harness.folder);
    expect(again.verification.difference).toBeNull();
    expect(again.verification.compared).toBeGreaterThan(5);
    const names = again.stages.map(({ stage }) => stage);
    // The log tells each of them as it comes, the first ten of a kind in ten seconds.
    const beyond = logged.filter(({ message }) => message === "load beyond capacity");
    expect(beyond.slice(0, 3).map(({ stage }) => stage)).toEqual(
      again.stages
        .filter(({ stage }) => stage !== "normal")
        .slice(0, 3)
        .map(({ stage }) => stage),
    );
    for (const { level, cause } of beyond) {
      expect(level).toBe("warn");
      expect(cause).not.toBeEmpty();
    }
    expect(logged.some(({ message }) => message === "load is within capacity again")).toBeTrue();
    expect(names.slice(0, names.indexOf("pull") + 1)).toEqual(
      expect.arrayContaining(["conflate", "widen", "pull"]),
    );
    for (const [at, name] of names.entries()) {
      const before = LOAD_STAGE[names[at - 1] ?? "normal"];
      expect(Math.abs(LOAD_STAGE[name] - before)).toBe(1);
    }
    expect(again.stages.filter(({ stage }) => stage === "widen").length).toBeGreaterThanOrEqual(2);
    expect(again.quoted.pull).toBe(0);
    expect(again.overloaded.widen + again.overloaded.pull).toBeGreaterThan(0);
    expect(again.batches).toBeLessThan(again.frames);
    expect(again.desk.counters).toEqual(desk.counters);
    started.splice(0);
    harness.remove();
  });

  test("goes no further than conflation where that suffices, and not at all where it is told to", async () => {
    const { harness, load } = await quoting({
      KEEL_CONFLATE: "off",
      KEEL_SHED_WIDEN_MS: "20000",
      KEEL_SHED_PULL_MS: "20000",
    });
    const { quoter, counters } = harness.desk;
    const requote = quoter.requote.bind(quoter);
    // Decisions alone are slow: more than the frames' number leaves time for, less than one in 10 ms takes.
    quoter.requote = (...turn) => {
      spin(4_500);
      return requote(...turn);
    };
    await harness.until("quotes are conflated", () => load.shedder.stage === LOAD_STAGE.conflate);
    await harness.until(
      "data is in time again",
      () => load.ageMs < 25 && counters.conflatedFrames > 50,
      30_000,
    );
    quoter.requote = requote;
    await harness.until("it is over", () => load.shedder.stage === LOAD_STAGE.normal);
    expect([...load.shedder.entries.slice(LOAD_STAGE.widen)]).toEqual([0, 0]);
    expect(harness.violations).toEqual([]);
  });
});

test("without KEEL_SHED nothing is measured and nothing is shed", async () => {
  const addresses = [urls.binance, urls.deribit];
  const harness = await Harness.start({ KEEL_SHED: "off" }, {}, (url) => addresses.shift() ?? url);
  started.push(harness);
  expect(harness.live.load).toBeNull();
});
