/** A venue sends more than `keel run` can take as it is, with nothing slowed down: told from outside, and of what leaves from inside. */
import { afterEach, describe, expect, setDefaultTimeout, test } from "bun:test";
import { LOAD_STAGE } from "../../../src/risk/load-shedder.ts";
import { Harness } from "../harness.ts";
import { FloodScene, FloodVenue } from "./flood-scene.ts";

setDefaultTimeout(240_000);
/** Frames a second that are offered at first, and how long before it is twice as many. No host takes the last. */
const FIRST_RATE = 150_000;
const LAST_RATE = 3_000_000;
const STEP_MS = 1_000;
const PATIENCE_MS = 120_000;
/** What a desk may grow by: what it had read when it fell behind, and the garbage of that. */
const GROWTH_MB = 400;

/** Offers more and more until it holds. */
async function flood(venue: FloodVenue, isEnough: () => boolean): Promise<void> {
  const deadlineMs = performance.now() + PATIENCE_MS;
  let sinceMs = Number.NEGATIVE_INFINITY;
  for (let rate = FIRST_RATE; !isEnough(); await Bun.sleep(10)) {
    if (performance.now() > deadlineMs) throw new Error(`not flooded with ${rate} frames a second`);
    if (performance.now() - sinceMs < STEP_MS) continue;
    sinceMs = performance.now();
    venue.offer(rate);
    rate = Math.min(rate * 2, LAST_RATE);
  }
}

describe("a desk that is offered more than it can take", () => {
  test("sheds in order, answers, keeps its memory and its session, and comes back stage by stage", async () => {
    await using scene = await FloodScene.start({
      KEEL_SHED_CALM_MS: "300",
      KEEL_FIX_HEARTBEAT_SECONDS: "5",
      KEEL_SILENCE_MS: "30000",
    });
    await scene.untilQuoting();
    const quiet = scene.last;
    await flood(scene.venue, () => scene.last?.stage === LOAD_STAGE.pull && scene.last.held === 0);
    const ready = await scene.ask("/readyz");
    scene.venue.offer(FIRST_RATE);
    expect(await scene.ask("/kill", "POST")).toMatchObject({ status: 200 });
    await scene.until("killed", ({ killed }) => killed, PATIENCE_MS);
    expect(await scene.ask("/reset", "POST")).toMatchObject({ status: 200 });
    await scene.until("reset", ({ killed }) => !killed, PATIENCE_MS);
    scene.venue.offer(0);
    await scene.until("none waits", ({ waiting }) => waiting === 0, PATIENCE_MS);
    await scene.until("it is over", ({ stage }) => stage === LOAD_STAGE.normal, PATIENCE_MS);
    await scene.untilQuoting();

    expect(ready.status).toBe(503);
    expect(ready.text).toContain("more comes in than can be taken: quotes are pulled");
    const { samples, stages, counterparty } = scene;
    const residentMb = Math.max(...samples.map((sample) => sample.residentMb));
    expect(residentMb - (quiet?.residentMb ?? Number.NaN)).toBeLessThan(GROWTH_MB);
    expect(counterparty.counters.logons).toBe(1);
    const summary = await scene.stop();
    expect(summary).toMatchObject({ gaps: 0, crossed: 0, reconnects: 0, unparsable: 0, killed: null });
    expect(summary.load?.entries.pull).toBeGreaterThan(0);
    expect(summary.load?.conflatedFrames).toBeGreaterThan(0);
    expect(stages.filter((stage, at) => stages.indexOf(stage) === at && stage !== "normal")).toEqual([
      "conflate",
      "widen",
      "pull",
    ]);
    const back = stages.slice(stages.lastIndexOf("pull"));
    expect(back.slice(0, 3)).toEqual(["pull", "widen", "conflate"]);
    expect(back).toContain("normal");
    expect(scene.text).toContain("load beyond capacity: conflate");
  });
});

describe.each([
  [1, "is cut off by the venue", 1],
  [2, "ends", 0],
])("of a desk with KEEL_SHARDS=%p, in a flood that %s,", (shards, end, reconnects) => {
  let venue: FloodVenue | null = null;
  let harness: Harness | null = null;
  afterEach(async () => {
    await harness?.stop();
    harness?.remove();
    await venue?.close();
    harness = null;
    venue = null;
  });

  test("nothing leaves that rests on an unsound book, no quote stands once they are pulled, and all are quoted again", async () => {
    venue = new FloodVenue();
    const { binance, deribit } = await venue.urls;
    const addresses = [binance, deribit];
    harness = await Harness.start(
      {
        ...{ KEEL_SHED: "pull", KEEL_SHED_CALM_MS: "300", KEEL_SHARDS: String(shards) },
        // What the flood brings is told by the desk outside; here its journal would be a flood of the disk.
        KEEL_JOURNAL_DIR: "",
      },
      {},
      (url) => addresses.shift() ?? url,
    );
    await harness.untilQuoting();
    const { live, counterparty } = harness;
    const { load } = live;
    if (load === null) throw new Error("load is shed");
    const { shedder } = load;
    await flood(venue, () => shedder.stage === LOAD_STAGE.pull && counterparty.liveQuotes.size === 0);
    // With less on offer what waits at the venue has an end sooner.
    venue.offer(FIRST_RATE);
    if (end === "ends") venue.offer(0);
    else venue.cutOff();
    await harness.until("it is over", () => shedder.stage === LOAD_STAGE.normal, PATIENCE_MS);
    await harness.untilQuoting();
    expect(harness.violations).toEqual([]);
    const summary = live.summary();
    expect(summary).toMatchObject({ gaps: 0, crossed: 0 });
    expect(summary.reconnects).toBeGreaterThanOrEqual(reconnects);
    for (const stage of ["conflate", "widen", "pull"] as const) {
      expect(shedder.entries[LOAD_STAGE[stage]]).toBeGreaterThan(0);
    }
  });
});
